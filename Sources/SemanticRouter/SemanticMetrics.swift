package import Instruments

/// What the semantic router measures.
package struct SemanticMetrics: Sendable {
    package static let definitions = [decisions, bypasses]

    static let decisions = MetricDefinition.counter(
        "sextant_decisions",
        "Requests routed by each decision; `default` when none matched.",
        labels: ["decision"]
    )
    static let bypasses = MetricDefinition.counter(
        "sextant_semantic_bypasses",
        "Requests that went on unaltered, by reason.",
        labels: ["reason"]
    )

    private let decided: CounterFamily
    private let bypassed: CounterFamily

    package init(registry: MetricRegistry) {
        decided = registry.counters(Self.decisions)
        bypassed = registry.counters(Self.bypasses)
    }

    func countDecision(_ name: String?) { decided.with(name ?? "default").increment() }
    func countBypass(_ reason: BypassReason) { bypassed.with(reason.rawValue).increment() }
}
