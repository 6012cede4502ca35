/// A request to `/v1/embeddings`, or to vLLM's `/classify` and `/pooling`, which take the same forms.
package struct EmbeddingsRequest: Sendable {
    private let root: JSONValue

    package init(_ request: TextRequest) { root = request.root }

    /// Nil when the request has `messages` (vLLM), embeddings or data for a plug-in instead.
    package var input: PromptInput? {
        get throws(RouterError) { try root.given("input").map { value throws(RouterError) in try PromptInput(value) } }
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        if let input = try input {
            collector.prompt(input)
        } else if root.given("messages") != nil {
            for message in try ChatMessage.all(of: root) { try message.collect(into: &collector) }
        } else if let data = root.given("data") {
            // For a worker's IO processor plug-in, of any form.
            collector.note(.unknown)
            collector.strings(in: data, .other)
        } else {
            throw root.missing("input")
        }
        collector.text(root.given("chat_template"), .other, isContent: false)
    }
}
