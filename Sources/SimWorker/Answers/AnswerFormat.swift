import NIOCore
import OpenAIWire

/// How one API writes an answer, whole or as a stream of server-sent events.
///
/// A stream is the opening, then `writeToken` for each token time, then the closing.
protocol AnswerFormat: Sendable {
    func writeWhole(_ answer: Answer, into buffer: inout ByteBuffer)
    func writeOpening(_ answer: Answer, into buffer: inout ByteBuffer)
    /// Writes the token at `index` of every choice that has one.
    func writeToken(_ answer: Answer, at index: Int, into buffer: inout ByteBuffer)
    func writeClosing(_ answer: Answer, into buffer: inout ByteBuffer)
}

extension ByteBuffer {
    mutating func writeEventStart() {
        writeStaticString("data: ")
    }

    /// Ends an event.
    mutating func writeEventEnd() {
        writeStaticString("\n\n")
    }

    /// The usage of an OpenAI answer after so many tokens.
    mutating func writeUsage(_ answer: Answer, completionTokens: Int) {
        writeStaticString("{\"prompt_tokens\":")
        writeString(String(answer.promptTokens))
        writeStaticString(",\"total_tokens\":")
        writeString(String(answer.promptTokens + completionTokens))
        writeStaticString(",\"completion_tokens\":")
        writeString(String(completionTokens))
        writeStaticString(",\"prompt_tokens_details\":{\"cached_tokens\":")
        writeString(String(answer.cachedTokens))
        writeStaticString("}}")
    }

    mutating func writeNumber(_ number: Int) {
        writeString(String(number))
    }
}

extension Answer.Finish {
    /// As OpenAI spells it.
    var name: StaticString {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .toolCalls: "tool_calls"
        }
    }
}

extension Answer {
    /// Tokens sent after the token time at `index`, over all choices.
    func tokensSent(through index: Int) -> Int {
        choices.reduce(0) { $0 + min($1.pieces.count, index + 1) }
    }

    /// The id of a choice's tool call.
    func toolCallID(_ choice: Int) -> String {
        "chatcmpl-tool-\(id.suffix(12))-\(choice)"
    }
}
