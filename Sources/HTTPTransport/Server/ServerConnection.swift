import NIOCore
import NIOHTTP1
import Transport

/// One client connection: gathers requests, asks the service, writes answers, keeps the deadlines.
///
/// Requests on a connection are answered one after the other; what a client pipelines waits, unread, in the socket.
final class ServerConnection: ChannelDuplexHandler, Expiring, ArrivalListener {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// No request under way.
        case idle
        case collectingBody
        /// The request is complete, its answer is not.
        case answering
        /// The answer is complete (or under way), the rest of the request is dropped.
        case discarding
        case closed
    }

    private let service: any HTTPService
    private let shared: ServerShared
    private var settings: HTTPServerSettings { shared.settings }
    private var context: ChannelHandlerContext?

    private var phase = Phase.idle
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var maxBodyBytes = 0
    private var bodyReceiver: ((ByteBuffer) -> Void)?
    private var expectedBodyBytes = 0
    private var reservedBytes = 0
    private var bodyDeadline = NIODeadline.distantFuture

    private var exchange: HTTPExchange?
    private var encoder = ResponseEncoder()
    private var responseStarted = false
    private var responseFinished = false
    private var keepAlive = true

    /// Parts of the next request that the decoder had already read when we stopped reading. Bounded by one read.
    private var waiting = CircularBuffer<HTTPServerRequestPart>(initialCapacity: 0)
    private var isDrainingWaiting = false
    private var heldRead = false
    private var headBytesSeen = false
    private var isClosing = false
    /// Whether the message that the decoder is in is one after which it consumes nothing more.
    private var stopsDecoder = false
    private(set) var dropsInput = false

    private(set) var deadline = NIODeadline.distantFuture

    init(service: any HTTPService, shared: ServerShared) {
        self.service = service
        self.shared = shared
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil  // the only farewell to a channel that never became active
    }

    func channelActive(context: ChannelHandlerContext) {
        shared.sweeper(context.eventLoop).add(self)
        deadline = .now() + settings.headTimeout
        if !shared.admitConnection() {
            // Before a TLS handshake nothing can be said.
            if settings.tls == nil { refuse(.tooManyConnections) } else { context.close(promise: nil) }
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        shared.sweeper(context.eventLoop).remove(self)
        shared.connectionClosed()
        phase = .closed
        releaseBody()
        let cancelled = exchange
        exchange = nil
        cancelled?.cancel()
        waiting.removeAll()
        self.context = nil
        context.fireChannelInactive()
    }

    /// Told by `ArrivalObserver` that bytes came in: the first of a head starts its deadline.
    func bytesArrived() {
        guard phase == .idle, !headBytesSeen else { return }
        headBytesSeen = true
        deadline = .now() + settings.headTimeout
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        switch part {
        case .head(let head): stopsDecoder = Self.stopsDecoder(head)
        case .body: break
        case .end: dropsInput = stopsDecoder
        }
        waiting.append(part)
        processWaiting()
    }

    func read(context: ChannelHandlerContext) {
        if wantsRead {
            context.read()
        } else {
            heldRead = true
        }
    }

    /// What a client pipelines holds further reading back, so that it cannot pile requests up in our memory. Reading goes
    /// on otherwise while a request is answered: to stop and start it would cost two system calls per request.
    private var wantsRead: Bool { waiting.isEmpty && mayStart }

    /// A client that leaves its answers unread gets no further ones: they would pile up in our memory.
    private var mayStart: Bool { phase != .idle || isWritable }

    private func resumeReading() {
        guard heldRead, wantsRead, let context else { return }
        heldRead = false
        context.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow:
            fail(with: .headTooLarge)
        case let error as HTTPParserError:
            fail(with: .malformed(Self.rule(brokenIn: error)))
        case ByteToMessageDecoderError.dataReceivedInErrorState:
            break  // the rest of what was refused
        default:
            context.close(promise: nil)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        switch (phase, context.channel.isWritable) {
        case (.answering, true):
            deadline = .distantFuture
            exchange?.onWritable?()
        case (.idle, true):
            deadline = .now() + settings.keepAliveTimeout
            processWaiting()
        case (.answering, false), (.idle, false):
            deadline = .now() + settings.writeTimeout
        case (.discarding, true):
            exchange?.onWritable?()
        case (.collectingBody, _), (.discarding, false), (.closed, _):
            break
        }
        context.fireChannelWritabilityChanged()
    }

    func deadlinePassed(now: NIODeadline) {
        switch phase {
        case .idle where headBytesSeen:
            refuse(.timeout)
        case .collectingBody:
            refuse(.timeout)
        case .idle, .answering, .discarding, .closed:
            closeNow()
        }
    }

    /// Closes without waiting for anything; a request under way is told that its client has gone. On TLS the peer's goodbye
    /// may take a while: nothing is begun meanwhile.
    func closeNow() {
        keepAlive = false
        if phase == .idle { phase = .discarding }
        context?.close(promise: nil)
    }

    /// Closes now if nothing is under way, else after the answer.
    func drain() {
        keepAlive = false
        if phase == .idle, !headBytesSeen, let context {
            closeAfterFlush(context)
        }
    }

    // MARK: Requests

    private func processWaiting() {
        guard !isDrainingWaiting else { return }
        isDrainingWaiting = true
        while phase != .answering, phase != .closed, mayStart, let part = waiting.popFirst() {
            switch part {
            case .head(let head): receivedHead(head)
            case .body(let bytes): receivedBody(bytes)
            case .end: receivedEnd()
            }
        }
        isDrainingWaiting = false
        resumeReading()
    }

    private func receivedHead(_ head: HTTPRequestHead) {
        guard phase == .idle, let context else { return }
        self.head = head
        headBytesSeen = false
        keepAlive = head.isKeepAlive && !shared.isDraining && !Self.stopsDecoder(head)
        let exchange = HTTPExchange(
            connection: self,
            eventLoop: context.eventLoop,
            remoteAddress: context.channel.remoteAddress
        )
        self.exchange = exchange
        phase = .collectingBody
        if let rule = Self.framingRule(brokenBy: head) {
            refuse(.malformed(rule))
            return
        }
        switch service.receive(head, on: exchange) {
        case .answered:
            phase = .discarding
            deadline = .now() + settings.lingerTimeout
            return
        case .collect(let maxBytes, let receiver):
            maxBodyBytes = maxBytes
            bodyReceiver = receiver
        }
        let now = NIODeadline.now()
        bodyDeadline = now + settings.bodyTimeout
        deadline = min(bodyDeadline, now + settings.bodyIdleTimeout)
        guard let length = head.headers.first(name: "content-length").flatMap({ Int($0) }) else {
            if head.headers.contains(name: "transfer-encoding") { sendContinueIfExpected(head) }
            return
        }
        guard length <= maxBodyBytes else {
            refuse(.bodyTooLarge(maxBytes: maxBodyBytes))
            return
        }
        expectedBodyBytes = length
        if length > 0 { sendContinueIfExpected(head) }
    }

    private func sendContinueIfExpected(_ head: HTTPRequestHead) {
        guard let context, head.version.minor >= 1,
            head.headers.first(name: "expect")?.lowercased() == "100-continue"
        else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
    }

    private func receivedBody(_ bytes: ByteBuffer) {
        guard phase == .collectingBody else { return }
        let total = body.readableBytes + bytes.readableBytes
        guard total <= maxBodyBytes else {
            refuse(.bodyTooLarge(maxBytes: maxBodyBytes))
            return
        }
        // What is announced counts only once it is there: an announcement costs the client nothing.
        let grows = body.readableBytes > 0 && body.writableBytes < bytes.readableBytes
        let capacity = grows ? min(maxBodyBytes, max(min(expectedBodyBytes, 4 * total), 2 * total)) : total
        guard reserve(capacity) else {
            refuse(.tooManyBufferedBytes)
            return
        }
        if body.readableBytes == 0 {
            body = bytes  // the usual small body: one piece, no copy
        } else {
            if grows { body.reserveCapacity(capacity) }
            body.writeImmutableBuffer(bytes)
        }
        deadline = min(bodyDeadline, .now() + settings.bodyIdleTimeout)
    }

    private func receivedEnd() {
        switch phase {
        case .collectingBody:
            guard let receiver = bodyReceiver else { return }
            let body = self.body
            self.body = ByteBuffer()
            bodyReceiver = nil
            phase = .answering
            deadline = isWritable ? .distantFuture : .now() + settings.writeTimeout
            receiver(body)
        case .discarding:
            if responseFinished {
                requestAndResponseComplete()
            } else {
                phase = .answering
                deadline = isWritable ? .distantFuture : .now() + settings.writeTimeout
            }
        case .idle, .answering, .closed:
            break
        }
    }

    /// Takes memory for a body of `total` bytes from what all connections share.
    private func reserve(_ total: Int) -> Bool {
        guard total > reservedBytes else { return true }
        guard shared.bodyBytes.reserve(total - reservedBytes) else { return false }
        reservedBytes = total
        return true
    }

    /// Gives the memory of the request's body back, when whoever has it says that it is no longer needed.
    func releaseBody() {
        shared.bodyBytes.release(reservedBytes)
        reservedBytes = 0
        expectedBodyBytes = 0
        body = ByteBuffer()
        bodyReceiver = nil
    }

    // MARK: Refusals

    /// The decoder has failed: nothing that follows can be trusted. An answer under way is completed first, and the
    /// connection closes after it.
    private func fail(with refusal: HTTPRefusal) {
        keepAlive = false
        dropsInput = true
        switch phase {
        case .idle, .collectingBody: refuse(refusal)
        case .answering, .discarding, .closed: break
        }
    }

    private func refuse(_ refusal: HTTPRefusal) {
        guard phase != .closed, let context else { return }
        keepAlive = false
        waiting.removeAll()
        let exchange =
            self.exchange
            ?? HTTPExchange(
                connection: self,
                eventLoop: context.eventLoop,
                remoteAddress: context.channel.remoteAddress
            )
        self.exchange = exchange
        if head == nil {
            head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
        }
        releaseBody()
        phase = .discarding
        service.refuse(refusal, on: exchange)
    }

    /// RFC 9112 section 6: what a head may not say about its body's framing. The decoder refuses the rest (both a
    /// length and a transfer coding, several lengths, bare line feeds, folded lines).
    private static func framingRule(brokenBy head: HTTPRequestHead) -> String? {
        if head.version.minor >= 1, head.headers[canonicalForm: "host"].count != 1 {
            return "a request needs exactly one Host header"
        }
        let codings = head.headers["transfer-encoding"]
        guard codings.isEmpty || (codings.count == 1 && codings[0].lowercased() == "chunked") else {
            return "the only transfer coding accepted is chunked"
        }
        if !codings.isEmpty, head.version.minor == 0 {
            return "HTTP/1.0 has no transfer codings"
        }
        return nil
    }

    /// An upgrade is not taken up (RFC 9110 section 7.8 lets a server ignore it), but the decoder stops there all the same,
    /// and would gather whatever follows.
    private static func stopsDecoder(_ head: HTTPRequestHead) -> Bool {
        head.method == .CONNECT || head.headers.contains(name: "upgrade")
    }

    private static func rule(brokenIn error: HTTPParserError) -> String {
        switch error {
        case .unexpectedContentLength: "conflicting or repeated Content-Length or Transfer-Encoding headers"
        case .invalidContentLength: "the Content-Length is not a number"
        case .invalidChunkSize: "a chunk's size is not a hexadecimal number"
        case .invalidHeaderToken: "a header holds a character that is not allowed there"
        case .invalidVersion: "the HTTP version is not 1.0 or 1.1"
        case .invalidMethod: "the method is not known"
        case .lfExpected: "a line does not end with CR LF"
        case .invalidEOFState: "the connection ended within a message"
        default: "the request is not valid HTTP/1.1"
        }
    }

    // MARK: Answers

    var isWritable: Bool { context?.channel.isWritable ?? false }

    func startResponse(status: HTTPResponseStatus, headers: HTTPHeaders, length: Int?) {
        guard let head, !responseStarted else { return }
        responseStarted = true
        if phase != .answering, !Self.restIsSmall(of: head) { keepAlive = false }
        encoder.start(status: status, headers: headers, length: length, to: head, keepAlive: keepAlive)
        if encoder.framing == .untilClose { keepAlive = false }
    }

    func writeBody(_ piece: ByteBuffer) {
        guard responseStarted, !responseFinished, let context else { return }
        encoder.append(piece) { context.write(wrapOutboundOut($0), promise: nil) }
    }

    func flushResponse() {
        guard responseStarted, !responseFinished, let context else { return }
        encoder.flush { context.write(wrapOutboundOut($0), promise: nil) }
        context.flush()
    }

    func finishResponse() {
        guard responseStarted, !responseFinished, let context else { return }
        responseFinished = true
        encoder.finish { context.write(wrapOutboundOut($0), promise: nil) }
        exchange?.detach()
        exchange = nil
        releaseBody()
        if phase == .answering, !keepAlive {
            closeAfterFlush(context)
        } else {
            context.flush()
            if phase == .answering {
                requestAndResponseComplete()
            } else if !keepAlive {
                linger(context)
            }
        }
    }

    /// Whether an answer before the end of the request can keep the connection: its body is known and soon read.
    private static func restIsSmall(of head: HTTPRequestHead) -> Bool {
        if head.headers.contains(name: "transfer-encoding") || head.headers.contains(name: "expect") { return false }
        guard let length = head.headers.first(name: "content-length") else { return true }
        return Int(length).map { $0 <= 64 * 1024 } ?? false
    }

    func abortResponse() {
        exchange?.detach()
        exchange = nil
        context?.close(promise: nil)
    }

    private func closeAfterFlush(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        phase = .discarding
        deadline = .now() + settings.writeTimeout
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in channel.close(promise: nil) }
    }

    /// The answer has gone out before the request was all in: the rest is read and dropped for a while, because closing
    /// with unread bytes makes the kernel send a reset that can overtake the answer.
    private func linger(_ context: ChannelHandlerContext) {
        phase = .discarding
        deadline = .now() + settings.lingerTimeout
        if head?.headers.contains(name: "expect") == true {
            closeAfterFlush(context)  // the client waits for our word before it sends a body
        } else {
            context.close(mode: .output, promise: nil)
            resumeReading()
        }
    }

    private func requestAndResponseComplete() {
        guard let context else { return }
        guard keepAlive else {
            closeAfterFlush(context)
            return
        }
        phase = .idle
        head = nil
        headBytesSeen = false
        responseStarted = false
        responseFinished = false
        deadline = .now() + (isWritable ? settings.keepAliveTimeout : settings.writeTimeout)
        processWaiting()
    }
}
