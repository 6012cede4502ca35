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
        call.succeeded(after: .milliseconds(700), completionTokens: 5, isStream: true)

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

    @Test("A whole answer's time is shared by its tokens")
    func whole() throws {
        var call = metrics.begin("a")
        call.receivedToken(after: .milliseconds(600))
        call.succeeded(after: .milliseconds(600), completionTokens: 3, isStream: false)
        let perToken = try #require(registry.histogram(of: "llm_model_tpot_seconds", labels: ["model": "a"]))
        #expect(abs(perToken.sum - 0.2) < 1e-9)
        #expect(value("sextant_model_inter_token_seconds") == 0)
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
        }
        metrics.countFailure(.parse, model: nil)
        #expect(!registry.exposition().contains("made-up"))
        #expect(value("llm_model_requests_total", ["model": "other"]) == 5_000)
        #expect(value("llm_request_errors_total", ["model": "other", "reason": "upstream_4xx"]) == 5_000)
        #expect(value("llm_request_errors_total", ["model": "unknown", "reason": "parse_error"]) == 1)
        #expect(metrics.label("a") == "a")
        #expect(metrics.label("x") == "other")
    }

    @Test("Tokens cost what the configuration in force says, cached ones their own price")
    func cost() {
        func call(cached: Int) {
            let call = metrics.begin("a")
            call.recordTokens(prompt: 1_000, cached: cached, completion: 500)
        }
        func cost(_ currency: String) -> Double? {
            value("llm_model_cost_total", ["model": "a", "currency": currency])
        }
        call(cached: 0)
        #expect(cost("USD") == nil)
        metrics.setPrices(["a": TokenPrice(currency: "USD", prompt: 2, cachedPrompt: 1, completion: 8)])
        call(cached: 0)
        #expect(abs((cost("USD") ?? 0) - 0.006) < 1e-12)
        call(cached: 600)
        #expect(abs((cost("USD") ?? 0) - 0.0114) < 1e-12)
        // A worker that says nonsense about its cache makes nothing negative.
        call(cached: .max)
        call(cached: -5)
        #expect(abs((cost("USD") ?? 0) - 0.0224) < 1e-12)
        metrics.setPrices(["a": TokenPrice(currency: "EUR", prompt: 1, completion: 1)])
        call(cached: 500)
        #expect(abs((cost("EUR") ?? 0) - 0.0015) < 1e-12)
        metrics.setPrices([:])
        call(cached: 0)
        #expect(abs((cost("EUR") ?? 0) - 0.0015) < 1e-12)
    }

    @Test("Counts that cannot be are ignored, so that no sum runs over")
    func implausible() {
        let call = metrics.begin("a")
        for _ in 0..<3 { call.recordTokens(prompt: 1, completion: .max) }
        call.recordTokens(prompt: -1, completion: .min)
        call.recordTokens(prompt: 7, completion: 5)
        #expect(value("llm_model_completion_tokens_total") == 5)
        #expect(value("llm_model_prompt_tokens_total") == 7)
        #expect(value("llm_completion_tokens_per_request") == 1)
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
        metrics.begin("a").succeeded(after: .zero, isStream: true)
        metrics.know(["c"])
        metrics.begin("a").succeeded(after: .zero, isStream: true)
        metrics.begin("c").succeeded(after: .zero, isStream: true)
        #expect(value("llm_model_requests_total") == 2)
        #expect(value("llm_model_requests_total", ["model": "c"]) == 1)
    }

    @Test("A request's trace is the exemplar of its latencies")
    func exemplars() throws {
        let trace = try #require(TraceID(high: 0, low: 0xABC))
        var call = metrics.begin("a")
        call.receivedToken(after: .milliseconds(1), trace: trace)
        call.succeeded(after: .milliseconds(2), isStream: true, trace: trace)
        let lines = registry.exposition(.openMetrics).split(separator: "\n").filter { $0.contains(trace.text) }
        #expect(
            lines.map { $0.prefix { $0 != "{" } } == [
                "llm_model_completion_latency_seconds_bucket", "llm_model_ttft_seconds_bucket",
            ]
        )
    }
}
