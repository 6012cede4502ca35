import Instruments
import NIOHTTP1
import OpenAIWire
import SimWorker
import TestRandom
import Testing

@Suite("Spans", .timeLimit(.minutes(2))) struct SpanTests {
    private static let traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let parentID = "00f067aa0ba902b7"
    private static let parent = ("traceparent", "00-\(traceID)-\(parentID)-01")
    private static let secret = "blue-heron-4711"
    private static let chat = #""messages":[{"role":"user","content":"The word is blue-heron-4711."}]"#

    /// Runs `body` against a worker that traces all that is not sampled out.
    private func withTraces(
        _ change: (inout SimConfig) -> Void = { _ in },
        _ body: (Stand, KeptTraces) async throws -> Void
    ) async throws {
        let kept = KeptTraces()
        var random = SeededRandom(seed: 1)
        let tracer = RequestTracer(sampler: Sampler(.always), sink: kept, using: &random)
        try await Stand.with(change, tracer: tracer) { stand async throws in try await body(stand, kept) }
    }

    private func values(_ trace: Trace.Finished) -> [String: SpanAttribute.Value] {
        Dictionary(trace.attributes[0].map { ($0.key.name, $0.value) }) { $1 }
    }

    private static let latencies = [
        "gen_ai.latency.time_to_first_token", "gen_ai.latency.e2e", "gen_ai.latency.time_in_queue",
        "gen_ai.latency.time_in_model_prefill", "gen_ai.latency.time_in_model_decode",
        "gen_ai.latency.time_in_model_inference",
    ]

    @Test("An answer leaves vLLM's span, as part of its sender's", arguments: [false, true])
    func answer(isStream: Bool) async throws {
        try await withTraces { stand, kept in
            let settings = #","max_tokens":6,"temperature":0.5,"top_p":0.25,"n":2"#
            let stream = isStream ? #","stream":true,"stream_options":{"include_usage":true}"# : ""
            let reply = try await stand.chat(
                Self.chat + settings + stream,
                headers: [Self.parent, ("tracestate", "a=1"), ("tracestate", "b=2"), ("x-request-id", "r7")]
            )
            let usage = isStream ? try reply.chunks.last?["usage"] : try reply.json["usage"]
            let prompt = try #require(usage?["prompt_tokens"]?.int)
            let completion = try #require(usage?["completion_tokens"]?.int)

            try #require(kept.all.count == 1)
            let trace = kept.all[0]
            #expect(trace.id.text == Self.traceID && trace.state == "a=1,b=2" && trace.isSampled)
            try #require(trace.spans.count == 1)
            let span = trace.spans[0]
            #expect(span.name == "llm_request" && span.definition.kind == .server && span.failure == nil)
            #expect(span.parent?.text == Self.parentID && span.end >= span.start)

            var values = values(trace)
            for name in Self.latencies {
                guard case .decimal(let seconds) = values.removeValue(forKey: name) else {
                    Issue.record("\(name) is not stated")
                    continue
                }
                #expect(seconds >= 0 && seconds < 60)
            }
            #expect(completion > 0 && completion <= 12 && prompt > 0)
            #expect(
                values == [
                    "gen_ai.response.model": .text("sim-model"), "gen_ai.request.id": .text("chatcmpl-r7"),
                    "gen_ai.request.max_tokens": .number(6), "gen_ai.request.temperature": .decimal(0.5),
                    "gen_ai.request.top_p": .decimal(0.25), "gen_ai.request.n": .number(2),
                    "gen_ai.usage.prompt_tokens": .number(prompt),
                    "gen_ai.usage.completion_tokens": .number(completion),
                ]
            )
        }
    }

    @Test("The parts of a request's time are stated in seconds and add up")
    func latencies() async throws {
        func change(_ config: inout SimConfig) {
            config.zeroLatency = false
            config.prefillOverhead = .milliseconds(20)
            config.prefillTimePerToken = .zero
            config.interTokenLatency = .milliseconds(10)
        }
        try await withTraces(change) { stand, kept in
            _ = try await stand.chat(Self.chat + #","max_tokens":3,"stream":true"#)
            let values = values(try #require(kept.all.first))
            let seconds = Self.latencies.compactMap { name -> Double? in
                if case .decimal(let number) = values[name] { number } else { nil }
            }
            try #require(seconds.count == Self.latencies.count)
            let (first, endToEnd, queue) = (seconds[0], seconds[1], seconds[2])
            let (prefill, decode, inference) = (seconds[3], seconds[4], seconds[5])
            // Timers are never early; after a late first token the others make up for it.
            #expect(prefill >= 0.02 && decode >= 0 && inference >= 0.04)
            #expect(abs(queue + prefill - first) < 1e-6)
            #expect(abs(prefill + decode - inference) < 1e-6)
            #expect(abs(queue + inference - endToEnd) < 1e-6)
        }
    }

    @Test("What a request leaves open has vLLM's values; a temperature of zero is not stated")
    func defaults() async throws {
        try await withTraces({ $0.maxModelTokens = 100 }) { stand, kept in
            _ = try await stand.post("/v1/completions", #"{"prompt":[1,2,3]}"#)
            _ = try await stand.post("/v1/completions", #"{"prompt":[1,2,3],"temperature":0}"#)
            try #require(kept.all.count == 2)
            let (open, greedy) = (values(kept.all[0]), values(kept.all[1]))
            #expect(open["gen_ai.request.max_tokens"] == .number(97))
            #expect(open["gen_ai.request.temperature"] == .decimal(1) && open["gen_ai.request.top_p"] == .decimal(1))
            #expect(open["gen_ai.request.n"] == .number(1))
            #expect(greedy["gen_ai.request.temperature"] == nil && greedy["gen_ai.request.top_p"] == .decimal(1))
            // Without a sender's word each request is a trace of its own.
            #expect(kept.all[0].id != kept.all[1].id && kept.all[0].spans[0].parent == nil)
        }
    }

    @Test("Embeddings leave a span of the prompt alone")
    func embeddings() async throws {
        try await withTraces { stand, kept in
            let reply = try await stand.post("/v1/embeddings", #"{"input":"one two three"}"#, headers: [Self.parent])
            let prompt = try #require(try reply.json["usage"]?["prompt_tokens"]?.int)
            try #require(kept.all.count == 1)
            let values = values(kept.all[0])
            #expect(kept.all[0].id.text == Self.traceID)
            #expect(values["gen_ai.response.model"] == .text("sim-model"))
            #expect(values["gen_ai.usage.prompt_tokens"] == .number(prompt))
            #expect(values["gen_ai.usage.completion_tokens"] == .number(0))
            #expect(values["gen_ai.request.temperature"] == nil && values["gen_ai.request.id"] == nil)
        }
    }

    @Test("Nothing of a prompt or its answer is in a span")
    func secrets() async throws {
        try await withTraces({ $0.mode = .echo }) { stand, kept in
            // First, since a connection that was used before would be tried again.
            _ = try? await stand.chat(Self.chat, headers: [("x-sim-fault", "reset")])
            let whole = try await stand.chat(Self.chat)
            let streamed = try await stand.chat(Self.chat + #","stream":true"#)
            _ = try await stand.post("/v1/embeddings", #"{"input":"\#(Self.secret)"}"#)
            #expect(whole.text.contains(Self.secret) && !streamed.text.isEmpty)
            #expect(kept.all.count == 4)
            for trace in kept.all {
                let texts =
                    trace.attributes[0].map { "\($0.value)" } + trace.spans.map { "\($0.name) \($0.failure ?? "")" }
                #expect(!texts.contains { text in ["blue", "heron", "4711"].contains { text.contains($0) } })
            }
        }
    }

    // MARK: Failures

    @Test(
        "A fault that spoils the answer is the span's failure",
        arguments: [
            ("reset", "reset", ""), ("status=503", "status", ""), ("reset-mid-stream=3", "reset-mid-stream", ""),
            ("reset-mid-stream=3", "reset-mid-stream", #","stream":true"#),
        ]
    )
    func faults(fault: String, word: String, more: String) async throws {
        try await withTraces { stand, kept in
            _ = try? await stand.chat(Self.chat + more, headers: [Self.parent, ("x-sim-fault", fault)])
            try #require(kept.all.count == 1)
            #expect(kept.all[0].id.text == Self.traceID)
            #expect(kept.all[0].spans.map(\.failure) == [word])
        }
    }

    @Test("A fault that only delays fails nothing")
    func slow() async throws {
        try await withTraces { stand, kept in
            _ = try await stand.chat(Self.chat, headers: [("x-sim-fault", "slow=2")])
            #expect(kept.all.map(\.spans[0].failure) == [nil])
        }
    }

    @Test(
        "A client that goes away ends the span",
        arguments: [("", "abort"), ("hang", "hang"), ("kv-full", "kv-full")]
    )
    func clientLeft(fault: String, word: String) async throws {
        func change(_ config: inout SimConfig) {
            config.zeroLatency = false
            config.prefillOverhead = .seconds(600)
        }
        try await withTraces(change) { stand, kept in
            let headers = [Self.parent] + (fault.isEmpty ? [] : [("x-sim-fault", fault)])
            let asking = Task { try await stand.chat(Self.chat, headers: headers) }
            try await eventually("it has arrived") { stand.worker.log.entries.count == 1 }
            #expect(kept.all.isEmpty)
            asking.cancel()
            try await eventually("its span has ended") { !kept.all.isEmpty }
            #expect(kept.all.map(\.id.text) == [Self.traceID])
            #expect(kept.all.first?.spans.map(\.failure) == [word])
            #expect(kept.all.first.map(values)?["gen_ai.usage.completion_tokens"] == nil)
        }
    }

    // MARK: No spans

    @Test("What asks nothing of the model leaves no span, and neither does what is refused")
    func untraced() async throws {
        try await withTraces({ $0.blockCount = 4 }) { stand, kept in
            for path in ["/health", "/metrics", "/v1/models", "/version", "/sim/requests", "/nowhere"] {
                _ = try await stand.send(.GET, path, headers: [Self.parent])
            }
            _ = try await stand.post("/tokenize", #"{"prompt":"a"}"#, headers: [Self.parent])
            _ = try? await stand.send(.GET, "/health", headers: [Self.parent, ("x-sim-fault", "reset")])
            let unknown = try await stand.chat(Self.chat + #","model":"other""#, headers: [Self.parent])
            let malformed = try await stand.post("/v1/chat/completions", "{", headers: [Self.parent])
            let wrongMethod = try await stand.send(.GET, "/v1/chat/completions", headers: [Self.parent])
            let tokens = Array(repeating: "7", count: 200).joined(separator: ",")
            let large = try await stand.post("/v1/completions", #"{"prompt":[\#(tokens)]}"#, headers: [Self.parent])
            #expect([unknown, malformed, wrongMethod, large].map(\.status) == [404, 400, 405, 400])
            #expect(kept.all.isEmpty)
        }
    }

    @Test("What its sender does not record is not recorded")
    func notSampled() async throws {
        try await withTraces { stand, kept in
            let parent = ("traceparent", "00-\(Self.traceID)-\(Self.parentID)-00")
            let reply = try await stand.chat(Self.chat, headers: [parent])
            #expect(reply.status == 200 && kept.all.isEmpty)
        }
    }
}
