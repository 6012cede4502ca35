package import NIOCore
import NIOHPACK
package import NIOHTTP2
import NIOPosix
import NIOSSL
import Synchronization
package import Transport

/// A gRPC server for tests of a client: what it answers is decided frame by frame.
package final class ScriptedGRPCServer: Sendable {
    /// A call that has come whole.
    package struct Request: Sendable {
        /// Counted from 0, over all connections.
        package let number: Int
        package let connection: Int
        package let headers: [String: String]
        package let message: ByteBuffer

        package var path: String { headers[":path"] ?? "" }
    }

    package enum Step: Sendable {
        case headers([(String, String)], endStream: Bool = false)
        /// A message with its prefix.
        case message(ByteBuffer)
        case data(ByteBuffer, endStream: Bool = false)
        case reset(HTTP2ErrorCode)
        /// Says that this call's stream is the last, or that it is not looked at any more.
        case goAway(includesThis: Bool, HTTP2ErrorCode = .noError)
        case close
        /// Keeps the call for `release`.
        case hold
    }

    /// How the server greets.
    package enum Manner: Sendable {
        case usual
        /// Says its settings and nothing more, whatever comes.
        case deaf
        /// Accepts connections and says nothing at all.
        case mute
    }

    package typealias Script = @Sendable (Request) -> [Step]

    private let channel: any Channel
    private let state: State

    fileprivate final class State: Sendable {
        struct Held: Sendable {
            let player: NIOLoopBound<Player>
            let stream: HTTP2StreamID
        }

        let requests = Mutex<[Request]>([])
        let held = Mutex<[Held]>([])
        let connections = Mutex<[any Channel]>([])
        let opened = Atomic<Int>(0)
        let open = Atomic<Int>(0)
        let resets = Atomic<Int>(0)
        let pings = Atomic<Int>(0)
        let script: Script

        init(script: @escaping Script) { self.script = script }
    }

    private init(channel: any Channel, state: State) {
        self.channel = channel
        self.state = state
    }

    package static func start(
        port: Int = 0,
        manner: Manner = .usual,
        tls: TLSSettings? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        script: @escaping Script = { _ in [.hold] }
    ) async throws -> ScriptedGRPCServer {
        let state = State(script: script)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls.context)) }
                    if case .usual = manner {
                        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
                        configuration.initialSettings = [
                            HTTP2Setting(parameter: .maxConcurrentStreams, value: 100),
                            HTTP2Setting(parameter: .initialWindowSize, value: 1 << 26),
                        ]
                        try pipeline.addHandler(
                            NIOHTTP2Handler(
                                mode: .server,
                                connectionConfiguration: configuration,
                                streamConfiguration: .init()
                            )
                        )
                    }
                    try pipeline.addHandler(Player(state: state, manner: manner))
                }
            }
            .bind(host: "127.0.0.1", port: port)
            .get()
        return ScriptedGRPCServer(channel: channel, state: state)
    }

    package var port: Int { channel.localAddress?.port ?? 0 }
    package var requests: [Request] { state.requests.withLock { $0 } }
    /// Connections that were accepted, and those that are open.
    package var openedConnections: Int { state.opened.load(ordering: .relaxed) }
    package var openConnections: Int { state.open.load(ordering: .relaxed) }
    /// Streams that clients have reset.
    package var resets: Int { state.resets.load(ordering: .relaxed) }

    /// How often clients have asked for a sign of life.
    package var pings: Int { state.pings.load(ordering: .relaxed) }

    /// Goes on with all calls that are kept.
    package func release(_ steps: [Step]) {
        let held = state.held.withLock { held in
            defer { held = [] }
            return held
        }
        for call in held {
            call.player.eventLoop.execute { call.player.value.play(steps, on: call.stream) }
        }
    }

    package func closeConnections() async {
        for connection in state.connections.withLock({ $0 }) { try? await connection.close().get() }
    }

    package func stop() async {
        try? await channel.close().get()
        await closeConnections()
    }
}

extension [ScriptedGRPCServer.Step] {
    /// A whole answer.
    package static func answer(_ message: ByteBuffer) -> Self {
        [
            .headers([(":status", "200"), ("content-type", "application/grpc")]),
            .message(message),
            .headers([("grpc-status", "0")], endStream: true),
        ]
    }

