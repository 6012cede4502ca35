import NIOCore
import NIOHPACK
import NIOHTTP2
import Transport

typealias StreamNumber = HTTP2StreamID

/// One client's connection: HTTP/2 frames in and out, and the calls that they belong to.
///
/// Takes frames from NIO's handler without a channel per stream: for short calls the channel would cost more than the
/// call. Flow control outward is NIO's; inward it is kept here.
final class GRPCServerConnection: ChannelInboundHandler, NIOHTTP2FrameDelegate, Expiring {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let shared: GRPCServerShared
    private var context: ChannelHandlerContext?
    private var calls: [StreamNumber: GRPCServerCall] = [:]
    /// Whether frames have been written since the last flush.
    private var needsFlush = false
    /// Whether a read is under way, at whose end everything is flushed together.
    private var isReading = false
    private var isDraining = false
    /// Whether NIO has told the peer that it broke the protocol.
    private var isBroken = false
    private var hasSettings = false
    private var liveness = Liveness.handshake

    /// What the sweeper waits for.
    private enum Liveness {
        /// The client's preface.
        case handshake
        /// A while without a sign of life.
        case quiet
        /// The answer to our ping.
        case ping
    }

    private(set) var deadline = NIODeadline.distantFuture

    init(shared: GRPCServerShared) {
        self.shared = shared
    }

    var eventLoop: (any EventLoop)? { context?.eventLoop }

    // MARK: The connection's life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        deadline = .now() + shared.settings.handshakeTimeout
        shared.sweepers[context.eventLoop].add(self)
        if !shared.admitConnection() { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        shared.sweepers[context.eventLoop].remove(self)
        shared.connectionClosed()
        endAllCalls()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        endAllCalls()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // An error of one stream has been answered by a reset of that stream.
        if isBroken || !(error is any NIOHTTP2Error) { context.close(promise: nil) }
    }

    func wroteFrame(_ frame: HTTP2Frame) {
        if case .goAway(_, let code, _) = frame.payload, code != .noError { isBroken = true }
    }

    func deadlinePassed(now: NIODeadline) {
        guard let context else { return }
        switch liveness {
        case .handshake, .ping:
            context.close(promise: nil)
        case .quiet:
            liveness = .ping
            deadline = now + shared.settings.pingTimeout
            write(HTTP2Frame(streamID: .rootStream, payload: .ping(HTTP2PingData(withInteger: 0), ack: false)))
            flushUnlessReading()
        }
    }

    /// Asks the client to open no more calls, and closes when those under way are over.
    func drain() {
        guard let context, !isDraining else { return }
        isDraining = true
        guard hasSettings else {
            context.close(promise: nil)
            return
        }
        write(
            HTTP2Frame(
                streamID: .rootStream,
                payload: .goAway(lastStreamID: .maxID, errorCode: .noError, opaqueData: nil)
            )
        )
        flushUnlessReading()
        closeIfDrained()
    }

    /// Gives every call the chance to end well, then closes.
    func closeNow() {
        for call in Array(calls.values) { call.handler?.serverIsClosing() }
        flushUnlessReading()
        context?.close(promise: nil)
    }

    private func closeIfDrained() {
        guard isDraining, calls.isEmpty, !isReading else { return }
        context?.close(promise: nil)
    }

    private func endAllCalls() {
        let ended = calls
        calls = [:]
        for call in ended.values { end(call) }
    }

