import NIOCore
import NIOHTTP1
import NIOSSL
import NIOTLS
import Transport

/// One connection to a worker: sends a request, hands its answer to the call, returns to the pool.
///
/// Confined to its event loop.
final class UpstreamConnection: ChannelDuplexHandler, Expiring, ArrivalListener {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = Never
    typealias OutboundOut = HTTPClientRequestPart

    private enum State {
        case idle
        case awaitingHead(UpstreamCall)
        case receivingBody(UpstreamCall)
        case closed
    }

    private let pool: ConnectionPool
    private var context: ChannelHandlerContext?
    private var state = State.idle
    private var reusable = false
    private var heldRead = false
    private var readingPaused = false
    /// True while a TLS handshake is under way: what is sent waits for it, within the deadline for connecting.
    private var isShakingHands: Bool
    /// True from the second request on.
    private var wasUsed = false
    private var sentAt = NIODeadline.distantPast
    private var hasSeenAnswerBytes = false
    let dropsInput = false

    private(set) var deadline = NIODeadline.distantFuture

    init(pool: ConnectionPool) {
        self.pool = pool
        isShakingHands = pool.origin.isTLS
    }

    var isUsable: Bool {
        guard case .idle = state, let context else { return false }
        return context.channel.isActive
    }

    // MARK: Called by the pool and the call

    func send(_ request: UpstreamRequest, for call: UpstreamCall) {
        guard let context else { return }
        state = .awaitingHead(call)
        call.connection = self
        sentAt = .now()
        hasSeenAnswerBytes = false
        readingPaused = false
        resumeReading()
        deadline = .now() + (isShakingHands ? request.deadlines.connect : request.deadlines.head)
        var headers = request.headers
        let hasBody = request.body.readableBytes > 0
        if hasBody || request.method == .POST || request.method == .PUT || request.method == .PATCH {
            headers.add(name: "content-length", value: String(request.body.readableBytes))
        }
        let head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.uri, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if hasBody {
            context.write(wrapOutboundOut(.body(.byteBuffer(request.body))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    /// Waits in the pool until `deadline`.
    func rest(until deadline: NIODeadline) {
        state = .idle
        self.deadline = deadline
        readingPaused = false
        resumeReading()  // an idle connection reads, so that its end is noticed
    }

    func pauseReading() {
        readingPaused = true
        deadline = .distantFuture  // the client is the slow one; the server side keeps that deadline
    }

    func continueReading() {
        readingPaused = false
        if case .receivingBody(let call) = state {
            deadline = .now() + call.request.deadlines.idle
        }
        resumeReading()
    }

    func close() {
        state = .closed
        readingPaused = false
        resumeReading()  // the peer's end of a TLS connection has to be read
        context?.close(promise: nil)
    }

    func bytesArrived() {
        hasSeenAnswerBytes = true
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil  // the only farewell to a channel that never became active
    }

    func channelActive(context: ChannelHandlerContext) {
        pool.sweeper.add(self)
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event {
            isShakingHands = false
            if case .awaitingHead(let call) = state { deadline = .now() + call.request.deadlines.head }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func read(context: ChannelHandlerContext) {
        if readingPaused {
            heldRead = true
        } else {
            context.read()
        }
    }

    private func resumeReading() {
        guard heldRead, !readingPaused, let context else { return }
        heldRead = false
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (state, unwrapInboundIn(data)) {
        case (.awaitingHead(let call), .head(let head)):
            guard head.status != .switchingProtocols else {
                fail(UpstreamError(.malformedResponse, "a switch of protocols that nobody asked for"))
                return
            }
            state = .receivingBody(call)
            reusable = head.isKeepAlive
            deadline = .now() + call.request.deadlines.idle
            call.receivedHead(head)
        case (.receivingBody(let call), .body(let piece)):
            call.receiver?.receivedBody(piece)
        case (.receivingBody(let call), .end):
            finish(call, context)
        case (.closed, _):
            break
        default:
            fail(UpstreamError(.malformedResponse, "an answer that nobody asked for"))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .receivingBody(let call) = state {
            if !readingPaused { deadline = .now() + call.request.deadlines.idle }
            call.receiver?.receivedBurst()
        }
        context.fireChannelReadComplete()
    }

    private func finish(_ call: UpstreamCall, _ context: ChannelHandlerContext) {
        state = .idle
        wasUsed = true
        // An answer that came before the request had gone out would leave the rest of it in the way of the next.
        if reusable, context.channel.isActive, context.channel.isWritable {
            pool.giveBack(self)
        } else {
            close()
        }
        call.receivedEnd()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.invalidEOFState:
            break  // the connection's end follows and says the same
        case let error as HTTPParserError:
            fail(UpstreamError(.malformedResponse, "\(error)"))
        case NIOSSLError.uncleanShutdown:
            // Within an answer the end may have been cut; elsewhere the connection's end follows and says enough.
            if case .receivingBody = state {
                fail(UpstreamError(.closedWithinResponse, "TLS ended without a goodbye"))
            }
        case let error as NIOSSLError:
            fail(UpstreamError(.tls, "\(error)"))
        case let error as NIOSSLExtraError:
            fail(UpstreamError(.tls, "\(error)"))
        case let error as BoringSSLError:
            fail(UpstreamError(.tls, "\(error)"))
        default:
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        pool.sweeper.remove(self)
        pool.closed(self)
        let last = state
        state = .closed
        self.context = nil
        switch last {
        case .awaitingHead(let call): call.failed(UpstreamError(.closedBeforeResponse), wasStale: wasStale)
        case .receivingBody(let call): call.failed(UpstreamError(.closedWithinResponse))
        case .idle, .closed: break
        }
        context.fireChannelInactive()
    }

    /// Whether the connection's end says no more than that the worker had closed it while it was idle: it came at once, on
    /// a connection that had served before, and without a byte of an answer.
    private var wasStale: Bool {
        wasUsed && !hasSeenAnswerBytes && .now() - sentAt < Self.staleWithin
    }

    /// 1 s: the end of a connection that was closed before we sent is on its way already.
    private static let staleWithin = TimeAmount.seconds(1)

    func deadlinePassed(now: NIODeadline) {
        switch state {
        case .awaitingHead: fail(UpstreamError(isShakingHands ? .connectTimeout : .headTimeout))
        case .receivingBody: fail(UpstreamError(.idleTimeout))
        case .idle, .closed: close()
        }
    }

    private func fail(_ error: UpstreamError) {
        let last = state
        state = .closed
        switch last {
        case .awaitingHead(let call), .receivingBody(let call): call.failed(error)
        case .idle, .closed: break
        }
        context?.close(promise: nil)
    }
}
