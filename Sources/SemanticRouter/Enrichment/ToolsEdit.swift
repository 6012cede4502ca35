package import OpenAIWire

/// The `tools` plugin: the model gets to see all tools of a request, some of them, or none.
package struct ToolsEdit: Sendable {
    private enum Step {
        case removeAll(withHistory: Bool)
        case filter(ToolFilter)
    }

    private let step: Step

    /// Nil where the settings change nothing.
    package init?(_ settings: ToolsSettings) {
        guard settings.isEnabled else { return nil }
        switch settings.mode {
        case .passthrough: return nil
        case .none: step = .removeAll(withHistory: settings.stripsHistory)
        case .filtered: step = .filter(ToolFilter(allow: Set(settings.allow), block: Set(settings.block)))
        }
    }

    /// The edits for one request, and how many tools they take away.
    package static func edits(_ settings: ToolsSettings, for request: TextRequest) -> (edits: [JSONEdit], removed: Int)
    {
        var draft = RequestDraft(request)
        let removed = ToolsEdit(settings)?.apply(to: &draft) ?? 0
        return (draft.edits, removed)
    }

    /// Whether tools go altogether, which happens before other plugins act; filtering comes after them.
    var removesAll: Bool {
        if case .removeAll = step { true } else { false }
    }

    /// - Returns: the number of tools that are removed.
    func apply(to draft: inout RequestDraft) -> Int {
        switch step {
        case .removeAll(let withHistory):
            let removed = ToolLists.all(of: draft.endpoint).reduce(0) { sum, list in
                sum + (draft.client(list.key)?.elements.reduce(0) { count, _ in count + 1 } ?? 0)
            }
            for key in ToolLists.parameters(of: draft.endpoint) { draft.remove(key) }
            if withHistory { ToolHistory.remove(from: &draft) }
            return removed
        case .filter(let filter):
            return ToolLists.all(of: draft.endpoint).reduce(0) { $0 + filter.apply(to: $1, of: &draft) }
        }
    }
}

/// Where an endpoint's requests speak of tools.
private struct ToolLists {
    /// The member that lists tools.
    let key: String
    /// The member that says which of them to call.
    let choice: String
    /// Members that mean nothing without the list.
    let companions: [String]

    static func all(of endpoint: TextEndpoint) -> [ToolLists] {
        let tools = ToolLists(key: "tools", choice: "tool_choice", companions: ["parallel_tool_calls"])
        return switch endpoint {
        case .chatCompletions: [tools, ToolLists(key: "functions", choice: "function_call", companions: [])]
        case .responses, .messages: [tools]
        case .completions, .embeddings, .rerank, .score, .tokenize, .detokenize, .classify, .pooling: []
        }
    }

    /// Everything that goes when tools go.
    static func parameters(of endpoint: TextEndpoint) -> [String] {
        let parameters = all(of: endpoint).flatMap { [$0.key, $0.choice] + $0.companions }
        return endpoint == .chatCompletions ? parameters + ["web_search_options"] : parameters
    }
}

/// Which tools pass, by name; a tool that the server brings itself goes by its type if it has no name.
private struct ToolFilter {
    /// Empty for all.
    let allow: Set<String>
    /// Weighs more than `allow`.
    let block: Set<String>

    func apply(to list: ToolLists, of draft: inout RequestDraft) -> Int {
        guard let tools = draft.client(list.key), tools.isArray else { return 0 }
        var removedNames: Set<String> = []
        let split = ListEdit(tools, at: [.key(list.key)]) { tool in
            let names = Self.names(of: tool)
            guard !passes(names) else { return false }
            removedNames.formUnion(names)
            return true
        }
        if split.removesAll {
            for key in [list.key, list.choice] + list.companions { draft.remove(key) }
        } else if split.count > 0 {
            draft.edit(inside: list.key, split.edits)
            apply(toChoice: list.choice, removed: removedNames, of: &draft)
        }
        return split.count
    }

    /// A tool passes when all its names do: workers differ in which one they read. What has no name passes a filter
    /// that only blocks.
    private func passes(_ names: [String]) -> Bool {
        guard !names.isEmpty else { return allow.isEmpty }
        return names.allSatisfy { (allow.isEmpty || allow.contains($0)) && !block.contains($0) }
    }

