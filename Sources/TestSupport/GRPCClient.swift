package import NIOCore
import NIOHPACK
package import NIOHTTP2
import NIOPosix
import NIOSSL
import Synchronization
package import Transport

/// A gRPC client for tests: one HTTP/2 connection whose frames are under the test's control.
package final class GRPCClient: Sendable {
    package struct Settings: Sendable {
        /// What the server may send on each stream before it is told to go on; nil for HTTP/2's default, 65,535 bytes.
        package var streamWindow: Int?
        /// Whether the server is told to go on at once; otherwise `GRPCClientCall.take` does it.
        package var takesAtOnce = true
        /// Whether the socket is read; `startReading` starts it later.
        package var reads = true
        package var tls: TLSSettings?

        package init() {}
    }

    fileprivate let channel: any Channel
    fileprivate let frames: NIOLoopBound<ClientFrames>
    private let opened = Atomic<Int>(0)

    fileprivate init(channel: any Channel, frames: NIOLoopBound<ClientFrames>) {
        self.channel = channel
        self.frames = frames
    }

    package static func connect(
        port: Int,
        settings: Settings = Settings(),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) async throws -> GRPCClient {
        let made = Made()
        let channel = try await ClientBootstrap(group: group)
            .channelOption(.autoRead, value: settings.reads)
            .channelOption(.socketOption(.so_rcvbuf), value: settings.reads ? 1 << 20 : 4096)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let frames = ClientFrames(takesAtOnce: settings.takesAtOnce)
                    made.frames.withLock { $0 = NIOLoopBound(frames, eventLoop: channel.eventLoop) }
                    let pipeline = channel.pipeline.syncOperations
                    if let tls = settings.tls {
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls.context, serverHostname: "localhost"))
                    }
                    try pipeline.addHandlers(
                        NIOHTTP2Handler(
                            mode: .client,
                            connectionConfiguration: ClientFrames.connection(streamWindow: settings.streamWindow),
                            streamConfiguration: ClientFrames.stream
                        ),
                        frames
                    )
                }
            }
            .connect(host: "127.0.0.1", port: port)
            .get()
        guard let frames = made.frames.withLock({ $0 }) else {
            preconditionFailure("a channel that has connected has been initialized")
        }
        return GRPCClient(channel: channel, frames: frames)
    }

    /// What the channel's initializer makes: the first bytes may come before anything later could add it.
    private final class Made: Sendable {
        let frames = Mutex<NIOLoopBound<ClientFrames>?>(nil)
    }

    /// Opens a call by its head. Calls are opened in the order of these calls.
    ///
    /// - Parameter headers: added to a gRPC request's, or in place of those of the same name.
    package func open(
        _ path: String,
        headers: [(String, String)] = [],
        endStream: Bool = false
    ) -> GRPCClientCall {
        var fields = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"), ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
        for header in headers {
            // In its place: what begins with a colon must come first.
            if let index = fields.firstIndex(where: { $0.0 == header.0 }) {
                fields[index] = header
            } else {
                fields.append(header)
            }
        }
        let head = HPACKHeaders(fields)
        let call = GRPCClientCall(client: self, number: opened.add(1, ordering: .relaxed).newValue)
        frames.execute { $0.open(call, head, endStream: endStream) }
        return call
    }

    /// What the connection has come to.
    package struct State: Sendable {
        package var isClosed = false
        /// GOAWAY frames, as last stream and reason.
        package var goAways: [GoAway] = []
        package var hasSettings = false
        /// WINDOW_UPDATE frames of the server, by how much, for the connection and for streams.
        package var connectionUpdates: [Int] = []
        package var streamUpdates: [Int] = []

        package struct GoAway: Sendable, Equatable {
            package let lastStream: Int
            package let code: HTTP2ErrorCode

            package init(lastStream: Int, code: HTTP2ErrorCode) {
                self.lastStream = lastStream
                self.code = code
            }
        }
    }

    package func state() async -> State {
        await frames.submit { $0.state }
    }

    /// Waits until `condition` holds of the connection.
    ///
    /// - Returns: whether it came to hold before the deadline.
    package func wait(
        within deadline: Duration = .seconds(20),
        _ condition: @escaping @Sendable (State) -> Bool
    ) async -> Bool {
        await frames.wait(within: deadline) { condition($0.state) }
    }

    /// Waits until the server has closed the connection.
    package func waitUntilClosed() async -> Bool {
        await wait { $0.isClosed }
    }

    /// Starts to read, on a connection that was made not to.
    package func startReading() async throws {
        try await channel.setOption(.autoRead, value: true).get()
    }

    package func close() async {
        try? await channel.close().get()
    }
}

