/// How long the stages of a request take.
package final class StageMetrics: Sendable {
    package static let definitions = [seconds]

    static let seconds = MetricDefinition.histogram(
        "sextant_stage_seconds",
        "Seconds that one stage of a request took: " + Stage.allCases.map(\.rawValue).joined(separator: ", ") + ".",
        labels: ["stage"],
        buckets: [
            0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
            0.5, 1, 2.5, 5, 10,
        ]
    )

    /// The stages of a request, in their order.
    package enum Stage: String, Sendable, CaseIterable {
        /// Receiving the body.
        case receive
        /// Finding the prompt in it.
        case parse
        case signals
        case decision
        case selection
        /// Preparing the edits of the request.
        case enrichment
        /// Choosing the worker.
        case pick
        /// From there to the head of the worker's answer.
        case firstByte = "first_byte"
        /// From there to the end of the answer.
        case stream
    }

    private let receive: Histogram
    private let parse: Histogram
    private let signals: Histogram
    private let decision: Histogram
    private let selection: Histogram
    private let enrichment: Histogram
    private let pick: Histogram
    private let firstByte: Histogram
    private let stream: Histogram

    package init(registry: MetricRegistry) {
        let stages = registry.histograms(Self.seconds)
        func of(_ stage: Stage) -> Histogram { stages.with(stage.rawValue) }
        receive = of(.receive)
        parse = of(.parse)
        signals = of(.signals)
        decision = of(.decision)
        selection = of(.selection)
        enrichment = of(.enrichment)
        pick = of(.pick)
        firstByte = of(.firstByte)
        stream = of(.stream)
    }

    /// - Parameter seconds: how long the stage took.
    package func record(_ stage: Stage, _ seconds: Double, trace: TraceID? = nil) {
        histogram(of: stage).record(seconds, exemplar: trace)
    }

    private func histogram(of stage: Stage) -> Histogram {
        switch stage {
        case .receive: receive
        case .parse: parse
        case .signals: signals
        case .decision: decision
        case .selection: selection
        case .enrichment: enrichment
        case .pick: pick
        case .firstByte: firstByte
        case .stream: stream
        }
    }
}
