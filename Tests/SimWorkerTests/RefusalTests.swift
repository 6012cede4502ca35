import NIOHTTP1
import OpenAIWire
import SimWorker
import Testing

@Suite(.timeLimit(.minutes(2))) struct RefusalTests {
    @Test(
        "What is wrong with a request is said in vLLM's shape",
        arguments: [
            ("/v1/chat/completions", "{", 400, "not valid JSON"),
            ("/v1/chat/completions", "", 400, "not valid JSON"),
            ("/v1/chat/completions", "[]", 400, "JSON object"),
            ("/v1/chat/completions", #"{"model":"sim-model"}"#, 400, "messages"),
            ("/v1/chat/completions", #"{"messages":[]}"#, 400, "messages"),
            ("/v1/chat/completions", #"{"messages":[{"content":"x"}]}"#, 400, "messages[0].role"),
            ("/v1/chat/completions", #"{"model":"nope","messages":[{"role":"user","content":"x"}]}"#, 404, "`nope`"),
            ("/v1/chat/completions", #"{"model":7,"messages":[{"role":"user","content":"x"}]}"#, 400, "model"),
            (
                "/v1/chat/completions", #"{"messages":[{"role":"user","content":"x"}],"max_tokens":0}"#, 400,
                "max_tokens"
            ),
            ("/v1/chat/completions", #"{"messages":[{"role":"user","content":"x"}],"n":1000}"#, 400, "n must"),
            (
                "/v1/chat/completions", #"{"messages":[{"role":"user","content":"x"}],"max_tokens":100}"#, 400,
                "maximum context length is 100 tokens"
            ),
            (
                "/v1/chat/completions", #"{"messages":[{"role":"user","content":"x"}],"stream_options":{}}"#, 400,
                "stream_options"
            ),
            (
                "/v1/chat/completions", #"{"messages":[{"role":"user","content":"x"}],"tool_choice":"required"}"#, 400,
                "tool_choice"
            ),
            ("/v1/completions", #"{}"#, 400, "prompt"),
            ("/v1/completions", #"{"prompt":[-1]}"#, 400, "token id"),
            ("/v1/messages", #"{"messages":[{"role":"user","content":"x"}]}"#, 400, "max_tokens"),
            ("/v1/responses", #"{}"#, 400, "input"),
            ("/v1/embeddings", #"{}"#, 400, "input"),
            ("/v1/embeddings", #"{"input":"x","dimensions":0}"#, 400, "dimensions"),
            ("/rerank", #"{"query":"x"}"#, 400, "documents"),
            ("/score", #"{"text_1":["a","b"],"text_2":["a"]}"#, 400, "text_1"),
            ("/detokenize", #"{"tokens":["x"]}"#, 400, "tokens"),
            ("/sim/faults", #"{"faults":["explode"]}"#, 400, "explode"),
        ] as [(String, String, Int, String)]
    )
    func errors(path: String, body: String, status: Int, message: String) async throws {
        try await Stand.with({ $0.maxModelTokens = 100 }) { stand async throws in
            let reply = try await stand.post(path, body)
            let error = try reply.json["error"]
            #expect(reply.status == status)
            #expect(error?["message"]?.string?.contains(message) == true, "\(reply.text)")
            #expect(error?["code"]?.int == status)
            #expect(error?["type"]?.string == (status == 404 ? "NotFoundError" : "BadRequestError"))
            #expect(error?["param"] != nil)
            #expect(reply.headers["x-sim-worker"] == ["w1"])
        }
    }

    @Test("Unknown paths and wrong methods are answered as the framework under vLLM does")
    func paths() async throws {
        try await Stand.with { stand async throws in
            let unknown = try await stand.get("/v1/nothing")
            #expect(unknown.status == 404 && unknown.text == #"{"detail":"Not Found"}"#)
            let method = try await stand.get("/v1/chat/completions")
            #expect(method.status == 405 && method.text == #"{"detail":"Method Not Allowed"}"#)
            let noSleep = try await stand.get("/is_sleeping")
            #expect(noSleep.status == 404)
        }
    }

    @Test("With an API key, paths under /v1 ask for it and others do not")
    func apiKey() async throws {
        try await Stand.with({ $0.apiKey = "sk-1" }) { stand async throws in
            let body = #"{"messages":[{"role":"user","content":"x"}]}"#
            let statuses = [
                try await stand.post("/v1/chat/completions", body).status,
                try await stand.post("/v1/chat/completions", body, headers: [("authorization", "Bearer no")]).status,
                try await stand.post("/v1/chat/completions", body, headers: [("authorization", "Bearer sk-1")]).status,
                try await stand.get("/v1/models").status, try await stand.get("/health").status,
                try await stand.get("/metrics").status,
            ]
            #expect(statuses == [401, 401, 200, 401, 200, 200])
        }
    }

    @Test("A body beyond the limit is refused")
    func bodyLimit() async throws {
        try await Stand.with({ $0.maxBodyBytes = 1_000 }) { stand async throws in
            let reply = try await stand.post("/tokenize", #"{"prompt":"\#(String(repeating: "x", count: 2_000))"}"#)
            #expect(reply.status == 413)
            #expect(try reply.json["error"]?["code"]?.int == 413)
        }
    }
}
