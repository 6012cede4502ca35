import NIOCore
import OpenAIWire

/// `/v1/responses` (https://platform.openai.com/docs/api-reference/responses-streaming). One choice only.
struct ResponsesFormat: AnswerFormat {
    func writeWhole(_ answer: Answer, into buffer: inout ByteBuffer) {
        buffer.writeImmutableBuffer(response(answer, isComplete: true).bytes)
    }

    func writeOpening(_ answer: Answer, into buffer: inout ByteBuffer) {
        let pending = response(answer, isComplete: false)
        write("response.created", 0, [("response", pending)], into: &buffer)
        write("response.in_progress", 1, [("response", pending)], into: &buffer)
        write(
            "response.output_item.added",
            2,
            [("output_index", 0), ("item", item(answer, isComplete: false))],
            into: &buffer
        )
        if isText(answer) {
            write("response.content_part.added", 3, place(answer) + [("part", part(""))], into: &buffer)
        }
    }

    func writeToken(_ answer: Answer, at index: Int, into buffer: inout ByteBuffer) {
        let type = isText(answer) ? "response.output_text.delta" : "response.function_call_arguments.delta"
        let members = place(answer) + [("delta", JSONFragment(answer.choices[0].pieces[index]))]
        write(type, 4 + index, members, into: &buffer)
    }

    func writeClosing(_ answer: Answer, into buffer: inout ByteBuffer) {
        let next = 4 + answer.steps
        let text = answer.choices[0].text
        if isText(answer) {
            write("response.output_text.done", next, place(answer) + [("text", JSONFragment(text))], into: &buffer)
            write("response.content_part.done", next + 1, place(answer) + [("part", part(text))], into: &buffer)
        } else {
            write(
                "response.function_call_arguments.done",
                next,
                place(answer) + [("arguments", JSONFragment(text))],
                into: &buffer
            )
        }
        write(
            "response.output_item.done",
            next + 2,
            [("output_index", 0), ("item", item(answer, isComplete: true))],
            into: &buffer
        )
        let type = isIncomplete(answer) ? "response.incomplete" : "response.completed"
        write(type, next + 3, [("response", response(answer, isComplete: true))], into: &buffer)
    }

    private func write(
        _ type: String,
        _ sequence: Int,
        _ members: [(String, JSONFragment)],
        into buffer: inout ByteBuffer
    ) {
        buffer.writeString("event: \(type)\ndata: ")
        let own = [("type", JSONFragment(type)), ("sequence_number", JSONFragment(sequence))]
        buffer.writeImmutableBuffer(JSONFragment.object(own + members).bytes)
        buffer.writeEventEnd()
    }

    private func isText(_ answer: Answer) -> Bool {
        answer.choices[0].content == .text
    }

    private func isIncomplete(_ answer: Answer) -> Bool {
        if case .length = answer.choices[0].finish { true } else { false }
    }

    private func itemID(_ answer: Answer) -> JSONFragment {
        JSONFragment("item_" + answer.id)
    }

    private func place(_ answer: Answer) -> [(String, JSONFragment)] {
        let item = [("item_id", itemID(answer)), ("output_index", JSONFragment(0))]
        return isText(answer) ? item + [("content_index", 0)] : item
    }

    private func part(_ text: String) -> JSONFragment {
        ["type": "output_text", "text": JSONFragment(text), "annotations": .array([])]
    }

    private func item(_ answer: Answer, isComplete: Bool) -> JSONFragment {
        let text = answer.choices[0].text
        let status: JSONFragment = isComplete ? "completed" : "in_progress"
        switch answer.choices[0].content {
        case .text:
            return [
                "id": itemID(answer), "type": "message", "status": status, "role": "assistant",
                "content": .array(isComplete ? [part(text)] : []),
            ]
        case .toolCall(let name):
            return [
                "id": itemID(answer), "type": "function_call", "status": status,
                "call_id": JSONFragment(answer.toolCallID(0)), "name": JSONFragment(name),
                "arguments": JSONFragment(isComplete ? text : ""),
            ]
        }
    }

    private func response(_ answer: Answer, isComplete: Bool) -> JSONFragment {
        let incomplete = isComplete && isIncomplete(answer)
        let tokens = answer.choices[0].pieces.count
        let usage: JSONFragment = [
            "input_tokens": JSONFragment(answer.promptTokens),
            "input_tokens_details": ["cached_tokens": JSONFragment(answer.cachedTokens)],
            "output_tokens": JSONFragment(tokens),
            "output_tokens_details": ["reasoning_tokens": 0],
            "total_tokens": JSONFragment(answer.promptTokens + tokens),
        ]
        return [
            "id": JSONFragment(answer.id), "object": "response", "created_at": JSONFragment(answer.created),
            "status": isComplete ? (incomplete ? "incomplete" : "completed") : "in_progress",
            "incomplete_details": incomplete ? ["reason": "max_output_tokens"] : .null,
            "model": JSONFragment(answer.model),
            "output": .array(isComplete ? [item(answer, isComplete: true)] : []),
            "usage": isComplete ? usage : .null,
        ]
    }
}
