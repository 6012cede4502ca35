package import Instruments
import OpenAIWire
import SemanticRouter

/// What the ExtProc service measures.
package struct ExtProcMetrics: Sendable {
    package static let definitions = [
        requests, refusals, failures, decisionSeconds, calls, connections, bufferedBytes,
    ]

    static let requests = MetricDefinition.counter(
        "sextant_extproc_requests",
        "Requests that Envoy told of, by what became of them: forward, respond, bypass, refuse; pass for those that "
            + "carry no text.",
        labels: ["outcome"]
    )
    static let refusals = MetricDefinition.counter(
        "sextant_extproc_refusals",
        "Requests turned away, by the error's code.",
        labels: ["code"]
    )
    static let failures = MetricDefinition.counter(
        "sextant_extproc_failures",
        "Calls that were ended with an error, so that Envoy failed open or closed: malformed, protocol, memory, internal.",
        labels: ["reason"]
    )
    static let decisionSeconds = MetricDefinition.histogram(
        "sextant_extproc_decision_seconds",
        "From a request's last message to our reply.",
        buckets: [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1]
    )
    static let calls = MetricDefinition.gauge("sextant_extproc_calls", "Calls under way, one for each request.")
    static let connections = MetricDefinition.gauge("sextant_extproc_connections", "Open connections of Envoys.")
    static let bufferedBytes = MetricDefinition.gauge(
        "sextant_extproc_buffered_bytes",
        "Bytes of messages and bodies that have not come whole, and of answers that have not gone."
    )

    package enum Outcome: String, Sendable, CaseIterable {
        case forward, respond, bypass, refuse, pass
    }

    package enum Failure: String, Sendable, CaseIterable {
        /// A message that is no message of Envoy's.
        case malformed
        /// Messages in an order that there cannot be.
        case `protocol`
        case memory
        case `internal`
    }

    private let outcomes: [Outcome: Counter]
    private let refused: CounterFamily
    private let failed: CounterFamily
    let decided: Histogram
    let models: ModelMetrics

    package init(registry: MetricRegistry, models: ModelMetrics) {
        self.models = models
        let requests = registry.counters(Self.requests)
        outcomes = Dictionary(uniqueKeysWithValues: Outcome.allCases.map { ($0, requests.with($0.rawValue)) })
        refused = registry.counters(Self.refusals)
        failed = registry.counters(Self.failures)
        decided = registry.histogram(Self.decisionSeconds)
    }

    /// Reads the server's state at each scrape.
    package func observe(
        in registry: MetricRegistry,
        calls: @escaping @Sendable () -> Int,
        connections: @escaping @Sendable () -> Int,
        bufferedBytes: @escaping @Sendable () -> Int
    ) {
        registry.sample(Self.calls) { Double(calls()) }
        registry.sample(Self.connections) { Double(connections()) }
        registry.sample(Self.bufferedBytes) { Double(bufferedBytes()) }
    }

    func count(_ outcome: Outcome) { outcomes[outcome]?.increment() }
    /// Why a request was refused, besides that it was.
    func countRefusal(_ code: RouterError.Code) {
        refused.with(code.rawValue).increment()
        if code == .invalidJSON { models.countFailure(.parse, model: nil) }
    }
    func countFailure(_ failure: Failure) { failed.with(failure.rawValue).increment() }
}
