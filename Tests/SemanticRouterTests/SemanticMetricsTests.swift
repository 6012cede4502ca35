import ConfigKit
import Instruments
import NIOCore
import OpenAIWire
import SemanticRouter
import Synchronization
import Testing

/// What routing leaves behind in figures and spans.
@Suite("What is recorded of routing")
struct SemanticMetricsTests {
    private static let policy = """
        version: v0.3
        providers:
          defaults: {default_model: small, reasoning_families: {qwen3: {type: chat_template_kwargs, parameter: enable_thinking}}}
          models: [{name: small}, {name: big, provider_model_id: big-served, reasoning_family: qwen3}]
        routing:
          signals:
            keywords: [{name: hard, keywords: [prove]}, {name: greeting, keywords: [hello]}]
            context: [{name: short, max_tokens: 1K}]
          decisions:
            - name: hard
              rules: {type: keyword, name: hard}
              modelRefs: [{model: big, use_reasoning: true, reasoning_effort: high}]
              plugins:
                - {type: system_prompt, configuration: {system_prompt: Be exact.}}
            - name: greeting
              rules: {type: keyword, name: greeting}
              modelRefs: [{model: small}]
              plugins:
                - {type: fast_response, configuration: {message: Hello}}
        """

    private let registry = MetricRegistry()
    private let router: SemanticRouter
    private let sink = KeptTraces()
    private let tracer: RequestTracer

    init() throws {
        let metrics = SemanticMetrics(registry: registry, models: ModelMetrics(registry: registry))
        router = SemanticRouter(try SemanticConfig.parse(Self.policy).get(), metrics: metrics)
        var random = SystemRandomNumberGenerator()
        tracer = RequestTracer(sampler: Sampler(.always), sink: sink, using: &random)
    }

    private func ask(_ text: String, model: String = "auto") throws -> Trace.Finished {
        let trace = try #require(tracer.begin(SemanticSpans.request, parent: nil))
        let request = try PolicyTools.ask(text, model: model)
        _ = router.routeNow(request, isServed: { _ in true }, trace: TracePoint(trace: trace))
        trace.finish()
        return try #require(sink.take())
    }

    /// - Parameter labels: names and values in turn.
    private func value(_ name: String, _ labels: String...) -> Double? {
        let pairs = stride(from: 0, to: labels.count, by: 2).map { (labels[$0], labels[$0 + 1]) }
        return registry.value(of: name, labels: Dictionary(uniqueKeysWithValues: pairs))
    }

