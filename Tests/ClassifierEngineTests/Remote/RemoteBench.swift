import ClassifierEngine
import ConfigKit
import HTTPTransport
import Instruments
import NIOPosix
import Resilience
import SimWorker
import Synchronization
import TestSupport
import Transport

/// HTTP clients, metrics and a breaker's clock for models that are served elsewhere.
struct RemoteBench: Sendable {
    /// Two failures open a breaker, for ten seconds of `clock`.
    static let breaker = CircuitBreaker.Settings(
        failureThreshold: 2,
        firstOpen: .seconds(10),
        longestOpen: .seconds(60)
    )

    var clients: LoopLocal<UpstreamClient>
    let registry: MetricRegistry
    let metrics: RemoteModelMetrics
    let clock = SetClock()

    static func with(_ body: (RemoteBench) async throws -> Void) async throws {
        let clients = try await UpstreamClient.perLoop(
            of: MultiThreadedEventLoopGroup.singleton,
            settings: UpstreamSettings()
        )
        try await body(RemoteBench(clients: clients))
        try await clients.forEach { $0.closeIdleConnections() }
    }

    /// A bench and a worker that is scripted.
    static func with(
        script: @escaping @Sendable (_ connection: Int, _ request: Int) -> RawServer.Step,
        _ body: (RemoteBench, RawServer) async throws -> Void
    ) async throws {
        try await with { bench in
            let server = try await RawServer.start(script: script)
            do {
                try await body(bench, server)
            } catch {
                await server.stop()
                throw error
            }
            await server.stop()
        }
    }

    /// A bench and a simulated worker.
    static func with(
        _ config: SimConfig,
        _ body: (RemoteBench, SimWorker) async throws -> Void
    ) async throws {
        try await with { bench in
            var config = config
            config.port = 0
            config.zeroLatency = true
            let worker = try await SimWorker.start(config, group: MultiThreadedEventLoopGroup.singleton)
            do {
                try await body(bench, worker)
            } catch {
                await worker.shutdown(within: .zero)
                throw error
            }
            await worker.shutdown(within: .zero)
        }
    }

    private init(clients: LoopLocal<UpstreamClient>) {
        self.clients = clients
        registry = MetricRegistry()
        metrics = RemoteModelMetrics(registry: registry)
    }

    /// The same with other clients.
    func with(_ clients: LoopLocal<UpstreamClient>) -> RemoteBench {
        var bench = self
        bench.clients = clients
        return bench
    }

    func embedder(
        at port: Int,
        dimensions: Int = 64,
        asksForDimensions: Bool = false,
        _ change: (inout RemoteModelSettings) -> Void = { _ in }
    ) -> RemoteEmbedder {
        RemoteEmbedder(
            settings(port, RemoteModelSettings.embeddingsPath, change),
            dimensions: dimensions,
            asksForDimensions: asksForDimensions,
            clients: clients,
            metrics: metrics,
            clock: { clock.now }
        )
    }

    func classifier(
        at port: Int,
        labels: [String] = ["LABEL_0", "LABEL_1"],
        _ change: (inout RemoteModelSettings) -> Void = { _ in }
    ) -> RemoteClassifier {
        RemoteClassifier(
            settings(port, RemoteModelSettings.classifyPath, change),
            labels: labels,
            clients: clients,
            metrics: metrics,
            clock: { clock.now }
        )
    }

    private func settings(
        _ port: Int,
        _ path: String,
        _ change: (inout RemoteModelSettings) -> Void
    ) -> RemoteModelSettings {
        var settings = RemoteModelSettings(
            name: "test",
            origin: Origin(host: "127.0.0.1", port: port),
            model: "sim-model",
            path: path,
            breaker: Self.breaker
        )
        change(&settings)
        return settings
    }

    /// How many calls came to this outcome.
    func count(_ outcome: String) -> Int {
        let labels = ["model": "test", "outcome": outcome]
        return Int(registry.value(of: "sextant_remote_model_requests_total", labels: labels) ?? 0)
    }

    /// Whether the breaker's gauge shows this state.
    func shows(_ state: CircuitBreaker.State) -> Bool {
        let labels = ["model": "test", "state": state.rawValue]
        return registry.value(of: "sextant_remote_model_breaker_state", labels: labels) == 1
    }
}

/// A clock that stands until it is set.
final class SetClock: Sendable {
    private let time = Mutex(MonotonicTime(nanoseconds: 1_000_000_000_000))

    var now: MonotonicTime { time.withLock { $0 } }
    func advance(by duration: Duration) { time.withLock { $0 = $0 + duration } }
}

/// An HTTP answer of this status and body.
func httpAnswer(_ status: Int, _ body: String) -> String {
    "HTTP/1.1 \(status) Something\r\ncontent-type: application/json\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
}

/// The error that a call ends with, or nil.
func failure(_ call: () async throws -> Void) async -> ComputeError? {
    do {
        try await call()
        return nil
    } catch {
        return error as? ComputeError
    }
}