    /// An answer of headers only.
    package static func status(_ code: Int, _ message: String = "", details: String? = nil) -> Self {
        var headers = [
            (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "\(code)"),
            ("grpc-message", message),
        ]
        if let details { headers.append(("grpc-status-details-bin", details)) }
        return [.headers(headers, endStream: true)]
    }
}

/// One connection. Confined to its event loop.
private final class Player: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let state: ScriptedGRPCServer.State
    private let manner: ScriptedGRPCServer.Manner
    private let number: Int
    private var context: ChannelHandlerContext?
    private var calls: [HTTP2StreamID: (headers: [String: String], body: ByteBuffer)] = [:]

    init(state: ScriptedGRPCServer.State, manner: ScriptedGRPCServer.Manner) {
        self.state = state
        self.manner = manner
        number = state.opened.add(1, ordering: .relaxed).oldValue
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        state.open.add(1, ordering: .relaxed)
        let channel = context.channel
        state.connections.withLock { $0.append(channel) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        state.open.subtract(1, ordering: .relaxed)
    }

    func channelActive(context: ChannelHandlerContext) {
        guard case .deaf = manner else { return }
        // An empty SETTINGS frame: length, type, flags, stream.
        let greeting = ByteBuffer(bytes: [0, 0, 0, 4, 0, 0, 0, 0, 0])
        context.channel.writeAndFlush(greeting, promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .usual = manner else { return }
        let frame = unwrapInboundIn(data)
        let stream = frame.streamID
        switch frame.payload {
        case .headers(let head):
            let fields = head.headers.map { ($0.name, $0.value) }
            calls[stream] = (Dictionary(fields) { $1 }, ByteBuffer())
        case .data(let data):
            guard case .byteBuffer(let bytes) = data.data else { return }
            calls[stream]?.body.writeImmutableBuffer(bytes)
            if data.endStream { receive(stream) }
        case .rstStream:
            calls[stream] = nil
            state.resets.add(1, ordering: .relaxed)
        case .ping(_, ack: false):
            state.pings.add(1, ordering: .relaxed)
        default:
            break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? NIOHTTP2WindowUpdatedEvent, event.streamID == .rootStream,
            let size = event.inboundWindowSize, size < 32_768
        {
            write(.windowUpdate(windowSizeIncrement: 1 << 24), on: .rootStream)
            context.flush()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func receive(_ stream: HTTP2StreamID) {
        guard var call = calls.removeValue(forKey: stream) else { return }
        call.body.moveReaderIndex(forwardBy: min(5, call.body.readableBytes))
        let request = state.requests.withLock { requests in
            let request = ScriptedGRPCServer.Request(
                number: requests.count,
                connection: number,
                headers: call.headers,
                message: call.body
            )
            requests.append(request)
            return request
        }
        play(state.script(request), on: stream)
    }

    func play(_ steps: [ScriptedGRPCServer.Step], on stream: HTTP2StreamID) {
        for step in steps {
            switch step {
            case .headers(let fields, let endStream):
                write(.headers(.init(headers: HPACKHeaders(fields), endStream: endStream)), on: stream)
            case .message(let message):
                var framed = ByteBuffer()
                framed.writeInteger(0 as UInt8)
                framed.writeInteger(UInt32(message.readableBytes))
                framed.writeImmutableBuffer(message)
                write(.data(.init(data: .byteBuffer(framed))), on: stream)
            case .data(let bytes, let endStream):
                write(.data(.init(data: .byteBuffer(bytes), endStream: endStream)), on: stream)
            case .reset(let code):
                write(.rstStream(code), on: stream)
            case .goAway(let includesThis, let code):
                let last = includesThis ? Int(stream) : max(0, Int(stream) - 2)
                write(
                    .goAway(lastStreamID: HTTP2StreamID(last), errorCode: code, opaqueData: nil),
                    on: .rootStream
                )
            case .close:
                context?.flush()
                context?.close(promise: nil)
            case .hold:
                if let context {
                    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
                    state.held.withLock { $0.append(.init(player: bound, stream: stream)) }
                }
            }
        }
        context?.flush()
    }

    private func write(_ payload: HTTP2Frame.FramePayload, on stream: HTTP2StreamID) {
        context?.write(wrapOutboundOut(HTTP2Frame(streamID: stream, payload: payload)), promise: nil)
    }
}