    /// The names of a tool, or of a choice of one, in the form of any API: `{"type": "function", "function": {"name"}}`,
    /// `{"type": "custom", "custom": {"name"}}`, `{"name"}`; for one without, its type. None where it has neither.
    private static func names(of tool: JSONValue) -> [String] {
        let names = [tool["function"]?["name"], tool["custom"]?["name"], tool["name"]].compactMap { $0?.string }
        guard names.isEmpty, let type = tool["type"]?.string, type != "function", type != "custom" else { return names }
        return [type]
    }

    /// A choice that names a removed tool goes too; OpenAI's `allowed_tools` loses those it lists.
    private func apply(toChoice key: String, removed: Set<String>, of draft: inout RequestDraft) {
        guard let choice = draft.client(key), choice.isObject else { return }
        func isRemoved(_ tool: JSONValue) -> Bool { Self.names(of: tool).contains { removed.contains($0) } }
        // In the chat API, and in the responses API.
        let lists: [JSONPath] = [[.key(key), "allowed_tools", "tools"], [.key(key), "tools"]]
        for (path, list) in zip(lists, [choice["allowed_tools"]?["tools"], choice["tools"]]) {
            guard let list, list.isArray else { continue }
            let split = ListEdit(list, at: path, removing: isRemoved)
            return split.removesAll ? draft.remove(key) : draft.edit(inside: key, split.edits)
        }
        if isRemoved(choice) { draft.remove(key) }
    }
}

/// Former calls of tools, and their results.
private enum ToolHistory {
    static func remove(from draft: inout RequestDraft) {
        switch draft.endpoint {
        case .chatCompletions:
            edit("messages", of: &draft, chatEdits)
        case .messages:
            edit("messages", of: &draft, blockEdits)
        case .responses:
            edit("input", of: &draft) { input in
                let path: JSONPath = ["input"]
                return ListEdit(input, at: path) { item in item["type"]?.string.map(itemTypes.contains) ?? false }.edits
            }
        case .completions, .embeddings, .rerank, .score, .tokenize, .detokenize, .classify, .pooling:
            break
        }
    }

    private static func edit(_ key: String, of draft: inout RequestDraft, _ edits: (JSONValue) -> [JSONEdit]) {
        guard let list = draft.client(key), list.isArray else { return }
        draft.edit(inside: key, edits(list))
    }

    /// Calls of tools that the client brought, and what it answered.
    private static let itemTypes: Set<String> = [
        "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    ]

    private static func chatEdits(of messages: JSONValue) -> [JSONEdit] {
        messages.elements.enumerated().flatMap { index, message -> [JSONEdit] in
            let path: JSONPath = ["messages", .index(index)]
            switch message["role"]?.string {
            case "tool", "function":
                return [.remove(path)]
            case "assistant":
                let calls = ["tool_calls", "function_call"].filter { message.given($0) != nil }
                guard !calls.isEmpty else { return [] }
                return saysNothing(message, without: calls)
                    ? [.remove(path)] : calls.map { .remove(path.appending(.key($0))) }
            default:
                return []
            }
        }
    }

    /// Whether only the speaker would be left of a message.
    private static func saysNothing(_ message: JSONValue, without calls: [String]) -> Bool {
        message.members.allSatisfy { member in
            member.value.isNull || (calls + ["role", "name"]).contains { member.key.isString(equalTo: $0) }
        }
    }

    /// Anthropic's messages hold calls and results as blocks; a message of nothing else goes.
    private static func blockEdits(of messages: JSONValue) -> [JSONEdit] {
        messages.elements.enumerated().flatMap { index, message -> [JSONEdit] in
            guard let content = message["content"], content.isArray else { return [] }
            let path: JSONPath = ["messages", .index(index)]
            let split = ListEdit(content, at: path.appending("content")) { block in
                // Also `server_tool_use`, `mcp_tool_use` and the results of each server tool.
                block["type"]?.string.map { $0.hasSuffix("tool_use") || $0.hasSuffix("tool_result") } ?? false
            }
            return split.count > 0 && split.removesAll ? [.remove(path)] : split.edits
        }
    }
}

/// What a list loses.
private struct ListEdit {
    /// The removals, one by one.
    private(set) var edits: [JSONEdit] = []
    /// Whether nothing is left.
    private(set) var removesAll = true

    var count: Int { edits.count }

    init(_ list: JSONValue, at path: JSONPath, removing isRemoved: (JSONValue) -> Bool) {
        for (index, element) in list.elements.enumerated() {
            if isRemoved(element) {
                edits.append(.remove(path.appending(.index(index))))
            } else {
                removesAll = false
            }
        }
    }
}
