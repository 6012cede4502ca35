import NIOCore
import OpenAIWire

/// Renders messages into the text that the simulated model reads, one marked line per message. Every part of a request
/// that a real chat template would show to the model is in it, so that prefixes agree exactly when they would for a
/// real model.
struct PromptBuilder {
    private var text = ByteBuffer()
    private(set) var lastUserText = ByteBuffer()
    /// The role of the last message.
    private(set) var lastRole = ""

    mutating func addTools(_ tools: JSONValue) {
        text.writeStaticString("<|tools|>")
        text.writeImmutableBuffer(tools.rawBytes)
        text.writeStaticString("\n")
    }

    /// Adds a chat message, a Responses input item or an Anthropic message.
    mutating func addMessage(role: String, _ message: JSONValue) {
        add(role: role, content: message["content"] ?? message["output"], calls: message["tool_calls"])
    }

    mutating func add(role: String, content: JSONValue?, calls: JSONValue? = nil) {
        text.writeStaticString("<|")
        text.writeString(role)
        text.writeStaticString("|>")
        let start = text.writerIndex
        if let content { write(content) }
        if let calls { text.writeImmutableBuffer(calls.rawBytes) }
        lastRole = role
        if role == "user", let own = text.getSlice(at: start, length: text.writerIndex - start) { lastUserText = own }
        text.writeStaticString("\n")
    }

    /// Adds plain text, unmarked.
    mutating func addText(_ content: JSONValue) {
        let start = text.writerIndex
        content.appendText(to: &text)
        if let own = text.getSlice(at: start, length: text.writerIndex - start) { lastUserText = own }
    }

    /// The tokens of it all, with the mark at which the model answers.
    consuming func tokensForAnswer() -> [UInt32] {
        text.writeStaticString("<|assistant|>")
        return text.withUnsafeReadableBytes { SimTokenizer.encode($0) }
    }

    private mutating func write(_ content: JSONValue) {
        switch content.kind {
        case .string:
            content.appendText(to: &text)
        case .array:
            for part in content.elements {
                if let inner = part["text"] ?? part["input_text"] {
                    inner.appendText(to: &text)
                } else if part.isString {
                    part.appendText(to: &text)
                } else if let inner = part["content"] {
                    write(inner)
                } else {
                    // An image, a sound or a tool's call: as it stands, since equal parts must give equal tokens.
                    text.writeImmutableBuffer(part.rawBytes)
                }
            }
        default:
            break
        }
    }
}
