package import ExtProcServer
package import GRPCTransport
package import NIOCore

/// Envoy with its ExtProc filter between a client and an upstream, without sockets: tells a processor of a request and of
/// its answer, and does what the processor says, as Envoy 1.40 was seen to.
///
/// What Envoy would answer 500 to, wait for in vain, or quietly ignore is a complaint: a good processor causes none.
package enum EnvoyModel {
    package struct Configuration: Sendable {
        package var requestBody = BodyMode.buffered
        package var responseBody = BodyMode.notSent
        /// Whether trailers are told of.
        package var sendsTrailers = true
        /// Bytes of a body that Envoy keeps.
        package var bufferLimit = 1 << 20
        package var allowsModeOverride = true
        /// Whether the first message says which modes are set, as it does from Envoy 1.33 on.
        package var tellsModes = true
        package var isObservation = false
        /// Whether the end of a streamed body is known with its last piece; else an empty piece tells of it.
        package var knowsLastPiece = true

        package init(requestBody: BodyMode = .buffered, responseBody: BodyMode = .notSent) {
            self.requestBody = requestBody
            self.responseBody = responseBody
        }
    }

    /// A request or an answer on its way to Envoy.
    package struct Message: Sendable {
        /// With `:method` and the like.
        package var headers: HeaderList
        /// The body as it is cut; nil where the headers already say that there is none.
        package var pieces: [ByteBuffer]?
        package var trailers: HeaderList?

        package init(headers: HeaderList, pieces: [ByteBuffer]? = nil, trailers: HeaderList? = nil) {
            self.headers = headers
            self.pieces = pieces
            self.trailers = trailers
        }

        var hasOnlyHeaders: Bool { pieces == nil && trailers == nil }
        var body: ByteBuffer { (pieces ?? []).joined }
    }

    /// What an upstream or a client got.
    package struct Received: Sendable {
        package var headers: HeaderList
        package var pieces: [ByteBuffer] = []
        package var trailers: HeaderList?

        package var body: ByteBuffer { pieces.joined }
        package var status: Int? { headers[":status"].first.flatMap { Int($0) } }
    }

    package struct Outcome: Sendable {
        /// Nil when the request did not get there, or not whole.
        package var upstream: Received?
        package var client: Received
        /// Whether the answer is the processor's own.
        package var isImmediate: Bool
        package var hasClearedRouteCache: Bool
        /// How the processor ended the call, if it did.
        package var end: GRPCStatus?
        /// The messages that were told, by their kind.
        package var told: [String]
        package var complaints: [String]
    }

    /// Carries one request through.
    ///
    /// - Parameter upstream: answers what it is sent.
    package static func exchange(
        _ request: Message,
        under configuration: Configuration,
        with processor: (ProcessingRequest) -> Reaction,
        upstream: (Received) -> Message
    ) -> Outcome {
        withoutActuallyEscaping(processor) { processor in
            var filter = EnvoyFilter(configuration, processor)
            let sent = filter.request(request)
            var answer: Message
            if let sent {
                answer = upstream(sent)
            } else if filter.localReply == nil {
                // Over the limit: Envoy's own answer, of which the processor is told as of any.
                answer = Message(
                    headers: HeaderList([(":status", "413")]),
                    pieces: [ByteBuffer(string: "Payload Too Large")]
                )
            } else {
                answer = Message(headers: HeaderList())
            }
            if request.headers[":method"] == ["HEAD"] { answer.pieces = nil }
            let client = filter.answer(answer)
            return Outcome(
                upstream: sent,
                client: client,
                isImmediate: filter.isImmediate,
                hasClearedRouteCache: filter.hasClearedRouteCache,
                end: filter.end,
                told: filter.told,
                complaints: filter.complaints
            )
        }
    }
}

extension [ByteBuffer] {
    package var joined: ByteBuffer {
        var whole = ByteBuffer()
        for piece in self { whole.writeImmutableBuffer(piece) }
        return whole
    }
}
