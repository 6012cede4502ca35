import OpenAIWire
import SemanticRouter
import TestRandom
import Testing

@Suite struct ConversationSignalTests {
    /// The number that a source counts.
    private func count(_ source: String, _ prompt: Prompt) throws -> Double? {
        let rules = try SignalRules("conversation: [{name: it, feature: {type: count, source: {\(source)}}}]")
        return try rules.reading(.conversation, "it", prompt).value
    }

    private func messages(_ roles: [(role: String, times: Int)]) throws -> Prompt {
        let messages = roles.flatMap { role, times in
            Array(repeating: #"{"role": "\#(role)", "content": "x"}"#, count: times)
        }
        return try Prompt(body: #"{"messages": [\#(messages.joined(separator: ","))]}"#)
    }

    // MARK: Rules

    /// Upstream's cases.
    @Test("Numbers are held against the predicate")
    func predicates() throws {
        let rules = try SignalRules(
            """
            conversation:
              - {name: multi_turn, feature: {type: count, source: {type: message, role: user}}, predicate: {gte: 2}}
              - {name: developer, feature: {type: exists, source: {type: message, role: developer}}}
              - {name: tools, feature: {type: count, source: {type: tool_definition}}, predicate: {gt: 0}}
              - {name: cycles, feature: {type: count, source: {type: assistant_tool_cycle}}, predicate: {gte: 2}}
              - {name: calls, feature: {type: count, source: {type: assistant_tool_call}}, predicate: {gte: 3}}
              - {name: images, feature: {type: exists, source: {type: image_content}}}
            """
        )
        #expect(rules.present(try messages([("user", 3)])) == ["multi_turn"])
        #expect(rules.present(try messages([("user", 1)])) == [])
        #expect(rules.present(try messages([("developer", 1), ("user", 1)])) == ["developer"])
        #expect(rules.present(try messages([("tool", 3)])) == ["cycles"])
        #expect(rules.present(try messages([("tool", 1)])) == [])
        let tool = #"{"type": "function", "function": {"name": "f"}}"#
        let call = #"{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}"#
        #expect(rules.present(try Prompt(body: #"{"messages": [], "tools": [\#(tool), \#(tool)]}"#)) == ["tools"])
        let calls = Array(repeating: call, count: 5).joined(separator: ",")
        let calling = try Prompt(body: #"{"messages": [{"role": "assistant", "tool_calls": [\#(calls)]}]}"#)
        #expect(rules.present(calling) == ["calls"])
        #expect(try rules.reading(.conversation, "calls", calling) == .present(1, value: 5))
        let absent = try rules.reading(.conversation, "calls", try messages([("user", 1)]))
        #expect(absent == SignalReading(state: .absent, confidence: 0, value: 0))
        let image = #"{"type": "image_url", "image_url": {"url": "data:x"}}"#
        #expect(
            rules.present(try Prompt(body: #"{"messages": [{"role": "user", "content": [\#(image)]}]}"#)) == ["images"]
        )
    }

    @Test("A count without a predicate is always present, `exists` only from one on and without a predicate")
    func withoutPredicate() throws {
        let rules = try SignalRules(
            """
            conversation:
              - {name: counted, feature: {type: count, source: {type: tool_definition}}}
              - {name: there, feature: {type: exists, source: {type: tool_definition}}}
              - {name: bounded, feature: {type: exists, source: {type: message}}, predicate: {gte: 5}}
            """
        )
        let prompt = try messages([("user", 2)])
        #expect(try rules.reading(.conversation, "counted", prompt) == .present(1, value: 0))
        #expect(
            try rules.reading(.conversation, "there", prompt)
                == SignalReading(state: .absent, confidence: 0, value: 0)
        )
        #expect(try rules.reading(.conversation, "bounded", prompt) == .present(1, value: 1))
    }

    /// Upstream's: developers' messages count as one.
    @Test(
        "Messages are counted by role",
        arguments: [
            ("type: message, role: user", 2.0), ("type: message, role: assistant", 2),
            ("type: message, role: system", 1),
            ("type: message, role: tool", 3), ("type: message, role: developer", 1),
            ("type: message, role: non_user", 7),
            ("type: message", 9), ("type: assistant_tool_cycle", 3),
        ]
    )
    func roles(source: String, count: Double) throws {
        let prompt = try messages([
            ("system", 1), ("developer", 2), ("user", 2), ("assistant", 2), ("tool", 3), ("critic", 4),
        ])
        #expect(try self.count(source, prompt) == count)
    }

    @Test("Messages without text count too, and a function's answer is a tool's")
    func emptyMessages() throws {
        let prompt = try Prompt(
            body: """
                {"messages": [{"role": "user", "content": ""}, {"role": "user", "content": null}, {"role": "user"},
                {"role": "user", "content": []}, {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
                {"role": "function", "name": "f", "content": "1"}]}
                """
        )
        #expect(try count("type: message, role: user", prompt) == 4)
        #expect(try count("type: message, role: tool", prompt) == 1)
        #expect(try count("type: assistant_tool_call", prompt) == 1)
    }

    // MARK: Tools

    @Test(
        "A tool must be called where the choice says so or names one",
        arguments: [
            (#""required""#, 1.0, 0.0),
            (#""none""#, 0, 1),
            (#""auto""#, 0, 0),
            ("null", 0, 0),
            (#"{"type": "function", "function": {"name": "f"}}"#, 1, 0),
            (#"{"type": "auto"}"#, 0, 0),
            (#"{"type": "any"}"#, 1, 0),
            (#"{"type": "tool", "name": "f"}"#, 1, 0),
            (#"{"type": "none"}"#, 0, 1),
            ("7", 0, 0),
            ("[]", 0, 0),
        ]
    )
    func toolChoice(choice: String, required: Double, none: Double) throws {
        for endpoint in [TextEndpoint.chatCompletions, .messages] {
            let prompt = try Prompt(
                body: #"{"messages": [{"role": "user", "content": "x"}], "tool_choice": \#(choice)}"#,
                endpoint
            )
            #expect(try count("type: tool_choice_required", prompt) == required)
            #expect(try count("type: tool_choice_none", prompt) == none)
        }
    }

    private static let user = #"{"role": "user", "content": "x"}"#
    private static let assistant = #"{"role": "assistant", "content": "x"}"#
    private static let result = #"{"role": "tool", "tool_call_id": "1", "content": "x"}"#
    private static let call =
        #"{"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}"#

    @Test(
        "The model is in the middle of calling tools after a call, after a result, and at the user's word on a result",
        arguments: [
            ([], false),
            ([user], false),
            ([user, assistant], false),
            ([user, call], true),
            ([user, call, result], true),
            ([user, call, result, user], true),
            ([user, call, result, assistant], false),
            ([user, call, result, assistant, user], false),
            ([user, call, result, user, user], false),
            ([result, user], true),
        ]
    )
    func toolLoop(messages: [String], isLoop: Bool) throws {
        let prompt = try Prompt(body: #"{"messages": [\#(messages.joined(separator: ","))]}"#)
        #expect(try count("type: active_tool_loop", prompt) == (isLoop ? 1 : 0))
    }

    @Test("Anthropic's blocks are calls, results and images; its system prompt is a message")
    func anthropic() throws {
        let prompt = try Prompt(
            body: """
                {"model": "m", "system": "be brief", "max_tokens": 9,
                "tools": [{"name": "f", "description": "finds", "input_schema": {"type": "object"}}],
                "messages": [
                {"role": "user", "content": [{"type": "text", "text": "look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "2", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "a"},
                {"type": "tool_result", "tool_use_id": "2", "content": "b"}]}]}
                """,
            .messages
        )
        #expect(try count("type: message, role: user", prompt) == 2)
        #expect(try count("type: message, role: system", prompt) == 1)
        #expect(try count("type: message", prompt) == 4)
        #expect(try count("type: tool_definition", prompt) == 1)
        #expect(try count("type: assistant_tool_call", prompt) == 2)
        #expect(try count("type: assistant_tool_cycle", prompt) == 2)
        #expect(try count("type: active_tool_loop", prompt) == 1)
        #expect(try count("type: image_content", prompt) == 1)
        #expect(prompt.string == "look")
    }

    @Test("Items of the responses API are messages, calls and results; its instructions are a system message")
    func responses() throws {
        let prompt = try Prompt(
            body: """
                {"model": "m", "instructions": "be brief", "tools": [{"type": "function", "name": "f"}],
                "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "data:x"}]},
                {"type": "reasoning", "summary": []},
                {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "1", "output": "a"}]}
                """,
            .responses
        )
        #expect(try count("type: message, role: user", prompt) == 1)
        #expect(try count("type: message, role: system", prompt) == 1)
        #expect(try count("type: tool_definition", prompt) == 1)
        #expect(try count("type: assistant_tool_call", prompt) == 1)
        #expect(try count("type: assistant_tool_cycle", prompt) == 1)
        #expect(try count("type: active_tool_loop", prompt) == 1)
        #expect(try count("type: image_content", prompt) == 1)
        #expect(prompt.string == "look")
        let text = try Prompt(body: #"{"input": "hello"}"#, .responses)
        #expect(try count("type: message", text) == 1)
        #expect(try count("type: active_tool_loop", text) == 0)
    }

    @Test("A prompt without messages is one of the user's", arguments: [TextEndpoint.completions, .embeddings])
    func plainPrompt(endpoint: TextEndpoint) throws {
        let key = endpoint == .completions ? "prompt" : "input"
        let prompt = try Prompt(body: #"{"\#(key)": "hello"}"#, endpoint)
        #expect(try count("type: message, role: user", prompt) == 1)
        #expect(try count("type: message", prompt) == 1)
    }

    // MARK: Wrong forms

    @Test(
        "Parts without their expected form count as nothing",
        arguments: [
            #"{"messages": 7}"#, #"{"messages": {}}"#, #"{"messages": [7, null, "x", []]}"#,
            #"{"messages": [{"role": 7}]}"#,
            #"{"messages": [{"role": null, "content": {"type": "image"}}]}"#, #"{"tools": {}, "functions": "f"}"#,
            #"{"messages": [{"role": "assistants", "tool_calls": {"id": "1"}, "function_call": "f"}]}"#,
            #"{"messages": [{"content": [7, null, ["image"], {"type": 7}, {"type": ["image"]}]}]}"#,
            #"{"input": [7, null, {"type": "reasoning"}, {"type": "function"}], "instructions": ["x"]}"#,
            #"{"tool_choice": 7, "messages": []}"#, "{}",
        ]
    )
    func wrongForms(body: String) throws {
        for endpoint in [TextEndpoint.chatCompletions, .responses] {
            var facts = ConversationFacts(try textRequest(body, endpoint))
            // A request of another endpoint's form has one prompt.
            facts.user = 0
            #expect(facts == ConversationFacts(), "\(endpoint)")
        }
    }

    @Test("No body, of whatever shape, is more than counted or refused", arguments: TextEndpoint.allCases)
    func anyShape(endpoint: TextEndpoint) throws {
        var random = SeededRandom.fromEnvironment("anyShape \(endpoint)")
        let rules = try SignalRules(
            """
            keywords: [{name: k, keywords: [user, 数学], operator: NOR}, {name: f, method: fuzzy, keywords: [content]}]
            structure: [{name: s, feature: {type: density, source: {type: regex, pattern: "[a-z]+"}}}]
            context: [{name: c, min_tokens: 0}]
            conversation: [{name: all, feature: {type: count, source: {type: message}}}]
            language: [{name: en}]
            metadata: [{name: m, key: role, predicate: {exists: true}}]
            events: [{name: e, temporal: true}]
            role_bindings: [{name: b, role: r, subjects: [{kind: User, name: user}]}]
            """
        )
        var read = 0
        for _ in 0..<1500 {
            let request = try textRequest(JSONShape.body(&random), endpoint)
            let facts = ConversationFacts(request)
            let numbers = [
                facts.user, facts.assistant, facts.system, facts.tool, facts.developer, facts.tools, facts.toolCalls,
                facts.toolResults, facts.images,
            ]
            #expect(numbers.allSatisfy { (0...1000).contains($0) })
            guard let prompt = try? Prompt(request) else { continue }
            read += 1
            #expect(prompt.tokens >= 0)
            #expect(prompt.conversation == facts)
            let readings = rules.table.evaluate(prompt).readings
            #expect(readings.allSatisfy { (0...1).contains($0.confidence) && $0.state != .unavailable })
        }
        #expect(read > 0)
    }
}

/// JSON of the keys and words that requests have, put together by chance.
private enum JSONShape {
    static func body(_ random: inout SeededRandom) -> String {
        let keys = [
            "messages", "input", "prompt", "system", "instructions", "tools", "functions", "tool_choice", "metadata",
            "query", "documents", "text_1", "text_2", "items", "tokens",
        ]
        let chosen = keys.shuffled(using: &random).prefix(1 + random.below(5))
        return "{" + chosen.map { "\($0.json): \(value(for: $0, 4, &random))" }.joined(separator: ", ") + "}"
    }

    /// More often than not what the key usually holds.
    private static func value(for key: String, _ depth: Int, _ random: inout SeededRandom) -> String {
        guard !random.once(in: 4) else { return value(depth, &random) }
        switch key {
        case "messages": return list(depth, &random) { message(3, &$0) }
        case "input": return random.once(in: 2) ? list(depth, &random) { message(3, &$0) } : text(&random)
        case "tools", "functions", "documents", "items": return list(depth, &random) { object(2, &$0) }
        case "metadata": return object(2, &random)
        default: return text(&random)
        }
    }

    private static func message(_ depth: Int, _ random: inout SeededRandom) -> String {
        guard !random.once(in: 6) else { return value(depth, &random) }
        let role = random.pick([
            #""user""#, #""assistant""#, #""system""#, #""tool""#, #""developer""#, #""function""#, "7",
        ])
        let content = random.once(in: 2) ? text(&random) : list(depth, &random) { part(&$0) }
        let calls = random.once(in: 3) ? #", "tool_calls": \#(value(2, &random))"# : ""
        let type = random.once(in: 3) ? #", "type": \#(text(&random))"# : ""
        return #"{"role": \#(role), "content": \#(content)\#(calls)\#(type)}"#
    }

    private static func part(_ random: inout SeededRandom) -> String {
        guard !random.once(in: 6) else { return value(2, &random) }
        let type = random.pick([
            "text", "input_text", "image_url", "image", "input_image", "tool_use", "tool_result", "document",
        ])
        return #"{"type": "\#(type)", "text": \#(text(&random)), "content": \#(value(2, &random))}"#
    }

    private static func text(_ random: inout SeededRandom) -> String {
        random.pick([
            "", "user", "urgent: is 数学 hard?", "content", "message", "function_call", "custom_tool_call_output", "none",
            "\u{0}é🙂",
        ]).json
    }

    private static func list(
        _ depth: Int,
        _ random: inout SeededRandom,
        _ element: (inout SeededRandom) -> String
    ) -> String {
        "[" + (0..<random.below(5)).map { _ in element(&random) }.joined(separator: ", ") + "]"
    }

    private static func object(_ depth: Int, _ random: inout SeededRandom) -> String {
        let keys = ["role", "content", "type", "name", "function", "arguments", "id", "text", "source", "data"]
        let members = (0..<random.below(5)).map { _ in "\(random.pick(keys).json): \(value(depth - 1, &random))" }
        return "{" + members.joined(separator: ", ") + "}"
    }

    private static func value(_ depth: Int, _ random: inout SeededRandom) -> String {
        switch random.below(depth > 0 ? 8 : 6) {
        case 0: return "null"
        case 1: return random.pick(["true", "false"])
        case 2: return random.pick(["0", "-1", "1e308", "12345678901234567890", "0.5"])
        case 3, 4, 5: return text(&random)
        case 6: return list(depth, &random) { value(depth - 1, &$0) }
        default: return object(depth, &random)
        }
    }
}
