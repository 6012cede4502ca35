import NIOCore
import OpenAIWire

/// `/v1/completions`.
struct CompletionFormat: AnswerFormat {
    func writeWhole(_ answer: Answer, into buffer: inout ByteBuffer) {
        writeHead(answer, into: &buffer)
        for (index, choice) in answer.choices.enumerated() {
            if index > 0 { buffer.writeStaticString(",") }
            writeChoice(index, text: choice.text, finish: choice.finish, into: &buffer)
        }
        buffer.writeStaticString("],\"usage\":")
        buffer.writeUsage(answer, completionTokens: answer.completionTokens)
        if let parameters = answer.transferParameters {
            buffer.writeStaticString(",\"kv_transfer_params\":")
            buffer.writeString(parameters)
        }
        buffer.writeStaticString("}")
    }

    func writeOpening(_ answer: Answer, into buffer: inout ByteBuffer) {}

    func writeToken(_ answer: Answer, at index: Int, into buffer: inout ByteBuffer) {
        for (number, choice) in answer.choices.enumerated() where index < choice.pieces.count {
            buffer.writeEventStart()
            writeHead(answer, into: &buffer)
            writeChoice(
                number,
                text: index == 0 ? choice.lead + choice.pieces[0] : choice.pieces[index],
                finish: index == choice.pieces.count - 1 ? choice.finish : nil,
                into: &buffer
            )
            buffer.writeStaticString("]")
            if answer.hasContinuousUsage {
                buffer.writeStaticString(",\"usage\":")
                buffer.writeUsage(answer, completionTokens: answer.tokensSent(through: index))
            }
            buffer.writeStaticString("}")
            buffer.writeEventEnd()
        }
    }

    func writeClosing(_ answer: Answer, into buffer: inout ByteBuffer) {
        if answer.includesUsage {
            buffer.writeEventStart()
            writeHead(answer, into: &buffer)
            buffer.writeStaticString("],\"usage\":")
            buffer.writeUsage(answer, completionTokens: answer.completionTokens)
            buffer.writeStaticString("}")
            buffer.writeEventEnd()
        }
        buffer.writeStaticString("data: [DONE]\n\n")
    }

    private func writeChoice(_ index: Int, text: String, finish: Answer.Finish?, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"index\":")
        buffer.writeNumber(index)
        buffer.writeStaticString(",\"text\":")
        buffer.writeJSONString(text)
        if let finish {
            buffer.writeStaticString(",\"logprobs\":null,\"finish_reason\":\"")
            buffer.writeStaticString(finish.name)
            buffer.writeStaticString("\",\"stop_reason\":null}")
        } else {
            buffer.writeStaticString(",\"logprobs\":null,\"finish_reason\":null}")
        }
    }

    private func writeHead(_ answer: Answer, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"id\":")
        buffer.writeJSONString(answer.id)
        buffer.writeStaticString(",\"object\":\"text_completion\",\"created\":")
        buffer.writeNumber(answer.created)
        buffer.writeStaticString(",\"model\":")
        buffer.writeJSONString(answer.model)
        buffer.writeStaticString(",\"choices\":[")
    }
}
