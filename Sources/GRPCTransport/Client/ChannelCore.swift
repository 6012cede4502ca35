import NIOCore
import NIOHTTP2
import NIOPosix
import NIOSSL
import Resilience
import Transport

/// The state of a `GRPCChannel`. Confined to its event loop.
final class ChannelCore {
    private let host: String
    private let port: Int
    let settings: GRPCChannelSettings
    let eventLoop: any EventLoop
    /// The `:authority` header.
    let authority: String

    private var state = State.idle
    /// Connections that take no more calls and have some to end.
    private var retired: [ObjectIdentifier: GRPCClientConnection] = [:]
    private var callCount = 0
    private var failures = 0
    private var random = SystemRandomNumberGenerator()

    private enum State {
        case idle
        /// The calls wait in the order in which they came.
        case connecting([UnaryCall])
        case connected(GRPCClientConnection)
        /// Connecting has failed: not before the time.
        case waiting(until: NIODeadline, GRPCStatus)
        case closed
    }

    init(host: String, port: Int, settings: GRPCChannelSettings, eventLoop: any EventLoop) {
        self.host = host
        self.port = port
        self.settings = settings
        self.eventLoop = eventLoop
        authority = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    // MARK: Calls

    func start(_ call: UnaryCall) {
        guard callCount < settings.maxCalls else {
            call.fail(GRPCStatus(.resourceExhausted, "\(settings.maxCalls) calls are under way already"))
            return
        }
        callCount += 1
        call.onEnd = { [self] in callCount -= 1 }
        let bound = NIOLoopBound(call, eventLoop: eventLoop)
        call.timer = eventLoop.scheduleTask(deadline: call.deadline) {
            let call = bound.value
            let connection = call.connection
            let openedAt = call.openedAt
            call.giveUp(GRPCStatus(.deadlineExceeded, "no answer in time"))
            connection?.deadlinePassed(ofCallOpenedAt: openedAt)
        }
        dispatch(call)
    }

    /// Sends a call again that the server has not looked at.
    func retry(_ call: UnaryCall, otherwise status: GRPCStatus) {
        guard !call.isOver else { return }
        call.connection = nil
        guard !call.hasBeenRetried else {
            call.fail(status)
            return
        }
        call.hasBeenRetried = true
        dispatch(call)
    }

    private func dispatch(_ call: UnaryCall) {
        switch state {
        case .connected(let connection):
            connection.open(call)
        case .connecting(var calls):
            calls.append(call)
            state = .connecting(calls)
        case .waiting(let time, let status) where NIODeadline.now() < time:
            call.fail(status)
        case .idle, .waiting:
            state = .connecting([call])
            connect()
        case .closed:
            call.fail(Self.closedStatus)
        }
    }

    private static let closedStatus = GRPCStatus(.unavailable, "the channel is closed")

    // MARK: The connection

    private func connect() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(settings.connectTimeout)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.configure(channel) }
            }
        let address = try? SocketAddress(ipAddress: host, port: port)
        (address.map { bootstrap.connect(to: $0) } ?? bootstrap.connect(host: host, port: port))
            .whenFailure { bound.value.failed(Self.reason($0)) }
    }

    private func configure(_ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        if let tls = settings.tls {
            // Server names are for names only: RFC 6066 section 3 forbids IP addresses.
            let isAddress = (try? SocketAddress(ipAddress: host, port: port)) != nil
            let name = isAddress ? nil : host
            try pipeline.addHandler(NIOSSLClientHandler(context: tls().context, serverHostname: name))
        }
        var limits = HTTP2Limits.connection(maxStreams: 0)
        limits.initialSettings.append(HTTP2Setting(parameter: .enablePush, value: 0))
        try pipeline.addHandler(
            NIOHTTP2Handler(
                mode: .client,
                connectionConfiguration: limits,
                streamConfiguration: HTTP2Limits.stream
            )
        )
        try pipeline.addHandler(GRPCClientConnection(core: self, isTLS: settings.tls != nil))
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case ChannelError.connectTimeout: "connecting took too long"
        case let error as NIOConnectionError where error.connectionErrors.isEmpty: "the host name cannot be resolved"
        case let error as NIOConnectionError: error.connectionErrors.map { "\($0.error)" }.joined(separator: "; ")
        default: "\(error)"
        }
    }

    /// No connection came about.
    func failed(_ reason: String) {
        guard case .connecting(let calls) = state else { return }
        let status = GRPCStatus(.unavailable, "\(authority): \(reason)")
        let delay = settings.backoff.delay(attempt: failures, using: &random)
        failures += 1
        state = .waiting(until: .now() + TimeAmount(delay), status)
        for call in calls { call.fail(status) }
    }

    /// The server has said its settings: calls may go out.
    func connected(_ connection: GRPCClientConnection) {
        guard case .connecting(let calls) = state else {
            connection.close()
            return
        }
        failures = 0
        state = .connected(connection)
        for call in calls where !call.isOver { dispatch(call) }
    }

    /// The connection takes no more calls. Those under way may end.
    func retire(_ connection: GRPCClientConnection) {
        if case .connected(let current) = state, current === connection { state = .idle }
        if !connection.isClosed { retired[ObjectIdentifier(connection)] = connection }
    }

    /// The connection is gone.
    func closed(_ connection: GRPCClientConnection) {
        retired[ObjectIdentifier(connection)] = nil
        if case .connected(let current) = state, current === connection { state = .idle }
    }

    func close() -> EventLoopFuture<Void> {
        var open = Array(retired.values)
        switch state {
        case .connecting(let calls):
            for call in calls { call.fail(Self.closedStatus) }
        case .connected(let connection):
            open.append(connection)
        case .idle, .waiting, .closed:
            break
        }
        state = .closed
        return EventLoopFuture.andAllComplete(open.map { $0.close(Self.closedStatus) }, on: eventLoop)
    }
}
