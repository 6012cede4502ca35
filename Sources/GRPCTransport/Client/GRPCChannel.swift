package import NIOCore
import NIOHPACK
package import Resilience
package import Transport

/// Limits and deadlines of a gRPC client.
package struct GRPCChannelSettings: Sendable {
    /// TCP, TLS and HTTP/2's settings.
    package var connectTimeout = TimeAmount.seconds(5)
    /// How long is waited after connecting failed, before it is tried again; calls fail at once meanwhile.
    package var backoff = Backoff(base: .milliseconds(200), cap: .seconds(5))
    /// Calls that have begun and are not over. Further ones are refused.
    package var maxCalls = 256
    /// The largest answer: 4 MiB, the default of gRPC's own clients.
    package var maxMessageBytes = 4 * 1024 * 1024
    /// How long the server may be silent while calls wait, before it is asked for a sign of life. It is never asked
    /// without calls, which servers may take for an attack.
    package var pingInterval = TimeAmount.seconds(20)
    /// How long that sign may take.
    package var pingTimeout = TimeAmount.seconds(5)
    /// How long a connection without calls is kept: 5 min, less than it takes the usual load balancers and address
    /// translators to forget it.
    package var idleTimeout = TimeAmount.minutes(5)
    /// Nil for a server in clear.
    package var tls: TLSSettings.Source?
    package var userAgent = "sextant"

    package init() {}
}

/// A gRPC server as its client sees it: unary calls over one HTTP/2 connection, which is opened when the first call
/// comes and again when it has gone. For the control plane and stores; a call costs a few hops between threads.
package final class GRPCChannel: Sendable {
    private let eventLoop: any EventLoop
    /// Made on the event loop by the first who needs it.
    private let core: NIOLoopBoundBox<ChannelCore?>
    private let settings: GRPCChannelSettings
    private let host: String
    private let port: Int

    /// Opens nothing yet.
    ///
    /// - Parameter host: a name or an IP address, IPv6 without brackets.
    package init(
        host: String,
        port: Int,
        settings: GRPCChannelSettings = GRPCChannelSettings(),
        group: any EventLoopGroup
    ) {
        self.host = host
        self.port = port
        self.settings = settings
        eventLoop = group.next()
        core = NIOLoopBoundBox.makeEmptyBox(valueType: ChannelCore.self, eventLoop: eventLoop)
    }

    /// Asks the server, and waits for its answer.
    ///
    /// While the server cannot be reached, calls fail at once, but for the one that tries it anew after a while. A call
    /// that the server has certainly not looked at is sent again, once.
    /// - Parameters:
    ///   - path: `/package.Service/Method`.
    ///   - headers: further ones; names in lower case.
    ///   - timeout: how long it may take; the server is told.
    /// - Throws: the server's status, or ours where it gave none: `unavailable` where it cannot be reached,
    ///   `deadlineExceeded`, `cancelled` when the task is.
    package func call(
        _ path: String,
        _ message: ByteBuffer,
        headers: [(name: String, value: String)] = [],
        within timeout: Duration
    ) async throws(GRPCStatus) -> ByteBuffer {
        let promise = eventLoop.makePromise(of: Result<ByteBuffer, GRPCStatus>.self)
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        let result: Result<ByteBuffer, GRPCStatus>
        do {
            let call = try await eventLoop.submit { [self] in
                let call = UnaryCall(path, message, headers: headers, deadline: deadline, promise: promise)
                coreOnLoop().start(call)
                return NIOLoopBound(call, eventLoop: eventLoop)
            }.get()
            result = try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                eventLoop.execute { call.value.giveUp(GRPCStatus(.cancelled, "the caller gave up")) }
            }
        } catch {
            throw GRPCStatus(.unavailable, "the event loop has ended: \(error)")
        }
        return try result.get()
    }

    /// Ends calls under way with `unavailable`, as further ones do, and closes the connection.
    package func close() async {
        let closing = eventLoop.flatSubmit { [self] in coreOnLoop().close() }
        try? await closing.get()
    }

    private func coreOnLoop() -> ChannelCore {
        if let core = core.value { return core }
        let made = ChannelCore(host: host, port: port, settings: settings, eventLoop: eventLoop)
        core.value = made
        return made
    }
}
