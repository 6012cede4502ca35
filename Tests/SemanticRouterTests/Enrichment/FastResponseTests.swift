import NIOCore
import NIOHTTP1
import OpenAIWire
import SemanticRouter
import Testing

@Suite struct FastResponseTests {
    private static let texts = [
        "Please ask the help desk.", "", " ", "word", "  two\n\n\tlines  of\r\ncode {\n    x\n}\n",
        "日本 語\u{3000}é e\u{301} 👩‍👩‍👧 ok",
        "\"quoted\" \\ \u{1} end ",
    ]

    private func answer(_ text: String, _ body: String, _ endpoint: TextEndpoint) throws -> LocalResponse {
        FastResponse(FastResponseSettings(text)).response(
            to: try textRequest(body, endpoint),
            unixSeconds: 1_700_000_000
        )
    }

    private func whole(_ response: LocalResponse) throws -> JSONValue {
        guard case .whole(let body) = response.body else { throw UnexpectedBody() }
        return try JSONDocument(body).root
    }

    /// The events of a stream, through the decoder.
    private func events(_ response: LocalResponse) throws -> [(type: String, data: ByteBuffer)] {
        guard case .events(let events) = response.body else { throw UnexpectedBody() }
        #expect(response.status == .ok)
        #expect(response.headers["content-type"] == ["text/event-stream"])
        var decoder = SSEDecoder()
        return try events.map { bytes in
            decoder.receive(bytes)
            // Each buffer is one whole event.
            let event = try #require(try decoder.next())
            #expect(try decoder.next() == nil)
            return (event.type, event.data)
        }
    }

    private struct UnexpectedBody: Error {}

    @Test("A chat completion")
    func chat() throws {
        let response = try answer("Hi there", #"{"messages":[]}"#, .chatCompletions)
        #expect(response.status == .ok)
        #expect(response.headers["content-type"] == ["application/json"])
        #expect(
            response.body
                == .whole(
                    ByteBuffer(
                        string: #"{"id":"chatcmpl-fast-1700000000","object":"chat.completion","created":1700000000,"#
                            + #""model":"router","choices":[{"index":0,"message":{"role":"assistant","#
                            + #""content":"Hi there"},"finish_reason":"stop"}],"#
                            + #""usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#
                    )
                )
        )
    }

    @Test("A chat's stream gives back the exact text, word by word", arguments: texts, [false, true])
    func chatStream(text: String, countsUsage: Bool) throws {
        let options = countsUsage ? #","stream_options":{"include_usage":true}"# : ""
        var events = try events(answer(text, #"{"stream":true\#(options)}"#, .chatCompletions))
        #expect(events.removeLast().data == ByteBuffer(string: "[DONE]"))
        var chunks = try events.map { try ChatChunk($0.data) }
        #expect(chunks.allSatisfy { $0.id == "chatcmpl-fast-1700000000" && $0.model == "router" })
        #expect(chunks.allSatisfy { $0.root["object"]?.string == "chat.completion.chunk" })
        #expect(chunks.allSatisfy { ($0.root["usage"] != nil) == countsUsage })
        if countsUsage {
            let last = chunks.removeLast()
            #expect(last.choices.isEmpty)
            #expect(last.usage == Usage(promptTokens: 0, completionTokens: 0))
        }
        let end = chunks.removeLast()
        #expect(end.choices.map(\.finishReason) == ["stop"])
        #expect(end.choices[0].value["delta"]?.members.contains { _ in true } == false)
        #expect(chunks.first?.root["choices"]?[0]?["delta"]?["role"]?.string == "assistant")
        #expect(chunks.dropFirst().allSatisfy { $0.root["choices"]?[0]?["delta"]?["role"] == nil })
        #expect(chunks.allSatisfy { $0.choices.count == 1 && $0.choices[0].finishReason == nil })
        let pieces = chunks.compactMap { $0.choices[0].content?.string }
        #expect(Array(pieces.joined().utf8) == Array(text.utf8))
        #expect(pieces.count == max(1, text.split(whereSeparator: \.isWhitespace).count))
    }

    @Test("A completion, whole and as a stream", arguments: texts)
    func completion(text: String) throws {
        let whole = try whole(answer(text, #"{"prompt":"p"}"#, .completions))
        #expect(whole["object"]?.string == "text_completion")
        #expect(whole["choices"]?[0]?["text"]?.string == text)
        #expect(whole["choices"]?[0]?["finish_reason"]?.string == "stop")
        var events = try events(answer(text, #"{"prompt":"p","stream":true}"#, .completions))
        #expect(events.removeLast().data == ByteBuffer(string: "[DONE]"))
        let chunks = try events.map { try ChatChunk($0.data) }
        #expect(chunks.compactMap { $0.choices[0].content?.string }.joined() == text)
        #expect(chunks.last?.choices[0].finishReason == "stop")
    }

    @Test("A response of the responses API, whole and as a stream", arguments: texts)
    func responses(text: String) throws {
        let whole = try whole(answer(text, #"{"input":"i"}"#, .responses))
        #expect(whole["object"]?.string == "response")
        #expect(whole["status"]?.string == "completed")
        #expect(whole["output"]?[0]?["content"]?[0]?["text"]?.string == text)
        #expect(whole["usage"]?["total_tokens"]?.int == 0)

        let events = try events(answer(text, #"{"input":"i","stream":true}"#, .responses))
        let types = events.map(\.type)
        let opening = [
            "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        ]
        let closing = [
            "response.output_text.done", "response.content_part.done", "response.output_item.done",
            "response.completed",
        ]
        let deltas = types.filter { $0 == "response.output_text.delta" }
        #expect(types == opening + deltas + closing)
        let payloads = try events.map { try JSONDocument($0.data).root }
        #expect(payloads.compactMap { $0["sequence_number"]?.int } == Array(0..<events.count))
        #expect(payloads.compactMap { $0["type"]?.string } == types)
        #expect(payloads.compactMap { $0["delta"]?.string }.joined() == text)
        let last = payloads.last?["response"].map { String(buffer: $0.rawBytes) }
        #expect(last == String(buffer: whole.rawBytes))
    }

    @Test("A message of Anthropic's API, whole and as a stream", arguments: texts)
    func messages(text: String) throws {
        let whole = try whole(answer(text, #"{"messages":[]}"#, .messages))
        #expect(whole["type"]?.string == "message")
        #expect(whole["content"]?[0]?["text"]?.string == text)
        #expect(whole["stop_reason"]?.string == "end_turn")

        let events = try events(answer(text, #"{"messages":[],"stream":true}"#, .messages))
        let deltas = events.filter { $0.type == "content_block_delta" }
        #expect(
            events.map(\.type)
                == ["message_start", "content_block_start"] + deltas.map(\.type)
                + ["content_block_stop", "message_delta", "message_stop"]
        )
        let texts = try deltas.compactMap { try JSONDocument($0.data).root["delta"]?["text"]?.string }
        #expect(texts.joined() == text)
    }

    @Test("Endpoints that do not talk are refused with the message")
    func others() throws {
        for endpoint in TextEndpoint.allCases.dropFirst(4) {
            let response = try answer("Not here.", #"{"stream":true}"#, endpoint)
            #expect(response.status == .forbidden)
            #expect(response.headers["content-type"] == ["application/json"])
            #expect(try whole(response)["error"]?["message"]?.string == "Not here.")
        }
    }
}
