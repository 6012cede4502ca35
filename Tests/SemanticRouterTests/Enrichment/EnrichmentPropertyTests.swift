import NIOCore
import OpenAIWire
import SemanticRouter
import TestRandom
import Testing

@Suite struct EnrichmentPropertyTests {
    private static let cases = 6_000

    @Test("Whatever the body and the plugins, edits fit together and touch nothing else")
    func editsFit() throws {
        var generator = CaseGenerator(random: SeededRandom.fromEnvironment())
        var edited = 0
        for number in 0..<Self.cases {
            let request = try textRequest(generator.body(), generator.endpoint)
            let enrichment = Enrichment(plugins: generator.plugins())
            let reasoning = generator.reasoning()
            let result = enrichment.edits(for: request, reasoning: reasoning)
            let text = try request.applying(result.edits.body)
            if !result.edits.body.isEmpty { edited += 1 }
            let after = try JSONDocument(ByteBuffer(string: text)).root
            let paths = result.edits.body.map { EditPath($0) }
            #expect(
                unchanged(request.root, after, paths),
                "case \(number): \(String(buffer: request.document.bytes)) became \(text) by \(paths.map(\.steps))"
            )
        }
        #expect(edited > Self.cases / 2)
    }

    @Test("What policies forbid is not in the edited body")
    func policiesHold() throws {
        var generator = CaseGenerator(random: SeededRandom.fromEnvironment())
        for _ in 0..<Self.cases {
            let request = try textRequest(generator.body(), generator.endpoint)
            let params = generator.params()
            let tools = generator.tools()
            let plugins: [PluginConfig] = [
                .systemPrompt(generator.systemPrompt()), .requestParams(params), .tools(tools),
            ]
            let enrichment = Enrichment(plugins: plugins.shuffled(using: &generator.random))
            let result = enrichment.edits(for: request, reasoning: nil)
            let text = try request.applying(result.edits.body)
            let after = try JSONDocument(ByteBuffer(string: text)).root
            #expect(result.injectedSystemPrompt == text.contains(#"Be \"brief\"."#), "\(text)")
            if tools.stripsHistory, request.endpoint == .chatCompletions {
                let roles = after["messages"].map { $0.elements.map { $0["role"]?.string } } ?? []
                #expect(!roles.contains("tool") && !roles.contains("function"), "\(text)")
            }
            let protected = ["model", "messages", "prompt", "input"]
            for key in params.blockedParams where !protected.contains(key) { #expect(after[key] == nil, "\(text)") }
            for key in ["max_tokens", "max_completion_tokens", "max_output_tokens"] {
                if let limit = params.maxTokensLimit, let number = after[key]?.double {
                    #expect(number <= Double(limit), "\(text)")
                }
            }
            guard tools.isEnabled, [.chatCompletions, .responses, .messages].contains(request.endpoint) else {
                continue
            }
            if tools.mode == .none {
                #expect(after["tools"] == nil && after["tool_choice"] == nil, "\(text)")
            } else if tools.mode == .filtered {
                for tool in after["tools"].map({ Array($0.elements) }) ?? [] {
                    let names = [tool["name"], tool["function"]?["name"]].compactMap { $0?.string }
                    #expect(tools.block.allSatisfy { !names.contains($0) }, "\(text)")
                    #expect(tools.allow.isEmpty || names.allSatisfy(tools.allow.contains), "\(text)")
                }
            }
        }
    }

    @Test("Policies applied to their own result change nothing more")
    func idempotence() throws {
        var generator = CaseGenerator(random: SeededRandom.fromEnvironment())
        for _ in 0..<Self.cases {
            let request = try textRequest(generator.body(), generator.endpoint)
            // Neither an inserted prompt nor the effort that a client gave once comes to rest.
            var prompt = generator.systemPrompt()
            prompt.mode = .replace
            var reasoning = generator.reasoning()
            reasoning?.isOn = true
            let enrichment = Enrichment(plugins: [
                .systemPrompt(prompt), .requestParams(generator.params()), .tools(generator.tools()),
            ])
            let once = try request.applying(enrichment.edits(for: request, reasoning: reasoning).edits.body)
            let second = try textRequest(once, generator.endpoint)
            let twice = try second.applying(enrichment.edits(for: second, reasoning: reasoning).edits.body)
            #expect(twice == once, "from \(String(buffer: request.document.bytes))")
        }
    }

    @Test("Any value anywhere makes no plugin fail, and a fast response always answers")
    func wrongTypes() throws {
        var generator = CaseGenerator(random: SeededRandom.fromEnvironment())
        generator.isWild = true
        for _ in 0..<Self.cases {
            let request = try textRequest(generator.body(), generator.endpoint)
            let result = Enrichment(plugins: generator.plugins()).edits(for: request, reasoning: generator.reasoning())
            _ = try JSONDocument(result.edits.body.applied(to: request.document))
            switch FastResponse(FastResponseSettings("a b")).response(to: request, unixSeconds: 0).body {
            case .whole(let body): _ = try JSONDocument(body)
            case .events(let events): #expect(events.count > 3)
            }
        }
    }

    // MARK: The yardstick

    /// An edit's way down, and what it does there.
    private struct EditPath {
        enum Kind { case set, remove, insert }

        var steps: ArraySlice<JSONPath.Step>
        let kind: Kind

        init(_ edit: JSONEdit) {
            steps = edit.path.steps[...]
            kind =
                switch edit {
                case .set: .set
                case .remove: .remove
                case .insert: .insert
                }
        }

        func below(_ step: JSONPath.Step) -> EditPath? {
            guard steps.first == step else { return nil }
            var path = self
            path.steps = steps.dropFirst()
            return path
        }
    }

    /// Whether `after` is `before` but for what the paths name: keys and values written as they were, in the same order.
    private func unchanged(_ before: JSONValue, _ after: JSONValue, _ paths: [EditPath]) -> Bool {
        if paths.isEmpty { return before.rawBytes == after.rawBytes }
        let inserts = paths.filter { $0.steps.isEmpty && $0.kind == .insert }.count
        let below = paths.filter { !$0.steps.isEmpty }
        if inserts == 0, below.isEmpty { return true }
        if before.isObject { return after.isObject && unchangedMembers(before, after, below) }
        guard before.isArray, after.isArray else { return false }
        // Inserts are all made at the front.
        var rest = Array(after.elements)[...].dropFirst(inserts)
        for (index, element) in before.elements.enumerated() {
            let here = below.compactMap { $0.below(.index(index)) }
            if here.contains(where: { $0.steps.isEmpty && $0.kind == .remove }) { continue }
            guard let other = rest.popFirst(), unchanged(element, other, here) else { return false }
        }
        return rest.isEmpty
    }

    private func unchangedMembers(_ before: JSONValue, _ after: JSONValue, _ paths: [EditPath]) -> Bool {
        func here(_ key: JSONValue) -> [EditPath] { paths.compactMap { $0.below(.key(key.string ?? "")) } }
        func others(_ value: JSONValue) -> [[ByteBuffer]] {
            value.members.filter { here($0.key).isEmpty }.map { [$0.key.rawBytes, $0.value.rawBytes] }
        }
        guard others(before) == others(after) else { return false }
        return before.members.allSatisfy { member in
            let paths = here(member.key)
            guard !paths.isEmpty, let key = member.key.string, let value = before[key] else { return true }
            if paths.contains(where: { $0.steps.isEmpty && $0.kind == .remove }) { return after[key] == nil }
            guard let other = after[key] else { return false }
            return unchanged(value, other, paths)
        }
    }
}

