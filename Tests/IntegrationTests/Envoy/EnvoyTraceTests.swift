import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

extension EnvoyTests {
    /// One trace from Envoy through both routers to the worker, as a collector gets it.
    @Suite("Traces through Envoy")
    struct TraceTests {
        private func withChain(
            workers: [SimConfig] = [.instant("small", id: "s"), .instant("big", id: "b")],
            envoyTraces: Bool = true,
            _ body: (EnvoyStack, TraceCollector) async throws -> Void
        ) async throws {
            try await TraceCollector.with { collector in
                try await EnvoyStack.with(
                    policy: policy,
                    workers: workers,
                    options: { $0.defaultModel = "small" },
                    tracing: collector,
                    envoyTraces: envoyTraces
                ) { chain in
                    try await body(chain, collector)
                }
            }
        }

        /// What Envoy and both routers record of a request that the decision `proofs` sends on, but for the attempts.
        private static let proven = [
            "> envoy: ingress",
            "envoy: ingress > envoy: async envoy.service.ext_proc.v3.ExternalProcessor.Process egress",
            "envoy: async envoy.service.ext_proc.v3.ExternalProcessor.Process egress > "
                + "sextant-semantic: semantic_router.request.received",
            "sextant-semantic: semantic_router.request.received > sextant-semantic: semantic_router.routing.decision",
            "sextant-semantic: semantic_router.routing.decision > sextant-semantic: semantic_router.signal.evaluation",
            "sextant-semantic: semantic_router.signal.evaluation > sextant-semantic: semantic_router.signal.keyword",
            "sextant-semantic: semantic_router.signal.evaluation > sextant-semantic: semantic_router.signal.authz",
            "sextant-semantic: semantic_router.routing.decision > sextant-semantic: semantic_router.decision.evaluation",
            "sextant-semantic: semantic_router.routing.decision > sextant-semantic: semantic_router.backend.selection",
            "sextant-semantic: semantic_router.routing.decision > sextant-semantic: semantic_router.plugin.execution",
            "sextant-semantic: semantic_router.request.received > sextant-semantic: semantic_router.upstream.request",
            "envoy: ingress > envoy: router router egress",
            "envoy: router router egress > sextant-router: router /v1/chat/completions",
            "sextant-router: router /v1/chat/completions > sextant-router: router.routing",
        ]
        private static let attempt = "sextant-router: router /v1/chat/completions > sextant-router: process_request"
        private static let worker = "sextant-router: process_request > sextant-sim: llm_request"

        @Test("Routed, whole and streamed: every stage, in its place, in one trace", arguments: [false, true])
        func routed(isStream: Bool) async throws {
            try await withChain { chain, collector in
                let answer = try await chain.post(
                    path,
                    chat("prove it", more: isStream ? #","stream":true,"stream_options":{"include_usage":true}"# : ""),
                    headers: ["x-request-id": "rid-1"]
                )
                #expect(answer.status == .ok)
                let expected = Self.proven + [Self.attempt, Self.worker]
                let trace = await collector.onlyTrace(of: expected.count)
                #expect(trace.tree.sorted() == expected.sorted())
                #expect(trace.allSatisfy { $0.end >= $0.start && $0.failure == nil })
                let root = try #require(trace.first { $0.title == "sextant-router: router /v1/chat/completions" })
                #expect(root.kind == "server")
                #expect(root.attributes["vllm.request_id"] == "rid-1")
                #expect(root.attributes["vllm.model"] == "big")
                #expect(root.attributes["http.status_code"] == "200")
                let attempt = try #require(trace.first { $0.name == "process_request" })
                #expect(attempt.kind == "client")
                #expect(attempt.attributes["vllm.is_streaming"] == "\(isStream)")
                let received = try #require(trace.first { $0.name == "semantic_router.request.received" })
                #expect(received.attributes["request.id"] == "rid-1")
                #expect(received.attributes["sextant.outcome"] == "forward")
                let generation = try #require(trace.first { $0.name == "llm_request" })
                #expect(
                    generation.attributes["gen_ai.usage.completion_tokens"]
                        == root.attributes["gen_ai.usage.output_tokens"]
                )
                // The log tells the same request by the same ids.
                let line = try #require(chain.stack.log.lines.first { $0.contains("Routing request rid-1") })
                #expect(line.contains("trace_id=\(root.traceID)"))
            }
        }

        @Test("A request that a decision answers ends there; the answer names its trace")
        func answeredHere() async throws {
            try await withChain { chain, collector in
                let answer = try await chain.post(path, chat("forbidden"))
                #expect(answer.status == .ok)
                let expected =
                    Self.proven.filter { line in
                        !["router router egress", "sextant-router", "backend.selection", "upstream.request"].contains {
                            line.contains($0)
                        }
                    }
                let trace = await collector.onlyTrace(of: expected.count)
                #expect(trace.tree.sorted() == expected.sorted())
                let received = try #require(trace.first { $0.name == "semantic_router.request.received" })
                #expect(received.attributes["sextant.outcome"] == "respond")
                #expect(answer.headers["x-trace-id"] == [received.traceID])
            }
        }

