import NIOCore
import OpenAIWire

/// `/v1/chat/completions`.
struct ChatFormat: AnswerFormat {
    func writeWhole(_ answer: Answer, into buffer: inout ByteBuffer) {
        writeHead(answer, object: "chat.completion", into: &buffer)
        for (index, choice) in answer.choices.enumerated() {
            if index > 0 { buffer.writeStaticString(",") }
            buffer.writeStaticString("{\"index\":")
            buffer.writeNumber(index)
            buffer.writeStaticString(",\"message\":{\"role\":\"assistant\",\"content\":")
            if case .toolCall(let name) = choice.content {
                buffer.writeStaticString("null,\"tool_calls\":[{\"id\":")
                buffer.writeJSONString(answer.toolCallID(index))
                buffer.writeStaticString(",\"type\":\"function\",\"function\":{\"name\":")
                buffer.writeJSONString(name)
                buffer.writeStaticString(",\"arguments\":")
                buffer.writeJSONString(choice.text)
                buffer.writeStaticString("}}]")
            } else {
                buffer.writeJSONString(choice.text)
                buffer.writeStaticString(",\"tool_calls\":[]")
            }
            if let reasoning = answer.reasoning {
                buffer.writeStaticString(",\"reasoning_content\":")
                buffer.writeJSONString(reasoning)
            }
            buffer.writeStaticString("},\"logprobs\":null,\"finish_reason\":\"")
            buffer.writeStaticString(choice.finish.name)
            buffer.writeStaticString("\",\"stop_reason\":null}")
        }
        buffer.writeStaticString("],\"usage\":")
        buffer.writeUsage(answer, completionTokens: answer.completionTokens)
        if let parameters = answer.transferParameters {
            buffer.writeStaticString(",\"kv_transfer_params\":")
            buffer.writeString(parameters)
        }
        buffer.writeStaticString("}")
    }

    func writeOpening(_ answer: Answer, into buffer: inout ByteBuffer) {
        for index in answer.choices.indices {
            writeChunk(answer, index, finish: nil, usageTokens: 0, into: &buffer) { buffer in
                buffer.writeStaticString("\"role\":\"assistant\",\"content\":\"\"")
                if let reasoning = answer.reasoning {
                    buffer.writeStaticString(",\"reasoning_content\":")
                    buffer.writeJSONString(reasoning)
                }
            }
        }
    }

    func writeToken(_ answer: Answer, at index: Int, into buffer: inout ByteBuffer) {
        for (number, choice) in answer.choices.enumerated() where index < choice.pieces.count {
            let finish = index == choice.pieces.count - 1 ? choice.finish : nil
            let sent = answer.tokensSent(through: index)
            writeChunk(answer, number, finish: finish, usageTokens: sent, into: &buffer) { buffer in
                guard case .toolCall(let name) = choice.content else {
                    buffer.writeStaticString("\"content\":")
                    buffer.writeJSONString(choice.pieces[index])
                    return
                }
                buffer.writeStaticString("\"tool_calls\":[{\"index\":0,")
                if index == 0 {
                    buffer.writeStaticString("\"id\":")
                    buffer.writeJSONString(answer.toolCallID(number))
                    buffer.writeStaticString(",\"type\":\"function\",\"function\":{\"name\":")
                    buffer.writeJSONString(name)
                    buffer.writeStaticString(",\"arguments\":")
                } else {
                    buffer.writeStaticString("\"function\":{\"arguments\":")
                }
                buffer.writeJSONString(choice.pieces[index])
                buffer.writeStaticString("}}]")
            }
        }
    }

    func writeClosing(_ answer: Answer, into buffer: inout ByteBuffer) {
        if answer.includesUsage {
            buffer.writeEventStart()
            writeHead(answer, object: "chat.completion.chunk", into: &buffer)
            buffer.writeStaticString("],\"usage\":")
            buffer.writeUsage(answer, completionTokens: answer.completionTokens)
            buffer.writeStaticString("}")
            buffer.writeEventEnd()
        }
        buffer.writeStaticString("data: [DONE]\n\n")
    }

    private func writeChunk(
        _ answer: Answer,
        _ choice: Int,
        finish: Answer.Finish?,
        usageTokens: Int,
        into buffer: inout ByteBuffer,
        delta: (inout ByteBuffer) -> Void
    ) {
        buffer.writeEventStart()
        writeHead(answer, object: "chat.completion.chunk", into: &buffer)
        buffer.writeStaticString("{\"index\":")
        buffer.writeNumber(choice)
        buffer.writeStaticString(",\"delta\":{")
        delta(&buffer)
        if let finish {
            buffer.writeStaticString("},\"logprobs\":null,\"finish_reason\":\"")
            buffer.writeStaticString(finish.name)
            buffer.writeStaticString("\",\"stop_reason\":null}]")
        } else {
            buffer.writeStaticString("},\"logprobs\":null,\"finish_reason\":null}]")
        }
        if answer.hasContinuousUsage {
            buffer.writeStaticString(",\"usage\":")
            buffer.writeUsage(answer, completionTokens: usageTokens)
        }
        buffer.writeStaticString("}")
        buffer.writeEventEnd()
    }

    /// Everything up to the list of choices, its bracket included.
    private func writeHead(_ answer: Answer, object: StaticString, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"id\":")
        buffer.writeJSONString(answer.id)
        buffer.writeStaticString(",\"object\":\"")
        buffer.writeStaticString(object)
        buffer.writeStaticString("\",\"created\":")
        buffer.writeNumber(answer.created)
        buffer.writeStaticString(",\"model\":")
        buffer.writeJSONString(answer.model)
        buffer.writeStaticString(",\"choices\":[")
    }
}
