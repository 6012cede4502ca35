import ClassifierEngine
import ExtProcServer
import Gateway
import InferenceRouter
package import Instruments
import SemanticRouter
import SimWorker
import Telemetry

/// Every metric and span that a process of ours can show: what is not listed here is not documented, and a test fails.
package enum Catalogue {
    /// One section of docs/observability.md.
    package struct Section: Sendable {
        package let title: String
        package let introduction: String
        package let metrics: [MetricDefinition]
        package let spans: [SpanDefinition]

        init(_ title: String, _ introduction: String = "", metrics: [MetricDefinition], spans: [SpanDefinition] = []) {
            self.title = title
            self.introduction = introduction
            self.metrics = metrics
            self.spans = spans
        }
    }

    package static let sections = [
        Section(
            "Front ends",
            metrics: StageMetrics.definitions + GatewayMetrics.definitions + FileFollower.definitions
        ),
        Section("Behind Envoy", "Of `sextant semantic`.", metrics: ExtProcMetrics.definitions),
        Section(
            "Semantic router",
            "Names with `llm_` are vLLM Semantic Router's.",
            metrics: SemanticMetrics.definitions,
            spans: SemanticSpans.definitions
        ),
        Section(
            "Models",
            """
            Names with `llm_` are vLLM Semantic Router's. `time_window` is \
            \(WindowedModelMetrics.windows.map { "`\($0.label)`" }.joined(separator: ", ")); a window may reach back up to \
            10 seconds further than that, one of an hour a minute, one of 24 hours a quarter of an hour. Quantiles are \
            right within a sixteenth. The first \(WindowedModelMetrics.mostModels) models have windows.
            """,
            metrics: ModelMetrics.definitions
        ),
        Section(
            "Inference router",
            "Names with `vllm:` are upstream `vllm-router`'s.",
            metrics: InferenceMetrics.definitions,
            spans: InferenceSpans.definitions
        ),
        Section(
            "Classifiers",
            "Of processes that run models themselves (`--models-dir`). Labels are the names of the models' folders.",
            metrics: ComputeMetrics.definitions + RemoteModelMetrics.definitions
        ),
        Section("Tracing", metrics: TracingMetrics.definitions),
        Section(
            "Process",
            "Those with `router_` are upstream `vllm-router`'s and tell of the whole machine.",
            metrics: ProcessMetrics.definitions + EventLoopMonitor.definitions + HostMetrics.definitions
        ),
        Section(
            "Simulated workers",
            "Of `sextant sim`, under vLLM's names.",
            metrics: SimMetrics.definitions,
            spans: SimSpans.definitions
        ),
    ]

    package static var metrics: [MetricDefinition] { sections.flatMap(\.metrics) }
    package static var spans: [SpanDefinition] { sections.flatMap(\.spans) }
}
