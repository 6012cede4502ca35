import Instruments
import Testing

@Suite struct ModelMetricsTests {
    private let registry = MetricRegistry()
    private let metrics: ModelMetrics

    init() {
        metrics = ModelMetrics(registry: registry)
        metrics.know(["a", "b"])
    }

    private func value(_ name: String, _ labels: [String: String] = ["model": "a"]) -> Double? {
        registry.value(of: name, labels: labels)
    }

    @Test("A streamed answer shows when its first token came, the pauses, the mean pause and the whole")
    func stream() throws {
        var call = metrics.begin("a")
        call.receivedToken(after: .milliseconds(300))
        call.receivedToken(after: .milliseconds(350))
        call.receivedToken(after: .milliseconds(500))
        call.recordTokens(prompt: 7, completion: 5)
        call.succeeded(after: .milliseconds(700), completionTokens: 5)

        func sum(_ name: String) throws -> Double {
            try #require(registry.histogram(of: name, labels: ["model": "a"])).sum
        }
        #expect(abs(try sum("llm_model_ttft_seconds") - 0.3) < 1e-9)
        #expect(abs(try sum("sextant_model_inter_token_seconds") - 0.2) < 1e-9)
        #expect(abs(try sum("llm_model_tpot_seconds") - 0.1) < 1e-9)
        #expect(abs(try sum("llm_model_completion_latency_seconds") - 0.7) < 1e-9)
        #expect(try sum("llm_prompt_tokens_per_request") == 7)
        #expect(try sum("llm_completion_tokens_per_request") == 5)
        #expect(value("sextant_model_inter_token_seconds") == 2)
        #expect(value("llm_model_requests_total") == 1)
        #expect(value("llm_model_prompt_tokens_total") == 7)
        #expect(value("llm_model_completion_tokens_total") == 5)
        #expect(value("llm_model_tokens_total") == 12)
    }

    @Test("A request is under way until its call ends, and queued until the first token")
    func inFlight() {
        do {
            var first = metrics.begin("a")
            let second = metrics.begin("a")
            #expect(value("llm_model_inflight_requests") == 2)
            #expect(value("llm_model_queue_depth_estimated") == 2)
            first.receivedToken(after: .zero)
            first.receivedToken(after: .zero)
            #expect(value("llm_model_inflight_requests") == 2)
            #expect(value("llm_model_queue_depth_estimated") == 1)
            second.failed(.timeout, after: .seconds(1))
            #expect(value("llm_model_inflight_requests", ["model": "b"]) == 0)
        }
        #expect(value("llm_model_inflight_requests") == 0)
        #expect(value("llm_model_queue_depth_estimated") == 0)
        #expect(value("llm_request_errors_total", ["model": "a", "reason": "timeout"]) == 1)
        #expect(value("llm_model_completion_latency_seconds") == 0)
    }

    @Test("Names that clients make up are one series, and so are failures without a model")
    func unknownNames() {
        for index in 0..<5_000 {
            let name = "made-up-\(index)"
            metrics.begin(name).failed(.refusedByModel, after: .zero)
            metrics.recordCost(0.5, currency: "USD", model: name)
        }
        metrics.countFailure(.parse, model: nil)
        #expect(!registry.exposition().contains("made-up"))
        #expect(value("llm_model_requests_total", ["model": "other"]) == 5_000)
        #expect(value("llm_request_errors_total", ["model": "other", "reason": "upstream_4xx"]) == 5_000)
        #expect(value("llm_request_errors_total", ["model": "unknown", "reason": "parse_error"]) == 1)
        #expect(value("llm_model_cost_total", ["model": "other", "currency": "USD"]) == 2_500)
        #expect(metrics.label("a") == "a")
        #expect(metrics.label("x") == "other")
    }

    @Test("A client that goes away is counted, but not against the model")
    func cancellation() {
        metrics.begin("a").failed(.cancellation, after: .seconds(1))
        #expect(value("llm_request_errors_total", ["model": "a", "reason": "cancellation"]) == 1)
        #expect(value("llm_model_error_rate_windowed", ["model": "a", "time_window": "1m"]) == 0)
        #expect(value("llm_model_requests_windowed_total", ["model": "a", "time_window": "1m"]) == 0)
    }

    @Test("Known models stay known, with what was counted")
    func knownStay() {
        metrics.begin("a").succeeded(after: .zero)
        metrics.know(["c"])
        metrics.begin("a").succeeded(after: .zero)
        metrics.begin("c").succeeded(after: .zero)
        #expect(value("llm_model_requests_total") == 2)
        #expect(value("llm_model_requests_total", ["model": "c"]) == 1)
    }

