package import NIOCore
import NIOPosix
import Synchronization

/// A TCP connection for tests that care about every byte: sends what it is told, keeps what comes.
package final class RawConnection: Sendable {
    private let channel: any Channel
    private let received: Received

    /// What has come in so far, shared between the channel's loop and the test.
    private final class Received: Sendable {
        struct State {
            var bytes = ByteBuffer()
            var isClosed = false
        }
        let state = Mutex(State())
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let received: Received

        init(received: Received) { self.received = received }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            received.state.withLock { _ = $0.bytes.writeImmutableBuffer(bytes) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            received.state.withLock { $0.isClosed = true }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { received.state.withLock { $0.isClosed = true } }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            received.state.withLock { $0.isClosed = true }
            context.close(promise: nil)
        }
    }

    private init(channel: any Channel, received: Received) {
        self.channel = channel
        self.received = received
    }

    /// - Parameters:
    ///   - reads: false for a client that never reads, to see who holds back.
    ///   - receiveBytes: of the kernel's buffer; by default as little as there can be for a client that never reads.
    package static func connect(
        port: Int,
        reads: Bool = true,
        receiveBytes: Int? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) async throws -> RawConnection {
        let received = Received()
        let channel = try await ClientBootstrap(group: group)
            .channelOption(.autoRead, value: reads)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.socketOption(.so_rcvbuf), value: receiveBytes ?? (reads ? 1 << 20 : 4096))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(received: received))
                }
            }
            .connect(host: "127.0.0.1", port: port)
            .get()
        return RawConnection(channel: channel, received: received)
    }

    package func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    package func send(_ bytes: ByteBuffer) async throws {
        try await channel.writeAndFlush(bytes).get()
    }

    package var bytes: ByteBuffer { received.state.withLock { $0.bytes } }
    package var text: String { received.state.withLock { String(buffer: $0.bytes) } }
    package var byteCount: Int { received.state.withLock { $0.bytes.readableBytes } }
    package var isClosed: Bool { received.state.withLock { $0.isClosed } }

    /// All that has come once `condition` holds of it; what there was when the deadline passed otherwise.
    package func text(within deadline: Duration = .seconds(10), where condition: (String) -> Bool) async -> String {
        _ = await eventually(within: deadline) { condition(text) }
        return text
    }

    /// All that came until the peer closed.
    package func textUntilClosed(within deadline: Duration = .seconds(10)) async -> String {
        _ = await eventually(within: deadline) { isClosed }
        return text
    }

    /// Starts to read, on a connection made with `reads: false`.
    package func startReading() async throws {
        try await channel.setOption(.autoRead, value: true).get()
    }

    package func close() async {
        try? await channel.close().get()
    }
}
