/// A request to vLLM's `/tokenize` (a prompt or a chat) or `/detokenize` (token numbers).
package struct TokenizeRequest: Sendable {
    private let root: JSONValue
    private let endpoint: TextEndpoint

    package init(_ request: TextRequest) {
        root = request.root
        endpoint = request.endpoint
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        guard endpoint != .detokenize else {
            _ = try root.required("tokens", .array)
            return collector.note(.tokenIDs)
        }
        if let prompt = root.given("prompt") {
            collector.nextTurn()
            collector.text(try prompt.expect(.string), .user)
        } else if root.given("messages") != nil {
            for message in try ChatMessage.all(of: root) { try message.collect(into: &collector) }
            collector.tools(try ToolDefinition.all(of: root))
        } else {
            throw root.missing("prompt")
        }
        collector.text(root.given("chat_template"), .other, isContent: false)
    }
}