/// Random requests, in odd spelling and often with values that do not belong there, and random plugins.
private struct CaseGenerator {
    var random: SeededRandom
    var isWild = false
    private(set) var endpoint = TextEndpoint.chatCompletions

    init(random: SeededRandom) { self.random = random }

    // MARK: Bodies

    private static let keys = [
        "messages", "model", "tools", "tool_choice", "functions", "function_call", "parallel_tool_calls",
        "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "reasoning_effort",
        "chat_template_kwargs", "thinking", "reasoning", "instructions", "system", "input", "stream", "made_up",
        "temperature", "web_search_options", "stream_options",
    ]

    mutating func body() -> String {
        endpoint =
            random.once(in: 4)
            ? random.pick(TextEndpoint.allCases) : random.pick([.chatCompletions, .responses, .messages])
        var keys = Self.keys.shuffled(using: &random).prefix(random.below(14))
        // Twice the same key, now and then.
        if random.once(in: 4), let key = keys.first { keys.append(key) }
        return object(keys.map { ($0, member($0)) })
    }

    private mutating func member(_ key: String) -> String {
        if random.once(in: isWild ? 2 : 8), key != "model" { return anything(3) }
        switch key {
        case "messages": return array(7) { $0.message() }
        case "input": return random.once(in: 3) ? string() : array(6) { $0.item() }
        case "tools", "functions": return array(5) { $0.tool() }
        case "tool_choice", "function_call": return choice()
        case "model", "instructions", "made_up": return string()
        case "system": return content()
        case "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "temperature": return number()
        case "reasoning_effort": return random.pick(["\"high\"", "\"l\\u006fw\"", "null"])
        case "chat_template_kwargs":
            return object(
                ["enable_thinking", "reasoning_effort", "other", "enable_thinking"].prefix(random.below(5))
                    .map { ($0, anything(1)) }
            )
        case "reasoning", "thinking":
            return object(["effort", "summary"].prefix(random.below(3)).map { ($0, string()) })
        default: return random.pick(["true", "false", "null", "{}"])
        }
    }

