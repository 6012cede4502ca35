import ExtProcServer
import GRPCTransport
import NIOCore

/// The filter's state for one request.
struct EnvoyFilter {
    private let configuration: EnvoyModel.Configuration
    private let processor: (ProcessingRequest) -> Reaction
    private var responseMode: BodyMode
    private var isFirst = true
    /// Whether the processor is still told of what happens.
    private var isOpen = true
    private var isHeadRequest = false

    private(set) var complaints: [String] = []
    private(set) var told: [String] = []
    private(set) var end: GRPCStatus?
    private(set) var hasClearedRouteCache = false
    private(set) var isImmediate = false
    /// The processor's answer, or ours where it failed.
    private(set) var localReply: EnvoyModel.Received?

    init(_ configuration: EnvoyModel.Configuration, _ processor: @escaping (ProcessingRequest) -> Reaction) {
        self.configuration = configuration
        self.processor = processor
        responseMode = configuration.responseBody
    }

    // MARK: The request

    /// What the upstream gets; nil when the request goes no further.
    mutating func request(_ message: EnvoyModel.Message) -> EnvoyModel.Received? {
        isHeadRequest = message.headers[":method"] == ["HEAD"]
        var sent = EnvoyModel.Received(headers: message.headers, trailers: message.trailers)
        let hadLength = !message.headers["content-length"].isEmpty
        if configuration.isObservation {
            observeRequest(message)
            sent.pieces = message.pieces ?? []
        } else if configuration.requestBody == .fullDuplexStreamed, !message.hasOnlyHeaders {
            duplexRequest(message, &sent)
        } else {
            guard exchangeRequest(message, &sent) else { return nil }
        }
        guard localReply == nil else { return nil }
        if let length = sent.headers["content-length"].first {
            if length != String(sent.body.readableBytes) { complain("the request's content-length is wrong") }
            if sent.trailers != nil, !hadLength { complain("a content-length leaves no room for trailers") }
        }
        return sent
    }

    private mutating func observeRequest(_ message: EnvoyModel.Message) {
        tellUnheard(.requestHeaders(message.headers.tuples, isLast: message.hasOnlyHeaders))
        for piece in message.pieces ?? [] { tellUnheard(.requestBody(piece, isLast: false)) }
        if !message.hasOnlyHeaders { tellUnheard(.requestBody(ByteBuffer(), isLast: true)) }
    }

    /// Every mode in which a message has one reply. False when Envoy answers 413 by itself.
    private mutating func exchangeRequest(_ message: EnvoyModel.Message, _ sent: inout EnvoyModel.Received) -> Bool {
        let mode = configuration.requestBody
        if let reply = ask(.requestHeaders(message.headers.tuples, isLast: message.hasOnlyHeaders)) {
            removeLength(&sent.headers)
            applyHead(reply, to: &sent.headers)
        } else {
            removeLength(&sent.headers)
        }
        switch mode {
        case .buffered, .bufferedPartial:
            guard message.pieces != nil else { break }
            let (known, unseen) = buffered(message.pieces ?? [])
            if mode == .buffered, unseen != nil || known.readableBytes > configuration.bufferLimit { return false }
            let isLast =
                message.trailers == nil && (mode == .buffered || known.readableBytes <= configuration.bufferLimit)
            let replaced = askBody(.requestBody(known, isLast: isLast), known, headers: &sent.headers)
            sent.pieces = [replaced] + (unseen.map { [$0] } ?? [])
        case .streamed:
            sent.pieces = streamed(message) { filter, piece, isLast in
                filter.askPiece(.requestBody(piece, isLast: isLast), piece)
            }
        case .notSent, .fullDuplexStreamed, .grpc:
            sent.pieces = message.pieces ?? []
        }
        let tellsTrailers = mode != .notSent && mode != .grpc && configuration.sendsTrailers
        if let trailers = message.trailers, tellsTrailers { ask(.requestTrailers(trailers.tuples)) }
        return true
    }

