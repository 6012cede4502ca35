package import ExtProcServer
package import GRPCTransport

/// What a processor did about one message.
package struct Reaction: Sendable {
    package var replies: [ProcessingResponse]
    /// Set when it ended the call.
    package var end: GRPCStatus?

    package init(_ replies: [ProcessingResponse] = [], end: GRPCStatus? = nil) {
        self.replies = replies
        self.end = end
    }
}

/// A stream's state together with who answers its questions, at once: what a connection's call does with them.
package struct StreamProcessor {
    package var stream: ExtProcStream
    private let verdict: (ExtProcStream.Question) -> ExtProcStream.Verdict

    package init(
        _ stream: ExtProcStream,
        verdict: @escaping (ExtProcStream.Question) -> ExtProcStream.Verdict
    ) {
        self.stream = stream
        self.verdict = verdict
    }

    package mutating func receive(_ message: ProcessingRequest) -> Reaction {
        reaction(to: stream.receive(message))
    }

    package mutating func reaction(to step: ExtProcStream.Step) -> Reaction {
        var step = step
        while case .ask(let question) = step { step = stream.answer(verdict(question)) }
        switch step {
        case .nothing, .ask: return Reaction(end: stream.end)
        case .reply(let reply): return Reaction([reply], end: stream.end)
        case .replies(let replies): return Reaction(replies, end: stream.end)
        }
    }
}