    private mutating func message() -> String {
        if random.once(in: 10) { return anything(2) }
        var members = [("role", "\"\(random.pick(["system", "user", "assistant", "tool", "function", "developer"]))\"")]
        if !random.once(in: 4) { members.append(("content", content())) }
        if random.once(in: 3) { members.append(("tool_calls", array(2) { $0.tool() })) }
        if random.once(in: 6) { members.append((random.pick(["name", "function_call", "role"]), anything(1))) }
        return object(members.shuffled(using: &random))
    }

    private mutating func item() -> String {
        let type = random.pick(["message", "function_call", "function_call_output", "reasoning"])
        return random.once(in: 8) ? anything(2) : object([("type", "\"\(type)\""), ("content", content())])
    }

    private mutating func content() -> String {
        switch random.below(isWild ? 5 : 4) {
        case 0, 1: string()
        case 2:
            array(4) {
                let type = $0.random.pick(["text", "image_url", "tool_use", "tool_result", "server_tool_use"])
                return $0.object([("type", "\"\(type)\""), ("text", $0.string())])
            }
        case 3: "null"
        default: anything(2)
        }
    }

    private static let names = ["a", "b", "c", "web_search"]

    private mutating func tool() -> String {
        let name = "\"\(random.pick(Self.names))\""
        switch random.below(7) {
        case 0, 1, 2: return object([("type", "\"function\""), ("function", object([("name", name)]))])
        case 3, 4: return object([("type", "\"function\""), ("name", name)])
        case 5: return object([("type", name)])
        default: return anything(2)
        }
    }

    private mutating func choice() -> String {
        switch random.below(5) {
        case 0, 1: return random.pick(["\"auto\"", "\"none\"", "\"required\""])
        case 2, 3: return tool()
        default:
            let list = array(3) { $0.tool() }
            let isNested = random.once(in: 2)
            return object([
                ("type", "\"allowed_tools\""),
                isNested ? ("allowed_tools", object([("tools", list)])) : ("tools", list),
            ])
        }
    }

    // MARK: Spelling

    private mutating func object(_ members: [(String, String)]) -> String {
        var text = "{\(space())"
        for (index, (key, value)) in members.enumerated() {
            text += "\(index > 0 ? ",\(space())" : "")\(spelled(key))\(space()):\(space())\(value)\(space())"
        }
        return text + "}"
    }