    // MARK: Frames in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .data(let data): receive(data, on: frame.streamID)
        case .headers(let headers): receive(headers, on: frame.streamID)
        case .rstStream: forget(frame.streamID)
        case .settings: openWindow()
        case .ping, .goAway, .windowUpdate, .priority, .pushPromise, .alternativeService, .origin: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        if hasSettings {
            liveness = .quiet
            deadline = .now() + shared.settings.pingInterval
        }
        flushIfNeeded()
        closeIfDrained()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as NIOHTTP2WindowUpdatedEvent:
            if let size = event.inboundWindowSize { topUp(event.streamID, size: size) }
        case let event as StreamClosedEvent:
            forget(event.streamID)
        default:
            break
        }
    }

    private func receive(_ headers: HTTP2Frame.FramePayload.Headers, on stream: StreamNumber) {
        if let call = calls[stream] {
            // Trailers of the client: gRPC has none, but they end the stream.
            if headers.endStream { call.handler?.receiveEnd() }
            return
        }
        switch shared.method(for: headers.headers) {
        case .failure(let refusal):
            write(HTTP2Frame(streamID: stream, payload: .headers(.init(headers: refusal.headers, endStream: true))))
        case .success(let method):
            let call = GRPCServerCall(
                connection: self,
                stream: stream,
                maxMessageBytes: shared.settings.maxMessageBytes
            )
            calls[stream] = call
            shared.callBegan()
            call.attach(method.begin(call))
            if headers.endStream { call.handler?.receiveEnd() }
        }
    }

    private func receive(_ data: HTTP2Frame.FramePayload.Data, on stream: StreamNumber) {
        guard let call = calls[stream], case .byteBuffer(let bytes) = data.data else { return }
        call.reader.append(bytes)
        do {
            while let message = try call.reader.next() {
                call.hasAnnounced = false
                call.handler?.receive(message)
                if !call.isOpen { return }
            }
            try reserve(for: call)
            announce(to: call)
        } catch {
            call.finish(error)
            return
        }
        if data.endStream {
            if call.reader.pendingBytes > 0 {
                call.finish(GRPCStatus(.internal, "the stream ended within a message"))
            } else {
                call.handler?.receiveEnd()
            }
        }
    }

    /// Takes what an unfinished message holds from the budget. Short ones are not worth an atomic operation.
    private func reserve(for call: GRPCServerCall) throws(GRPCStatus) {
        let pending = call.reader.pendingBytes
        let wanted = pending > GRPCServerShared.freeBytes ? pending : 0
        if wanted > call.reservedBytes {
            guard shared.budget.reserve(wanted - call.reservedBytes) else {
                throw GRPCStatus(.resourceExhausted, "messages under way hold \(shared.budget.limit) bytes already")
            }
        } else {
            shared.budget.release(call.reservedBytes - wanted)
        }
        call.reservedBytes = wanted
    }

    /// 4 MiB: what takes a while to come and to read.
    private static let largeMessage = 4 << 20

    private func announce(to call: GRPCServerCall) {
        guard !call.hasAnnounced, let bytes = call.reader.announcedBytes, bytes >= Self.largeMessage else { return }
        call.hasAnnounced = true
        call.handler?.willReceive(bytes: bytes)
    }

    // MARK: Flow control inward

    private func openWindow() {
        guard !hasSettings else { return }
        hasSettings = true
        liveness = .quiet
        topUp(.rootStream, size: 65_535)
    }

    /// Lets the client send on once half of a window is used up.
    private func topUp(_ stream: StreamNumber, size: Int) {
        let isRoot = stream == .rootStream
        let target = isRoot ? HTTP2Limits.connectionWindow : HTTP2Limits.streamWindow
        guard size < target / 2, isRoot || calls[stream] != nil else { return }
        write(HTTP2Frame(streamID: stream, payload: .windowUpdate(windowSizeIncrement: target - size)))
    }

    // MARK: Frames out

    func writeHead(on stream: StreamNumber) {
        write(HTTP2Frame(streamID: stream, payload: .headers(.init(headers: Self.head))))
    }

    func writeMessage(on stream: StreamNumber, _ append: (inout ByteBuffer) -> Void) {
        guard let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: 512)
        MessageFraming.append(to: &buffer, append)
        let size = buffer.readableBytes
        let frame = HTTP2Frame(streamID: stream, payload: .data(.init(data: .byteBuffer(buffer))))
        guard size > GRPCServerShared.freeBytes else {
            write(frame)
            flushUnlessReading()
            return
        }
        // What a client leaves unread counts as well; what has been accepted is answered even so.
        shared.budget.take(size)
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { [budget = shared.budget] _ in budget.release(size) }
        needsFlush = true
        context.write(wrapOutboundOut(frame), promise: promise)
        flushUnlessReading()
    }

    func writeEnd(_ status: GRPCStatus, on stream: StreamNumber, isHeadSent: Bool) {
        var headers = isHeadSent ? HPACKHeaders() : Self.head
        headers.add(name: "grpc-status", value: String(status.code.rawValue))
        if !status.message.isEmpty { headers.add(name: "grpc-message", value: status.message.grpcMessage) }
        write(HTTP2Frame(streamID: stream, payload: .headers(.init(headers: headers, endStream: true))))
        flushUnlessReading()
    }

    /// Lets go of a call; its handler hears that it is over.
    func forget(_ stream: StreamNumber) {
        guard let call = calls.removeValue(forKey: stream) else { return }
        end(call)
        closeIfDrained()
    }

    private func end(_ call: GRPCServerCall) {
        shared.budget.release(call.reservedBytes)
        call.reservedBytes = 0
        shared.callEnded()
        call.detach()
    }

    private static let head: HPACKHeaders = [":status": "200", "content-type": "application/grpc"]

    private func write(_ frame: HTTP2Frame) {
        guard let context else { return }
        needsFlush = true
        context.write(wrapOutboundOut(frame), promise: nil)
    }

    private func flushUnlessReading() {
        if !isReading { flushIfNeeded() }
    }

    private func flushIfNeeded() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }
}