    /// What fits into the buffer, with the piece by which it overflows; and what comes after that.
    private func buffered(_ pieces: [ByteBuffer]) -> (ByteBuffer, unseen: ByteBuffer?) {
        var known = ByteBuffer()
        for (index, piece) in pieces.enumerated() {
            known.writeImmutableBuffer(piece)
            if known.readableBytes > configuration.bufferLimit, index + 1 < pieces.count {
                return (known, Array(pieces[(index + 1)...]).joined)
            }
        }
        return (known, nil)
    }

    /// Bodies that may change on their way go without a length.
    private func removeLength(_ headers: inout HeaderList) {
        switch configuration.requestBody {
        case .streamed, .bufferedPartial, .fullDuplexStreamed: headers.remove("content-length")
        case .notSent, .buffered, .grpc: break
        }
    }

    /// Nothing goes on but what comes back.
    private mutating func duplexRequest(_ message: EnvoyModel.Message, _ sent: inout EnvoyModel.Received) {
        sent.headers.remove("content-length")
        var isHeadDone = false
        var isBodyDone = false
        var areTrailersDone = false
        var haveTrailersGone = false
        var rest: [ByteBuffer] = []
        func take(_ replies: [ProcessingResponse], _ filter: inout EnvoyFilter, _ sent: inout EnvoyModel.Received) {
            for reply in replies {
                switch reply.part {
                case .requestHeaders(let common) where !isHeadDone:
                    isHeadDone = true
                    filter.applyHead(common, to: &sent.headers)
                case .requestBody(let common) where isHeadDone && !isBodyDone && !areTrailersDone:
                    guard case .streamed(let piece, let isLast) = common.body else {
                        filter.fail("a piece that is not streamed")
                        return
                    }
                    if !common.headers.isEmpty { filter.complain("the headers are gone") }
                    sent.pieces.append(piece)
                    isBodyDone = isLast
                case .requestTrailers where isHeadDone && haveTrailersGone && !areTrailersDone:
                    areTrailersDone = true
                case .immediate: break
                default: filter.fail("a reply that nobody waits for")
                }
            }
        }
        take(tell(.requestHeaders(message.headers.tuples, isLast: false)), &self, &sent)
        for piece in message.pieces ?? [] {
            guard isOpen else {
                rest.append(piece)
                continue
            }
            take(tell(.requestBody(piece, isLast: false)), &self, &sent)
        }
        if let trailers = message.trailers {
            haveTrailersGone = true
            take(tell(.requestTrailers(trailers.tuples)), &self, &sent)
        } else {
            take(tell(.requestBody(ByteBuffer(), isLast: true)), &self, &sent)
        }
        guard localReply == nil else { return }
        if !isHeadDone || !(message.trailers == nil ? isBodyDone : areTrailersDone) {
            fail("waits for ever: the request did not come back whole")
        }
        sent.pieces += rest
    }

    // MARK: The answer

    mutating func answer(_ message: EnvoyModel.Message) -> EnvoyModel.Received {
        if let localReply { return localReply }
        var received = EnvoyModel.Received(headers: message.headers, trailers: message.trailers)
        let isLast = message.hasOnlyHeaders
        if configuration.isObservation {
            tellUnheard(.responseHeaders(message.headers.tuples, isLast: isLast))
            received.pieces = message.pieces ?? []
            return received
        }
        if let reply = ask(.responseHeaders(message.headers.tuples, isLast: isLast)) {
            let length = received.headers["content-length"]
            apply(reply.headers, to: &received.headers)
            if received.headers["content-length"] != length { complain("the answer's content-length was changed") }
            if reply.body != nil { complain("an answer's headers cannot bring a body") }
        }
        switch responseMode {
        case .buffered, .bufferedPartial:
            guard message.pieces != nil else { break }
            let isWhole = message.trailers == nil
            received.pieces = [
                askBody(.responseBody(message.body, isLast: isWhole), message.body, headers: &received.headers)
            ]
        case .streamed:
            received.pieces = streamed(message) { filter, piece, isLast in
                filter.askPiece(.responseBody(piece, isLast: isLast), piece)
            }
        case .fullDuplexStreamed where !isLast:
            received.pieces = streamed(message) { filter, piece, isLast in
                filter.askDuplex(.responseBody(piece, isLast: isLast), piece, isLast: isLast)
            }
        case .notSent, .fullDuplexStreamed, .grpc:
            received.pieces = message.pieces ?? []
        }
        let tellsTrailers = responseMode != .notSent && responseMode != .grpc && configuration.sendsTrailers
        if let trailers = message.trailers, tellsTrailers { ask(.responseTrailers(trailers.tuples)) }
        return localReply ?? received
    }

