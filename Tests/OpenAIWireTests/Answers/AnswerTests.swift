import NIOCore
import OpenAIWire
import Testing

@Suite struct AnswerTests {
    @Test(
        "Usage is read in the spelling of every API",
        arguments: [
            (
                #"{"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "#
                    + #""prompt_tokens_details": {"cached_tokens": 8}}}"#,
                Usage(promptTokens: 10, completionTokens: 5, cachedTokens: 8)
            ),
            (
                #"{"usage": {"prompt_tokens": 10, "completion_tokens": null, "total_tokens": 10, "#
                    + #""prompt_tokens_details": null}}"#,
                Usage(promptTokens: 10, completionTokens: 0)
            ),
            (
                #"{"type": "response.completed", "response": {"usage": {"input_tokens": 10, "output_tokens": 5, "#
                    + #""total_tokens": 15, "input_tokens_details": {"cached_tokens": 0}}}}"#,
                Usage(promptTokens: 10, completionTokens: 5, cachedTokens: 0)
            ),
            (
                #"{"type": "message_start", "message": {"usage": {"input_tokens": 4, "#
                    + #""cache_read_input_tokens": 6, "output_tokens": 1}}}"#,
                Usage(promptTokens: 10, completionTokens: 1, cachedTokens: 6)
            ),
            (#"{"usage": {"output_tokens": 5}}"#, Usage(promptTokens: 0, completionTokens: 5)),
            (
                #"{"usage": {"input_tokens": 9223372036854775807, "output_tokens": 1}}"#,
                Usage(promptTokens: .max, completionTokens: 1, totalTokens: .max)
            ),
            (#"{"usage": {}}"#, nil), (#"{"usage": null}"#, nil), ("{}", nil), ("[]", nil), (#"{"usage": "x"}"#, nil),
        ] as [(String, Usage?)]
    )
    func usage(text: String, expected: Usage?) throws {
        #expect(Usage(response: try document(text).root) == expected)
    }

    @Test("A chat chunk gives its pieces")
    func chatChunk() throws {
        let text = """
            {"id": "c", "model": "m", "choices": [
                {"index": 0, "delta": {"role": "assistant", "content": "He\\u0079", "reasoning": "so"},
                    "finish_reason": null},
                {"index": 1, "delta": {"tool_calls": [{"index": 0}]}, "finish_reason": "tool_calls"}],
             "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
            """
        let chunk = try ChatChunk(ByteBuffer(string: text))
        #expect(chunk.id == "c")
        #expect(chunk.model == "m")
        #expect(chunk.choices.map(\.index) == [0, 1])
        #expect(chunk.choices.map { $0.content?.string } == ["Hey", nil])
        #expect(chunk.choices[0].reasoning?.string == "so")
        #expect(chunk.choices.map(\.finishReason) == [nil, "tool_calls"])
        #expect(chunk.choices[1].toolCalls?.isArray == true)
        #expect(chunk.usage == Usage(promptTokens: 1, completionTokens: 2))
        #expect(chunk.error == nil)
    }

    @Test("Completions chunks, last chunks and errors are chunks too")
    func otherChunks() throws {
        let completion = try ChatChunk(
            ByteBuffer(string: #"{"choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]}"#)
        )
        #expect(completion.choices[0].content?.string == "x")
        #expect(completion.choices[0].finishReason == "stop")
        #expect(try ChatChunk(ByteBuffer(string: #"{"choices": []}"#)).choices.isEmpty)
        #expect(try ChatChunk(ByteBuffer(string: #"{"error": {"code": 500}}"#)).error?["code"]?.int == 500)
        #expect(throws: JSONError(.unexpectedCharacter, at: 1)) { try ChatChunk(ByteBuffer(string: ChatChunk.done)) }
    }
}