    @Test("A decision with its signals, plugins, model and reasoning, under upstream's names and labels")
    func decided() throws {
        _ = try ask("prove it")
        _ = try ask("what else")
        #expect(value("llm_signal_extraction_total", "signal_type", "keyword", "signal_name", "hard") == 2)
        #expect(value("llm_signal_extraction_total", "signal_type", "context", "signal_name", "short") == 2)
        #expect(value("llm_signal_match_total", "signal_type", "keyword", "signal_name", "hard") == 1)
        #expect(value("llm_signal_match_total", "signal_type", "keyword", "signal_name", "greeting") == 0)
        #expect(value("llm_signal_extraction_latency_seconds", "signal_type", "keyword") == 2)
        #expect(value("llm_decision_evaluation_total") == 2)
        #expect(value("llm_decision_evaluation_latency_seconds") == 2)
        #expect(value("llm_decision_match_total", "decision_name", "hard") == 1)
        #expect(value("llm_decision_confidence", "decision_name", "hard") == 1)
        #expect(
            value(
                "llm_plugin_execution_total",
                "plugin_type",
                "system_prompt",
                "decision_name",
                "hard",
                "status",
                "success"
            ) == 1
        )
        #expect(value("llm_plugin_execution_latency_seconds", "plugin_type", "system_prompt") == 1)
        #expect(
            value(
                "llm_reasoning_decisions_total",
                "category",
                "",
                "model",
                "big",
                "enabled",
                "true",
                "effort",
                "high"
            ) == 1
        )
        #expect(
            value("llm_model_selection_total", "method", "single", "model", "big", "decision", "hard", "tier", "") == 1
        )
        #expect(
            value("llm_model_selection_total", "method", "default", "model", "small", "decision", "", "tier", "") == 1
        )
        #expect(value("llm_model_selection_duration_seconds", "method", "single", "tier", "") == 1)
        #expect(value("llm_model_routing_modifications_total", "source_model", "auto", "target_model", "big") == 1)
        #expect(value("llm_routing_reason_codes_total", "reason_code", "auto_routing", "model", "big") == 1)
        #expect(value("llm_model_routing_latency_seconds") == 2)
        for stage in ["parse", "signals", "decision", "selection"] {
            #expect(value("sextant_stage_seconds", "stage", stage) == 2, "\(stage)")
        }
        #expect(value("sextant_stage_seconds", "stage", "enrichment") == 1)
    }

    @Test("A model that is named counts as such; one that nobody knows is no label")
    func named() throws {
        _ = try ask("prove it", model: "small")
        _ = try ask("prove it", model: "made-up-by-a-client")
        #expect(value("llm_routing_reason_codes_total", "reason_code", "model_specified", "model", "small") == 1)
        #expect(value("llm_routing_reason_codes_total", "reason_code", "model_specified", "model", "other") == 1)
        #expect(value("sextant_semantic_bypasses_total", "reason", "explicit_model") == 2)
        #expect(!registry.exposition().contains("made-up"))
    }

    @Test("An answer without a model counts its plugin, and no route")
    func answered() throws {
        _ = try ask("hello")
        #expect(
            value(
                "llm_plugin_execution_total",
                "plugin_type",
                "fast_response",
                "decision_name",
                "greeting",
                "status",
                "success"
            ) == 1
        )
        #expect(value("llm_decision_match_total", "decision_name", "greeting") == 1)
        #expect(value("llm_model_routing_latency_seconds") == 0)
    }

    @Test("An explanation counts nothing")
    func explained() throws {
        let before = registry.exposition()
        _ = router.explain(try PolicyTools.ask("prove it"), isServed: { _ in true })
        #expect(registry.exposition() == before)
    }

    @Test("The spans of a routed request, each within the one above it")
    func spans() throws {
        let trace = try ask("prove it")
        var names: [SpanID: String] = [:]
        for span in trace.spans { names[span.id] = span.name }
        let tree = trace.spans.map { "\($0.parent.flatMap { names[$0] } ?? "-") > \($0.name)" }
        #expect(
            tree == [
                "- > semantic_router.request.received",
                "semantic_router.request.received > semantic_router.routing.decision",
                "semantic_router.routing.decision > semantic_router.signal.evaluation",
                "semantic_router.signal.evaluation > semantic_router.signal.keyword",
                "semantic_router.signal.evaluation > semantic_router.signal.context",
                "semantic_router.routing.decision > semantic_router.decision.evaluation",
                "semantic_router.routing.decision > semantic_router.backend.selection",
                "semantic_router.routing.decision > semantic_router.plugin.execution",
            ]
        )
        #expect(trace.spans.allSatisfy { $0.end >= $0.start && $0.failure == nil })
        let stated = zip(trace.spans, trace.attributes).flatMap { span, statements in
            statements.map {
                "\(span.name.split(separator: ".").suffix(2).joined(separator: ".")) \($0.key.name)=\($0.value)"
            }
        }
        for statement in [
            #"routing.decision routing.original_model=text("auto")"#,
            #"routing.decision routing.selected_model=text("big")"#,
            #"routing.decision routing.reason=text("auto_routing")"#,
            #"decision.evaluation decision.name=text("hard")"#,
            #"signal.evaluation signal.matched_rules=texts(["keyword:hard", "context:short"])"#,
            #"backend.selection reasoning.enabled=flag(true)"#,
            #"plugin.execution plugin.type=texts(["system_prompt"])"#,
            #"plugin.execution system_prompt.injected=flag(true)"#,
        ] {
            #expect(stated.contains(statement), "\(statement) is not among \(stated)")
        }
    }

    @Test("What a client made up as a model's name is in no span")
    func privateNames() throws {
        let trace = try ask("prove it", model: "secret-name")
        #expect(trace.statements.allSatisfy { !"\($0.value)".contains("secret") })
    }
}

/// Keeps the last trace.
private final class KeptTraces: TraceSink {
    private let last = Mutex<Trace.Finished?>(nil)

    func record(_ trace: Trace.Finished) { last.withLock { $0 = trace } }
    func take() -> Trace.Finished? {
        last.withLock { last in
            defer { last = nil }
            return last
        }
    }
}