    // MARK: Bodies

    private mutating func askBody(
        _ part: EnvoyMessage.Part,
        _ body: ByteBuffer,
        headers: inout HeaderList
    ) -> ByteBuffer {
        guard let reply = ask(part) else { return body }
        apply(reply.headers, to: &headers)
        if reply.clearsRouteCache { clearRouteCache(reply) }
        let replaced: ByteBuffer
        switch reply.body {
        case nil: return body
        case .replace(let bytes): replaced = bytes
        case .clear: replaced = ByteBuffer()
        case .streamed:
            fail("a streamed piece in place of a body")
            return body
        }
        if let length = headers["content-length"].first, length != String(replaced.readableBytes) {
            fail("mismatch between content-length and the length of the mutated body")
        }
        return replaced
    }

    private mutating func askPiece(_ part: EnvoyMessage.Part, _ piece: ByteBuffer) -> ByteBuffer {
        guard let reply = ask(part) else { return piece }
        if !reply.headers.isEmpty { complain("the headers are gone: changes of them are ignored") }
        switch reply.body {
        case nil: return piece
        case .replace(let bytes): return bytes
        case .clear: return ByteBuffer()
        case .streamed:
            fail("a streamed piece outside of full duplex")
            return piece
        }
    }

    private mutating func askDuplex(_ part: EnvoyMessage.Part, _ piece: ByteBuffer, isLast: Bool) -> ByteBuffer {
        guard let reply = ask(part) else { return piece }
        guard case .streamed(let bytes, isLast) = reply.body else {
            fail("a piece that does not come back as a streamed one")
            return piece
        }
        return bytes
    }

    /// Piece by piece; an empty last one where the end was not known before.
    private mutating func streamed(
        _ message: EnvoyModel.Message,
        _ ask: (inout EnvoyFilter, ByteBuffer, Bool) -> ByteBuffer
    ) -> [ByteBuffer] {
        guard var pieces = message.pieces else { return [] }
        if message.trailers == nil, pieces.isEmpty || !configuration.knowsLastPiece { pieces.append(ByteBuffer()) }
        return pieces.enumerated().map { index, piece in
            ask(&self, piece, message.trailers == nil && index == pieces.count - 1)
        }
    }

    // MARK: The processor

    /// Tells of something and waits for the reply to it; nil when there is nobody to ask, or the request is over.
    @discardableResult
    private mutating func ask(_ part: EnvoyMessage.Part) -> CommonResponse? {
        guard isOpen else { return nil }
        let replies = tell(part)
        guard localReply == nil else { return nil }
        guard replies.count == 1, let reply = replies.first else {
            fail(replies.isEmpty ? "waits for a reply to \(part.kind)" : "too many replies to \(part.kind)")
            return nil
        }
        guard reply.part.kind == part.kind else {
            fail("spurious: \(reply.part.kind) in reply to \(part.kind)")
            return nil
        }
        overrideMode(reply)
        switch reply.part {
        case .requestHeaders(let common), .responseHeaders(let common), .requestBody(let common),
            .responseBody(let common):
            return common
        case .requestTrailers, .responseTrailers, .immediate, .moreTime:
            return nil
        }
    }

