package import Instruments

/// How requests were routed, under the names, labels and buckets of vLLM Semantic Router where it has them.
///
/// A class, so that a copy is one reference. Labels take their values from the configuration; clients' names of models
/// pass through `ModelMetrics.label`.
package final class SemanticMetrics: Sendable {
    package static let definitions = [
        modifications, reasons, latency, extractions, extractionLatency, matches, evaluations, evaluationLatency,
        decisions, confidence, plugins, pluginLatency, reasoning, selections, selectionLatency, bypasses,
    ]

    static let modifications = MetricDefinition.counter(
        "llm_model_routing_modifications_total",
        "Requests for one model that were sent to another.",
        labels: ["source_model", "target_model"]
    )
    static let reasons = MetricDefinition.counter(
        "llm_routing_reason_codes_total",
        "Requests by the reason for their model: " + Reason.allCases.map(\.rawValue).joined(separator: ", ") + ".",
        labels: ["reason_code", "model"]
    )
    static let latency = MetricDefinition.histogram(
        "llm_model_routing_latency_seconds",
        "Seconds that routing a request took.",
        buckets: MetricDefinition.latencyBuckets
    )
    static let extractions = MetricDefinition.counter(
        "llm_signal_extraction_total",
        "Signals looked for, by kind and name.",
        labels: ["signal_type", "signal_name"]
    )
    static let extractionLatency = MetricDefinition.histogram(
        "llm_signal_extraction_latency_seconds",
        "Seconds that the signals of a kind took for one request.",
        labels: ["signal_type"],
        buckets: MetricDefinition.latencyBuckets
    )
    static let matches = MetricDefinition.counter(
        "llm_signal_match_total",
        "Signals found, by kind and name.",
        labels: ["signal_type", "signal_name"]
    )
    static let evaluations = MetricDefinition.counter(
        "llm_decision_evaluation_total",
        "Requests for which the decisions' rules were evaluated."
    )
    static let evaluationLatency = MetricDefinition.histogram(
        "llm_decision_evaluation_latency_seconds",
        "Seconds that the decisions' rules took for one request.",
        buckets: MetricDefinition.latencyBuckets
    )
    static let decisions = MetricDefinition.counter(
        "llm_decision_match_total",
        "Requests by the decision that was taken.",
        labels: ["decision_name"]
    )
    static let confidence = MetricDefinition.histogram(
        "llm_decision_confidence",
        "How certain a decision was, 0 to 1.",
        labels: ["decision_name"],
        buckets: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    )
    static let plugins = MetricDefinition.counter(
        "llm_plugin_execution_total",
        "What decisions' plugins did, by kind, decision and outcome: "
            + pluginSuccess + ".",
        labels: ["plugin_type", "decision_name", "status"]
    )
    static let pluginLatency = MetricDefinition.histogram(
        "llm_plugin_execution_latency_seconds",
        "Seconds that a plugin took for one request.",
        labels: ["plugin_type"],
        buckets: MetricDefinition.latencyBuckets
    )
    static let reasoning = MetricDefinition.counter(
        "llm_reasoning_decisions_total",
        "Requests by whether the model was told to reason, and how hard.",
        labels: ["category", "model", "enabled", "effort"]
    )
    static let selections = MetricDefinition.counter(
        "llm_model_selection_total",
        "Models chosen among a decision's candidates, by method.",
        labels: ["method", "model", "decision", "tier"]
    )
    static let selectionLatency = MetricDefinition.histogram(
        "llm_model_selection_duration_seconds",
        "Seconds that choosing among candidates took.",
        labels: ["method", "tier"],
        buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1]
    )
    static let bypasses = MetricDefinition.counter(
        "sextant_semantic_bypasses",
        "Requests that went on unaltered, by reason.",
        labels: ["reason"]
    )

    /// Why a request went to its model, in upstream's words.
    package enum Reason: String, Sendable, CaseIterable {
        case automatic = "auto_routing"
        case named = "model_specified"
    }

    /// The outcome of every plugin. Upstream has `error` and `skipped` besides; plugins here can do neither.
    private static let pluginSuccess = "success"

    let models: ModelMetrics
    let stages: StageMetrics
    private let modified: CounterFamily
    private let reasoned: CounterFamily
    private let routed: Histogram
    private let extracted: CounterFamily
    private let extractionSeconds: HistogramFamily
    private let matched: CounterFamily
    private let evaluated: Counter
    private let evaluationSeconds: Histogram
    private let decided: CounterFamily
    private let confidences: HistogramFamily
    private let executed: CounterFamily
    private let executionSeconds: HistogramFamily
    private let reasoningDecisions: CounterFamily
    private let selected: CounterFamily
    private let selectionSeconds: HistogramFamily
    private let bypassed: CounterFamily

    /// - Parameter models: who knows which models a configuration names.
    package init(registry: MetricRegistry, models: ModelMetrics) {
        self.models = models
        stages = StageMetrics(registry: registry)
        modified = registry.counters(Self.modifications)
        reasoned = registry.counters(Self.reasons)
        routed = registry.histogram(Self.latency)
        extracted = registry.counters(Self.extractions)
        extractionSeconds = registry.histograms(Self.extractionLatency)
        matched = registry.counters(Self.matches)
        evaluated = registry.counter(Self.evaluations)
        evaluationSeconds = registry.histogram(Self.evaluationLatency)
        decided = registry.counters(Self.decisions)
        confidences = registry.histograms(Self.confidence)
        executed = registry.counters(Self.plugins)
        executionSeconds = registry.histograms(Self.pluginLatency)
        reasoningDecisions = registry.counters(Self.reasoning)
        selected = registry.counters(Self.selections)
        selectionSeconds = registry.histograms(Self.selectionLatency)
        bypassed = registry.counters(Self.bypasses)
    }

    /// Figures of their own, for who asks a policy without serving anybody.
    package convenience init() {
        let registry = MetricRegistry()
        self.init(registry: registry, models: ModelMetrics(registry: registry))
    }

    // MARK: Recording

    /// The recorders of a kind of signal in one profile: looked up when that is built, as there may be hundreds of names.
    struct SignalRecorders: Sendable {
        fileprivate let extracted: [Counter]
        fileprivate let matched: [Counter]
        let seconds: Histogram

        /// - Parameter readings: in the order of the names.
        func count(_ readings: ArraySlice<SignalReading>) {
            for counter in extracted { counter.increment() }
            for (counter, reading) in zip(matched, readings) where reading.isPresent { counter.increment() }
        }
    }

    func recorders(of kind: SignalType, names: [String]) -> SignalRecorders {
        SignalRecorders(
            extracted: names.map { extracted.with(kind.rawValue, $0) },
            matched: names.map { matched.with(kind.rawValue, $0) },
            seconds: extractionSeconds.with(kind.rawValue)
        )
    }

    /// The decisions' rules have been evaluated.
    ///
    /// - Parameter decision: the one that was taken, and how certain it was; nil when none matched.
    func recordDecision(_ decision: (name: String, confidence: Double)?, seconds: Double) {
        evaluated.increment()
        evaluationSeconds.record(seconds)
        stages.record(.decision, seconds)
        guard let decision else { return }
        decided.with(decision.name).increment()
        confidences.with(decision.name).record(decision.confidence)
    }

    func recordPlugin(_ kind: PluginType, decision: String, seconds: Double) {
        executed.with(kind.rawValue, decision, Self.pluginSuccess).increment()
        executionSeconds.with(kind.rawValue).record(seconds)
    }

    /// - Parameters:
    ///   - decision: nil when none matched.
    ///   - tier: as configured; empty without tiers.
    func recordSelection(
        _ selection: SemanticRouter.Selection,
        decision: Decision?,
        tier: String,
        seconds: Double
    ) {
        let model = models.label(selection.name)
        selected.with(selection.algorithm, model, decision?.name ?? "", tier).increment()
        selectionSeconds.with(selection.algorithm, tier).record(seconds)
        stages.record(.selection, seconds)
        guard let decision else { return }
        reasoningDecisions.with(
            decision.category ?? "",
            model,
            selection.usesReasoning ? "true" : "false",
            selection.usesReasoning ? selection.reasoning?.effort.rawValue ?? "" : ""
        )
        .increment()
    }

    /// A request has its model.
    ///
    /// - Parameters:
    ///   - source: the model that the client named.
    ///   - target: the model that it goes to, by its name in the policy.
    ///   - seconds: since the request came to be routed.
    func recordRoute(from source: String?, to target: String, _ reason: Reason, seconds: Double, trace: TraceID?) {
        let target = models.label(target)
        let source = source.map { models.label($0) } ?? target
        if source != target { modified.with(source, target).increment() }
        reasoned.with(reason.rawValue, target).increment()
        routed.record(seconds, exemplar: trace)
    }

    func countBypass(_ reason: BypassReason) {
        bypassed.with(reason.rawValue).increment()
        if reason == .nothingToChoose { models.countFailure(.noModel, model: nil) }
    }
}
