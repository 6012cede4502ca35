import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import SimWorker
import Testing
import Transport

@Suite(.timeLimit(.minutes(2))) struct WorkloadTests {
    private static let hello = #""messages":[{"role":"user","content":"Hello there"}]"#
    private static let labels = ["model_name": "sim-model", "engine": "0"]

    private func value(_ stand: Stand, _ name: String, _ more: [String: String] = [:]) -> Double? {
        stand.worker.registry.value(of: "vllm:" + name, labels: Self.labels.merging(more) { $1 })
    }

    @Test("With timers, answers and streams come out the same as without")
    func timers() async throws {
        let members = Self.hello + #","max_tokens":6"#
        var answers: [String?] = []
        for zeroLatency in [true, false] {
            try await Stand.with({
                $0.zeroLatency = zeroLatency
                $0.prefillOverhead = .milliseconds(1)
                $0.interTokenLatency = .milliseconds(1)
            }) { stand async throws in
                answers.append(try await stand.chat(members).json["choices"]?[0]?["message"]?["content"]?.string)
                let chunks = try await stand.chat(members + #","stream":true"#).chunks
                answers.append(chunks.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.string }.joined())
                #expect(try await stand.post("/v1/embeddings", #"{"input":"x"}"#).status == 200)
                #expect(value(stand, "num_requests_running") == 0)
                #expect(value(stand, "kv_cache_usage_perc") == 0)
            }
        }
        #expect(answers.count == 4 && answers[0] != nil && Set(answers).count == 1)
    }

    @Test("The metrics count what was done, under vLLM's names")
    func metrics() async throws {
        try await Stand.with { stand async throws in
            let first = try await stand.chat(Self.hello + #","max_tokens":5"#).json
            _ = try await stand.chat(Self.hello + #","max_tokens":3,"stream":true"#)
            _ = try await stand.chat(Self.hello)
            let prompt = try #require(first["usage"]?["prompt_tokens"]?.int)
            #expect(value(stand, "prompt_tokens_total") == Double(3 * prompt))
            #expect(value(stand, "generation_tokens_total") == 24)
            #expect(value(stand, "request_success_total", ["finished_reason": "length"]) == 2)
            #expect(value(stand, "request_success_total", ["finished_reason": "stop"]) == 1)
            #expect(value(stand, "time_to_first_token_seconds") == 3)
            #expect(value(stand, "e2e_request_latency_seconds") == 3)
            #expect(value(stand, "inter_token_latency_seconds") == 2)
            #expect(value(stand, "request_generation_tokens") == 3)
            let text = try await stand.get("/metrics")
            #expect(text.headers["content-type"] == ["text/plain; version=0.0.4; charset=utf-8"])
            for line in [
                #"vllm:num_requests_running{model_name="sim-model",engine="0"} 0"#,
                #"vllm:generation_tokens_total{model_name="sim-model",engine="0"} 24"#,
                #"vllm:time_to_first_token_seconds_bucket{model_name="sim-model",engine="0",le="+Inf"} 3"#,
                #"vllm:cache_config_info{block_size="16",cache_dtype="auto",enable_prefix_caching="True",engine="0",num_gpu_blocks="8192"} 1"#,
                "# TYPE vllm:request_success_total counter",
            ] {
                #expect(text.text.contains(line + "\n"), "\(line)")
            }
            #expect(!text.text.contains("vllm:gpu_"))
        }
    }

    @Test("The former metric names are there when asked for")
    func legacyMetrics() async throws {
        try await Stand.with({
            $0.legacyMetrics = true; $0.blockTokens = 2
        }) { stand async throws in
            for _ in 0..<2 { _ = try await stand.chat(Self.hello) }
            let queries = try #require(value(stand, "prefix_cache_queries_total"))
            let hits = try #require(value(stand, "prefix_cache_hits_total"))
            #expect(hits > 0)
            #expect(value(stand, "gpu_prefix_cache_queries_total") == queries)
            #expect(value(stand, "gpu_prefix_cache_hits_total") == hits)
            #expect(value(stand, "gpu_prefix_cache_hit_rate") == hits / queries)
            #expect(value(stand, "gpu_cache_usage_perc") == 0)
        }
    }

    @Test("Beyond the batch requests wait, beyond the queue they get a 429, and a client that leaves frees its place")
    func queueing() async throws {
        // A minute to the first token: nothing ends by itself here.
        try await Stand.with({
            $0.zeroLatency = false
            $0.prefillOverhead = .seconds(60)
            $0.maxRunning = 1
            $0.maxWaiting = 1
        }) { stand async throws in
            let running = Task { try await stand.chat(Self.hello) }
            try await eventually("one runs") { value(stand, "num_requests_running") == 1 }
            let waiting = Task { try await stand.chat(Self.hello) }
            try await eventually("one waits") { value(stand, "num_requests_waiting") == 1 }
            #expect(try await stand.chat(Self.hello).status == 429)
            #expect((value(stand, "kv_cache_usage_perc") ?? 0) > 0)
            running.cancel()
            try await eventually("the one that waited runs") {
                value(stand, "num_requests_waiting") == 0 && value(stand, "num_requests_running") == 1
            }
            waiting.cancel()
            try await eventually("nothing runs") { value(stand, "num_requests_running") == 0 }
            #expect(value(stand, "request_success_total", ["finished_reason": "abort"]) == 2)
            #expect(value(stand, "kv_cache_usage_perc") == 0)
            #expect(stand.worker.log.entries.map(\.outcome) == [.cancelled, .cancelled, .answered])
        }
    }

    /// Reads nothing after an answer's head until told to.
    private final class SlowReader: UpstreamReceiver {
        var call: UpstreamCall?
        var isPaused = false
        var isWhole = false

        func receivedHead(_ head: HTTPResponseHead) {
            isPaused = true
            call?.pauseReading()
        }

        func receivedBody(_ piece: ByteBuffer) {}
        func receivedBurst() {}
        func receivedEnd() { isWhole = true }
        func failed(_ error: UpstreamError) {}
    }

    @Test("A client that does not read holds its answer back, and gets all of it when it reads again")
    func slowReader() async throws {
        // Every token is due at once, and together they are more than the sockets hold.
        try await Stand.with({
            $0.zeroLatency = false
            $0.prefillOverhead = .zero
            $0.prefillTimePerToken = .zero
            $0.interTokenLatency = .zero
            $0.maxModelTokens = 200_000
            $0.blockCount = 20_000
        }) { stand async throws in
            let loop = stand.clients.anyLoop()
            let request = UpstreamRequest(
                method: .POST,
                uri: "/v1/chat/completions",
                headers: ["host": "sim"],
                body: ByteBuffer(string: "{\(Self.hello),\"max_tokens\":100000,\"stream\":true}")
            )
            let reader = try await loop.submit { [clients = stand.clients, origin = stand.origin] in
                let reader = SlowReader()
                reader.call = clients[loop].send(request, to: origin, receiver: reader)
                return NIOLoopBound(reader, eventLoop: loop)
            }.get()
            try await eventually("the head arrived") { try await loop.submit { reader.value.isPaused }.get() }
            for _ in 0..<100 { _ = try await stand.get("/health") }
            #expect(stand.worker.log.entries.first?.outcome == .open)
            #expect(value(stand, "num_requests_running") == 1)
            try await loop.submit { reader.value.call?.resumeReading() }.get()
            try await eventually("the answer is whole") { try await loop.submit { reader.value.isWhole }.get() }
            #expect(value(stand, "generation_tokens_total") == 100_000)
        }
    }

    @Test("Requests are remembered exactly as they arrived, up to the limit")
    func requestLog() async throws {
        try await Stand.with({ $0.requestLogSize = 2 }) { stand async throws in
            _ = try await stand.get("/health")
            _ = try await stand.get("/v1/models?x=1")
            _ = try await stand.post("/tokenize", #"{"prompt" : "é"}"#, headers: [("X-A", "1"), ("x-a", "2")])
            let requests = try await stand.get("/sim/requests").json["requests"]
            #expect(requests?.elements.compactMap { $0["path"]?.string } == ["/v1/models?x=1", "/tokenize"])
            #expect(requests?[1]?["method"]?.string == "POST")
            #expect(requests?[1]?["body"]?.string == #"{"prompt" : "é"}"#)
            #expect(requests?[1]?["headers"]?["x-a"]?.elements.compactMap(\.string) == ["1", "2"])
            #expect(requests?[1]?["outcome"]?.string == "answered")
            #expect(requests?[1]?["number"]?.int == 3)
            let cleared = try await stand.send(.DELETE, "/sim/requests").json["requests"]
            #expect(cleared?[0] == nil)
        }
    }

    @Test("Request ids come back when asked for")
    func requestIDs() async throws {
        try await Stand.with({ $0.requestIDHeaders = true }) { stand async throws in
            let reply = try await stand.send(.GET, "/v1/models", headers: [("x-request-id", "r-1")])
            #expect(reply.headers["x-request-id"] == ["r-1"])
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct FaultInjectionTests {
    private static let hello = #""messages":[{"role":"user","content":"Hello there"}],"max_tokens":8"#

    private func failure(_ body: () async throws -> Reply) async -> UpstreamError.Kind? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? UpstreamError)?.kind
        }
    }

    @Test("A status fault answers so, as often as it says", arguments: [500, 429, 503])
    func status(code: Int) async throws {
        try await Stand.with({ $0.faults = [Fault(.status(code), times: 1)] }) { stand async throws in
            let first = try await stand.chat(Self.hello)
            #expect(first.status == code)
            #expect(try first.json["error"]?["code"]?.int == code)
            #expect(try await stand.chat(Self.hello).status == 200)
        }
    }

    @Test("A request's header injects a fault into that request only")
    func header() async throws {
        try await Stand.with { stand async throws in
            let statuses = [
                try await stand.chat(Self.hello, headers: [("x-sim-fault", "status=418")]).status,
                try await stand.chat(Self.hello, headers: [("x-sim-fault", "nonsense")]).status,
                try await stand.chat(Self.hello).status,
            ]
            #expect(statuses == [418, 400, 200])
        }
    }

    @Test("Faults are set, shown and cleared at run time")
    func runTime() async throws {
        try await Stand.with { stand async throws in
            let set = try await stand.post("/sim/faults", #"{"faults":["status=500;path=/health","slow=2"]}"#)
            #expect(set.text == #"{"faults":["status=500;path=/health","slow=2.0"]}"#)
            #expect(try await stand.get("/sim/faults").text == set.text)
            #expect(try await stand.get("/health").status == 500)
            #expect(try await stand.send(.DELETE, "/sim/faults").text == #"{"faults":[]}"#)
            #expect(try await stand.get("/health").status == 200)
        }
    }

    @Test("A reset closes the connection before the head")
    func reset() async throws {
        try await Stand.with { stand async throws in
            let kind = await failure { try await stand.chat(Self.hello, headers: [("x-sim-fault", "reset")]) }
            #expect(kind == .closedBeforeResponse)
        }
    }

    @Test("A reset in the middle breaks streams and whole bodies off", arguments: [true, false])
    func resetMidStream(isStream: Bool) async throws {
        try await Stand.with { stand async throws in
            let kind = await failure {
                try await stand.chat(
                    Self.hello + #","stream":\#(isStream)"#,
                    headers: [("x-sim-fault", "reset-mid-stream=3")]
                )
            }
            #expect(kind == .closedWithinResponse)
            let labels = ["model_name": "sim-model", "engine": "0"]
            #expect(stand.worker.registry.value(of: "vllm:num_requests_running", labels: labels) == 0)
            #expect(stand.worker.registry.value(of: "vllm:kv_cache_usage_perc", labels: labels) == 0)
        }
    }

    @Test("A hanging request is read, never answered, and noticed when its client leaves")
    func hang() async throws {
        try await Stand.with { stand async throws in
            let hanging = Task { try await stand.chat(Self.hello, headers: [("x-sim-fault", "hang")]) }
            try await eventually("it arrived") { stand.worker.log.entries.map(\.outcome) == [.open] }
            #expect(try await stand.chat(Self.hello).status == 200)
            #expect(stand.worker.log.entries.map(\.outcome) == [.open, .answered])
            hanging.cancel()
            try await eventually("it was cancelled") { stand.worker.log.entries.first?.outcome == .cancelled }
        }
    }

    @Test("While the cache is full requests wait, and run when it no longer is")
    func kvFull() async throws {
        try await Stand.with({ $0.faults = [Fault(.kvFull)] }) { stand async throws in
            let labels = ["model_name": "sim-model", "engine": "0"]
            let waiting = Task { try await stand.chat(Self.hello).status }
            try await eventually("it waits") {
                stand.worker.registry.value(of: "vllm:num_requests_waiting", labels: labels) == 1
            }
            #expect(stand.worker.registry.value(of: "vllm:kv_cache_usage_perc", labels: labels) == 1)
            #expect(try await stand.send(.DELETE, "/sim/faults").status == 200)
            #expect(try await waiting.value == 200)
        }
    }

    @Test("A worker that refuses connections accepts them again on the same port")
    func refuse() async throws {
        try await Stand.with { stand async throws in
            #expect(try await stand.chat(Self.hello).status == 200)
            await stand.worker.refuse()
            // A client that has not heard yet that its connection is closed may try that one first.
            try await eventually("new connections are refused") {
                await failure { try await stand.chat(Self.hello) } == .connect
            }
            try await stand.worker.accept()
            #expect(try await stand.chat(Self.hello).status == 200)
        }
    }
}
