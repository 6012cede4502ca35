package import Instruments

/// What the threads that run classifiers do, by model.
package final class ComputeMetrics: Sendable {
    package static let definitions = [
        depth, wait, run, batchCalls, unanswered, lookups, evictions, generation, replacements,
    ]

    static let depth = MetricDefinition.gauge(
        "sextant_classifier_queue_depth",
        "Calls of a classifier that wait for a thread.",
        labels: ["model"]
    )
    static let wait = MetricDefinition.histogram(
        "sextant_classifier_wait_seconds",
        "Seconds from a call's arrival to the start of its run.",
        labels: ["model"],
        buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
    )
    static let run = MetricDefinition.histogram(
        "sextant_classifier_run_seconds",
        "Seconds that a classifier ran for one batch.",
        labels: ["model"],
        buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
    )
    static let batchCalls = MetricDefinition.histogram(
        "sextant_classifier_batch_calls",
        "Calls that one run of a classifier answered together.",
        labels: ["model"],
        buckets: [1, 2, 4, 8, 16, 32, 64, 128]
    )
    static let unanswered = MetricDefinition.counter(
        "sextant_classifier_unanswered",
        "Calls of a classifier that ended with an error, by reason: " + ComputeError.reasons.joined(separator: ", ")
            + ".",
        labels: ["model", "reason"]
    )
    static let lookups = MetricDefinition.counter(
        "sextant_classifier_cache_lookups",
        "Texts looked up in a classifier's result cache, by outcome: hit, miss, joined (the same text was under way).",
        labels: ["model", "outcome"]
    )
    static let evictions = MetricDefinition.counter(
        "sextant_classifier_cache_evictions",
        "Results that made room for others in a classifier's cache.",
        labels: ["model"]
    )
    static let generation = MetricDefinition.gauge(
        "sextant_classifier_model_generation",
        "Number of the model in force: 1 for the first; higher for each that took over. Models that were only tried have one too.",
        labels: ["model"]
    )
    static let replacements = MetricDefinition.counter(
        "sextant_classifier_model_replacements",
        "Attempts to replace a model, by outcome: replaced, rejected (it did not load, fit or answer as it should), rolled_back, superseded (the folder changed again during the trial).",
        labels: ["model", "outcome"]
    )

    /// The recorders of one model, kept with it.
    package struct OfModel: Sendable {
        let depth: Gauge
        let wait: Histogram
        let run: Histogram
        let batchCalls: Histogram
        let generation: Gauge
        let hits: Counter
        let misses: Counter
        let joined: Counter
        let evictions: Counter
        private let name: String
        private let unanswered: CounterFamily
        private let replacements: CounterFamily

        fileprivate init(_ name: String, of metrics: ComputeMetrics) {
            self.name = name
            depth = metrics.depths.with(name)
            wait = metrics.waits.with(name)
            run = metrics.runs.with(name)
            batchCalls = metrics.batches.with(name)
            generation = metrics.generations.with(name)
            hits = metrics.lookups.with(name, "hit")
            misses = metrics.lookups.with(name, "miss")
            joined = metrics.lookups.with(name, "joined")
            evictions = metrics.evictions.with(name)
            unanswered = metrics.unanswered
            replacements = metrics.replacements
        }

        func countUnanswered(_ error: ComputeError) {
            unanswered.with(name, error.reason).increment()
        }

        /// `completion`, with the errors that it is told counted.
        func countingErrors<Output>(
            _ completion: @escaping @Sendable (Result<Output, ComputeError>) -> Void
        ) -> @Sendable (Result<Output, ComputeError>) -> Void {
            { [self] result in
                if case .failure(let error) = result { countUnanswered(error) }
                completion(result)
            }
        }

        func countReplacement(_ outcome: String) {
            replacements.with(name, outcome).increment()
        }
    }

    private let depths: GaugeFamily
    private let waits: HistogramFamily
    private let runs: HistogramFamily
    private let batches: HistogramFamily
    private let generations: GaugeFamily
    private let lookups: CounterFamily
    private let evictions: CounterFamily
    private let unanswered: CounterFamily
    private let replacements: CounterFamily

    package init(registry: MetricRegistry) {
        depths = registry.gauges(Self.depth)
        waits = registry.histograms(Self.wait)
        runs = registry.histograms(Self.run)
        batches = registry.histograms(Self.batchCalls)
        generations = registry.gauges(Self.generation)
        lookups = registry.counters(Self.lookups)
        evictions = registry.counters(Self.evictions)
        unanswered = registry.counters(Self.unanswered)
        replacements = registry.counters(Self.replacements)
    }

    /// - Parameter name: from the configuration, never from a request.
    package func model(_ name: String) -> OfModel {
        OfModel(name, of: self)
    }
}
