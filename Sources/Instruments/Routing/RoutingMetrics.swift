/// How requests were routed, under the names, labels and buckets of vLLM Semantic Router, and how long each stage took.
///
/// Labels take their values from the configuration; client's names of models pass through `ModelMetrics.label`.
package struct RoutingMetrics: Sendable {
    package static let definitions = [
        modifications, reasons, latency, extractions, extractionLatency, matches, evaluations, evaluationLatency,
        decisions, confidence, plugins, pluginLatency, reasoning, selections, selectionLatency, stages,
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
            + PluginStatus.allCases.map(\.rawValue).joined(separator: ", ") + ".",
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
    static let stages = MetricDefinition.histogram(
        "sextant_stage_seconds",
        "Seconds that one stage of a request took: " + Stage.allCases.map(\.rawValue).joined(separator: ", ") + ".",
        labels: ["stage"],
        buckets: [
            0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
            0.5, 1, 2.5, 5, 10,
        ]
    )

    /// Why a request went to its model, in upstream's words.
    package enum Reason: String, Sendable, CaseIterable {
        case automatic = "auto_routing"
        case named = "model_specified"
    }

    package enum PluginStatus: String, Sendable, CaseIterable {
        case success
        case error
        case skipped
    }

    /// The stages of a request, in their order.
    package enum Stage: String, Sendable, CaseIterable {
        /// Receiving the body.
        case receive
        /// Finding the prompt and the model in it.
        case parse
        case signals
        case decision
        case selection
        /// Preparing the edits of the request.
        case enrichment
        /// Choosing the worker.
        case pick
        /// Waiting for the head of the worker's answer.
        case firstByte = "first_byte"
        /// From there to the end of the answer.
        case stream
    }

    private let models: ModelMetrics
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
    private let stageSeconds: [Histogram]

    /// - Parameter models: who knows which models a configuration names.
    package init(registry: MetricRegistry, models: ModelMetrics) {
        self.models = models
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
        let stages = registry.histograms(Self.stages)
        stageSeconds = Stage.allCases.map { stages.with($0.rawValue) }
    }

    /// A request has its model.
    ///
    /// - Parameters:
    ///   - source: the model that the client named.
    ///   - target: the model that it goes to.
    package func recordRoute(
        from source: String,
        to target: String,
        _ reason: Reason,
        took duration: Duration,
        trace: TraceID? = nil
    ) {
        let target = models.label(target)
        let source = models.label(source)
        if source != target { modified.with(source, target).increment() }
        reasoned.with(reason.rawValue, target).increment()
        routed.record(duration, exemplar: trace)
    }

    /// The signals of one kind have been looked for.
    ///
    /// - Parameters:
    ///   - names: of the signals of that kind, as configured.
    ///   - found: those of them that were found.
    package func recordSignals(
        _ kind: String,
        names: some Sequence<String>,
        found: some Sequence<String>,
        took duration: Duration
    ) {
        for name in names { extracted.with(kind, name).increment() }
        for name in found { matched.with(kind, name).increment() }
        extractionSeconds.with(kind).record(duration)
    }

    /// The decisions' rules have been evaluated.
    ///
    /// - Parameter decision: the one that was taken, and how certain it was; nil when none matched.
    package func recordDecision(_ decision: (name: String, confidence: Double)?, took duration: Duration) {
        evaluated.increment()
        evaluationSeconds.record(duration)
        guard let decision else { return }
        decided.with(decision.name).increment()
        confidences.with(decision.name).record(decision.confidence)
    }

    package func recordPlugin(_ kind: String, decision: String, _ status: PluginStatus, took duration: Duration) {
        executed.with(kind, decision, status.rawValue).increment()
        executionSeconds.with(kind).record(duration)
    }

    /// - Parameters:
    ///   - category: the domain that the decision's rule names, as configured.
    ///   - effort: empty where the model was told nothing.
    package func recordReasoning(category: String, model: String, isEnabled: Bool, effort: String) {
        reasoningDecisions.with(category, models.label(model), isEnabled ? "true" : "false", effort).increment()
    }

    /// - Parameters:
    ///   - method: the algorithm, as configured.
    ///   - tier: as configured; empty without tiers.
    package func recordSelection(
        method: String,
        model: String,
        decision: String,
        tier: String,
        took duration: Duration
    ) {
        selected.with(method, models.label(model), decision, tier).increment()
        selectionSeconds.with(method, tier).record(duration)
    }

    package func record(_ stage: Stage, took duration: Duration, trace: TraceID? = nil) {
        stageSeconds[stage.index].record(duration, exemplar: trace)
    }
}

extension RoutingMetrics.Stage {
    /// The place in `allCases`, without a search.
    fileprivate var index: Int {
        switch self {
        case .receive: 0
        case .parse: 1
        case .signals: 2
        case .decision: 3
        case .selection: 4
        case .enrichment: 5
        case .pick: 6
        case .firstByte: 7
        case .stream: 8
        }
    }
}
