import ConfigKit
import OpenAIWire
import SemanticRouter
import Testing

@Suite struct EnrichmentTests {
    private func body(
        _ plugins: [PluginConfig],
        _ body: String,
        _ endpoint: TextEndpoint = .chatCompletions,
        reasoning: ReasoningChoice? = nil
    ) throws -> String {
        let request = try textRequest(body, endpoint)
        return try request.applying(Enrichment(plugins: plugins).edits(for: request, reasoning: reasoning).edits.body)
    }

    private static let gptOSS = ReasoningFamily(type: .reasoningEffort, parameter: "reasoning_effort")

    @Test("Everything at once, in one pass over the body")
    func everything() throws {
        let request = try textRequest(
            #"""
            {"model":"m", "messages" : [{"role":"user","content":"\u0075"}], "max_tokens":1000, "made_up":1,
             "tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}],
             "tool_choice":"auto", "reasoning_effort":"low", "temperature":0.70}
            """#
        )
        let enrichment = Enrichment(plugins: [
            .tools(ToolsSettings(.filtered, block: ["a"])),
            .requestParams(RequestParamsSettings(blocked: ["temperature"], maxTokens: 50, stripsUnknown: true)),
            .systemPrompt(SystemPromptSettings("P")),
            .headerMutation(HeaderMutationSettings(add: [("x-a", "1")], update: [("x-b", "2")], delete: ["x-c"])),
            .inactive(type: "rag"),
        ])
        let result = enrichment.edits(for: request, reasoning: ReasoningChoice(family: Self.gptOSS, isOn: true))
        #expect(
            try request.applying(result.edits.body) == #"""
                {"model":"m", "messages" : [{"role":"system","content":"P"},{"role":"user","content":"\u0075"}], "max_tokens":50,
                 "tools":[{"type":"function","function":{"name":"b"}}],
                 "tool_choice":"auto","chat_template_kwargs":{"reasoning_effort":"medium"}}
                """#
        )
        #expect(
            result.edits.headers
                == [.add(name: "x-a", value: "1"), .set(name: "x-b", value: "2"), .remove(name: "x-c")]
        )
        #expect(result.injectedSystemPrompt)
        #expect(result.removedTools == 1)
        #expect(enrichment.fastResponse == nil)
    }

    @Test("Without plugins and reasoning, a request stays as it is")
    func nothing() throws {
        let result = Enrichment(plugins: []).edits(for: try textRequest(#"{"messages":[]}"#), reasoning: nil)
        #expect(result == EnrichedRequest())
    }

    @Test("Blocked parameters about tools and the filter of tools do not get in each other's way")
    func blockedTools() throws {
        let plugins: [PluginConfig] = [
            .requestParams(RequestParamsSettings(blocked: ["tools", "tool_choice"])),
            .tools(ToolsSettings(.filtered, block: ["a"])),
        ]
        let request = #"{"tools":[{"name":"a"}],"tool_choice":{"name":"a"},"n":1}"#
        #expect(try body(plugins, request) == #"{"n":1}"#)
        #expect(try body([.tools(ToolsSettings(.none)), plugins[0]], request) == #"{"n":1}"#)
    }

    @Test("In a chat, reasoning sets what was blocked before, without the client's wishes")
    func reasoningAfterParams() throws {
        let plugins = [
            PluginConfig.requestParams(
                RequestParamsSettings(blocked: ["reasoning_effort", "chat_template_kwargs", "thinking"])
            )
        ]
        let request = #"{"reasoning_effort":"high","chat_template_kwargs":{"a":1},"thinking":0}"#
        func result(_ isOn: Bool, _ transport: ReasoningTransport) throws -> String {
            let choice = ReasoningChoice(family: Self.gptOSS, isOn: isOn, effort: .high, transport: transport)
            return try body(plugins, request, reasoning: choice)
        }
        #expect(try result(false, .chatTemplate) == #"{"chat_template_kwargs":{"reasoning_effort":"low"}}"#)
        #expect(try result(false, .topLevel) == "{}")
        #expect(try result(true, .topLevel) == #"{"reasoning_effort":"high"}"#)
        #expect(
            try result(true, .thinkingObject) == #"{"reasoning_effort":"high","thinking":{"type":"enabled"}}"#
        )
    }

    @Test("In the responses API, what is blocked stays blocked")
    func paramsAfterReasoning() throws {
        let plugins = [PluginConfig.requestParams(RequestParamsSettings(blocked: ["reasoning"]))]
        let choice = ReasoningChoice(family: Self.gptOSS, isOn: true)
        #expect(try body(plugins, #"{"a":1}"#, .responses, reasoning: choice) == #"{"a":1}"#)
        #expect(try body(plugins, #"{"reasoning":{"effort":"low"}}"#, .responses, reasoning: choice) == "{}")
    }

    @Test("A system prompt that is blocked afterwards does not count as injected")
    func blockedPrompt() throws {
        let enrichment = Enrichment(plugins: [
            .systemPrompt(SystemPromptSettings("P")),
            .requestParams(RequestParamsSettings(blocked: ["instructions", "system"])),
        ])
        for (endpoint, text) in [(TextEndpoint.responses, #"{"instructions":"i"}"#), (.messages, #"{"system":[]}"#)] {
            let request = try textRequest(text, endpoint)
            let result = enrichment.edits(for: request, reasoning: nil)
            #expect(!result.injectedSystemPrompt)
            #expect(try request.applying(result.edits.body) == "{}")
        }
        let request = try textRequest("{}", .responses)
        #expect(enrichment.edits(for: request, reasoning: nil) == EnrichedRequest())
    }

    @Test("History and the system prompt change one list of messages together")
    func historyAndPrompt() throws {
        let plugins: [PluginConfig] = [
            .tools(ToolsSettings(.none, history: true)), .systemPrompt(SystemPromptSettings("P")),
        ]
        #expect(
            try body(plugins, #"{"messages":[{"role":"tool"},{"role":"user"}]}"#)
                == #"{"messages":[{"role":"system","content":"P"},{"role":"user"}]}"#
        )
        #expect(
            try body(plugins, #"{"messages":[{"role":"tool"}],"tools":[]}"#)
                == #"{"messages":[{"role":"system","content":"P"}]}"#
        )
        #expect(
            try body(plugins, #"{"messages":[{"role":"tool"},{"role":"system","content":"s"}]}"#)
                == #"{"messages":[{"role":"system","content":"P\n\ns"}]}"#
        )
    }

    @Test("Policies may act alone", arguments: PluginType.allCases)
    func policies(type: PluginType) throws {
        let plugins: [PluginConfig] = [
            .systemPrompt(SystemPromptSettings("P")), .tools(ToolsSettings(.none)),
            .requestParams(RequestParamsSettings(blocked: ["n"])),
            .headerMutation(HeaderMutationSettings(delete: ["x-a"])), .fastResponse(FastResponseSettings("F")),
        ]
        let request = try textRequest(#"{"messages":[],"tools":[1],"n":2}"#)
        let result = Enrichment(plugins: plugins).policyEdits(for: request, only: [type])
        let text = try request.applying(result.edits.body)
        #expect(text.contains("\"P\"") == (type == .systemPrompt))
        #expect(result.injectedSystemPrompt == (type == .systemPrompt))
        #expect(text.contains("tools") == (type != .tools))
        #expect(result.removedTools == (type == .tools ? 1 : 0))
        #expect(text.contains("\"n\"") == (type != .requestParams))
        #expect(result.edits.headers.isEmpty == (type != .headerMutation))
    }

    @Test("A fast response is the caller's to give")
    func fastResponse() throws {
        let enrichment = Enrichment(plugins: [.fastResponse(FastResponseSettings("F"))])
        #expect(enrichment.fastResponse?.message == "F")
        #expect(enrichment.edits(for: try textRequest("{}"), reasoning: nil) == EnrichedRequest())
    }

    @Test(
        "Headers that frame, address or route the message are not the plugin's: the policy is refused",
        arguments: [
            "Content-Length", "transfer-encoding", "Connection", "host", "keep-alive", "TE", "upgrade", "expect",
            "x-vsr-selected-model", "X-VSR-anything", "x-authz-user-id", "x-selected-model", "a b", "",
        ]
    )
    func refusedHeaders(name: String) {
        for yaml in ["add: [{name: '\(name)', value: v}]", "delete: ['\(name)']"] {
            let lines = HeaderMutationSettings.parse(yaml).diagnostics.map { "\($0)" }
            #expect(lines.contains { $0.contains("must name headers that are neither") }, "\(yaml): \(lines)")
        }
        #expect(HeaderMutationSettings.parse("update: [{name: authorization, value: Bearer k}]").value != nil)
    }
}
