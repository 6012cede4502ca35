package import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import NIOSSL
import Synchronization
package import Transport

/// Limits and deadlines of a gRPC server.
package struct GRPCServerSettings: Sendable {
    /// The largest message: upstream's Envoy configurations let request bodies have 50 MiB, and a message adds its own
    /// fields to that.
    package var maxMessageBytes = 51 * 1024 * 1024
    /// Memory for messages that have not come whole, and for answers that clients have not let go, over all connections.
    /// The first 64 KiB of each connection are free.
    package var maxBufferedBytes = 512 * 1024 * 1024
    /// Calls under way on one connection. Envoy opens another connection when they are used up, and keeps a call open
    /// until its request is answered.
    package var maxCallsPerConnection = 10_000
    package var maxConnections = 1024
    /// From a connection's opening to the client's first settings.
    package var handshakeTimeout = TimeAmount.seconds(10)
    /// How long a connection may be silent before it is asked for a sign of life.
    package var pingInterval = TimeAmount.seconds(60)
    /// How long that sign may take.
    package var pingTimeout = TimeAmount.seconds(20)
    package var tls: TLSSettings.Source?

    package init() {}
}

/// A gRPC server over HTTP/2, in clear (with prior knowledge) or under TLS.
package final class GRPCServer: Sendable {
    private let channel: any Channel
    private let shared: GRPCServerShared

    /// The address in use; its port is the real one when 0 was asked for.
    package let localAddress: SocketAddress

    private init(channel: any Channel, localAddress: SocketAddress, shared: GRPCServerShared) {
        self.channel = channel
        self.localAddress = localAddress
        self.shared = shared
    }

    package var port: Int { localAddress.port ?? 0 }

    /// Open connections.
    package var connectionCount: Int { shared.connectionCount }
    /// Calls under way.
    package var callCount: Int { shared.callCount }
    /// Bytes taken from the budget for messages that have not come whole, and for answers that have not gone.
    package var bufferedBytes: Int { shared.budget.used }

    /// Binds `host:port` (port 0 takes a free one) and offers `methods`.
    ///
    /// - Parameter budget: memory that others take from as well; nil for one of the server's own.
    /// - Throws: an `IOError` when the address cannot be bound.
    package static func start(
        host: String,
        port: Int,
        settings: GRPCServerSettings = GRPCServerSettings(),
        budget: ByteBudget? = nil,
        group: any EventLoopGroup,
        methods: [any GRPCMethod]
    ) async throws -> GRPCServer {
        let shared = GRPCServerShared(
            settings: settings,
            budget: budget ?? ByteBudget(limit: settings.maxBufferedBytes),
            sweepers: try await LoopLocal(group: group) { DeadlineSweeper(eventLoop: $0) },
            methods: methods
        )
        let channel = try await ServerBootstrap.listening(on: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls = settings.tls {
                        try pipeline.addHandler(NIOSSLServerHandler(context: tls().context))
                    }
                    try pipeline.addHandler(EarlyAcknowledgementHandler())
                    let notice = GoAwayNotice()
                    try pipeline.addHandler(notice)
                    let connection = GRPCServerConnection(shared: shared, notice: notice)
                    try pipeline.addHandler(
                        NIOHTTP2Handler(
                            mode: .server,
                            frameDelegate: connection,
                            connectionConfiguration: HTTP2Limits.connection(maxStreams: settings.maxCallsPerConnection),
                            streamConfiguration: HTTP2Limits.stream
                        )
                    )
                    try pipeline.addHandler(connection)
                }
            }
            .bind(host: host, port: port)
            .get()
        guard let address = channel.localAddress else {
            preconditionFailure("a bound channel has a local address")
        }
        return GRPCServer(channel: channel, localAddress: address, shared: shared)
    }

    /// Stops accepting, asks clients to open no more calls, lets those under way end until `deadline` has passed, then
    /// ends what is left, for which clients have another second.
    ///
    /// - Returns: how many calls had to be ended.
    @discardableResult
    package func shutdown(within deadline: Duration) async -> Int {
        try? await channel.close().get()
        try? await shared.sweepers.forEach { sweeper in
            for case let connection as GRPCServerConnection in sweeper.all { connection.beginDrain() }
        }
        await untilClosed(within: deadline)
        let cut = shared.callCount
        try? await shared.sweepers.forEach { sweeper in
            for case let connection as GRPCServerConnection in sweeper.all { connection.closeNow() }
        }
        let rest = GRPCServerConnection.drainTimeout + DeadlineSweeper.period + DeadlineSweeper.period
        await untilClosed(within: .nanoseconds(rest.nanoseconds))
        return cut
    }

    private func untilClosed(within deadline: Duration) async {
        let clock = ContinuousClock()
        let end = clock.now + deadline
        while shared.connectionCount > 0, clock.now < end {
            try? await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// What a server's connections share.
final class GRPCServerShared: Sendable {
    let settings: GRPCServerSettings
    let budget: ByteBudget
    let sweepers: LoopLocal<DeadlineSweeper>
    private let methods: [String: any GRPCMethod]
    private let connections = Atomic<Int>(0)
    private let calls = Atomic<Int>(0)

    init(
        settings: GRPCServerSettings,
        budget: ByteBudget,
        sweepers: LoopLocal<DeadlineSweeper>,
        methods: [any GRPCMethod]
    ) {
        self.settings = settings
        self.budget = budget
        self.sweepers = sweepers
        self.methods = Dictionary(methods.map { ($0.path, $0) }) { first, _ in first }
    }

    var connectionCount: Int { connections.load(ordering: .relaxed) }
    var callCount: Int { calls.load(ordering: .relaxed) }

    /// Counts a connection in; false when there are too many (it is counted all the same, until it closes).
    func admitConnection() -> Bool {
        connections.add(1, ordering: .relaxed).newValue <= settings.maxConnections
    }

    func connectionClosed() { connections.subtract(1, ordering: .relaxed) }
    func callBegan() { calls.add(1, ordering: .relaxed) }
    func callEnded() { calls.subtract(1, ordering: .relaxed) }

    /// An answer that consists of headers only.
    struct Refusal: Error {
        let headers: HPACKHeaders
    }

    /// The method that a request's head asks for.
    func method(for headers: HPACKHeaders) -> Result<any GRPCMethod, Refusal> {
        var path = ""
        var isPost = false
        var isGRPC = false
        for (name, value, _) in headers {
            switch name {
            case ":method": isPost = value == "POST"
            case ":path": path = value
            case "content-type": isGRPC = Self.isGRPC(value.utf8)
            default: break
            }
        }
        // What is not gRPC is answered by HTTP's statuses, as gRPC's protocol asks for.
        guard isPost else { return .failure(Refusal(headers: [":status": "405", "allow": "POST"])) }
        guard isGRPC else { return .failure(Refusal(headers: [":status": "415"])) }
        guard let method = methods[path] else {
            let refusal: HPACKHeaders = [
                ":status": "200", "content-type": "application/grpc",
                "grpc-status": String(GRPCStatus.Code.unimplemented.rawValue),
                "grpc-message": "there is no such method here",
            ]
            return .failure(Refusal(headers: refusal))
        }
        return .success(method)
    }

    /// `application/grpc`, with or without a format and parameters; `application/grpc-web` is another protocol.
    private static func isGRPC(_ contentType: String.UTF8View) -> Bool {
        let name = "application/grpc".utf8
        guard contentType.starts(with: name) else { return false }
        let next = contentType.dropFirst(name.count).first
        return next == nil || next == UInt8(ascii: "+") || next == UInt8(ascii: ";")
    }
}