/// One call of a test's client. Messages may be cut and ended any way.
package final class GRPCClientCall: Sendable {
    private let client: GRPCClient
    fileprivate let number: Int

    fileprivate init(client: GRPCClient, number: Int) {
        self.client = client
        self.number = number
    }

    private var frames: NIOLoopBound<ClientFrames> { client.frames }

    // MARK: Up

    /// Sends one message with its prefix.
    package func send(_ message: ByteBuffer, endStream: Bool = false) {
        var framed = ByteBuffer()
        framed.writeInteger(0 as UInt8)
        framed.writeInteger(UInt32(message.readableBytes))
        framed.writeImmutableBuffer(message)
        sendData(framed, endStream: endStream)
    }

    package func send(_ message: String, endStream: Bool = false) {
        send(ByteBuffer(string: message), endStream: endStream)
    }

    /// Sends bytes as they are, in frames as large as the server allows.
    package func sendData(_ bytes: ByteBuffer, endStream: Bool = false) {
        let id = number
        frames.execute { $0.write(.data(.init(data: .byteBuffer(bytes), endStream: endStream)), on: id) }
    }

    package func halfClose() {
        sendData(ByteBuffer(), endStream: true)
    }

    package func sendTrailers() {
        let id = number
        frames.execute { $0.write(.headers(.init(headers: ["x-last": "1"], endStream: true)), on: id) }
    }

    package func reset(_ code: HTTP2ErrorCode = .internalError) {
        let id = number
        frames.execute { $0.write(.rstStream(code), on: id) }
    }

    // MARK: Down

    /// Lets the server send `count` bytes more, on a connection that does not do so by itself.
    package func take(_ count: Int) {
        let id = number
        frames.execute { $0.take(count, on: id) }
    }

    /// How a call came out.
    package struct Outcome: Sendable {
        /// HTTP's status.
        package var status: String?
        package var head: [String: String] = [:]
        /// The last headers; those of the head in an answer without messages.
        package var trailers: [String: String] = [:]
        /// The messages that have not been asked for.
        package var messages: [ByteBuffer] = []
        /// Bytes of messages that have come, with their prefixes.
        package var receivedBytes = 0
        /// Set when the server reset the stream.
        package var reset: HTTP2ErrorCode?
        package var hasEnded = false
        package var isConnectionClosed = false

        /// gRPC's status code.
        package var code: Int? { trailers["grpc-status"].flatMap(Int.init) }
        package var message: String? { trailers["grpc-message"] }
        /// Whether nothing more will come.
        package var isOver: Bool { hasEnded || reset != nil || isConnectionClosed }
    }

    /// Waits until the call is over, or the deadline has passed: then `isOver` is false.
    package func outcome(within deadline: Duration = .seconds(20)) async -> Outcome {
        _ = await wait(within: deadline) { $0.isOver }
        return await now()
    }

    /// What has come so far.
    package func now() async -> Outcome {
        let id = number
        return await frames.submit { $0.calls[id]?.outcome ?? Outcome() }
    }

    /// Waits until `condition` holds of what has come.
    package func wait(
        within deadline: Duration = .seconds(20),
        _ condition: @escaping @Sendable (Outcome) -> Bool
    ) async -> Bool {
        let id = number
        return await frames.wait(within: deadline) { frames in
            frames.calls[id].map { condition($0.outcome) } ?? false
        }
    }

    /// The next message; nil when the call is over, or none comes before the deadline.
    package func message(within deadline: Duration = .seconds(20)) async -> ByteBuffer? {
        _ = await wait(within: deadline) { !$0.messages.isEmpty || $0.isOver }
        let id = number
        return await frames.submit { $0.takeMessage(id) }
    }

    /// The next message as text.
    package func text(within deadline: Duration = .seconds(20)) async -> String? {
        await message(within: deadline).map { String(buffer: $0) }
    }

    /// Forgets the call, which then takes no memory any more.
    package func forget() {
        let id = number
        frames.execute { $0.forget(id) }
    }
}

