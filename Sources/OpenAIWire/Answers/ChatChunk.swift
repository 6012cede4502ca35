package import NIOCore

/// One data payload of a chat or completions stream.
package struct ChatChunk: Sendable {
    /// What one of the answers (`n` may ask for several) gains by this chunk.
    package struct Choice: Sendable {
        package let value: JSONValue
        /// Which answer.
        package let index: Int
        /// The next piece of text: `delta.content`, or `text` in a completions stream.
        package let content: JSONValue?
        /// The next piece of the model's thoughts (vLLM).
        package let reasoning: JSONValue?
        /// Pieces of calls to tools.
        package let toolCalls: JSONValue?
        /// Why the answer ends here: `stop`, `length`, `tool_calls`, `content_filter`.
        package let finishReason: String?

        fileprivate init(_ value: JSONValue) {
            self.value = value
            let delta = value.given("delta")
            index = value["index"]?.int ?? 0
            content = (delta?.given("content") ?? value.given("text")).flatMap { $0.isString ? $0 : nil }
            reasoning = (delta?.given("reasoning") ?? delta?.given("reasoning_content"))
                .flatMap { $0.isString ? $0 : nil }
            toolCalls = delta?.given("tool_calls")
            finishReason = value["finish_reason"]?.string
        }
    }

    package let document: JSONDocument

    /// The payload that ends a stream instead of a chunk.
    package static let done = "[DONE]"

    /// - Throws: `JSONError` when the payload is no JSON; ask `SSEEvent.isDone` first.
    package init(_ data: ByteBuffer) throws(JSONError) {
        document = try JSONDocument(data)
    }

    package var root: JSONValue { document.root }
    package var id: String? { root["id"]?.string }
    package var model: String? { root["model"]?.string }
    package var choices: [Choice] { root["choices"]?.elements.map(Choice.init) ?? [] }

    /// In the last chunk, or in all of them, when the request asked for it.
    package var usage: Usage? { Usage(response: root) }

    /// vLLM reports an error after the stream has begun as a chunk of this member.
    package var error: JSONValue? { root.given("error") }
}
