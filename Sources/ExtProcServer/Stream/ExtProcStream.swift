package import GRPCTransport
package import NIOCore
package import OpenAIWire

/// One HTTP request and its answer as Envoy's ExtProc filter tells of them: says after each message what to reply. Pure:
/// it neither waits nor decides; what the semantic core must decide it asks for, and is told.
///
/// How bodies come is Envoy's configuration, which it names in the first message:
/// - `BUFFERED`: the body in one message. Headers and body can be changed.
/// - `BUFFERED_PARTIAL`: the same, unless the body is over Envoy's limit: then what follows is unknown, and the request
///   goes on as it is.
/// - `STREAMED`: piece by piece; the headers are gone when the first piece comes. All pieces are kept back here, and the
///   changed body takes the place of the last.
/// - `FULL_DUPLEX_STREAMED`: piece by piece; only what is sent back goes on. The headers wait for the body.
/// - `NONE`: no bodies, so that nothing can be decided by them.
package struct ExtProcStream: Sendable {
    /// What the caller is to do.
    package enum Step: Sendable {
        case nothing
        case reply(ProcessingResponse)
        case replies([ProcessingResponse])
        /// Find out, and call `answer`. Messages that come in between may be given to `receive` as usual.
        case ask(Question)
    }

    package enum Question: Sendable {
        /// The list of models, or one of them by its name.
        case models(RequestHead, name: String?)
        /// What becomes of a request.
        case route(RequestHead, TextEndpoint, body: ByteBuffer)
    }

    /// What becomes of a request.
    package enum Verdict: Sendable {
        case proceed(Proceeding)
        case respond(ImmediateResponse)
    }

    /// A request that goes on.
    package struct Proceeding: Sendable {
        package var headers = HeaderMutation()
        /// Nil leaves it as it is.
        package var body: ByteBuffer?
        package var clearsRouteCache = false
        package var answer = AnswerFields()
        /// The model that it goes to, by the name that figures show; nil for a request that carries no text.
        package var modelName: String?

        package init() {}
    }

    /// What the answer's headers shall say.
    package struct AnswerFields: Sendable {
        package var always: [(name: String, value: String)] = []
        package var onSuccess: [(name: String, value: String)] = []

        package init() {}
    }

    private enum Phase {
        case start
        /// The request's body is coming.
        case gathering(TextEndpoint)
        /// A question is open; the answer is told at this place.
        case asking(Place)
        /// Whatever comes of the request goes on as it is.
        case passing
    }

    /// Which message waits for its reply.
    private enum Place {
        case headers
        case body
        case trailers
    }

    /// How a call ends. A call that ends well before the answer has been seen lets the rest pass by Envoy's own rules.
    package private(set) var end: GRPCStatus?
    /// Why the request was refused, if it was before a question was asked.
    package private(set) var refusal: RouterError.Code?

    private let maxBodyBytes: Int
    private let trustsIdentityHeaders: Bool
    /// The request's trace, if a collector gets it; answers of ours tell of it.
    package var traceID: String?
    private var phase = Phase.start
    private var head: RequestHead?
    private var modes: BodyModes?
    /// What has come of a body that comes in pieces.
    private var body = ByteBuffer()
    /// Whether trailers follow the body.
    private var hasTrailers = false
    /// Whether the last of the request has come.
    private var isRequestOver = false
    private var answer = AnswerFields()

    /// - Parameters:
    ///   - maxBodyBytes: the largest body of a request; more is refused.
    ///   - trustsIdentityHeaders: whether `x-authz-*` headers come from a hop that is trusted, and so go on to the next;
    ///     else they are removed.
    package init(maxBodyBytes: Int, trustsIdentityHeaders: Bool) {
        self.maxBodyBytes = maxBodyBytes
        self.trustsIdentityHeaders = trustsIdentityHeaders
    }

    /// Bytes of the body kept so far, where it comes in pieces.
    package var gatheredBytes: Int { body.readableBytes }
    /// Whether more of a body that is kept back must come.
    package var isGathering: Bool { if case .gathering = phase { true } else { false } }

    /// Whether the request is on its way: nothing that is still to be said keeps it.
    package var isDecided: Bool { if case .passing = phase { true } else { false } }

    // MARK: Messages

    package mutating func receive(_ message: ProcessingRequest) -> Step {
        guard end == nil else { return .nothing }
        if let modes = message.modes { self.modes = modes }
        // Envoy goes on without waiting: whatever we said would be a surprise to it.
        guard !message.isObservation else { return .nothing }
        switch message.part {
        case .requestHeaders(let part):
            isRequestOver = part.isLast
            return requestHeaders(part)
        case .requestBody(let part):
            isRequestOver = part.isLast
            return requestBody(part)
        case .requestTrailers:
            isRequestOver = true
            return requestTrailers()
        case .responseHeaders(let part): return responseHeaders(part)
        case .responseBody(let part): return responseBody(part)
        case .responseTrailers:
            endIfDecided()
            return .reply(ProcessingResponse(.responseTrailers))
        }
    }

    private mutating func requestHeaders(_ part: ProcessingRequest.HeadersPart) -> Step {
        guard case .start = phase, head == nil else {
            return fail("the request's headers came twice")
        }
        var head = RequestHead(part.fields)
        head.traceID = traceID
        self.head = head
        if let name = head.modelsPath {
            phase = .asking(.headers)
            return .ask(.models(head, name: name.isEmpty ? nil : name))
        }
        guard let endpoint = head.textEndpoint else { return pass() }
        if head.isCompressed { return refuse(.compressedBody) }
        if part.isLast {
            phase = .asking(.headers)
            return .ask(.route(head, endpoint, body: ByteBuffer()))
        }
        switch mode {
        case .notSent, .grpc:
            return pass()
        case .streamed where head.announcesTrailers && head.contentLength == nil:
            return refuse(.trailersAfterPieces)
        case .buffered, .bufferedPartial, .streamed, nil:
            phase = .gathering(endpoint)
            return .reply(ProcessingResponse(.requestHeaders(CommonResponse(headers: stripping))))
        case .fullDuplexStreamed:
            phase = .gathering(endpoint)
            return .nothing
        }
    }

    private mutating func requestBody(_ part: ProcessingRequest.BodyPart) -> Step {
        switch phase {
        case .gathering(let endpoint): return gather(part, for: endpoint)
        case .start, .passing: return .reply(ProcessingResponse(.requestBody(passing(part))))
        case .asking:
            return fail("the request's body came after its end")
        }
    }

    private mutating func gather(_ part: ProcessingRequest.BodyPart, for endpoint: TextEndpoint) -> Step {
        guard body.readableBytes + part.bytes.readableBytes <= maxBodyBytes else {
            return refuse(.bodyTooLarge(maxBodyBytes))
        }
        switch mode {
        case .notSent, .grpc:
            return .reply(ProcessingResponse(.requestBody(CommonResponse())))
        case .buffered:
            // With trailers to follow it is not the last message, but the whole body even so.
            hasTrailers = !part.isLast
            return ask(endpoint, body: part.bytes, at: .body)
        case .bufferedPartial, nil:
            guard part.isLast || part.bytes.readableBytes == head?.contentLength else {
                phase = .passing
                return .reply(ProcessingResponse(.requestBody(CommonResponse())))
            }
            return ask(endpoint, body: part.bytes, at: .body)
        case .streamed, .fullDuplexStreamed:
            if body.readableBytes == 0 { body = part.bytes } else { body.writeImmutableBuffer(part.bytes) }
            let isWhole = part.isLast || mode == .streamed && body.readableBytes == head?.contentLength
            if isWhole { return ask(endpoint, body: body, at: .body) }
            return mode == .streamed
                ? .reply(ProcessingResponse(.requestBody(CommonResponse(body: .clear)))) : .nothing
        }
    }

    private mutating func requestTrailers() -> Step {
        guard case .gathering(let endpoint) = phase else {
            return .reply(ProcessingResponse(.requestTrailers))
        }
        // Of a body in pieces everything has been kept back, and a reply to trailers can put nothing in its place.
        if mode == .streamed { return refuse(.trailersAfterPieces) }
        hasTrailers = true
        return ask(endpoint, body: body, at: .trailers)
    }

    private mutating func responseHeaders(_ part: ProcessingRequest.HeadersPart) -> Step {
        let status = part.fields.first(":status").flatMap { Int($0) } ?? 0
        var mutation = HeaderMutation()
        if let id = head?.id { mutation.fields.append(.init(RoutingHeaders.requestID, id)) }
        let told = (200..<300).contains(status) ? answer.always + answer.onSuccess : answer.always
        for field in told where HeaderMutation.canSend(name: field.name, value: field.value) {
            mutation.fields.append(.init(field.name, field.value))
        }
        var reply = ProcessingResponse(.responseHeaders(CommonResponse(headers: mutation)))
        if part.isLast { endIfDecided() }
        switch modes?.response {
        case .buffered, .bufferedPartial:
            // A stream of events would reach the client when it is over.
            if !part.isLast, isEventStream(part) {
                reply.modeOverride = ModeOverride(request: modes?.request ?? .notSent, response: .streamed)
            }
        case .notSent:
            endIfDecided()
        case .streamed, .fullDuplexStreamed, .grpc, nil:
            break
        }
        return .reply(reply)
    }

    private func isEventStream(_ part: ProcessingRequest.HeadersPart) -> Bool {
        part.fields.first("content-type").map { $0.lowercased().hasPrefix("text/event-stream") } ?? false
    }

    /// Ends the call after the last reply that Envoy waits for: an answer of minutes does not depend on us then. An answer
    /// that comes before all of its request must not keep us from the rest.
    private mutating func endIfDecided() {
        switch phase {
        case .start: end = .ok
        case .passing:
            // What is still to come of a body that comes back only if we send it.
            if mode != .fullDuplexStreamed || isRequestOver { end = .ok }
        case .gathering, .asking: break
        }
    }

    private mutating func responseBody(_ part: ProcessingRequest.BodyPart) -> Step {
        if part.isLast { endIfDecided() }
        guard modes?.response == .fullDuplexStreamed else {
            return .reply(ProcessingResponse(.responseBody(CommonResponse())))
        }
        return .reply(
            ProcessingResponse(.responseBody(CommonResponse(body: .streamed(part.bytes, isLast: part.isLast))))
        )
    }

    // MARK: Verdicts

    /// Tells what became of the question that was asked last.
    package mutating func answer(_ verdict: Verdict) -> Step {
        guard case .asking(let place) = phase, end == nil else { return .nothing }
        phase = .passing
        switch verdict {
        case .respond(let response): return respond(response)
        case .proceed(let proceeding): return proceed(proceeding, at: place)
        }
    }

    private mutating func proceed(_ proceeding: Proceeding, at place: Place) -> Step {
        answer = proceeding.answer
        defer { body = ByteBuffer() }
        var common = CommonResponse(headers: proceeding.headers, clearsRouteCache: proceeding.clearsRouteCache)
        // A request without a body can be given none.
        if place != .headers, let body = proceeding.body {
            common.body = .replace(body)
            if hasTrailers {
                // A message with a length has no room for trailers.
                common.headers.removed.append("content-length")
            } else if mode != .bufferedPartial {
                // Envoy has taken the length away where a body may grow; elsewhere it refuses one that does not fit.
                common.headers.fields.append(.init("content-length", String(body.readableBytes)))
            }
        }
        switch (place, mode) {
        case (.headers, _):
            common.headers.removed += stripping.removed
            return .reply(ProcessingResponse(.requestHeaders(common)))
        case (_, .streamed):
            let whole = proceeding.body ?? body
            return .reply(ProcessingResponse(.requestBody(CommonResponse(body: .replace(whole)))))
        case (_, .fullDuplexStreamed):
            common.headers.removed += stripping.removed
            return .replies(duplex(common, body: proceeding.body ?? body))
        case (.body, _):
            return .reply(ProcessingResponse(.requestBody(common)))
        case (.trailers, _):
            return .reply(ProcessingResponse(.requestTrailers))
        }
    }

    /// 64 KiB: pieces of a body on its way back.
    private static let pieceBytes = 64 * 1024

    private func duplex(_ common: CommonResponse, body: ByteBuffer) -> [ProcessingResponse] {
        var head = common
        head.body = nil
        var replies = [ProcessingResponse(.requestHeaders(head))]
        var rest = body
        repeat {
            let piece = rest.readSlice(length: min(rest.readableBytes, Self.pieceBytes)) ?? ByteBuffer()
            let isLast = rest.readableBytes == 0 && !hasTrailers
            replies.append(
                ProcessingResponse(.requestBody(CommonResponse(body: .streamed(piece, isLast: isLast))))
            )
        } while rest.readableBytes > 0
        if hasTrailers { replies.append(ProcessingResponse(.requestTrailers)) }
        return replies
    }

    /// Refuses the request without a question: from outside, for a body that took too long or for want of memory.
    package mutating func refuse(_ error: RouterError) -> Step {
        guard end == nil else { return .nothing }
        refusal = error.code
        return respond(ImmediateResponse(error, to: head))
    }

    // MARK: Steps

    private var mode: BodyMode? { modes?.request }

    /// Removes what a client must not say.
    private var stripping: HeaderMutation {
        HeaderMutation(removed: head?.reservedNames(withIdentity: !trustsIdentityHeaders) ?? [])
    }

    private mutating func ask(_ endpoint: TextEndpoint, body: ByteBuffer, at place: Place) -> Step {
        guard let head else { return .nothing }
        phase = .asking(place)
        return .ask(.route(head, endpoint, body: body))
    }

    private mutating func fail(_ reason: String) -> Step {
        end = GRPCStatus(.invalidArgument, reason)
        body = ByteBuffer()
        return .nothing
    }

    private mutating func respond(_ response: ImmediateResponse) -> Step {
        end = .ok
        body = ByteBuffer()
        return .reply(ProcessingResponse(.immediate(response)))
    }

    /// A request that is none of ours: Envoy is told to go on without us.
    private mutating func pass() -> Step {
        phase = .passing
        // What has been sent to us in this mode comes back only if we send it.
        if mode != .fullDuplexStreamed, modes?.response != .fullDuplexStreamed { end = .ok }
        return .reply(ProcessingResponse(.requestHeaders(CommonResponse(headers: stripping))))
    }

    private func passing(_ part: ProcessingRequest.BodyPart) -> CommonResponse {
        mode == .fullDuplexStreamed
            ? CommonResponse(body: .streamed(part.bytes, isLast: part.isLast)) : CommonResponse()
    }
}

extension RouterError {
    fileprivate static func bodyTooLarge(_ limit: Int) -> RouterError {
        RouterError(.bodyTooLarge, origin: .client, "The request body is larger than \(limit) bytes.")
    }

    fileprivate static let trailersAfterPieces = RouterError.invalidRequest(
        "Trailers are not accepted after a streamed request body."
    )
}