    private mutating func tell(_ part: EnvoyMessage.Part) -> [ProcessingResponse] {
        guard isOpen else { return [] }
        told.append(part.kind)
        let modes = BodyModes(request: configuration.requestBody, response: configuration.responseBody)
        let message = EnvoyMessage.encode(
            part,
            modes: isFirst && configuration.tellsModes ? modes : nil,
            isObservation: configuration.isObservation
        )
        isFirst = false
        guard let message = try? ProcessingRequest(message) else {
            fail("the message could not be read")
            return []
        }
        let reaction = processor(message)
        for (index, reply) in reaction.replies.enumerated() {
            guard case .immediate(let response) = reply.part else { continue }
            if index != reaction.replies.count - 1 { complain("something is said after an immediate response") }
            takeImmediate(response)
        }
        if let end = reaction.end {
            isOpen = false
            self.end = end
            if end.code != .ok { fail("ended with \(end.code): \(end.message)") }
            if end.code == .ok, reaction.replies.isEmpty { complain("ended well without a reply to \(part.kind)") }
        }
        return reaction.replies
    }

    private mutating func tellUnheard(_ part: EnvoyMessage.Part) {
        if !tell(part).isEmpty || !isOpen { fail("a reply where Envoy only lets listen") }
    }

    private mutating func applyHead(_ reply: CommonResponse, to headers: inout HeaderList) {
        apply(reply.headers, to: &headers)
        if reply.clearsRouteCache { clearRouteCache(reply) }
        if reply.body != nil { complain("headers cannot bring a body") }
    }

    private mutating func clearRouteCache(_ reply: CommonResponse) {
        if reply.headers.isEmpty { complain("clear_route_cache is ignored without a change of headers") }
        hasClearedRouteCache = true
    }

    private mutating func apply(_ mutation: HeaderMutation, to headers: inout HeaderList) {
        let found = headers.apply(mutation)
        for complaint in found { fail(complaint) }
    }

    private mutating func overrideMode(_ reply: ProcessingResponse) {
        guard let override = reply.modeOverride else { return }
        guard case .responseHeaders = reply.part else {
            complain("a mode_override at this place is ignored, or hides the request's body")
            return
        }
        // `allowed_override_modes`, where it is set, lists whole modes.
        if override.request != configuration.requestBody { complain("mode_override changes the request's mode") }
        guard configuration.allowsModeOverride, configuration.requestBody != .fullDuplexStreamed else { return }
        responseMode = override.response
    }

    private mutating func takeImmediate(_ response: ImmediateResponse) {
        guard localReply == nil else { return }
        isOpen = false
        isImmediate = true
        var headers = HeaderList([(":status", String(response.status))])
        for complaint in headers.apply(response.headers) { complain(complaint) }
        if headers["content-type"].count != 1 { complain("an immediate response needs one content-type") }
        if !headers["content-length"].isEmpty { complain("Envoy computes the length itself") }
        if response.details.contains(" ") { complain("details become part of a line in the access log") }
        localReply = EnvoyModel.Received(headers: headers, pieces: isHeadRequest ? [] : [response.body])
    }

    private mutating func fail(_ complaint: String) {
        complain(complaint)
        isOpen = false
        guard localReply == nil else { return }
        localReply = EnvoyModel.Received(headers: HeaderList([(":status", "500")]))
    }

    private mutating func complain(_ complaint: String) {
        complaints.append(complaint)
    }
}

extension EnvoyMessage.Part {
    var kind: String {
        switch self {
        case .requestHeaders: "requestHeaders"
        case .responseHeaders: "responseHeaders"
        case .requestBody: "requestBody"
        case .responseBody: "responseBody"
        case .requestTrailers: "requestTrailers"
        case .responseTrailers: "responseTrailers"
        }
    }
}

extension ProcessingResponse.Part {
    /// The kind of message that this is a reply to.
    package var kind: String {
        switch self {
        case .requestHeaders: "requestHeaders"
        case .responseHeaders: "responseHeaders"
        case .requestBody: "requestBody"
        case .responseBody: "responseBody"
        case .requestTrailers: "requestTrailers"
        case .responseTrailers: "responseTrailers"
        case .immediate: "immediate"
        case .moreTime: "moreTime"
        }
    }
}
