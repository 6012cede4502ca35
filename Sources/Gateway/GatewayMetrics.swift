package import Instruments
import OpenAIWire

/// What the front end measures.
package struct GatewayMetrics: Sendable {
    package static let definitions = [refusals, connections, bodyBytes]

    static let refusals = MetricDefinition.counter(
        "sextant_http_refusals",
        "Requests turned away before a worker was asked, by the error's code.",
        labels: ["code"]
    )
    static let connections = MetricDefinition.gauge("sextant_http_connections", "Open client connections.")
    static let bodyBytes = MetricDefinition.gauge(
        "sextant_http_buffered_body_bytes",
        "Bytes of request bodies held in memory."
    )

    private let refused: CounterFamily
    private let models: ModelMetrics
    let stages: StageMetrics

    package init(registry: MetricRegistry, models: ModelMetrics) {
        self.models = models
        stages = StageMetrics(registry: registry)
        refused = registry.counters(Self.refusals)
    }

    /// Reads the server's state at each scrape.
    package func observe(
        in registry: MetricRegistry,
        connections: @escaping @Sendable () -> Int,
        bodyBytes: @escaping @Sendable () -> Int
    ) {
        registry.sample(Self.connections) { Double(connections()) }
        registry.sample(Self.bodyBytes) { Double(bodyBytes()) }
    }

    func countRefusal(_ code: RouterError.Code) {
        refused.with(code.rawValue).increment()
        if code == .invalidJSON { models.countFailure(.parse, model: nil) }
    }
}
