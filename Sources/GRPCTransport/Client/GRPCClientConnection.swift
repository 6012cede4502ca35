import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOSSL
import NIOTLS
import Transport

/// A connection to a server: HTTP/2 frames in and out, and the calls that they belong to. Confined to its event loop.
final class GRPCClientConnection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let core: ChannelCore
    private let isTLS: Bool
    private var context: ChannelHandlerContext?
    private var calls: [HTTP2StreamID: UnaryCall] = [:]
    private var nextStream = 1
    /// Whether TCP connected; where it did not, whoever tried knows why.
    private var wasActive = false
    /// Whether the server has said its settings.
    private var isReady = false
    private var takesCalls = true
    private(set) var isClosed = false
    /// Why the connection ended, where that is known before it ends.
    private var failure: String?

    /// Ends the handshake, looks after the server's signs of life, closes an idle connection.
    private var timer: Scheduled<Void>?
    private var lastRead = NIODeadline.distantPast
    /// When the connection had its last call.
    private var lastUse = NIODeadline.now()
    /// When the server was asked for a sign of life that has not come.
    private var pingSentAt: NIODeadline?

    init(core: ChannelCore, isTLS: Bool) {
        self.core = core
        self.isTLS = isTLS
    }

    private var settings: GRPCChannelSettings { core.settings }

    // MARK: The connection's life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        arm(settings.connectTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) { ended() }

    func channelActive(context: ChannelHandlerContext) {
        wasActive = true
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case is NIOHTTP2Errors.StreamError:
            return  // of one stream, which is reset
        case NIOSSLError.uncleanShutdown:
            failure = failure ?? "the connection ended without a goodbye"
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
            failure = failure ?? "TLS: \(error)"
        default:
            failure = failure ?? "\(error)"
        }
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted(let negotiated) where negotiated != "h2":
            failure = "the server does not speak HTTP/2"
            context.close(promise: nil)
        case let event as NIOHTTP2WindowUpdatedEvent:
            if let size = event.inboundWindowSize { topUp(event.streamID, size: size) }
        case let event as StreamClosedEvent:
            end(event.streamID, .failure(GRPCStatus(.unavailable, "the stream was closed")))
        default:
            break
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func ended() {
        guard !isClosed else { return }
        isClosed = true
        takesCalls = false
        timer?.cancel()
        context = nil
        let reason = failure ?? "the connection was closed"
        if isReady {
            core.closed(self)
        } else if wasActive {
            core.failed(reason)
        }
        let cut = calls
        calls = [:]
        for call in cut.values { call.fail(GRPCStatus(.unavailable, "\(core.authority): \(reason)")) }
    }

    /// Closes at once; calls under way end with `status`.
    @discardableResult
    func close(_ status: GRPCStatus? = nil) -> EventLoopFuture<Void> {
        guard let context else { return core.eventLoop.makeSucceededVoidFuture() }
        takesCalls = false
        if let status {
            let cut = calls
            calls = [:]
            for call in cut.values { call.fail(status) }
        }
        return context.close()
    }

    /// Takes no more calls, and closes when those under way are over.
    private func retire() {
        guard takesCalls else { return }
        takesCalls = false
        core.retire(self)
    }

    private func closeIfDone() {
        if !takesCalls, calls.isEmpty { context?.close(promise: nil) }
    }

    // MARK: Calls

    func open(_ call: UnaryCall) {
        guard let context, takesCalls else {
            call.fail(GRPCStatus(.unavailable, "the connection is closing"))
            return
        }
        let stream = HTTP2StreamID(nextStream)
        nextStream += 2
        call.begin(on: self, stream: stream, maxMessageBytes: settings.maxMessageBytes)
        if calls.isEmpty { arm(settings.pingInterval) }
        calls[stream] = call
        write(.headers(.init(headers: head(of: call))), on: stream)
        var body = context.channel.allocator.buffer(capacity: call.message.readableBytes + MessageFraming.prefixBytes)
        MessageFraming.append(to: &body) { $0.writeImmutableBuffer(call.message) }
        let promise = context.eventLoop.makePromise(of: Void.self)
        let frame = HTTP2Frame(
            streamID: stream,
            payload: .data(.init(data: .byteBuffer(body), endStream: true))
        )
        let bound = NIOLoopBound((self, call), eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { result in
            switch result {
            case .success:
                if bound.value.1.stream == stream { bound.value.1.isSent = true }
            case .failure(let error):
                // What the server has said of the stream, if it has, is read first.
                bound.eventLoop.execute { bound.value.0.writingFailed(on: stream, error) }
            }
        }
        context.writeAndFlush(wrapOutboundOut(frame), promise: promise)
        // 2³¹ − 1 is the last stream (RFC 9113 section 5.1.1).
        if nextStream > Int(Int32.max) - 2 { retire() }
    }

    private func writingFailed(on stream: HTTP2StreamID, _ error: any Error) {
        end(stream, .failure(GRPCStatus(.unavailable, "\(core.authority): the request cannot be sent: \(error)")))
    }

    private func head(of call: UnaryCall) -> HPACKHeaders {
        var head: HPACKHeaders = [
            ":method": "POST", ":scheme": isTLS ? "https" : "http", ":path": call.path, ":authority": core.authority,
            "te": "trailers", "content-type": "application/grpc", "user-agent": settings.userAgent,
        ]
        head.add(name: "grpc-timeout", value: Self.timeoutText(call.deadline - .now()))
        for header in call.headers { head.add(name: header.name, value: header.value) }
        return head
    }

    /// At most eight digits and a unit.
    static func timeoutText(_ time: TimeAmount) -> String {
        let milliseconds = max(1, time.nanoseconds / 1_000_000)
        return milliseconds <= 99_999_999 ? "\(milliseconds)m" : "\(min(milliseconds / 1000, 99_999_999))S"
    }

    /// The caller has given a call up.
    func abandon(_ call: UnaryCall) {
        guard calls.removeValue(forKey: call.stream) != nil else { return }
        reset(call.stream)
        lastUse = .now()
        closeIfDone()
    }

    /// A call's deadline has passed. A server that has sent nothing at all since then may be gone.
    func deadlinePassed(ofCallOpenedAt time: NIODeadline) {
        if lastRead <= time { ping() }
    }

    private func end(_ stream: HTTP2StreamID, _ result: Result<ByteBuffer, GRPCStatus>) {
        guard let call = calls.removeValue(forKey: stream) else { return }
        lastUse = .now()
        call.finish(result)
        closeIfDone()
    }

    private func reset(_ stream: HTTP2StreamID) {
        write(.rstStream(.cancel), on: stream)
        context?.flush()
    }

    // MARK: Frames in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Before the frame is looked at: a call that it lets go out has heard nothing yet.
        lastRead = .now()
        let frame = unwrapInboundIn(data)
        let stream = frame.streamID
        switch frame.payload {
        case .headers(let headers):
            progress(stream, endsStream: headers.endStream) {
                $0.receive(headers.headers, endsStream: headers.endStream)
            }
        case .data(let data):
            guard case .byteBuffer(let bytes) = data.data else { return }
            progress(stream, endsStream: data.endStream) { $0.receive(bytes, endsStream: data.endStream) }
        case .rstStream(let code):
            let status = GRPCStatus(reset: code)
            if code == .refusedStream, let call = calls.removeValue(forKey: stream) {
                core.retry(call, otherwise: status)
                closeIfDone()
            } else {
                end(stream, .failure(status))
            }
        case .settings(.settings): becomeReady()
        case .goAway(let last, let code, _): goAway(last, code)
        case .settings, .ping, .windowUpdate, .priority, .pushPromise, .alternativeService, .origin: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if pingSentAt != nil {
            pingSentAt = nil
            arm(settings.pingInterval)
        }
        context.flush()
        context.fireChannelReadComplete()
    }

    private func progress(_ stream: HTTP2StreamID, endsStream: Bool, _ step: (UnaryCall) -> UnaryCall.Progress) {
        guard let call = calls[stream], case .over(let result) = step(call) else { return }
        calls[stream] = nil
        // The server need not hear the rest of the request, and we need not hear the rest of the answer.
        if !endsStream || !call.isSent { reset(stream) }
        lastUse = .now()
        call.finish(result)
        closeIfDone()
    }

    private func becomeReady() {
        guard !isReady else { return }
        isReady = true
        topUp(.rootStream, size: 65_535)
        arm(settings.idleTimeout)
        core.connected(self)
    }

    private func goAway(_ last: HTTP2StreamID, _ code: HTTP2ErrorCode) {
        if code != .noError { failure = failure ?? "the server ended the connection: \(code)" }
        retire()
        // The server has not looked at streams after the last.
        for (stream, call) in calls where stream > last {
            calls[stream] = nil
            core.retry(call, otherwise: GRPCStatus(.unavailable, "\(core.authority): the server is closing"))
        }
        closeIfDone()
    }

    /// Lets the server send on once half of a window is used up.
    private func topUp(_ stream: HTTP2StreamID, size: Int) {
        let isRoot = stream == .rootStream
        let target = isRoot ? HTTP2Limits.connectionWindow : HTTP2Limits.streamWindow
        guard isReady, size < target / 2, isRoot || calls[stream] != nil else { return }
        write(.windowUpdate(windowSizeIncrement: target - size), on: stream)
    }

    private func write(_ payload: HTTP2Frame.FramePayload, on stream: HTTP2StreamID) {
        guard let context else { return }
        context.write(wrapOutboundOut(HTTP2Frame(streamID: stream, payload: payload)), promise: nil)
    }

    // MARK: Signs of life

    private func arm(_ delay: TimeAmount) {
        timer?.cancel()
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: delay) { bound.value.timePassed() }
    }

    private func ping() {
        guard pingSentAt == nil, isReady, context != nil else { return }
        pingSentAt = .now()
        write(.ping(HTTP2PingData(withInteger: 0), ack: false), on: .rootStream)
        context?.flush()
        arm(settings.pingTimeout)
    }

    private func timePassed() {
        guard let context else { return }
        let now = NIODeadline.now()
        if !isReady {
            failure = failure ?? "connecting took too long"
            context.close(promise: nil)
        } else if pingSentAt != nil {
            failure = "the server gave no sign of life"
            core.retire(self)
            context.close(promise: nil)
        } else if calls.isEmpty {
            let end = lastUse + settings.idleTimeout
            if now >= end {
                core.retire(self)
                close()
            } else {
                arm(end - now)
            }
        } else {
            let end = max(lastRead, lastUse) + settings.pingInterval
            if now >= end { ping() } else { arm(end - now) }
        }
    }
}
