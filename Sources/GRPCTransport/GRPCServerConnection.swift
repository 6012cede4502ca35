import NIOCore
import NIOHPACK
import NIOHTTP2
import Transport

typealias StreamNumber = HTTP2StreamID

/// One client's connection: HTTP/2 frames in and out, and the calls that they belong to.
///
/// Takes frames from NIO's handler without a channel per stream: for short calls the channel would cost more than the
/// call. Flow control outward is NIO's; inward it is kept here.
final class GRPCServerConnection: ChannelDuplexHandler, NIOHTTP2FrameDelegate, Expiring {
    typealias InboundIn = HTTP2Frame
    typealias OutboundIn = Never
    typealias OutboundOut = HTTP2Frame

    private let shared: GRPCServerShared
    private let notice: GoAwayNotice
    private var context: ChannelHandlerContext?
    /// Calls under way, and those that are over while their last frame waits for the client to take what is before it.
    private var calls: [StreamNumber: GRPCServerCall] = [:]
    private var memory: ConnectionMemory
    /// The last stream that the client has opened.
    private var lastStream = StreamNumber.rootStream
    /// Streams whose client may go on since it has taken what it had left.
    private var resumable: [StreamNumber] = []
    /// Whether frames have been written since the last flush.
    private var needsFlush = false
    /// Whether a read is under way, at whose end everything is flushed together.
    private var isReading = false
    /// A read that waits until the client takes what has been written.
    private var hasHeldRead = false
    /// Whether NIO has told the peer that it broke the protocol.
    private var isBroken = false
    private var hasSettings = false
    private var drain = Drain.no
    private var liveness = Liveness.handshake

    private enum Drain {
        case no
        /// The client has been asked to open no more calls; some may be on their way.
        case announced
        /// It knows.
        case known
        /// Our last frame has been written.
        case closing
    }

    /// What the sweeper waits for.
    private enum Liveness {
        /// The client's preface.
        case handshake
        /// A while without a sign of life.
        case quiet
        /// The answer to our ping.
        case ping
        /// The answer to the ping that follows the announcement of the end.
        case drain
        /// The client's side of the end.
        case close
    }

    private(set) var deadline = NIODeadline.distantFuture

    init(shared: GRPCServerShared, notice: GoAwayNotice) {
        self.shared = shared
        self.notice = notice
        memory = ConnectionMemory(budget: shared.budget)
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
        endAllCalls()
        self.context = nil
        shared.connectionClosed()
    }

    func channelInactive(context: ChannelHandlerContext) {
        endAllCalls()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is any NIOHTTP2Error {
            // An error of one stream has been answered by a reset of that stream. After our end NIO takes whatever comes
            // for an error.
            guard isBroken, drain != .closing else { return }
        }
        context.close(promise: nil)
    }

    func deadlinePassed(now: NIODeadline) {
        guard let context else { return }
        switch liveness {
        case .handshake, .ping, .close:
            context.close(promise: nil)
        case .quiet:
            liveness = .ping
            deadline = now + shared.settings.pingTimeout
            write(HTTP2Frame(streamID: .rootStream, payload: .ping(Self.lifePing, ack: false)))
            settle()
        case .drain:
            drainIsKnown()
            settle()
        }
    }

    private static let lifePing = HTTP2PingData(withInteger: 1)
    private static let drainPing = HTTP2PingData(withInteger: 2)

    /// 1 s, far more than a round trip takes: how long a client's answer to the announcement is waited for, and then its
    /// side of the end.
    static let drainTimeout = TimeAmount.seconds(1)

    /// Asks the client to open no more calls, and closes when those under way are over.
    func beginDrain() {
        guard let context, drain == .no else { return }
        // Before its preface a client has opened nothing.
        guard hasSettings else {
            context.close(promise: nil)
            return
        }
        drain = .announced
        liveness = .drain
        deadline = .now() + Self.drainTimeout
        notice.send()
        // Its answer comes after all calls that the client opened without knowing.
        write(HTTP2Frame(streamID: .rootStream, payload: .ping(Self.drainPing, ack: false)))
        settleUnlessReading()
    }

    private func drainIsKnown() {
        guard drain == .announced else { return }
        drain = .known
        liveness = .quiet
        deadline = .now() + shared.settings.pingInterval
    }

    /// Gives every call the chance to end well, ends the others, and closes.
    func closeNow() {
        for call in Array(calls.values) { call.handler?.serverIsClosing() }
        endAllCalls()
        if hasSettings { close() } else { context?.close(promise: nil) }
    }