    private mutating func array(_ most: Int, _ element: (inout Self) -> String) -> String {
        var text = "[\(space())"
        for index in 0..<random.below(most) {
            text += "\(index > 0 ? ",\(space())" : "")\(element(&self))\(space())"
        }
        return text + "]"
    }

    private mutating func space() -> String { random.once(in: 3) ? random.pick([" ", "\n", "\t", "\r\n  "]) : "" }

    /// A key, now and then with an escape for its first letter.
    private mutating func spelled(_ key: String) -> String {
        guard random.once(in: 10), let first = key.unicodeScalars.first else { return "\"\(key)\"" }
        let code = String(first.value, radix: 16)
        return "\"\\u\(String(repeating: "0", count: 4 - code.count))\(code)\(key.dropFirst())\""
    }

    private mutating func string() -> String {
        random.pick(["\"text\"", "\"\"", "\"\\u00e9\\n\\\"\"", "\"é e\u{301} 👩‍👩‍👧\"", "\"\\ud83d\\ude00\\/\"", "\"high\""])
    }

    private mutating func number() -> String {
        random.pick([
            "7", "1000", "-3", "0.70", "1e9", "1E999", "-1e999", "99.5", "2.50", "99999999999999999999", "5e-1",
        ])
    }

    private mutating func anything(_ depth: Int) -> String {
        switch random.below(depth > 0 ? 8 : 5) {
        case 0: return "null"
        case 1: return random.pick(["true", "false"])
        case 2: return number()
        case 3, 4: return string()
        case 5, 6:
            let keys = ["role", "content", "name", "type", "tools", "function"]
            return object((0..<random.below(4)).map { _ in (random.pick(keys), anything(depth - 1)) })
        default: return array(4) { $0.anything(depth - 1) }
        }
    }

    // MARK: Plugins

    mutating func plugins() -> [PluginConfig] {
        let all: [PluginConfig] = [
            .systemPrompt(systemPrompt()), .requestParams(params()), .tools(tools()),
            .headerMutation(HeaderMutationSettings(delete: ["x-a"])), .inactive(type: "rag"),
        ]
        return Array(all.shuffled(using: &random).prefix(random.below(all.count + 1)))
    }

    mutating func systemPrompt() -> SystemPromptSettings {
        SystemPromptSettings(
            "Be \"brief\".\n",
            random.pick([.insert, .replace]),
            isEnabled: random.pick([nil, true, false])
        )
    }

    mutating func params() -> RequestParamsSettings {
        RequestParamsSettings(
            blocked: Array(Self.keys.shuffled(using: &random).prefix(random.below(6))),
            maxTokens: random.pick([nil, 1, 50]),
            maxN: random.pick([nil, 2]),
            stripsUnknown: random.once(in: 3)
        )
    }

    mutating func tools() -> ToolsSettings {
        let lists = Self.names.shuffled(using: &random)
        switch random.below(4) {
        case 0: return ToolsSettings(.none, history: random.once(in: 2))
        case 1: return ToolsSettings(.filtered, allow: Array(lists.prefix(3)), block: Array(lists.suffix(2)))
        case 2: return ToolsSettings(.filtered, block: Array(lists.prefix(random.below(4))))
        default: return ToolsSettings(.passthrough)
        }
    }

    mutating func reasoning() -> ReasoningChoice? {
        guard !random.once(in: 4) else { return nil }
        let kind = random.pick(ReasoningFamily.Kind.allCases)
        let parameter = kind == .chatTemplateKwargs ? "enable_thinking" : "reasoning_effort"
        return ReasoningChoice(
            family: random.once(in: 6) ? nil : ReasoningFamily(type: kind, parameter: parameter),
            isOn: random.once(in: 2),
            effort: random.pick([.low, .medium, .high]),
            transport: random.pick(ReasoningTransport.allCases),
            generation: random.pick(ReasoningGeneration.allCases)
        )
    }
}
