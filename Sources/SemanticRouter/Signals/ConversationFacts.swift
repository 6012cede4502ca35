package import OpenAIWire

/// The shape of a conversation: who spoke how often, which tools there are.
///
/// Counts what can be counted: parts of a request that have not their expected form count as nothing.
package struct ConversationFacts: Sendable, Equatable {
    package var user = 0
    package var assistant = 0
    package var system = 0
    package var tool = 0
    package var developer = 0
    /// Definitions of tools.
    package var tools = 0
    /// Calls that the assistant made.
    package var toolCalls = 0
    /// Results of calls.
    package var toolResults = 0
    package var images = 0
    package var requiresTool = false
    package var forbidsTools = false
    /// Whether the model is in the middle of calling tools: the last message carries a result or a call, or is the
    /// user's word after a result.
    package var isInToolLoop = false

    package init() {}

    /// Messages of all roles.
    package var messages: Int { user + assistant + system + tool + developer }

    package init(_ request: TextRequest) {
        let root = request.root
        var last: Turn?
        var previous: Turn?
        switch request.endpoint {
        case .responses:
            if root["instructions"]?.isString == true { system += 1 }
            if root["input"]?.isString == true { add(Turn(role: .user)) }
            for item in root["input"].elementsOrNone {
                let turn = Turn(item: item)
                add(turn)
                (previous, last) = (last, turn)
            }
        case .messages:
            if let instructions = root["system"], !instructions.isNull { system += 1 }
            fallthrough
        default:
            for message in root["messages"].elementsOrNone {
                let turn = Turn(message: message)
                add(turn)
                (previous, last) = (last, turn)
            }
            if root["messages"] == nil { user += root["prompt"] == nil && root["input"] == nil ? 0 : 1 }
        }
        tools = root["tools"].elementsOrNone.count + root["functions"].elementsOrNone.count
        if let choice = root["tool_choice"] {
            // A named tool is one that must be called; `any` is Anthropic's word, `allowed_tools` names several.
            let type = choice["type"]?.string ?? ""
            let mode = (choice["allowed_tools"]?["mode"] ?? choice["mode"])?.string
            requiresTool =
                choice.isString(equalTo: "required") || ["function", "custom", "tool", "any"].contains(type)
                || type == "allowed_tools" && mode == "required"
            forbidsTools = choice.isString(equalTo: "none") || choice["type"]?.isString(equalTo: "none") == true
        }
        if let last {
            isInToolLoop =
                last.results > 0 || last.role == .tool || last.role == .assistant && last.calls > 0
                || last.role == .user && (previous.map { $0.results > 0 || $0.role == .tool } ?? false)
        }
    }

    private mutating func add(_ turn: Turn) {
        switch turn.role {
        case .user: user += 1
        case .assistant: assistant += 1
        case .system: system += 1
        case .tool: tool += 1
        case .developer: developer += 1
        case nil: break
        }
        toolCalls += turn.calls
        toolResults += turn.results
        images += turn.images
    }

    /// One message or item.
    private struct Turn {
        enum Role: String {
            case user, assistant, system, tool, developer
        }

        var role: Role?
        var calls = 0
        var results = 0
        var images = 0

        init(role: Role) { self.role = role }

        /// A message of the chat or the messages API.
        init(message: JSONValue) {
            let word = message["role"]?.string
            role = word == "function" ? .tool : word.flatMap(Role.init)
            calls = message["tool_calls"].elementsOrNone.count + (message["function_call"]?.isObject == true ? 1 : 0)
            results = role == .tool ? 1 : 0
            count(message["content"])
        }

        /// An item of the responses API.
        init(item: JSONValue) {
            switch item["type"]?.string ?? "message" {
            case "function_call", "custom_tool_call", "mcp_call":
                role = .assistant
                calls = 1
            case "function_call_output", "custom_tool_call_output":
                role = .tool
                results = 1
            case "message":
                role = item.isString ? .user : item["role"]?.string.flatMap(Role.init)
                count(item["content"])
            default:
                break
            }
        }

        private mutating func count(_ content: JSONValue?) {
            for part in content.elementsOrNone {
                switch part["type"]?.string {
                case "image_url", "image", "input_image": images += 1
                case "tool_use", "server_tool_use": calls += 1
                case "tool_result": results += 1
                default: break
                }
            }
        }
    }
}

extension JSONValue? {
    /// The elements, if this is an array.
    fileprivate var elementsOrNone: [JSONValue] { map { Array($0.elements) } ?? [] }
}