    private func closeIfDrained() {
        if drain == .known, calls.isEmpty { close() }
    }

    /// Ends our side, after all that has been written, and waits for the client's: a socket that is closed while the client
    /// still writes takes from it what it has not read.
    private func close() {
        guard drain != .closing, let context else { return }
        drain = .closing
        liveness = .close
        deadline = .now() + Self.drainTimeout
        let last = HTTP2Frame.FramePayload.goAway(lastStreamID: lastStream, errorCode: .noError, opaqueData: nil)
        write(HTTP2Frame(streamID: .rootStream, payload: last))
        flushIfNeeded()
        context.close(mode: .output, promise: nil)
    }

    private func endAllCalls() {
        let ended = calls
        calls = [:]
        for call in ended.values { letGo(call) }
    }

    // MARK: Frames in

    func read(context: ChannelHandlerContext) {
        // A client that takes no answers gets no more requests in.
        if context.channel.isWritable { context.read() } else { hasHeldRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        settleUnlessReading()
        if hasHeldRead, context.channel.isWritable {
            hasHeldRead = false
            context.read()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .data(let data): receive(data, on: frame.streamID)
        case .headers(let headers): receive(headers, on: frame.streamID)
        case .settings: openWindow()
        case .ping(let data, ack: true) where data == Self.drainPing: drainIsKnown()
        // A reset is told by an event as well, as are the ends of streams that no frame of the peer's brought about.
        case .rstStream, .ping, .goAway, .windowUpdate, .priority, .pushPromise, .alternativeService, .origin: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        if liveness == .quiet || liveness == .ping {
            liveness = .quiet
            deadline = .now() + shared.settings.pingInterval
        }
        settle()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as NIOHTTP2WindowUpdatedEvent:
            if let size = event.inboundWindowSize { topUp(event.streamID, size: size) }
        case let event as StreamClosedEvent:
            if let call = calls.removeValue(forKey: event.streamID) { letGo(call) }
        default:
            break
        }
    }

    private func receive(_ headers: HTTP2Frame.FramePayload.Headers, on stream: StreamNumber) {
        guard stream > lastStream else {
            // Trailers of the client: gRPC has none, but they end the stream.
            if headers.endStream, let call = calls[stream] { receiveEnd(of: call) }
            return
        }
        lastStream = stream
        guard drain == .no || drain == .announced else {
            write(HTTP2Frame(streamID: stream, payload: .rstStream(.refusedStream)))
            return
        }
        switch shared.method(for: headers.headers) {
        case .failure(let refusal):
            write(HTTP2Frame(streamID: stream, payload: .headers(.init(headers: refusal.headers, endStream: true))))
            if !headers.endStream { askToStop(stream) }
        case .success(let method):
            let call = GRPCServerCall(
                connection: self,
                stream: stream,
                headers: headers.headers,
                maxMessageBytes: shared.settings.maxMessageBytes
            )
            calls[stream] = call
            shared.callBegan()
            call.attach(method.begin(call))
            if headers.endStream { receiveEnd(of: call) }
        }
    }

    private func receive(_ data: HTTP2Frame.FramePayload.Data, on stream: StreamNumber) {
        guard let call = calls[stream], call.isOpen, case .byteBuffer(let bytes) = data.data else { return }
        if data.endStream { call.hasClientEnded = true }
        call.reader.append(bytes)
        do {
            while let message = try call.reader.next() {
                call.hasAnnounced = false
                call.handler?.receive(message)
                if !call.isOpen { return }
            }
            try count(call)
            announce(to: call)
        } catch {
            call.finish(error)
            return
        }
        if data.endStream { receiveEnd(of: call) }
    }

    private func receiveEnd(of call: GRPCServerCall) {
        call.hasClientEnded = true
        if call.reader.pendingBytes > 0 {
            call.finish(GRPCStatus(.internal, "the stream ended within a message"))
        } else {
            call.handler?.receiveEnd()
        }
    }

    /// Counts what an unfinished message holds.
    private func count(_ call: GRPCServerCall) throws(GRPCStatus) {
        let more = call.reader.pendingBytes - call.countedBytes
        if more > 0 {
            guard memory.hold(more) else {
                throw GRPCStatus(.resourceExhausted, "messages under way hold \(shared.budget.limit) bytes already")
            }
        } else if more < 0 {
            memory.release(-more)
        }
        call.countedBytes += more
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
        guard stream != .rootStream else {
            guard size < HTTP2Limits.connectionWindow / 2 else { return }
            writeWindowUpdate(HTTP2Limits.connectionWindow - size, on: stream)
            return
        }
        guard size < HTTP2Limits.streamWindow / 2, let call = calls[stream], call.isOpen, !call.hasClientEnded else {
            return
        }
        guard call.unsentBytes <= HTTP2Limits.streamWindow else {
            call.heldWindow = size
            return
        }
        call.heldWindow = nil
        writeWindowUpdate(HTTP2Limits.streamWindow - size, on: stream)
    }

    private func resumeStreams() {
        guard !resumable.isEmpty else { return }
        let streams = resumable
        resumable = []
        for stream in streams {
            if let size = calls[stream]?.heldWindow { topUp(stream, size: size) }
        }
    }

    private func writeWindowUpdate(_ count: Int, on stream: StreamNumber) {
        write(HTTP2Frame(streamID: stream, payload: .windowUpdate(windowSizeIncrement: count)))
    }

    // MARK: Frames out

    func writeHead(on stream: StreamNumber) {
        write(HTTP2Frame(streamID: stream, payload: .headers(.init(headers: Self.head))))
    }

    func writeMessage(on call: GRPCServerCall, _ append: (inout ByteBuffer) -> Void) {
        guard let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: 512)
        MessageFraming.append(to: &buffer, append)
        let size = buffer.readableBytes
        if !memory.hold(size) {
            // What has been accepted is answered even so, but not for those who leave answers unread.
            guard call.unsentBytes <= ConnectionMemory.stepBytes else {
                end(call)
                write(HTTP2Frame(streamID: call.stream, payload: .rstStream(.enhanceYourCalm)))
                settleUnlessReading()
                return
            }
            memory.take(size)
        }
        call.unsentBytes += size
        write(HTTP2Frame(streamID: call.stream, payload: .data(.init(data: .byteBuffer(buffer)))))
        settleUnlessReading()
    }

