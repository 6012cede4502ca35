import HTTPTransport
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

@Suite("Through the router")
struct ProxyTests {
    private static let chat = #"{"model":"sim-model","messages":[{"role":"user","content":"hello"}]}"#

    @Test("Requests take turns between workers, and every byte of the body arrives as it was sent")
    func verbatim() async throws {
        try await Stack.with(workers: [.instant(id: "a"), .instant(id: "b")]) { stack in
            let body =
                #"{ "model" : "sim-model",  "messages":[{"role":"user","content":"caf\u00e9 \/ 😀"}], "temperature":1.0,"x":1e2,"max_tokens" : 1 }"#
            var answered: [String] = []
            for _ in 0..<4 {
                let answer = try await stack.post("/v1/chat/completions?x=1", body, headers: ["x-custom": "kept"])
                #expect(answer.status == .ok)
                answered += answer.headers["x-sim-worker"]
            }
            #expect(answered == ["a", "b", "a", "b"] || answered == ["b", "a", "b", "a"])
            let entry = try #require(stack.workers[0].log.entries.first)
            #expect(String(buffer: entry.body) == body)
            #expect(entry.uri == "/v1/chat/completions?x=1")
            #expect(entry.headers["x-custom"] == ["kept"])
            #expect(entry.headers["host"] == ["127.0.0.1:\(stack.workers[0].port)"])
            #expect(entry.headers["content-length"] == ["\(body.utf8.count)"])
        }
    }

