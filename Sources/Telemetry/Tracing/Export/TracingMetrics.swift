package import Instruments

/// What becomes of traces on their way to the collector.
package struct TracingMetrics: Sendable {
    package static let definitions: [MetricDefinition] = [
        exportedDefinition, droppedDefinition, queuedDefinition, queuedBytesDefinition, secondsDefinition,
    ]

    /// Why spans were dropped.
    package enum Drop: String, Sendable, CaseIterable {
        case queueFull = "queue_full"
        /// The collector took others of the batch, or would not have the batch.
        case rejected
        /// It could not be had in spite of all attempts.
        case failed
        case tooLarge = "too_large"
        /// The process ended first.
        case shutdown
    }

    private static let exportedDefinition = MetricDefinition.counter(
        "sextant_traces_exported_spans_total",
        "Spans that the trace collector has taken."
    )
    private static let droppedDefinition = MetricDefinition.counter(
        "sextant_traces_dropped_spans_total",
        "Spans that the trace collector will not get, by reason: `queue_full`, `rejected` by it, `failed` after all "
            + "attempts, `too_large` for a batch, `shutdown` of this process.",
        labels: ["reason"]
    )
    private static let queuedDefinition = MetricDefinition.gauge(
        "sextant_traces_queued_spans",
        "Spans that wait for the trace collector."
    )
    private static let queuedBytesDefinition = MetricDefinition.gauge(
        "sextant_traces_queued_bytes",
        "About the memory that they take, in bytes."
    )
    private static let secondsDefinition = MetricDefinition.histogram(
        "sextant_traces_export_seconds",
        "How long an attempt to export a batch took, by outcome: `accepted`, `failed`, `refused`.",
        labels: ["outcome"],
        buckets: MetricDefinition.latencyBuckets
    )

    let exported: Counter
    let dropped: [Drop: Counter]
    private let seconds: HistogramFamily
    private let registry: MetricRegistry

    package init(registry: MetricRegistry) {
        self.registry = registry
        exported = registry.counter(Self.exportedDefinition)
        let counters = registry.counters(Self.droppedDefinition)
        dropped = Dictionary(uniqueKeysWithValues: Drop.allCases.map { ($0, counters.with($0.rawValue)) })
        seconds = registry.histograms(Self.secondsDefinition)
    }

    func drop(_ spans: Int, _ reason: Drop) {
        dropped[reason]?.increment(by: spans)
    }

    func attempted(_ outcome: ExportOutcome, _ duration: Duration) {
        let word =
            switch outcome {
            case .accepted: "accepted"
            case .failed: "failed"
            case .refused, .tooLarge: "refused"
            }
        seconds.with(word).record(duration)
    }

    func observe(_ queue: TraceQueue) {
        registry.sample(Self.queuedDefinition) { Double(queue.spans) }
        registry.sample(Self.queuedBytesDefinition) { Double(queue.bytes) }
    }
}