    func finish(_ call: GRPCServerCall, _ status: GRPCStatus, isHeadSent: Bool) {
        let stream = call.stream
        var headers = isHeadSent ? HPACKHeaders() : Self.head
        headers.add(name: "grpc-status", value: String(status.code.rawValue))
        if !status.message.isEmpty { headers.add(name: "grpc-message", value: status.message.grpcMessage) }
        end(call)
        write(HTTP2Frame(streamID: stream, payload: .headers(.init(headers: headers, endStream: true))))
        // A reset would throw away what is still to be sent.
        if status.code != .ok, !call.hasClientEnded, call.unsentBytes == 0 { askToStop(stream) }
        settleUnlessReading()
    }

    /// Tells a client, whose request has been answered before its end, not to send the rest (RFC 9113, section 8.1).
    private func askToStop(_ stream: StreamNumber) {
        write(HTTP2Frame(streamID: stream, payload: .rstStream(.noError)))
    }

    /// NIO has passed a frame on towards the socket. Nothing can be written within.
    func wroteFrame(_ frame: HTTP2Frame) {
        switch frame.payload {
        case .data(let data):
            guard let call = calls[frame.streamID] else { return }
            let size = data.data.readableBytes
            call.unsentBytes -= size
            memory.release(size)
            if call.heldWindow != nil, call.unsentBytes <= HTTP2Limits.streamWindow { resumable.append(call.stream) }
        case .headers(let headers) where headers.endStream:
            calls[frame.streamID] = nil
        case .goAway(_, let code, _):
            if code != .noError { isBroken = true }
        default:
            break
        }
    }

    /// The call's stream is gone, with what was still to be sent on it.
    private func letGo(_ call: GRPCServerCall) {
        memory.release(call.unsentBytes)
        call.unsentBytes = 0
        if call.isOpen { end(call) }
    }

    /// The call is over; its handler hears of it.
    private func end(_ call: GRPCServerCall) {
        memory.release(call.countedBytes)
        call.countedBytes = 0
        shared.callEnded()
        call.detach()
    }

    private static let head: HPACKHeaders = [":status": "200", "content-type": "application/grpc"]

    private func write(_ frame: HTTP2Frame) {
        guard let context else { return }
        needsFlush = true
        context.write(wrapOutboundOut(frame), promise: nil)
    }

    private func settleUnlessReading() {
        if !isReading { settle() }
    }

    /// What is due when neither a read nor a write is under way.
    private func settle() {
        flushIfNeeded()
        resumeStreams()
        flushIfNeeded()
        closeIfDrained()
    }

    private func flushIfNeeded() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }
}
