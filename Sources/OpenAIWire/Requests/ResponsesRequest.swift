/// A request to OpenAI's `/v1/responses`.
package struct ResponsesRequest: Sendable {
    package enum Input: Sendable {
        case text(JSONValue)
        /// Messages, calls, their results, thoughts.
        case items([JSONValue])
    }

    private let root: JSONValue

    package init(_ request: TextRequest) { root = request.root }

    /// Nil when the request only continues what the worker has stored.
    package var input: Input? {
        get throws(RouterError) {
            guard let input = root.given("input") else { return nil }
            switch input.kind {
            case .string: return .text(input)
            case .array: return .items(Array(input.elements))
            default: throw input.mustBe("a string or a list of items")
            }
        }
    }

    /// The system prompt.
    package var instructions: JSONValue? {
        get throws(RouterError) { try root.optional("instructions", .string) }
    }

    /// The stored response that this one continues.
    package var previousResponseID: String? {
        get throws(RouterError) { try root.optionalString("previous_response_id") }
    }

    package var tools: [ToolDefinition] {
        get throws(RouterError) { try ToolDefinition.all(of: root) }
    }

    package var maxTokens: Int? {
        get throws(RouterError) { try root.optionalInt("max_output_tokens") }
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        collector.text(try instructions, .system)
        if try previousResponseID != nil || root.given("conversation") != nil { collector.note(.stored) }
        if let prompt = root.given("prompt") {
            // A stored template: its variables are all we see of it.
            collector.note(.stored)
            collector.strings(in: prompt.given("variables"), .user, keys: false)
        }
        if let history = root.given("previous_input_messages") {
            // vLLM's own, in the form of its Harmony models.
            collector.note(.unknown)
            collector.strings(in: history, .other)
        }
        switch try input {
        case .text(let text):
            collector.nextTurn()
            collector.text(text, .user)
        case .items(let items):
            for item in items { try collect(item, into: &collector) }
        case nil:
            break
        }
        collector.tools(try tools)
    }

    private func collect(_ item: JSONValue, into collector: inout TextCollector) throws(RouterError) {
        collector.nextTurn()
        guard !item.isString else { return collector.text(item, .user) }
        let type = try item.expect(.object).optionalString("type")
        switch type ?? "message" {
        case "message":
            let role = TextRole(message: try item.required("role", .string))
            collector.content(try MessageContent(item["content"]), role)
        case "function_call", "custom_tool_call", "mcp_call":
            collector.text(item.given("name"), .assistant, isContent: false)
            collector.strings(in: item.given("arguments"), .assistant)
            collector.strings(in: item.given("input"), .assistant)
            collector.strings(in: item.given("output"), .tool)
        case "function_call_output", "custom_tool_call_output":
            collector.content(try MessageContent(item["output"]), .tool)
        case "reasoning":
            for key in ["summary", "content"] {
                collector.content(try MessageContent(item[key]), .assistant)
            }
            if item.given("encrypted_content") != nil { collector.note(.encoded) }
        case "item_reference":
            collector.note(.stored)
        default:
            collector.note(.unknown)
            collector.strings(in: item, .other)
        }
    }
}
