package import NIOCore
import NIOHTTP1
package import Transport

/// Settings of the client side.
package struct UpstreamSettings: Sendable {
    /// Most connections of one event loop to one worker.
    package var maxConnectionsPerOrigin = 4096
    /// How long a connection may wait to be used again. Below the 5 s after which vLLM's server closes its end, so that
    /// a request rarely meets a connection that is being closed.
    package var idleTimeout = TimeAmount.seconds(4)
    /// Largest answer head.
    package var maxHeadBytes = 64 * 1024
    /// For `https` workers.
    package var tls: TLSSettings?

    package init() {}
}

/// The HTTP/1.1 client of one event loop: a pool of connections per worker, no locks, no hops.
package final class UpstreamClient {
    package let eventLoop: any EventLoop
    private let settings: UpstreamSettings
    private let sweeper: DeadlineSweeper
    private var pools: [Origin: ConnectionPool] = [:]

    package init(eventLoop: any EventLoop, settings: UpstreamSettings) {
        self.eventLoop = eventLoop
        self.settings = settings
        sweeper = DeadlineSweeper(eventLoop: eventLoop)
    }

    /// One client for each loop of `group`.
    package static func perLoop(
        of group: any EventLoopGroup,
        settings: UpstreamSettings
    ) async throws -> LoopLocal<UpstreamClient> {
        try await LoopLocal(group: group) { UpstreamClient(eventLoop: $0, settings: settings) }
    }

    /// Sends `request` to `origin`. The answer goes to `receiver`, which the call holds until it is over.
    ///
    /// A connection from the pool that turns out to be closed before anything came back is replaced by a new one, once.
    package func send(_ request: UpstreamRequest, to origin: Origin, receiver: any UpstreamReceiver) -> UpstreamCall {
        let pool = pool(for: origin)
        let call = UpstreamCall(request: request, pool: pool, receiver: receiver)
        if let connection = pool.takeIdle() {
            connection.send(request, for: call)
        } else {
            pool.connect(for: call)
        }
        return call
    }

    /// Open connections, busy and idle.
    package var connectionCount: Int { sweeper.count }

    /// Closes what is idle, for shutdown and for workers that have gone.
    package func closeIdleConnections() {
        for pool in pools.values { pool.closeIdle() }
    }

    private func pool(for origin: Origin) -> ConnectionPool {
        if let pool = pools[origin] { return pool }
        // Workers come and go (pods get new addresses): forget those that hold nothing.
        if pools.count >= 1024 {
            pools = pools.filter { !$0.value.isEmpty }
        }
        let pool = ConnectionPool(origin: origin, eventLoop: eventLoop, sweeper: sweeper, settings: settings)
        pools[origin] = pool
        return pool
    }
}

/// A request under way to a worker. Confined to its event loop.
package final class UpstreamCall {
    private(set) var request: UpstreamRequest
    private let pool: ConnectionPool
    /// Held until the call is over, so that whoever receives needs no other owner.
    private(set) var receiver: (any UpstreamReceiver)?
    var connection: UpstreamConnection?
    private var hasRetried = false
    package private(set) var isOver = false

    init(request: UpstreamRequest, pool: ConnectionPool, receiver: any UpstreamReceiver) {
        self.request = request
        self.pool = pool
        self.receiver = receiver
    }

    /// Gives the answer up: the connection is closed, which tells the worker to stop. Nothing is called afterwards.
    package func cancel() {
        guard !isOver else { return }
        isOver = true
        receiver = nil
        connection?.close()
        connection = nil
    }

    /// Stops reading the answer, so that the worker is held back by TCP.
    package func pauseReading() { connection?.pauseReading() }

    package func resumeReading() { connection?.continueReading() }

    func receivedHead(_ head: HTTPResponseHead) {
        request.body = ByteBuffer()  // it will not be sent again
        receiver?.receivedHead(head)
    }

    func receivedEnd() {
        guard !isOver else { return }
        isOver = true
        connection = nil
        receiver?.receivedEnd()
        receiver = nil
    }

    /// - Parameter wasStale: true when a connection from the pool had been closed by the worker while it was idle.
    func failed(_ error: UpstreamError, wasStale: Bool = false) {
        guard !isOver else { return }
        connection = nil
        if wasStale, !hasRetried {
            hasRetried = true
            pool.connect(for: self)
            return
        }
        isOver = true
        receiver?.failed(error)
        receiver = nil
    }
}
