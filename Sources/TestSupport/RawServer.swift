package import NIOCore
import NIOPosix
import Synchronization

/// A TCP server for tests of a client: answers each connection's n-th burst of bytes with the n-th scripted step.
package final class RawServer: Sendable {
    /// What to do when bytes of a request have come.
    package enum Step: Sendable {
        case send(String)
        case sendAndClose(String)
        case close
        /// Says nothing.
        case hang
    }

    private let channel: any Channel
    private let state: State

    private final class State: Sendable {
        let connections = Mutex<[any Channel]>([])
        let requests = Mutex<[String]>([])
        let opened = Atomic<Int>(0)
        let closed = Atomic<Int>(0)
        let script: @Sendable (_ connection: Int, _ request: Int, _ text: String) -> Step

        init(script: @escaping @Sendable (Int, Int, String) -> Step) { self.script = script }
    }

    private final class Player: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let state: State
        let number: Int
        var requests = 0
        var pending = ""

        init(state: State) {
            self.state = state
            number = state.opened.add(1, ordering: .relaxed).oldValue
        }

        func channelActive(context: ChannelHandlerContext) {
            let channel = context.channel
            state.connections.withLock { $0.append(channel) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            state.closed.add(1, ordering: .relaxed)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            pending += String(buffer: unwrapInboundIn(data))
            // A step is played once per request head; bodies are short enough to come with it in these tests.
            guard pending.contains("\r\n\r\n") else { return }
            let request = pending
            pending = ""
            state.requests.withLock { $0.append(request) }
            let step = state.script(number, requests, request)
            requests += 1
            switch step {
            case .send(let text):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            case .sendAndClose(let text):
                let channel = context.channel
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)))
                    .whenComplete { _ in channel.close(promise: nil) }
            case .close:
                context.close(promise: nil)
            case .hang:
                break
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    private init(channel: any Channel, state: State) {
        self.channel = channel
        self.state = state
    }

    /// A port on which nobody listens, and nobody did a moment ago.
    package static func freePort() async throws -> Int {
        let server = try await start { _, _ in .close }
        let port = server.port
        await server.stop()
        return port
    }

    package static func start(
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        script: @escaping @Sendable (_ connection: Int, _ request: Int) -> Step
    ) async throws -> RawServer {
        try await start(group: group) { connection, request, _ in script(connection, request) }
    }

    /// - Parameter script: is given the request's text as well.
    package static func start(
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        script: @escaping @Sendable (_ connection: Int, _ request: Int, _ text: String) -> Step
    ) async throws -> RawServer {
        let state = State(script: script)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Player(state: state))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        return RawServer(channel: channel, state: state)
    }

    package var port: Int { channel.localAddress?.port ?? 0 }
    package var openedConnections: Int { state.opened.load(ordering: .relaxed) }
    package var closedConnections: Int { state.closed.load(ordering: .relaxed) }
    package var requests: [String] { state.requests.withLock { $0 } }

    /// Sends more on every open connection.
    package func push(_ text: String) async throws {
        for connection in state.connections.withLock({ $0 }) where connection.isActive {
            try await connection.writeAndFlush(ByteBuffer(string: text)).get()
        }
    }

    /// Closes the connections that are open now and waits until they are.
    package func closeConnections() async {
        for connection in state.connections.withLock({ $0 }) {
            try? await connection.close().get()
        }
    }

    package func stop() async {
        await closeConnections()
        try? await channel.close().get()
    }
}
