/// A request to Anthropic's `/v1/messages`.
package struct MessagesRequest: Sendable {
    private let root: JSONValue

    package init(_ request: TextRequest) { root = request.root }

    /// The system prompt: a string or text blocks.
    package var system: MessageContent {
        get throws(RouterError) { try MessageContent(root["system"]) }
    }

    /// The messages, whose content is a string or blocks.
    package var messages: [ChatMessage] {
        get throws(RouterError) { try ChatMessage.all(of: root) }
    }

    package var tools: [ToolDefinition] {
        get throws(RouterError) { try ToolDefinition.all(of: root) }
    }

    package var maxTokens: Int? {
        get throws(RouterError) { try root.optionalInt("max_tokens") }
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        collector.content(try system, .system)
        for message in try messages {
            collector.nextTurn()
            switch message.content {
            case .none: break
            case .text(let text): collector.text(text, message.textRole)
            case .parts(let blocks):
                for block in blocks { try collect(block, message.textRole, into: &collector) }
            }
        }
        collector.tools(try tools)
    }

    /// Blocks that only this API has; the others are content parts like any.
    private func collect(
        _ block: ContentPart,
        _ role: TextRole,
        into collector: inout TextCollector
    ) throws(RouterError) {
        let value = block.value
        guard case .unknown = block.kind, let type = value.given("type") else { return collector.part(block, role) }
        if type.isString(equalTo: "tool_use") {
            collector.text(value.given("name"), role, isContent: false)
            collector.strings(in: value.given("input"), role)
        } else if type.isString(equalTo: "tool_result") {
            // Results may hold blocks once more, but no results.
            switch try MessageContent(value["content"]) {
            case .none: break
            case .text(let text): collector.text(text, .tool)
            case .parts(let blocks):
                for block in blocks { collectDocument(block, .tool, into: &collector) }
            }
        } else {
            collectDocument(block, role, into: &collector)
        }
    }

    /// A document is text in one of three forms, or a file.
    private func collectDocument(_ block: ContentPart, _ role: TextRole, into collector: inout TextCollector) {
        let value = block.value
        guard case .unknown = block.kind, value.given("type")?.isString(equalTo: "document") == true,
            let source = value.given("source"), let form = source.given("type")
        else { return collector.part(block, role) }
        collector.text(value.given("title"), role, isContent: false)
        collector.text(value.given("context"), role, isContent: false)
        if form.isString(equalTo: "text") {
            collector.text(source.given("data"), role)
        } else if form.isString(equalTo: "content") {
            collector.strings(in: source.given("content"), role, keys: false)
        } else {
            collector.note(.file)
        }
    }
}
