import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

#if canImport(Glibc)
import Glibc
import Transport
#endif

/// The connections of one event loop to one worker.
///
/// Idle connections are taken last in, first out, so that in quiet times the oldest expire.
final class ConnectionPool {
    let origin: Origin
    let sweeper: DeadlineSweeper
    private let eventLoop: any EventLoop
    private let settings: UpstreamSettings
    private let address: SocketAddress?
    private var idle: [UpstreamConnection] = []
    private(set) var openCount = 0

    init(origin: Origin, eventLoop: any EventLoop, sweeper: DeadlineSweeper, settings: UpstreamSettings) {
        self.origin = origin
        self.eventLoop = eventLoop
        self.sweeper = sweeper
        self.settings = settings
        address = origin.literalAddress
    }

    var isEmpty: Bool { openCount == 0 }

    func takeIdle() -> UpstreamConnection? {
        while let connection = idle.popLast() {
            if connection.isUsable { return connection }
        }
        return nil
    }

    func giveBack(_ connection: UpstreamConnection) {
        connection.rest(until: .now() + settings.idleTimeout)
        idle.append(connection)
    }

    func closed(_ connection: UpstreamConnection) {
        openCount -= 1
        if let index = idle.firstIndex(where: { $0 === connection }) {
            idle.remove(at: index)
        }
    }

    func closeIdle() {
        let connections = idle
        idle.removeAll()
        for connection in connections { connection.close() }
    }

    /// Opens a connection for `call`, which it tells of the outcome.
    func connect(for call: UpstreamCall) {
        guard openCount < settings.maxConnectionsPerOrigin else {
            call.failed(UpstreamError(.tooManyConnections))
            return
        }
        openCount += 1
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let boundCall = NIOLoopBound(call, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(call.request.deadlines.connect)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.configure(channel) }
            }
        let channel =
            address.map { bootstrap.connect(to: $0) } ?? bootstrap.connect(host: origin.host, port: origin.port)
        channel.whenComplete { result in
            bound.value.connected(result, for: boundCall.value)
        }
    }

    private func configure(_ channel: any Channel) throws {
        #if canImport(Glibc)
        // A worker can be silent for minutes; a network that has forgotten the connection must not be waited for. The first
        // question after 60 s, four in all, 15 s apart.
        let options = channel.syncOptions
        for (name, value) in [(TCP_KEEPIDLE, 60), (TCP_KEEPINTVL, 15), (TCP_KEEPCNT, 4)] {
            try options?.setOption(.tcpOption(NIOBSDSocket.Option(rawValue: name)), value: value)
        }
        #endif
        let pipeline = channel.pipeline.syncOperations
        if origin.isTLS {
            guard let tls = settings.tls else { throw UpstreamError(.tls, "no TLS settings") }
            // Server names are for names only: RFC 6066 section 3 forbids IP addresses.
            let serverName = address == nil ? origin.host : nil
            try pipeline.addHandler(NIOSSLClientHandler(context: tls.context, serverHostname: serverName))
        }
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderListSize = settings.maxHeadBytes
        limits.maxHeaderFieldSize = settings.maxHeadBytes
        var encoding = HTTPRequestEncoder.Configuration()
        encoding.automaticallySetFramingHeaders = false  // `UpstreamConnection.send` sets them
        let connection = UpstreamConnection(pool: self)
        try pipeline.addHandler(ArrivalObserver(listener: connection))
        try pipeline.addHandler(HTTPRequestEncoder(configuration: encoding))
        try pipeline.addHandler(ByteToMessageHandler(HTTPResponseDecoder(limitConfiguration: limits)))
        try pipeline.addHandler(connection)
    }

    private func connected(_ result: Result<any Channel, any Error>, for call: UpstreamCall) {
        switch result {
        case .success(let channel):
            let handler = try? channel.pipeline.syncOperations.handler(type: UpstreamConnection.self)
            guard let connection = handler, connection.isUsable else {
                call.failed(UpstreamError(.closedBeforeResponse))
                return
            }
            if call.isOver {
                giveBack(connection)  // the client went away while we connected; the connection is good for the next
            } else {
                connection.send(call.request, for: call)
            }
        case .failure(let error):
            openCount -= 1
            call.failed(Self.describe(error))
        }
    }

    private static func describe(_ error: any Error) -> UpstreamError {
        switch error {
        case ChannelError.connectTimeout: UpstreamError(.connectTimeout)
        case let error as NIOConnectionError where error.connectionErrors.isEmpty:
            UpstreamError(.connect, "the host name cannot be resolved")
        case let error as NIOConnectionError:
            UpstreamError(.connect, error.connectionErrors.map { "\($0.error)" }.joined(separator: "; "))
        case let error as UpstreamError: error
        default: UpstreamError(.connect, "\(error)")
        }
    }
}
