import NIOCore
import NIOHTTP1
import OpenAIWire
import SimWorker
import Testing

@Suite(.timeLimit(.minutes(2))) struct EndpointTests {
    @Test("A completion takes a text, a list of texts, or token ids, and can echo its prompt")
    func completions() async throws {
        try await Stand.with({ $0.mode = .echo }) { stand async throws in
            func texts(_ members: String) async throws -> [String] {
                let json = try await stand.post("/v1/completions", "{\(members)}").json
                #expect(json["object"]?.string == "text_completion")
                return json["choices"]?.elements.compactMap { $0["text"]?.string } ?? []
            }
            let ids = SimTokenizer.encode("one two").map(String.init).joined(separator: ",")
            #expect(try await texts(#""prompt":"one two""#) == ["one two"])
            #expect(try await texts(#""prompt":["one","two"],"n":2"#) == ["one", "one", "two", "two"])
            #expect(try await texts(#""prompt":[\#(ids)]"#) == ["one two"])
            #expect(try await texts(#""prompt":[[\#(ids)],[\#(ids)]]"#) == ["one two", "one two"])
            #expect(try await texts(#""prompt":"one","echo":true"#) == ["oneone"])
            let reply = try await stand.post("/v1/completions", #"{"prompt":"one two","echo":true,"stream":true}"#)
            #expect(try reply.chunks.compactMap { $0["choices"]?[0]?["text"]?.string } == ["one twoone", " two"])
            #expect(reply.events.last == "[DONE]")
        }
    }

    @Test("The Responses API answers whole and as numbered events")
    func responses() async throws {
        try await Stand.with({ $0.mode = .echo }) { stand async throws in
            let whole = try await stand.post("/v1/responses", #"{"input":"one two","instructions":"Be."}"#).json
            #expect(whole["status"]?.string == "completed")
            #expect(whole["output"]?[0]?["content"]?[0]?["text"]?.string == "one two")
            let input = #"[{"role":"user","content":[{"type":"input_text","text":"one two"}]}]"#
            let reply = try await stand.post(
                "/v1/responses",
                #"{"input":\#(input),"stream":true,"max_output_tokens":1}"#
            )
            let chunks = try reply.chunks
            #expect(
                chunks.compactMap { $0["type"]?.string?.replacing("response.", with: "") } == [
                    "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
                    "output_text.done", "content_part.done", "output_item.done", "incomplete",
                ]
            )
            #expect(chunks.compactMap { $0["sequence_number"]?.int } == Array(0...8))
            #expect(chunks[5]["text"]?.string == "one")
            #expect(chunks[8]["response"]?["usage"]?["output_tokens"]?.int == 1)
            #expect(chunks[8]["response"]?["incomplete_details"]?["reason"]?.string == "max_output_tokens")
        }
    }

    @Test("A tool call in the Responses API is an item of its own")
    func responsesTool() async throws {
        try await Stand.with { stand async throws in
            let tools =
                #""tools":[{"type":"function","name":"f","parameters":{"required":["x"],"properties":{"x":{"const":4}}}}]"#
            let whole = try await stand.post("/v1/responses", #"{"input":"go",\#(tools)}"#).json
            #expect(whole["output"]?[0]?["type"]?.string == "function_call")
            #expect(whole["output"]?[0]?["arguments"]?.string == #"{"x":4}"#)
            let chunks = try await stand.post("/v1/responses", #"{"input":"go","stream":true,\#(tools)}"#).chunks
            let deltas = chunks.filter { $0["type"]?.string == "response.function_call_arguments.delta" }
            #expect(deltas.compactMap { $0["delta"]?.string }.joined() == #"{"x":4}"#)
            #expect(chunks.last?["type"]?.string == "response.completed")
        }
    }

    @Test("The Messages API answers whole and as Anthropic's events")
    func messages() async throws {
        try await Stand.with({ $0.mode = .echo }) { stand async throws in
            let members = #""max_tokens":50,"system":"Be.","messages":[{"role":"user","content":"one two"}]"#
            let whole = try await stand.post("/v1/messages", "{\(members)}").json
            #expect(whole["content"]?[0]?["text"]?.string == "one two")
            #expect(whole["stop_reason"]?.string == "end_turn")
            #expect(whole["usage"]?["output_tokens"]?.int == 2)
            let reply = try await stand.post("/v1/messages", #"{\#(members),"stream":true,"stop_sequences":["wo"]}"#)
            let chunks = try reply.chunks
            #expect(
                chunks.compactMap { $0["type"]?.string } == [
                    "message_start", "content_block_start", "content_block_delta", "content_block_delta",
                    "content_block_stop", "message_delta", "message_stop",
                ]
            )
            #expect(reply.text.hasPrefix("event: message_start\ndata: {\"type\":\"message_start\""))
            #expect(chunks.compactMap { $0["delta"]?["text"]?.string }.joined() == "one t")
            #expect(chunks[5]["delta"]?["stop_reason"]?.string == "stop_sequence")
            #expect(chunks[5]["delta"]?["stop_sequence"]?.string == "wo")
            let tool = #""tools":[{"name":"f","input_schema":{"required":["x"],"properties":{"x":{"type":"null"}}}}]"#
            let call = try await stand.post("/v1/messages", "{\(members),\(tool)}").json
            #expect(call["content"]?[0]?["type"]?.string == "tool_use")
            #expect(call["content"]?[0]?["input"]?["x"]?.isNull == true)
            #expect(call["stop_reason"]?.string == "tool_use")
        }
    }

    @Test("Equal texts have equal vectors of length 1, as numbers and in base 64")
    func embeddings() async throws {
        try await Stand.with({ $0.embeddingDimensions = 3 }) { stand async throws in
            let json = try await stand.post("/v1/embeddings", #"{"input":["a b","a b","c"]}"#).json
            let vectors = json["data"]?.elements.map { $0["embedding"]?.elements.compactMap(\.double) ?? [] } ?? []
            try #require(vectors.count == 3 && vectors.allSatisfy { $0.count == 3 })
            #expect(vectors[0] == vectors[1] && vectors[0] != vectors[2])
            #expect(abs(vectors[0].reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
            #expect(json["usage"]?["prompt_tokens"]?.int == 5)
            let coded = try await stand.post("/v1/embeddings", #"{"input":"a b","encoding_format":"base64"}"#).json
            // 12 bytes are 16 characters; the first float's first byte is the low one.
            let text = try #require(coded["data"]?[0]?["embedding"]?.string)
            #expect(text.count == 16)
            #expect(decoded(text).map(Double.init) == vectors[0])
            let wide = try await stand.post("/v1/embeddings", #"{"input":"a","dimensions":5}"#).json
            #expect(wide["data"]?[0]?["embedding"]?.elements.reduce(0) { count, _ in count + 1 } == 5)
        }
    }

    /// Floats from base 64, the slow way.
    private func decoded(_ text: String) -> [Float] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let bits = text.flatMap { character in
            let value = alphabet.firstIndex(of: character) ?? 0
            return (0..<6).map { value >> (5 - $0) & 1 }
        }
        let bytes = stride(from: 0, to: bits.count - 7, by: 8).map { bits[$0..<($0 + 8)].reduce(0) { $0 << 1 | $1 } }
        return stride(from: 0, to: bytes.count - 3, by: 4).map { start in
            Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) })
        }
    }

    @Test("Documents are ranked by what they share with the query", arguments: ["/rerank", "/v1/rerank"])
    func rerank(path: String) async throws {
        try await Stand.with { stand async throws in
            let body = #"{"query":"red car","documents":["blue sky","a red car",{"text":"red sky"}],"top_n":2}"#
            let results = try await stand.post(path, body).json["results"]
            #expect(results?.elements.compactMap { $0["index"]?.int } == [1, 2])
            #expect(results?[0]?["document"]?["text"]?.string == "a red car")
        }
    }

    @Test("Scores pair one text with many", arguments: ["/score", "/v1/score"])
    func score(path: String) async throws {
        try await Stand.with { stand async throws in
            let data = try await stand.post(path, #"{"text_1":"red car","text_2":["red car","sky"]}"#).json["data"]
            #expect(data?.elements.compactMap { $0["score"]?.double } == [1, 0])
        }
    }

    @Test("Classes and pooled vectors come per input")
    func classifyAndPool() async throws {
        try await Stand.with { stand async throws in
            let classes = try await stand.post("/classify", #"{"input":["a","b"]}"#).json["data"]
            #expect(classes?.elements.compactMap { $0["label"]?.string }.count == 2)
            let shares = classes?[0]?["probs"]?.elements.compactMap(\.double) ?? []
            #expect(abs(shares.reduce(0, +) - 1) < 1e-9)
            let pooled = try await stand.post("/pooling", #"{"messages":[{"role":"user","content":"x"}]}"#).json["data"]
            #expect(pooled?[0]?["data"]?.elements.reduce(0) { count, _ in count + 1 } == 64)
        }
    }

    @Test("Tokens lead back to the text")
    func tokenize() async throws {
        try await Stand.with { stand async throws in
            let json = try await stand.post("/tokenize", #"{"prompt":"Grüße 👍","return_token_strs":true}"#).json
            #expect(json["count"]?.int == json["tokens"]?.elements.reduce(0) { count, _ in count + 1 })
            #expect(json["max_model_len"]?.int == 8192)
            let tokens = try #require(json["tokens"]).rawBytes
            let back = try await stand.post("/detokenize", #"{"tokens":\#(String(buffer: tokens))}"#).json
            #expect(back["prompt"]?.string == "Grüße 👍")
            let chat = try await stand.post("/tokenize", #"{"messages":[{"role":"user","content":"x"}]}"#).json
            #expect(chat["count"]?.int == SimTokenizer.encode("<|user|>x\n<|assistant|>").count)
        }
    }

    @Test("An upload is answered with its size")
    func transcription() async throws {
        try await Stand.with { stand async throws in
            let body = """
                --B\r\nContent-Disposition: form-data; name="model"\r\n\r\nsim-model\r\n\
                --B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n\
                01\r\n34\r\n--B--\r\n
                """
            let type = [("content-type", "multipart/form-data; boundary=B")]
            let path = "/v1/audio/transcriptions"
            #expect(try await stand.post(path, body, headers: type).json["text"]?.string == "6 bytes")
            let unknown = body.replacing("sim-model", with: "nope")
            #expect(try await stand.post(path, unknown, headers: type).status == 404)
            #expect(try await stand.post(path, "{}").status == 400)
        }
    }

    @Test("The models are those served, with their context length")
    func models() async throws {
        try await Stand.with({ $0.servedModelNames = ["a", "b"] }) { stand async throws in
            let data = try await stand.get("/v1/models").json["data"]
            #expect(data?.elements.compactMap { $0["id"]?.string } == ["a", "b"])
            #expect(data?[0]?["root"]?.string == "sim-model")
            #expect(data?[0]?["max_model_len"]?.int == 8192)
            let answer = try await stand.chat(#""model":"b","messages":[{"role":"user","content":"x"}]"#).json
            #expect(answer["model"]?.string == "b")
        }
    }

    @Test("Probes and the version answer")
    func probes() async throws {
        try await Stand.with { stand async throws in
            for path in ["/health", "/ping"] {
                let reply = try await stand.get(path)
                #expect(reply.status == 200 && reply.text.isEmpty)
            }
            #expect(try await stand.get("/version").json["version"]?.isString == true)
        }
    }

    @Test("A sleeping engine says so, forgets its cache and refuses work until it is woken")
    func sleeping() async throws {
        try await Stand.with({
            $0.sleepMode = true; $0.blockTokens = 4
        }) { stand async throws in
            let hello = #""messages":[{"role":"user","content":"Hello there, how are you?"}],"max_tokens":1"#
            func isSleeping() async throws -> Bool? { try await stand.get("/is_sleeping").json["is_sleeping"]?.bool }
            _ = try await stand.chat(hello)
            #expect(try await isSleeping() == false)
            #expect(try await stand.send(.POST, "/sleep?level=1").status == 200)
            #expect(try await isSleeping() == true)
            #expect(try await stand.chat(hello).status == 503)
            #expect(try await stand.send(.POST, "/wake_up").status == 200)
            let json = try await stand.chat(hello).json
            #expect(json["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.int == 0)
        }
    }
}
