import NIOCore
import OpenAIWire

/// `/v1/messages`, Anthropic's API (https://docs.anthropic.com/en/api/messages-streaming). One choice only.
struct MessagesFormat: AnswerFormat {
    func writeWhole(_ answer: Answer, into buffer: inout ByteBuffer) {
        let choice = answer.choices[0]
        buffer.writeImmutableBuffer(
            message(
                answer,
                content: [block(answer, text: choice.text)],
                stop: stopReason(choice),
                tokens: choice.pieces.count
            )
            .bytes
        )
    }

    func writeOpening(_ answer: Answer, into buffer: inout ByteBuffer) {
        write("message_start", [("message", message(answer, content: [], stop: .null, tokens: 0))], into: &buffer)
        write(
            "content_block_start",
            [("index", 0), ("content_block", block(answer, text: nil))],
            into: &buffer
        )
    }

    func writeToken(_ answer: Answer, at index: Int, into buffer: inout ByteBuffer) {
        let piece = JSONFragment(answer.choices[0].pieces[index])
        let delta: JSONFragment =
            switch answer.choices[0].content {
            case .text: ["type": "text_delta", "text": piece]
            case .toolCall: ["type": "input_json_delta", "partial_json": piece]
            }
        write("content_block_delta", [("index", 0), ("delta", delta)], into: &buffer)
    }

    func writeClosing(_ answer: Answer, into buffer: inout ByteBuffer) {
        let choice = answer.choices[0]
        write("content_block_stop", [("index", 0)], into: &buffer)
        write(
            "message_delta",
            [
                ("delta", ["stop_reason": stopReason(choice), "stop_sequence": stopSequence(choice)]),
                ("usage", usage(answer, tokens: choice.pieces.count)),
            ],
            into: &buffer
        )
        write("message_stop", [], into: &buffer)
    }

    private func write(_ type: String, _ members: [(String, JSONFragment)], into buffer: inout ByteBuffer) {
        buffer.writeString("event: \(type)\ndata: ")
        buffer.writeImmutableBuffer(JSONFragment.object([("type", JSONFragment(type))] + members).bytes)
        buffer.writeEventEnd()
    }

    private func message(_ answer: Answer, content: [JSONFragment], stop: JSONFragment, tokens: Int) -> JSONFragment {
        .object([
            ("id", JSONFragment(answer.id)),
            ("type", "message"),
            ("role", "assistant"),
            ("content", .array(content)),
            ("model", JSONFragment(answer.model)),
            ("stop_reason", stop),
            ("stop_sequence", stop == .null ? .null : stopSequence(answer.choices[0])),
            ("usage", usage(answer, tokens: tokens)),
        ])
    }

    /// The content block with its text, or as a stream opens it.
    private func block(_ answer: Answer, text: String?) -> JSONFragment {
        switch answer.choices[0].content {
        case .text: return ["type": "text", "text": JSONFragment(text ?? "")]
        case .toolCall(let name):
            // The arguments were made as JSON; cut off by a limit they are not, and show as text then.
            let input = text.map { text in (try? JSONFragment(json: ByteBuffer(string: text))) ?? JSONFragment(text) }
            return [
                "type": "tool_use", "id": JSONFragment(answer.toolCallID(0)), "name": JSONFragment(name),
                "input": input ?? .object([]),
            ]
        }
    }

    private func stopReason(_ choice: Answer.Choice) -> JSONFragment {
        switch choice.finish {
        case .length: "max_tokens"
        case .toolCalls: "tool_use"
        case .stop: choice.stopSequence == nil ? "end_turn" : "stop_sequence"
        }
    }

    private func stopSequence(_ choice: Answer.Choice) -> JSONFragment {
        choice.stopSequence.map { JSONFragment($0) } ?? .null
    }

    private func usage(_ answer: Answer, tokens: Int) -> JSONFragment {
        [
            "input_tokens": JSONFragment(answer.promptTokens), "output_tokens": JSONFragment(tokens),
            "cache_read_input_tokens": JSONFragment(answer.cachedTokens),
        ]
    }
}
