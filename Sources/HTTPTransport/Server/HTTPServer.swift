package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization
import Transport

/// An HTTP/1.1 server on raw SwiftNIO.
package final class HTTPServer: Sendable {
    private let channel: any Channel
    private let shared: ServerShared

    /// The address in use; its port is the real one when 0 was asked for.
    package let localAddress: SocketAddress

    private init(channel: any Channel, localAddress: SocketAddress, shared: ServerShared) {
        self.channel = channel
        self.localAddress = localAddress
        self.shared = shared
    }

    package var port: Int { localAddress.port ?? 0 }

    /// Open connections, for the metrics page.
    package var connectionCount: Int { shared.connectionCount }

    /// Bytes of request bodies held at the moment, for the metrics page.
    package var bufferedBodyBytes: Int { shared.bodyBytes.used }

    /// Binds `host:port` (port 0 takes a free one) and starts to answer with `service`.
    ///
    /// - Throws: an `IOError` when the address cannot be bound.
    package static func start(
        host: String,
        port: Int,
        settings: HTTPServerSettings = HTTPServerSettings(),
        group: any EventLoopGroup,
        service: any HTTPService
    ) async throws -> HTTPServer {
        let sweepers = try await LoopLocal(group: group) { DeadlineSweeper(eventLoop: $0) }
        let shared = ServerShared(settings: settings, sweepers: sweepers)
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = settings.maxHeadBytes
        limits.maxHeaderListSize = settings.maxHeadBytes
        limits.maxHeaderFieldCount = settings.maxHeaderFields
        let channel = try await ServerBootstrap.listening(on: group)
            .childChannelInitializer { [limits] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls = settings.tls {
                        try pipeline.addHandler(NIOSSLServerHandler(context: tls().context))
                    }
                    let connection = ServerConnection(service: service, shared: shared)
                    try pipeline.addHandler(ArrivalObserver(listener: connection))
                    try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: limits)))
                    try pipeline.addHandler(connection)
                }
            }
            .bind(host: host, port: port)
            .get()
        guard let address = channel.localAddress else {
            preconditionFailure("a bound channel has a local address")
        }
        return HTTPServer(channel: channel, localAddress: address, shared: shared)
    }

    /// Stops accepting, lets answers under way complete until `deadline` has passed, then closes what is left.
    ///
    /// - Returns: how many connections had to be cut.
    @discardableResult
    package func shutdown(within deadline: Duration) async -> Int {
        shared.beginDraining()
        try? await channel.close().get()
        try? await shared.sweepers.forEach { sweeper in
            for case let connection as ServerConnection in sweeper.all { connection.drain() }
        }
        let clock = ContinuousClock()
        let end = clock.now + deadline
        while shared.connectionCount > 0, clock.now < end {
            try? await Task.sleep(for: .milliseconds(10))
        }
        let cut = shared.connectionCount
        try? await shared.sweepers.forEach { sweeper in
            for case let connection as ServerConnection in sweeper.all { connection.closeNow() }
        }
        return cut
    }
}

/// What a server's connections share. All counters are atomics: connections live on different loops.
final class ServerShared: Sendable {
    let settings: HTTPServerSettings
    let sweepers: LoopLocal<DeadlineSweeper>
    private let connections = Atomic<Int>(0)
    /// Request bodies under way.
    let bodyBytes: ByteBudget
    private let draining = Atomic<Bool>(false)

    init(settings: HTTPServerSettings, sweepers: LoopLocal<DeadlineSweeper>) {
        self.settings = settings
        self.sweepers = sweepers
        bodyBytes = ByteBudget(limit: settings.maxBufferedBodyBytes)
    }

    var isDraining: Bool { draining.load(ordering: .relaxed) }
    var connectionCount: Int { connections.load(ordering: .relaxed) }

    func sweeper(_ eventLoop: any EventLoop) -> DeadlineSweeper { sweepers[eventLoop] }

    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// Counts a connection in; false when there are too many (it is counted all the same, until it closes).
    func admitConnection() -> Bool {
        connections.add(1, ordering: .relaxed).newValue <= settings.maxConnections
    }

    func connectionClosed() { connections.subtract(1, ordering: .relaxed) }
}
