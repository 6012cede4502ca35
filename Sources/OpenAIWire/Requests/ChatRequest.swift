/// A request to `/v1/chat/completions`: typed fields over the document, read when they are asked for.
package struct ChatRequest: Sendable {
    private let root: JSONValue

    package init(_ request: TextRequest) { root = request.root }

    package var messages: [ChatMessage] {
        get throws(RouterError) { try ChatMessage.all(of: root) }
    }

    package var tools: [ToolDefinition] {
        get throws(RouterError) { try ToolDefinition.all(of: root) }
    }

    /// `none`, `auto`, `required`, or the tool to call.
    package var toolChoice: JSONValue? { root.given("tool_choice") }
    package var responseFormat: JSONValue? { root.given("response_format") }

    /// Whether a stream shall end with a chunk that counts tokens.
    package var includesUsage: Bool {
        get throws(RouterError) {
            try root.optional("stream_options", .object)?.optionalBool("include_usage") ?? false
        }
    }

    /// An identifier that the client gave its end user.
    package var user: String? {
        get throws(RouterError) { try root.optionalString("user") }
    }

    /// The most tokens to generate: `max_completion_tokens`, or its older name `max_tokens`.
    package var maxTokens: Int? {
        get throws(RouterError) {
            if let tokens = try root.optionalInt("max_completion_tokens") { return tokens }
            return try root.optionalInt("max_tokens")
        }
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        // A template is the frame that all messages are put into.
        collector.text(root.given("chat_template"), .other, isContent: false)
        collector.strings(in: root.given("chat_template_kwargs"), .other)
        for message in try messages { try message.collect(into: &collector) }
        collector.strings(in: root.given("documents"), .document, keys: false)
        collector.tools(try tools)
        collector.strings(in: root.given("functions"), .toolDefinition, keys: false)
    }
}

/// One message of a chat.
package struct ChatMessage: Sendable {
    package let value: JSONValue
    /// As the request spells it; templates may know other roles than OpenAI's.
    package let role: JSONValue
    package let content: MessageContent

    init(_ value: JSONValue) throws(RouterError) {
        self.value = try value.expect(.object)
        role = try value.required("role", .string)
        content = try MessageContent(value["content"])
    }

    /// The `messages` of a request.
    static func all(of root: JSONValue) throws(RouterError) -> [ChatMessage] {
        var messages: [ChatMessage] = []
        for message in try root.required("messages", .array).elements { messages.append(try ChatMessage(message)) }
        return messages
    }

    package var textRole: TextRole { TextRole(message: role) }

    /// The name of the participant, where several share a role.
    package var name: String? {
        get throws(RouterError) { try value.optionalString("name") }
    }

    /// For a tool's answer: the call that it answers.
    package var toolCallID: String? {
        get throws(RouterError) { try value.optionalString("tool_call_id") }
    }

    /// The calls that the assistant made in this message.
    package var toolCalls: [ToolCall] {
        get throws(RouterError) {
            guard let calls = try value.optional("tool_calls", .array) else { return [] }
            var result: [ToolCall] = []
            for call in calls.elements { result.append(try ToolCall(call)) }
            return result
        }
    }

    func collect(into collector: inout TextCollector) throws(RouterError) {
        let role = textRole
        collector.nextTurn()
        collector.text(value.given("name"), role, isContent: false)
        collector.content(content, role)
        // vLLM's names for thoughts; `refusal` is OpenAI's.
        for key in ["reasoning", "reasoning_content", "refusal"] {
            collector.text(value.given(key), role, isContent: false)
        }
        for call in try toolCalls {
            collector.text(call.name, role, isContent: false)
            // A string of JSON by the rules; some clients send the object itself.
            collector.strings(in: call.arguments, role)
        }
        collector.strings(in: value.given("function_call"), role)
        collector.strings(in: value.given("tools"), .toolDefinition, keys: false)
    }
}

/// A call of a tool that an assistant's message records.
package struct ToolCall: Sendable {
    package let value: JSONValue
    package let id: String?
    package let name: JSONValue?
    package let arguments: JSONValue?

    init(_ value: JSONValue) throws(RouterError) {
        self.value = try value.expect(.object)
        id = try value.optionalString("id")
        // OpenAI's other kind of call is `custom`, with an `input` in place of arguments.
        let call = value.given("function") ?? value.given("custom")
        let function = try call?.expect(.object) ?? value
        name = try function.optional("name", .string)
        arguments = function.given("arguments") ?? function.given("input")
    }
}
