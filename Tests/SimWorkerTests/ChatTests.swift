import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import SimWorker
import Testing

@Suite(.timeLimit(.minutes(2))) struct ChatTests {
    private static let hello =
        #""model":"sim-model","messages":[{"role":"user","content":"Hello there, how are you?"}]"#

    @Test("A chat is answered with as many tokens as it allows, and says who answered")
    func whole() async throws {
        try await Stand.with { stand async throws in
            let reply = try await stand.chat(Self.hello + #","max_tokens":7"#, headers: [("x-request-id", "abc")])
            let json = try reply.json
            #expect(reply.status == 200)
            #expect(reply.headers["x-sim-worker"] == ["w1"])
            #expect(reply.headers["content-type"] == ["application/json"])
            #expect(json["id"]?.string == "chatcmpl-abc")
            #expect(json["object"]?.string == "chat.completion")
            #expect(json["model"]?.string == "sim-model")
            let choice = json["choices"]?[0]
            let text = choice?["message"]?["content"]?.string ?? ""
            #expect(SimTokenizer.encode(text).count == 7)
            #expect(choice?["finish_reason"]?.string == "length")
            let usage = json["usage"]
            let prompt = SimTokenizer.encode("<|user|>Hello there, how are you?\n<|assistant|>").count
            #expect(usage?["prompt_tokens"]?.int == prompt)
            #expect(usage?["completion_tokens"]?.int == 7)
            #expect(usage?["total_tokens"]?.int == prompt + 7)
            #expect(usage?["prompt_tokens_details"]?["cached_tokens"]?.int == 0)
        }
    }

    @Test("Without a limit the answer ends by itself; equal requests get equal answers")
    func unlimited() async throws {
        try await Stand.with({ $0.outputTokens = 5 }) { stand async throws in
            let first = try await stand.chat(Self.hello).json["choices"]?[0]
            let second = try await stand.chat(Self.hello).json["choices"]?[0]
            let text = first?["message"]?["content"]?.string
            #expect(first?["finish_reason"]?.string == "stop")
            #expect(SimTokenizer.encode(text ?? "").count == 5)
            #expect(second?["message"]?["content"]?.string == text)
            let seeded = try await stand.chat(Self.hello + #","seed":7"#).json["choices"]?[0]
            #expect(seeded?["message"]?["content"]?.string != text)
        }
    }

    @Test("Echo mode repeats the last user message, up to the limit or the stop string")
    func echo() async throws {
        try await Stand.with({ $0.mode = .echo }) { stand async throws in
            let conversation = #"""
                "messages":[{"role":"system","content":"S"},{"role":"user","content":"old"},\#
                {"role":"assistant","content":"a"},{"role":"user","content":[{"type":"text","text":"One two, three."}]}]
                """#
            func answer(_ more: String) async throws -> (String?, String?) {
                let choice = try await stand.chat(conversation + more).json["choices"]?[0]
                return (choice?["message"]?["content"]?.string, choice?["finish_reason"]?.string)
            }
            #expect(try await answer("") == ("One two, three.", "stop"))
            #expect(try await answer(#","max_tokens":2"#) == ("One two", "length"))
            #expect(try await answer(#","stop":["three",", "]"#) == ("One two", "stop"))
            #expect(try await answer(#","stop":"wo""#) == ("One t", "stop"))
            #expect(try await answer(#","max_completion_tokens":1,"max_tokens":3"#) == ("One", "length"))
        }
    }

    @Test("A stream has the role, a chunk per token, the finish, the usage if wanted, and the end")
    func stream() async throws {
        try await Stand.with { stand async throws in
            let reply = try await stand.chat(
                Self.hello + #","max_tokens":3,"stream":true,"stream_options":{"include_usage":true}"#
            )
            #expect(reply.headers["content-type"] == ["text/event-stream; charset=utf-8"])
            #expect(reply.headers["x-sim-worker"] == ["w1"])
            #expect(reply.events.last == "[DONE]")
            let chunks = try reply.chunks
            #expect(chunks.count == 5)
            #expect(chunks.allSatisfy { $0["object"]?.string == "chat.completion.chunk" })
            #expect(chunks[0]["choices"]?[0]?["delta"]?["role"]?.string == "assistant")
            let pieces = chunks[1...3].compactMap { $0["choices"]?[0]?["delta"]?["content"]?.string }
            let whole = try await stand.chat(Self.hello + #","max_tokens":3"#).json
            #expect(pieces.joined() == whole["choices"]?[0]?["message"]?["content"]?.string)
            #expect(chunks.prefix(4).map { $0["choices"]?[0]?["finish_reason"]?.string } == [nil, nil, nil, "length"])
            #expect(chunks[4]["choices"]?[0] == nil)
            #expect(chunks[4]["usage"]?["completion_tokens"]?.int == 3)
            #expect(chunks.prefix(4).allSatisfy { $0["usage"] == nil })
        }
    }

    @Test("Continuous usage counts up in every chunk; a stream without options has none")
    func continuousUsage() async throws {
        try await Stand.with { stand async throws in
            let counted = try await stand.chat(
                Self.hello + #","max_tokens":3,"stream":true,"stream_options":{"continuous_usage_stats":true}"#
            )
            #expect(try counted.chunks.map { $0["usage"]?["completion_tokens"]?.int } == [0, 1, 2, 3])
            let plain = try await stand.chat(Self.hello + #","max_tokens":3,"stream":true"#)
            #expect(try plain.chunks.allSatisfy { $0["usage"] == nil })
        }
    }

    @Test("Several choices are answered and streamed side by side, and counted together")
    func choices() async throws {
        try await Stand.with { stand async throws in
            let whole = try await stand.chat(Self.hello + #","n":3,"max_tokens":4"#).json
            let texts = whole["choices"]?.elements.compactMap { $0["message"]?["content"]?.string } ?? []
            #expect(Set(texts).count == 3)
            #expect(whole["usage"]?["completion_tokens"]?.int == 12)
            let chunks = try await stand.chat(Self.hello + #","n":3,"max_tokens":4,"stream":true"#).chunks
            var streamed = ["", "", ""]
            for chunk in chunks {
                let choice = chunk["choices"]?[0]
                streamed[choice?["index"]?.int ?? 0] += choice?["delta"]?["content"]?.string ?? ""
            }
            #expect(streamed == texts)
        }
    }

    @Test("A repeated prompt is found in the cache, and so is the conversation before a follow-up question")
    func cachedTokens() async throws {
        try await Stand.with({ $0.blockTokens = 4 }) { stand async throws in
            func cached(_ json: JSONValue) -> Int? { json["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.int }
            let first = try await stand.chat(Self.hello + #","max_tokens":20"#).json
            let again = try await stand.chat(Self.hello + #","max_tokens":20"#).json
            let prompt = try #require(again["usage"]?["prompt_tokens"]?.int)
            #expect(cached(first) == 0)
            #expect(cached(again) == (prompt - 1) / 4 * 4)
            let answer = try #require(first["choices"]?[0]?["message"]?["content"]?.string)
            let next = try await stand.chat(
                #"""
                "messages":[{"role":"user","content":"Hello there, how are you?"},\#
                {"role":"assistant","content":"\#(answer)"},{"role":"user","content":"And now?"}]
                """#
            ).json
            #expect(cached(next) == (prompt + 20) / 4 * 4)
            let registry = stand.worker.registry
            let labels = ["model_name": "sim-model", "engine": "0"]
            let hits = registry.value(of: "vllm:prefix_cache_hits_total", labels: labels)
            #expect(hits == Double((cached(again) ?? 0) + (cached(next) ?? 0)))
        }
    }

    private static let tools = #"""
        "tools":[{"type":"function","function":{"name":"get_time","parameters":{"type":"object","properties":{}}}},\#
        {"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":\#
        {"city":{"type":"string"},"days":{"type":"integer","minimum":3},"unit":{"enum":["C","F"]},\#
        "where":{"type":"object","properties":{"lat":{"type":"number"}},"required":["lat"]},"note":{"type":"string"}},\#
        "required":["city","days","unit","where"]}}}]
        """#

    @Test(
        "A tool is called when it must be, with arguments that satisfy its schema",
        arguments: [
            #""tool_choice":{"type":"function","function":{"name":"get_weather"}}"#,
            #""messages":[{"role":"user","content":"Use GET_WEATHER please"}],"tool_choice":"required""#,
            #""messages":[{"role":"user","content":"get_weather"}]"#,
        ]
    )
    func toolCall(members: String) async throws {
        try await Stand.with { stand async throws in
            let asked = members.contains("messages") ? members : Self.hello + "," + members
            let choice = try await stand.chat(asked + "," + Self.tools).json["choices"]?[0]
            let call = choice?["message"]?["tool_calls"]?[0]
            #expect(choice?["finish_reason"]?.string == "tool_calls")
            #expect(choice?["message"]?["content"]?.isNull == true)
            #expect(call?["function"]?["name"]?.string == "get_weather")
            let arguments = call?["function"]?["arguments"]?.string
            #expect(arguments == #"{"city":"text","days":3,"unit":"C","where":{"lat":1.5}}"#)

            let chunks = try await stand.chat(asked + #","stream":true,"# + Self.tools).chunks
            let deltas = chunks.compactMap { $0["choices"]?[0]?["delta"]?["tool_calls"]?[0] }
            #expect(deltas.first?["function"]?["name"]?.string == "get_weather")
            #expect(deltas.first?["id"]?.string?.hasPrefix("chatcmpl-tool-") == true)
            #expect(deltas.compactMap { $0["function"]?["arguments"]?.string }.joined() == arguments)
            #expect(chunks.last?["choices"]?[0]?["finish_reason"]?.string == "tool_calls")
        }
    }

    @Test("No tool is called after a tool's result, or when the request forbids it")
    func noToolCall() async throws {
        try await Stand.with { stand async throws in
            let result =
                #""messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"1","content":"22"}],"#
            for members in [result + Self.tools, Self.hello + #","tool_choice":"none","# + Self.tools] {
                let choice = try await stand.chat(members).json["choices"]?[0]
                #expect(choice?["finish_reason"]?.string == "stop")
                #expect(choice?["message"]?["content"]?.isString == true)
            }
        }
    }

    @Test("A response format of JSON is answered with JSON, of a schema with what the schema requires")
    func responseFormat() async throws {
        try await Stand.with { stand async throws in
            func content(_ format: String) async throws -> JSONValue {
                let json = try await stand.chat(Self.hello + #","response_format":"# + format).json
                let text = try #require(json["choices"]?[0]?["message"]?["content"]?.string)
                return try JSONDocument(.init(string: text)).root
            }
            #expect(try await content(#"{"type":"json_object"}"#).isObject)
            let schema = #"{"type":"object","required":["ok"],"properties":{"ok":{"type":"boolean"}}}"#
            let value = try await content(#"{"type":"json_schema","json_schema":{"name":"n","schema":\#(schema)}}"#)
            #expect(value["ok"]?.bool == true)
        }
    }

    @Test("Reasoning settings show in the answer's reasoning, whole and streamed")
    func reasoning() async throws {
        try await Stand.with { stand async throws in
            let members = Self.hello + #","reasoning_effort":"high","chat_template_kwargs":{"enable_thinking":true}"#
            let expected = #"reasoning_effort=high chat_template_kwargs={"enable_thinking":true}"#
            let whole = try await stand.chat(members).json
            #expect(whole["choices"]?[0]?["message"]?["reasoning_content"]?.string == expected)
            let chunks = try await stand.chat(members + #","stream":true"#).chunks
            #expect(chunks.first?["choices"]?[0]?["delta"]?["reasoning_content"]?.string == expected)
            let plain = try await stand.chat(Self.hello).json
            #expect(plain["choices"]?[0]?["message"]?["reasoning_content"] == nil)
        }
    }

    @Test("The prefill leg of a disaggregated pair answers with transfer parameters")
    func remoteDecode() async throws {
        try await Stand.with { stand async throws in
            let json = try await stand.chat(
                Self.hello + #","max_tokens":1,"kv_transfer_params":{"do_remote_decode":true}"#
            ).json
            #expect(json["kv_transfer_params"]?["do_remote_prefill"]?.bool == true)
            #expect(json["kv_transfer_params"]?["remote_engine_id"]?.string == "sim-w1")
            #expect(try await stand.chat(Self.hello).json["kv_transfer_params"] == nil)
        }
    }
}