        @Test("A request that is refused is a failed span with the error's code")
        func refused() async throws {
            try await withChain { chain, collector in
                let answer = try await chain.post(path, #"{"model":"auto","messages":"#)
                #expect(answer.status == .badRequest)
                let trace = await collector.onlyTrace(of: 3)
                let received = try #require(trace.first { $0.name == "semantic_router.request.received" })
                #expect(trace.tree.sorted() == Self.proven.prefix(3).sorted())
                #expect(received.failure == "invalid_json")
                #expect(received.attributes["sextant.outcome"] == "refuse")
                #expect(answer.headers["x-trace-id"] == [received.traceID])
            }
        }

        @Test("Of a worker that breaks and the next one there are two attempts, side by side")
        func failedOver() async throws {
            var broken = SimConfig.instant("big", id: "broken")
            broken.faults = [try Fault("reset")]
            let workers = [SimConfig.instant("small", id: "s"), broken, .instant("big", id: "b")]
            try await withChain(workers: workers) { chain, collector in
                // Whichever worker's turn it is, one of two requests meets the broken one first.
                for _ in 0..<2 {
                    let answer = try await chain.post(path, chat("prove it"))
                    #expect(answer.headers["x-sim-worker"] == ["b"])
                }
                let whole = Self.proven + [Self.attempt, Self.worker]
                let both = 2 * whole.count + 2
                #expect(await eventually(within: .seconds(20)) { collector.spans.count >= both })
                let traces = Dictionary(grouping: collector.spans, by: \.traceID).values
                    .map { $0.sorted { $0.start < $1.start } }
                    .sorted { $0.count < $1.count }
                try #require(traces.count == 2)
                #expect(traces[0].tree.sorted() == whole.sorted())
                // The broken worker has the request too, and says that it failed.
                #expect(traces[1].tree.sorted() == (whole + [Self.attempt, Self.worker]).sorted())
                let attempts = traces[1].filter { $0.name == "process_request" }
                #expect(attempts.map(\.failure) == ["closed_before_response", nil])
                #expect(attempts[0].end <= attempts[1].start)
                #expect(traces[1].filter { $0.name == "llm_request" }.map(\.failure) == ["reset", nil])
                #expect(traces[1].allSatisfy { $0.failure == nil || $0.start <= attempts[0].end })
                let root = try #require(traces[1].first { $0.service == "sextant-router" })
                #expect(root.failure == nil)
            }
        }

        @Test("A request with as many fields as Envoy takes passes, traced or not")
        func manyFields() async throws {
            try await withChain(envoyTraces: false) { chain, collector in
                // Envoy's limit is 100, and it adds some itself.
                for (count, isTold) in [(60, true), (85, false)] {
                    collector.forget()
                    let fields = (0..<count).map { ("x-field-\($0)", "1") }
                    let headers = Dictionary(fields) { $1 }
                    let answer = try await chain.post(path, chat("hello"), headers: headers)
                    #expect(answer.status == .ok, "\(count) fields")
                    let isThere = await eventually(within: .seconds(20)) {
                        Set(collector.spans.map(\.service)) == ["sextant-semantic", "sextant-router", "sextant-sim"]
                    }
                    #expect(isThere)
                    // Else the router begins a trace of its own.
                    #expect(Set(collector.spans.map(\.traceID)).count == (isTold ? 1 : 2))
                }
            }
        }

        @Test("Where Envoy does not trace, the client's trace goes on below Sextant; without one Sextant begins it")
        func withoutEnvoy() async throws {
            try await withChain(envoyTraces: false) { chain, collector in
                let id = "0af7651916cd43dd8448eb211c80319c"
                let headers = ["traceparent": "00-\(id)-b7ad6b7169203331-01", "tracestate": "vendor=1"]
                _ = try await chain.post(path, chat("prove it"), headers: headers)
                let received = "sextant-semantic: semantic_router.request.received"
                let upstream = "sextant-semantic: semantic_router.upstream.request"
                let router = "sextant-router: router /v1/chat/completions"
                let inside = Self.proven.filter { $0.hasPrefix("sextant-") } + [Self.attempt, Self.worker]
                let expected = inside + ["? > \(received)", "\(upstream) > \(router)"]
                let trace = await collector.trace(id) { $0.count >= expected.count }
                #expect(trace.tree.sorted() == expected.sorted())
                #expect(trace.first { $0.title == received }?.parent == "b7ad6b7169203331")
                let sent = try #require(chain.workers[1].log.entries.first)
                #expect(sent.headers["tracestate"] == ["vendor=1"])
                #expect(sent.headers["traceparent"].count == 1)

                collector.forget()
                _ = try await chain.post(path, chat("prove it"))
                let own = await collector.onlyTrace(of: expected.count)
                #expect(own.tree.sorted() == (inside + ["> \(received)", "\(upstream) > \(router)"]).sorted())

                // Who asks not to be traced is not, by anybody.
                collector.forget()
                let unsampled = ["traceparent": "00-\(id)-b7ad6b7169203331-00"]
                _ = try await chain.post(path, chat("prove it"), headers: unsampled)
                _ = try await chain.post(path, chat("prove it"))
                _ = await collector.onlyTrace(of: expected.count)
                #expect(!collector.spans.contains { $0.traceID == id })
                let entries = chain.workers[1].log.entries
                #expect(entries[entries.count - 2].headers["traceparent"] == ["00-\(id)-b7ad6b7169203331-00"])
            }
        }
    }
}

extension EnvoyTests {
    /// What figures `sextant semantic` makes of answers, as far as Envoy shows them.
    @Suite("Figures of answers through Envoy")
    struct AnswerFigureTests {
        @Test(
            "Of a head alone the first token's time, of a body the tokens and the end too",
            arguments: ["NONE", "BUFFERED", "STREAMED", "FULL_DUPLEX_STREAMED"],
            [false, true]
        )
        func answer(mode: String, isStream: Bool) async throws {
            try await EnvoyStack.with(
                policy: policy,
                workers: [.instant("small", id: "s"), .instant("big", id: "b")],
                options: { $0.defaultModel = "small" },
                change: { configuration in
                    let trailers =
                        mode == "FULL_DUPLEX_STREAMED" ? "\n                        response_trailer_mode: SEND" : ""
                    if !trailers.isEmpty {
                        try configuration.replace("                        response_trailer_mode: SKIP\n", with: "")
                    }
                    try configuration.replace(
                        "response_body_mode: NONE",
                        with: "response_body_mode: \(mode)\(trailers)"
                    )
                },
                { chain in
                    let more = isStream ? #","stream":true,"stream_options":{"include_usage":true}"# : ""
                    let answer = try await chain.post(path, chat("prove it", more: more))
                    #expect(answer.status == .ok)
                    let registry = chain.semantic[0].registry
                    func value(_ name: String, _ labels: [String: String] = ["model": "large"]) -> Double? {
                        registry.value(of: name, labels: labels)
                    }
                    let isOver = await eventually {
                        value("llm_model_inflight_requests") == 0 && value("llm_model_ttft_seconds") == 1
                    }
                    #expect(isOver)
                    #expect(value("llm_model_requests_total") == 1)
                    let seesBody = mode != "NONE"
                    #expect(value("llm_model_completion_latency_seconds") == (seesBody ? 1 : 0))
                    let tokens = seesBody ? Usage(text: answer) : nil
                    #expect(seesBody == (tokens != nil))
                    #expect(value("llm_model_completion_tokens_total") == Double(tokens?.completionTokens ?? 0))
                    #expect(value("llm_model_prompt_tokens_total") == Double(tokens?.promptTokens ?? 0))
                    #expect(value("llm_model_tpot_seconds") == (seesBody ? 1 : 0))

                    // One that is refused by the worker counts as such.
                    let refused = try await chain.post(path, chat("prove it", more: #","max_tokens":-1"#))
                    #expect(refused.status == .badRequest)
                    let failure = ["model": "large", "reason": "upstream_4xx"]
                    let isCounted = await eventually { value("llm_request_errors_total", failure) == 1 }
                    #expect(isCounted)
                    #expect(value("llm_model_ttft_seconds") == 1)
                    #expect(value("llm_model_inflight_requests") == 0)
                }
            )
        }
    }
}

extension Usage {
    /// What a whole answer says, or the last event of a stream that says it.
    fileprivate init?(text answer: FetchedResponse) {
        let lines = String(buffer: answer.body).split(separator: "\n").map {
            $0.hasPrefix("data: ") ? $0.dropFirst(6) : $0
        }
        let usages = lines.compactMap { line in
            (try? JSONDocument(ByteBuffer(substring: line)).root).flatMap { Usage(response: $0) }
        }
        guard let last = usages.last else { return nil }
        self = last
    }
}

extension TraceCollector {
    /// The spans so far, once there are so many of one trace.
    fileprivate func onlyTrace(of count: Int) async -> [Span] {
        let isThere = await eventually(within: .seconds(20)) { self.spans.count >= count }
        let spans = self.spans.sorted { $0.start < $1.start }
        #expect(isThere, "there are \(spans.count) spans of \(count)")
        #expect(Set(spans.map(\.traceID)).count == 1)
        return spans
    }
}

extension [TraceCollector.Span] {
    /// Each span with the one above it; `?` stands for one that nobody has sent, nothing for none.
    var tree: [String] {
        let titles = Dictionary(map { ($0.id, $0.title) }) { first, _ in first }
        return map { span in
            let above = span.parent.isEmpty ? "" : (titles[span.parent] ?? "?") + " "
            return "\(above)> \(span.title)"
        }
    }
}
