import HTTPTransport
package import Instruments
package import NIOCore
import Synchronization

/// A simulated vLLM worker on a socket: stands in for vLLM in tests, demos and benchmarks.
package final class SimWorker: Sendable {
    package let engine: SimEngine
    private let group: any EventLoopGroup
    private let settings: HTTPServerSettings
    private let server: Mutex<HTTPServer?>
    /// Listens again after a refusal; cancelled by `shutdown`.
    private let recovery = Mutex<Task<Void, Never>?>(nil)

    /// The port in use; stays the same over `refuse` and `accept`.
    package let port: Int

    package var id: String { engine.name }
    package var registry: MetricRegistry { engine.registry }
    package var log: RequestLog { engine.log }

    /// Starts to listen.
    ///
    /// - Parameter tracer: nil where nothing is traced.
    /// - Throws: an `IOError` when the address cannot be bound.
    package static func start(
        _ config: SimConfig,
        group: any EventLoopGroup,
        registry: MetricRegistry = MetricRegistry(),
        tracer: RequestTracer? = nil
    ) async throws -> SimWorker {
        let engine = SimEngine(config, registry: registry, tracer: tracer)
        var settings = HTTPServerSettings()
        // A router keeps its connections longer than a browser.
        settings.keepAliveTimeout = .minutes(10)
        settings.maxBufferedBodyBytes = max(settings.maxBufferedBodyBytes, config.maxBodyBytes)
        let server = try await HTTPServer.start(
            host: config.host,
            port: config.port,
            settings: settings,
            group: group,
            service: SimService(engine: engine)
        )
        engine.bound(to: server.port)
        let worker = SimWorker(engine: engine, group: group, settings: settings, server: server)
        engine.onRefusal { [weak worker] duration in worker?.refuse(for: duration) }
        return worker
    }

    private init(engine: SimEngine, group: any EventLoopGroup, settings: HTTPServerSettings, server: HTTPServer) {
        self.engine = engine
        self.group = group
        self.settings = settings
        self.server = Mutex(server)
        port = server.port
    }

    /// Closes the port and all connections: from now on the kernel refuses connections, as for a worker that crashed.
    package func refuse() async {
        await stop(within: .zero)
    }

    private func refuse(for duration: Duration) {
        recovery.withLock { recovery in
            recovery?.cancel()
            recovery = Task {
                // Long enough for the answer to the request that asked for this.
                await stop(within: .milliseconds(200))
                do {
                    try await Task.sleep(for: duration)
                    try await accept()
                } catch {
                    return  // cancelled, or the port is taken: the worker stays away
                }
            }
        }
    }

    /// Listens again after `refuse`, on the same port.
    ///
    /// - Throws: an `IOError` when something else has taken the port.
    package func accept() async throws {
        guard server.withLock({ $0 == nil }) else { return }
        let started = try await HTTPServer.start(
            host: engine.config.host,
            port: port,
            settings: settings,
            group: group,
            service: SimService(engine: engine)
        )
        server.withLock { $0 = started }
    }

    /// Lets answers under way complete for at most `deadline`, then closes everything.
    package func shutdown(within deadline: Duration) async {
        let recovering = recovery.withLock { $0.take() }
        recovering?.cancel()
        await recovering?.value
        await stop(within: deadline)
    }

    private func stop(within deadline: Duration) async {
        let running = server.withLock { $0.take() }
        await running?.shutdown(within: deadline)
    }
}