    @Test("A request's trace is the exemplar of its latencies")
    func exemplars() throws {
        let trace = try #require(TraceID(high: 0, low: 0xABC))
        var call = metrics.begin("a")
        call.receivedToken(after: .milliseconds(1), trace: trace)
        call.succeeded(after: .milliseconds(2), trace: trace)
        let lines = registry.exposition(.openMetrics).split(separator: "\n").filter { $0.contains(trace.text) }
        #expect(
            lines.map { $0.prefix { $0 != "{" } } == [
                "llm_model_completion_latency_seconds_bucket", "llm_model_ttft_seconds_bucket",
            ]
        )
    }

    @Test("Token counts that no model can mean do not trap")
    func absurdTokens() {
        let call = metrics.begin("a")
        call.recordTokens(prompt: .max, completion: .max)
        call.recordTokens(prompt: -1, completion: .min)
        #expect(value("llm_prompt_tokens_per_request") == 1)
    }
}

@Suite struct RoutingMetricsTests {
    private let registry = MetricRegistry()
    private let metrics: RoutingMetrics

    init() {
        let models = ModelMetrics(registry: registry)
        models.know(["auto", "a"])
        metrics = RoutingMetrics(registry: registry, models: models)
    }

    @Test("A route counts its reason, and a change of model only where there is one")
    func routes() {
        metrics.recordRoute(from: "auto", to: "a", .automatic, took: .milliseconds(2))
        metrics.recordRoute(from: "a", to: "a", .named, took: .milliseconds(2))
        metrics.recordRoute(from: "nonsense", to: "a", .named, took: .milliseconds(2))
        #expect(value("llm_model_routing_modifications_total", "source_model auto target_model a") == 1)
        #expect(value("llm_model_routing_modifications_total", "source_model other target_model a") == 1)
        #expect(value("llm_model_routing_modifications_total", "source_model a target_model a") == nil)
        #expect(value("llm_routing_reason_codes_total", "reason_code auto_routing model a") == 1)
        #expect(value("llm_routing_reason_codes_total", "reason_code model_specified model a") == 2)
        #expect(value("llm_model_routing_latency_seconds", "") == 3)
    }

    @Test("Signals, decisions, plugins, reasoning and selections are counted under upstream's labels")
    func stages() {
        metrics.recordSignals("keyword", names: ["math", "code"], found: ["math"], took: .microseconds(20))
        metrics.recordDecision((name: "math", confidence: 0.85), took: .microseconds(5))
        metrics.recordDecision(nil, took: .microseconds(5))
        metrics.recordPlugin("system_prompt", decision: "math", .success, took: .microseconds(1))
        metrics.recordReasoning(category: "math", model: "a", isEnabled: true, effort: "high")
        metrics.recordSelection(method: "static", model: "a", decision: "math", tier: "", took: .microseconds(1))
        metrics.record(.signals, took: .microseconds(30))
        #expect(value("llm_signal_extraction_total", "signal_type keyword signal_name math") == 1)
        #expect(value("llm_signal_extraction_total", "signal_type keyword signal_name code") == 1)
        #expect(value("llm_signal_match_total", "signal_type keyword signal_name math") == 1)
        #expect(value("llm_signal_match_total", "signal_type keyword signal_name code") == nil)
        #expect(value("llm_signal_extraction_latency_seconds", "signal_type keyword") == 1)
        #expect(value("llm_decision_evaluation_total", "") == 2)
        #expect(value("llm_decision_evaluation_latency_seconds", "") == 2)
        #expect(value("llm_decision_match_total", "decision_name math") == 1)
        #expect(value("llm_decision_confidence", "decision_name math") == 1)
        #expect(
            value("llm_plugin_execution_total", "plugin_type system_prompt decision_name math status success") == 1
        )
        #expect(value("llm_plugin_execution_latency_seconds", "plugin_type system_prompt") == 1)
        #expect(value("llm_reasoning_decisions_total", "category math model a enabled true effort high") == 1)
        #expect(
            registry.value(
                of: "llm_model_selection_total",
                labels: ["method": "static", "model": "a", "decision": "math", "tier": ""]
            ) == 1
        )
        #expect(value("sextant_stage_seconds", "stage signals") == 1)
    }

    @Test("Every stage is recorded under its own name", arguments: RoutingMetrics.Stage.allCases)
    func stageNames(stage: RoutingMetrics.Stage) {
        metrics.record(stage, took: .milliseconds(1))
        let counts = RoutingMetrics.Stage.allCases.map { value("sextant_stage_seconds", "stage \($0.rawValue)") }
        #expect(counts == RoutingMetrics.Stage.allCases.map { $0 == stage ? 1 : 0 })
    }

    /// - Parameter labels: names and values in turn.
    private func value(_ name: String, _ labels: String) -> Double? {
        let words = labels.split(separator: " ").map(String.init)
        let pairs = stride(from: 0, to: words.count, by: 2).map { (words[$0], words[$0 + 1]) }
        return registry.value(of: name, labels: Dictionary(uniqueKeysWithValues: pairs))
    }
}