extension NIOLoopBound where Value == ClientFrames {
    fileprivate func execute(_ body: @escaping @Sendable (ClientFrames) -> Void) {
        eventLoop.execute { body(value) }
    }

    fileprivate func submit<Result: Sendable>(
        _ body: @escaping @Sendable (ClientFrames) -> Result
    ) async -> Result {
        do {
            return try await eventLoop.submit { body(value) }.get()
        } catch {
            preconditionFailure("a test's event loops outlive its clients: \(error)")
        }
    }

    fileprivate func wait(
        within deadline: Duration,
        _ condition: @escaping @Sendable (ClientFrames) -> Bool
    ) async -> Bool {
        do {
            return try await eventLoop.flatSubmit { value.wait(within: TimeAmount(deadline), condition) }.get()
        } catch {
            preconditionFailure("a test's event loops outlive its clients: \(error)")
        }
    }
}

/// The client's frames. Confined to its event loop.
private final class ClientFrames: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    struct Call {
        let stream: HTTP2StreamID
        var outcome = GRPCClientCall.Outcome()
        var pending = ByteBuffer()
    }

    private struct Waiter {
        let condition: (ClientFrames) -> Bool
        let promise: EventLoopPromise<Bool>
        let timer: Scheduled<Void>
    }

    private let takesAtOnce: Bool
    private var context: ChannelHandlerContext?
    private var eventLoop: (any EventLoop)?
    private(set) var calls: [Int: Call] = [:]
    private var ids: [HTTP2StreamID: Int] = [:]
    private var nextStream = 1
    private var waiters: [Int: Waiter] = [:]
    private var nextWaiter = 0
    private(set) var state = GRPCClient.State()

    init(takesAtOnce: Bool) {
        self.takesAtOnce = takesAtOnce
    }

    /// As lenient as can be: what is tested is the server.
    static func connection(streamWindow: Int?) -> NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [HTTP2Setting(parameter: .enablePush, value: 0)]
        if let streamWindow {
            configuration.initialSettings.append(HTTP2Setting(parameter: .initialWindowSize, value: streamWindow))
        }
        configuration.maximumConnectionGlitches = .max
        configuration.maximumRecentlyResetStreams = 4096
        configuration.maximumBufferedControlFrames = 1_000_000
        configuration.controlFrameRateLimit.maximumCount = 100_000
        return configuration
    }

    static var stream: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.streamResetFrameRateLimit.maximumCount = 100_000
        configuration.streamErrorRateLimit.maximumCount = 100_000
        return configuration
    }

    // MARK: Waiting

    func wait(
        within deadline: TimeAmount,
        _ condition: @escaping (ClientFrames) -> Bool
    ) -> EventLoopFuture<Bool> {
        guard let loop = eventLoop else {
            preconditionFailure("the handler is in a pipeline before it is asked")
        }
        let promise = loop.makePromise(of: Bool.self)
        if condition(self) {
            promise.succeed(true)
            return promise.futureResult
        }
        let number = nextWaiter
        nextWaiter += 1
        let bound = NIOLoopBound(self, eventLoop: loop)
        let timer = loop.scheduleTask(in: deadline) { bound.value.giveUp(number) }
        waiters[number] = Waiter(condition: condition, promise: promise, timer: timer)
        return promise.futureResult
    }

    private func giveUp(_ number: Int) {
        waiters.removeValue(forKey: number)?.promise.succeed(false)
    }

    private func changed() {
        for (number, waiter) in waiters where waiter.condition(self) {
            waiters[number] = nil
            waiter.timer.cancel()
            waiter.promise.succeed(true)
        }
    }

    // MARK: Up

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        eventLoop = context.eventLoop
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        closed()
    }

    func open(_ call: GRPCClientCall, _ head: HPACKHeaders, endStream: Bool) {
        let stream = HTTP2StreamID(nextStream)
        nextStream += 2
        let id = call.number
        calls[id] = Call(stream: stream)
        calls[id]?.outcome.isConnectionClosed = state.isClosed
        ids[stream] = id
        write(.headers(.init(headers: head, endStream: endStream)), on: id)
    }

    func write(_ payload: HTTP2Frame.FramePayload, on id: Int) {
        guard let context, let call = calls[id] else { return }
        context.writeAndFlush(wrapOutboundOut(HTTP2Frame(streamID: call.stream, payload: payload)), promise: nil)
    }

    func take(_ count: Int, on id: Int) {
        guard let context, let call = calls[id] else { return }
        for stream in [call.stream, .rootStream] {
            let frame = HTTP2Frame(streamID: stream, payload: .windowUpdate(windowSizeIncrement: count))
            context.write(wrapOutboundOut(frame), promise: nil)
        }
        context.flush()
    }

    func takeMessage(_ id: Int) -> ByteBuffer? {
        guard let call = calls[id], !call.outcome.messages.isEmpty else { return nil }
        return calls[id]?.outcome.messages.removeFirst()
    }

    func forget(_ id: Int) {
        if let call = calls.removeValue(forKey: id) { ids[call.stream] = nil }
    }

    // MARK: Down

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers):
            update(frame.streamID) { $0.receive(headers) }
        case .data(let data):
            guard case .byteBuffer(let bytes) = data.data else { break }
            update(frame.streamID) { $0.receive(bytes, endStream: data.endStream) }
            if takesAtOnce { goOn(after: bytes.readableBytes, on: frame.streamID, isOver: data.endStream) }
        case .rstStream(let code):
            update(frame.streamID) { $0.outcome.reset = code }
        case .goAway(let last, let code, _):
            state.goAways.append(GRPCClient.State.GoAway(lastStream: Int(last), code: code))
        case .settings(.settings):
            state.hasSettings = true
        case .windowUpdate(let count):
            if frame.streamID == .rootStream {
                state.connectionUpdates.append(count)
            } else {
                state.streamUpdates.append(count)
            }
        case .ping, .settings, .priority, .pushPromise, .alternativeService, .origin:
            break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        changed()
    }

    func channelInactive(context: ChannelHandlerContext) {
        closed()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !(error is any NIOHTTP2Error) { context.close(promise: nil) }
    }

    private func closed() {
        state.isClosed = true
        for id in calls.keys { calls[id]?.outcome.isConnectionClosed = true }
        changed()
    }

    private func update(_ stream: HTTP2StreamID, _ body: (inout Call) -> Void) {
        guard let id = ids[stream], var call = calls.removeValue(forKey: id) else { return }
        body(&call)
        calls[id] = call
    }

    private func goOn(after count: Int, on stream: HTTP2StreamID, isOver: Bool) {
        guard let context, count > 0 else { return }
        for stream in isOver ? [.rootStream] : [stream, .rootStream] {
            let frame = HTTP2Frame(streamID: stream, payload: .windowUpdate(windowSizeIncrement: count))
            context.write(wrapOutboundOut(frame), promise: nil)
        }
    }
}

extension ClientFrames.Call {
    mutating func receive(_ headers: HTTP2Frame.FramePayload.Headers) {
        let fields = Dictionary(headers.headers.map { ($0.name, $0.value) }) { $1 }
        if outcome.status == nil {
            outcome.status = fields[":status"]
            outcome.head = fields
        }
        guard headers.endStream else { return }
        outcome.trailers = fields
        outcome.hasEnded = true
    }

    mutating func receive(_ bytes: ByteBuffer, endStream: Bool) {
        outcome.receivedBytes += bytes.readableBytes
        pending.writeImmutableBuffer(bytes)
        while let length = pending.getInteger(at: pending.readerIndex + 1, as: UInt32.self).map(Int.init),
            pending.readableBytes >= 5 + length
        {
            pending.moveReaderIndex(forwardBy: 5)
            if let message = pending.readSlice(length: length) { outcome.messages.append(message) }
        }
        pending.discardReadBytes()
        if endStream { outcome.hasEnded = true }
    }
}