    @Test("A client's request id goes to the worker and comes back; without one, one is made")
    func requestID() async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            let own = try await stack.post("/v1/chat/completions", Self.chat, headers: ["x-request-id": "rid-1"])
            #expect(own.headers["x-request-id"] == ["rid-1"])
            let made = try await stack.post("/v1/chat/completions", Self.chat)
            let id = try #require(made.headers.first(name: "x-request-id"))
            #expect(stack.workers[0].log.entries.map { $0.headers["x-request-id"] } == [["rid-1"], [id]])
        }
    }

    @Test(
        "Headers that a client may not set, and those of one hop, do not travel",
        arguments: [
            "x-vsr-selected-model", "x-vsr-anything", "X-VSR-Selected-Decision", "x-authz-user-id",
            "X-Authz-User-Groups",
            "x-selected-model", "keep-alive", "te", "proxy-authorization", "x-hop",
        ]
    )
    func stripped(name: String) async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            var headers = [name: "forged"]
            headers["connection"] = "x-hop"
            _ = try await stack.post("/v1/chat/completions", Self.chat, headers: headers)
            let entry = try #require(stack.workers[0].log.entries.first)
            #expect(!entry.headers.contains(name: name))
        }
    }

    @Test("A client's wishes about its own request travel")
    func wishes() async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            _ = try await stack.post("/v1/chat/completions", Self.chat, headers: ["x-vsr-debug": "true"])
            #expect(stack.workers[0].log.entries.first?.headers["x-vsr-debug"] == ["true"])
        }
    }

    @Test("Each request goes to a worker of its model")
    func models() async throws {
        try await Stack.with(workers: [.instant("m1", id: "a"), .instant("m2", id: "b")]) { stack in
            for (model, worker) in [("m1", "a"), ("m2", "b"), ("m2", "b")] {
                let answer = try await stack.post(
                    "/v1/completions",
                    #"{"model":"\#(model)","prompt":"x","max_tokens":1}"#
                )
                #expect(answer.headers["x-sim-worker"] == [worker])
            }
            let list = try ModelList(parsing: try await stack.get("/v1/models").body)
            #expect(list.entries.map(\.id).sorted() == ["m1", "m2"])
            #expect(try await stack.get("/v1/models/m2").status == .ok)
            #expect(try await stack.get("/v1/models/m3").status == .notFound)
        }
    }

    @Test("An alias reaches the model by its own name; nothing else of the body changes")
    func aliases() async throws {
        let options: (inout ServeOptions) -> Void = {
            $0.staticAliases = [ModelAlias(alias: "gpt-4", model: "sim-model")]
        }
        try await Stack.with(workers: [.instant()], options: options) { stack in
            let body = #"{ "stop":null, "model":"gpt-4","messages":[{"role":"user","content":"\u0041"}] }"#
            #expect(try await stack.post("/v1/chat/completions", body).status == .ok)
            let sent = try #require(stack.workers[0].log.entries.first).body
            #expect(String(buffer: sent) == body.replacing("gpt-4", with: "sim-model"))
        }
    }

    @Test("`auto` is answered by the only model there is when nobody has chosen")
    func automatic() async throws {
        try await Stack.with(workers: [.instant("only")]) { stack in
            let answer = try await stack.post(
                "/v1/chat/completions",
                #"{"model":"auto","messages":[{"role":"user","content":"x"}]}"#
            )
            #expect(answer.status == .ok)
            #expect(try JSONDocument(answer.body).root["model"]?.string == "only")
        }
    }

    @Test(
        "Every kind of endpoint is proxied",
        arguments: [
            ("/v1/chat/completions", chat), ("/v1/completions", #"{"model":"sim-model","prompt":"x"}"#),
            ("/v1/responses", #"{"model":"sim-model","input":"x"}"#),
            ("/v1/messages", #"{"model":"sim-model","max_tokens":4,"messages":[{"role":"user","content":"x"}]}"#),
            ("/v1/embeddings", #"{"model":"sim-model","input":"x"}"#),
            ("/v1/rerank", #"{"model":"sim-model","query":"q","documents":["a","b"]}"#),
            ("/v1/score", #"{"model":"sim-model","text_1":"a","text_2":"b"}"#),
            ("/tokenize", #"{"model":"sim-model","prompt":"a b"}"#),
            ("/detokenize", #"{"model":"sim-model","tokens":[1,2]}"#),
        ]
    )
    func endpoints(path: String, body: String) async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            let answer = try await stack.post(path, body)
            #expect(answer.status == .ok, "\(String(buffer: answer.body))")
            #expect(stack.workers[0].log.entries.map(\.uri) == [path])
        }
    }

    @Test("A form is routed by its model field and arrives as it was")
    func multipart() async throws {
        try await Stack.with(workers: [.instant("whisper")]) { stack in
            var body = ByteBuffer(
                string: "--BB\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n"
            )
            body.writeBytes((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            body.writeString("\r\n--BB\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--BB--\r\n")
            let answer = try await stack.send(
                .POST,
                "/v1/audio/transcriptions",
                body: body,
                headers: ["content-type": "multipart/form-data; boundary=BB"]
            )
            #expect(answer.status == .ok, "\(String(buffer: answer.body))")
            #expect(stack.workers[0].log.entries.first?.body == body)
        }
    }

    @Test("A stream arrives event by event, with its usage, and the connection serves again")
    func streaming() async throws {
        var config = SimConfig.instant()
        config.outputTokens = 20
        try await Stack.with(workers: [config]) { stack in
            let body =
                #"{"model":"sim-model","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}"#
            for _ in 0..<3 {
                let answer = try await stack.post("/v1/chat/completions", body)
                #expect(answer.headers.first(name: "content-type")?.hasPrefix("text/event-stream") == true)
                var decoder = SSEDecoder()
                var events: [String] = []
                decoder.receive(answer.body)
                while let event = try decoder.next() { events.append(String(buffer: event.data)) }
                #expect(events.last == "[DONE]")
                let usages = events.compactMap { try? JSONDocument(ByteBuffer(string: $0)) }
                    .compactMap { $0.root["usage"]?["completion_tokens"]?.int }
                #expect(usages.last == 20)
            }
        }
    }

    @Test("A slow stream is not held back: what has come is sent on before the answer ends")
    func firstChunkAtOnce() async throws {
        var config = SimConfig()
        config.interTokenLatency = .seconds(3600)
        config.prefillOverhead = .zero
        config.prefillTimePerToken = .zero
        try await Stack.with(workers: [config]) { stack in
            let client = try await RawConnection.connect(port: stack.port)
            let body = #"{"model":"sim-model","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"x"}]}"#
            try await client.send(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            )
            let text = await client.text { $0.contains("data: ") }
            #expect(text.contains("data: ") && !text.contains("[DONE]"))
            await client.close()
            // The worker hears of it: its request is cancelled.
            #expect(await eventually { stack.workers[0].log.entries.first?.outcome == .cancelled })
        }
    }

    @Test("A worker is addressed by its id")
    func pinned() async throws {
        var configs = [SimConfig.instant(id: "a"), .instant(id: "b")]
        for index in configs.indices { configs[index].sleepMode = true }
        try await Stack.with(workers: configs) { stack in
            let engines = try JSONDocument(try await stack.get("/engines").body).root
            let ids = engines.elements.compactMap { $0["engine_id"]?.string }
            #expect(ids.count == 2)
            for id in ids {
                let answers = [
                    try await stack.get("/is_sleeping?id=\(id)"), try await stack.get("/is_sleeping?id=\(id)"),
                ]
                #expect(answers.map(\.status) == [.ok, .ok])
                #expect(answers[0].headers["x-sim-worker"] == answers[1].headers["x-sim-worker"])
            }
            #expect(try await stack.get("/is_sleeping").status == .badRequest)
            #expect(try await stack.get("/is_sleeping?id=none").status == .badRequest)
        }
    }

    @Test("Metrics count what was sent, and name no model that a client made up")
    func metrics() async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            for _ in 0..<3 { _ = try await stack.post("/v1/chat/completions", Self.chat) }
            _ = try await stack.post("/v1/chat/completions", #"{"model":"made-up-name","messages":[]}"#)
            let page = String(buffer: try await stack.get("/metrics").body)
            let server = "http://127.0.0.1:\(stack.workers[0].port)"
            #expect(page.contains(#"vllm:num_incoming_requests_total{model="sim-model"} 3"#))
            #expect(page.contains(#"vllm:num_incoming_requests_total{model="unknown"} 1"#))
            #expect(
                page.contains(
                    #"vllm:request_latency_seconds_count{server="\#(server)",model="sim-model",status="success"} 3"#
                )
            )
            #expect(page.contains(#"vllm:healthy_pods_total{server="\#(server)"} 1"#))
            #expect(page.contains(#"vllm:num_requests_running{server="\#(server)"} 0"#))
            #expect(page.contains(#"sextant_http_refusals_total{code="model_not_found"} 1"#))
            #expect(!page.contains("made-up-name"))
        }
    }

    @Test("Upstream's routing line is logged, and no prompt, answer or key is")
    func logs() async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            let secret = "planted-7f3a"
            let body = #"{"model":"sim-model","messages":[{"role":"user","content":"\#(secret)"}],"user":"\#(secret)"}"#
            let headers = ["authorization": "Bearer \(secret)", "x-request-id": "rid-9", "cookie": secret]
            _ = try await stack.post("/v1/chat/completions", body, headers: headers)
            _ = try await stack.post("/v1/chat/completions", body + "}", headers: headers)
            _ = try await stack.post("/v1/chat/completions", #"{"model":"\#(secret)"}"#, headers: headers)
            let line = try #require(stack.log.lines.first { $0.contains("Routing request") })
            let pattern =
                /Routing request rid-9 with session id None to http:\/\/127\.0\.0\.1:\d+ at \d+\.\d+, process time = \d+\.\d{4}/
            #expect(line.contains(pattern), "\(line)")
            #expect(!stack.log.lines.contains { $0.contains(secret) })
            let page = String(buffer: try await stack.get("/metrics").body)
            #expect(!page.contains(secret))
        }
    }
}
