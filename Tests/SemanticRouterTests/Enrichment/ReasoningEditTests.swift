import ConfigKit
import OpenAIWire
import SemanticRouter
import Testing

@Suite struct ReasoningEditTests {
    private static let qwen = ReasoningFamily(type: .chatTemplateKwargs, parameter: "enable_thinking")
    private static let deepseek = ReasoningFamily(type: .chatTemplateKwargs, parameter: "thinking")
    private static let gptOSS = ReasoningFamily(type: .reasoningEffort, parameter: "reasoning_effort")
    private static let mistral = ReasoningFamily(type: .topLevelReasoningEffort, parameter: "reasoning_effort")

    private static let most = try? ReasoningEffort.parse("max", traits: FieldTraits())

    private func edited(_ choice: ReasoningChoice, _ body: String, _ endpoint: TextEndpoint = .chatCompletions) throws
        -> String
    {
        let request = try textRequest(body, endpoint)
        return try request.applying(ReasoningEdit.edits(choice, for: request))
    }

    @Test(
        "Each family is told in its own spelling",
        arguments: [
            // The template's switch.
            (ReasoningChoice(family: deepseek, isOn: true), #"{}"#, #"{"chat_template_kwargs":{"thinking":true}}"#),
            (
                ReasoningChoice(family: deepseek, isOn: true), #"{"a":1,"reasoning_effort":"high"}"#,
                #"{"a":1,"chat_template_kwargs":{"thinking":true}}"#
            ),
            (
                ReasoningChoice(family: qwen, isOn: false), #"{"n":9007199254740993}"#,
                #"{"n":9007199254740993,"chat_template_kwargs":{"enable_thinking":false}}"#
            ),
            (
                ReasoningChoice(family: qwen, isOn: false, transport: .topLevel), #"{}"#,
                #"{"chat_template_kwargs":{"enable_thinking":false}}"#
            ),
            // The effort, through the template.
            (
                ReasoningChoice(family: gptOSS, isOn: true, effort: .high), #"{"reasoning_effort":"low"}"#,
                #"{"chat_template_kwargs":{"reasoning_effort":"high"}}"#
            ),
            (
                ReasoningChoice(family: gptOSS, isOn: false), #"{}"#,
                #"{"chat_template_kwargs":{"reasoning_effort":"low"}}"#
            ),
            (
                ReasoningChoice(family: gptOSS, isOn: false), #"{"reasoning_effort":"h\u0069gh"}"#,
                #"{"chat_template_kwargs":{"reasoning_effort":"h\u0069gh"}}"#
            ),
            (
                ReasoningChoice(family: gptOSS, isOn: false), #"{"reasoning_effort":3}"#,
                #"{"chat_template_kwargs":{"reasoning_effort":"low"}}"#
            ),
            // The effort, at the top level.
            (
                ReasoningChoice(family: gptOSS, isOn: false, transport: .topLevel), #"{"reasoning_effort":"high"}"#,
                #"{"reasoning_effort":"high"}"#
            ),
            (ReasoningChoice(family: gptOSS, isOn: false, transport: .topLevel), #"{}"#, #"{}"#),
            (
                ReasoningChoice(family: gptOSS, isOn: true, effort: .high, transport: .topLevel), #"{"a":0}"#,
                #"{"a":0,"reasoning_effort":"high"}"#
            ),
            (
                ReasoningChoice(
                    family: ReasoningFamily(type: .reasoningEffort, parameter: "effort"),
                    isOn: true,
                    transport: .topLevel
                ), #"{"reasoning_effort":"high","a":0}"#, #"{"a":0,"effort":"medium"}"#
            ),
            // A family that is always told at the top level.
            (
                ReasoningChoice(family: mistral, isOn: true, effort: .high),
                #"{"chat_template_kwargs":{"reasoning_effort":"medium","unrelated":"keep"}}"#,
                #"{"chat_template_kwargs":{"unrelated":"keep"},"reasoning_effort":"high"}"#
            ),
            (ReasoningChoice(family: mistral, isOn: false), #"{}"#, #"{}"#),
            (
                ReasoningChoice(family: mistral, isOn: false),
                #"{"reasoning_effort":"low","chat_template_kwargs":{"reasoning_effort":"high"}}"#,
                #"{"reasoning_effort":"low"}"#
            ),
            // DeepSeek's API.
            (
                ReasoningChoice(family: deepseek, isOn: true, effort: .low, transport: .thinkingObject), #"{}"#,
                #"{"reasoning_effort":"low","thinking":{"type":"enabled"}}"#
            ),
            (
                ReasoningChoice(
                    family: deepseek,
                    isOn: true,
                    effort: most ?? .low,
                    transport: .thinkingObject
                ), #"{"thinking":{"type":"disabled"}}"#,
                #"{"thinking":{"type":"enabled"},"reasoning_effort":"max"}"#
            ),
            (
                ReasoningChoice(family: deepseek, isOn: false, transport: .thinkingObject),
                #"{"reasoning_effort":"high","chat_template_kwargs":{"think":1,"thinking":2,"other":3}}"#,
                #"{"thinking":{"type":"disabled"}}"#
            ),
            // v0.1.
            (
                ReasoningChoice(family: gptOSS, isOn: true, effort: .high, generation: .v0_1), #"{}"#,
                #"{"reasoning_effort":"high"}"#
            ),
            (
                ReasoningChoice(family: gptOSS, isOn: false, generation: .v0_1), #"{}"#,
                #"{"reasoning_effort":"low"}"#
            ),
            (
                ReasoningChoice(family: gptOSS, isOn: false, generation: .v0_1), #"{"reasoning_effort":"high"}"#,
                #"{"reasoning_effort":"high"}"#
            ),
            (
                ReasoningChoice(family: qwen, isOn: true, transport: .thinkingObject, generation: .v0_1),
                #"{"reasoning_effort":"high"}"#, #"{"chat_template_kwargs":{"enable_thinking":true}}"#
            ),
        ]
    )
    func families(choice: ReasoningChoice, body: String, expected: String) throws {
        #expect(try edited(choice, body) == expected)
    }

    @Test(
        "Other template arguments keep their bytes",
        arguments: [
            (
                #"{"chat_template_kwargs": { "a" : 1e2 , "enable_thinking":false}}"#,
                #"{"chat_template_kwargs": { "a" : 1e2 , "enable_thinking":true}}"#
            ),
            (
                #"{"chat_template_kwargs": { "a" : "\u00e9" }}"#,
                #"{"chat_template_kwargs": { "a" : "\u00e9","enable_thinking":true }}"#
            ),
            (#"{"chat_template_kwargs":{}}"#, #"{"chat_template_kwargs":{"enable_thinking":true}}"#),
            (#"{"chat_template_kwargs":null}"#, #"{"chat_template_kwargs":{"enable_thinking":true}}"#),
        ]
    )
    func otherArguments(body: String, expected: String) throws {
        #expect(try edited(ReasoningChoice(family: Self.qwen, isOn: true), body) == expected)
    }

    @Test(
        "Template arguments that are no object stay for the worker to judge",
        arguments: ["\"k\"", "[1]", "7", "true"]
    )
    func wrongArguments(value: String) throws {
        let kept = #"{"chat_template_kwargs":\#(value)}"#
        let body = #"{"chat_template_kwargs":\#(value),"reasoning_effort":"low"}"#
        #expect(try edited(ReasoningChoice(family: Self.qwen, isOn: true), body) == kept)
        #expect(try edited(ReasoningChoice(family: Self.mistral, isOn: false), body) == body)
    }

    @Test("What already says so is not edited")
    func noNeedlessEdits() throws {
        let request = try textRequest(#"{"chat_template_kwargs":{"enable_thinking":true},"reasoning_effort":"high"}"#)
        let qwen = ReasoningChoice(family: Self.qwen, isOn: true)
        #expect(ReasoningEdit.edits(qwen, for: request) == [.remove("reasoning_effort")])
        let mistral = ReasoningChoice(family: Self.mistral, isOn: true, effort: .high)
        #expect(ReasoningEdit.edits(mistral, for: request).isEmpty)
        let twice = try textRequest(#"{"reasoning_effort":"low","reasoning_effort":"high"}"#)
        #expect(ReasoningEdit.edits(mistral, for: twice) == [.set("reasoning_effort", "high")])
    }

    @Test("A model without family keeps what the client wished for")
    func noFamily() throws {
        let body = #"{"reasoning_effort":"high","thinking":{"type":"enabled"}}"#
        for transport in ReasoningTransport.allCases {
            for generation in ReasoningGeneration.allCases {
                let choice = ReasoningChoice(family: nil, isOn: true, transport: transport, generation: generation)
                #expect(try edited(choice, body) == body)
            }
        }
    }

    @Test(
        "The responses API is told in an object, and only when reasoning is on",
        arguments: [
            (true, #"{"input":"i"}"#, #"{"input":"i","reasoning":{"effort":"high"}}"#),
            (
                true, #"{"reasoning":{"summary":"auto","effort":"low"}}"#,
                #"{"reasoning":{"summary":"auto","effort":"high"}}"#
            ),
            (true, #"{"reasoning":null}"#, #"{"reasoning":{"effort":"high"}}"#),
            (true, #"{"reasoning":"much"}"#, #"{"reasoning":"much"}"#),
            (false, #"{"reasoning":{"effort":"low"}}"#, #"{"reasoning":{"effort":"low"}}"#),
            (false, #"{}"#, #"{}"#),
        ]
    )
    func responses(isOn: Bool, body: String, expected: String) throws {
        for family in [Self.qwen, Self.gptOSS] {
            let choice = ReasoningChoice(family: family, isOn: isOn, effort: .high)
            #expect(try edited(choice, body, .responses) == expected)
        }
    }

    @Test("Other endpoints are left alone")
    func otherEndpoints() throws {
        let choice = ReasoningChoice(family: Self.gptOSS, isOn: true)
        for endpoint in TextEndpoint.allCases where endpoint != .chatCompletions && endpoint != .responses {
            #expect(try edited(choice, #"{"reasoning_effort":"low"}"#, endpoint) == #"{"reasoning_effort":"low"}"#)
        }
    }

    @Test(
        "The transport follows from the provider, or else from the host",
        arguments: [
            (nil, "http://10.0.0.7:8000", ReasoningTransport.chatTemplate),
            (nil, "https://api.openai.com/v1", .topLevel),
            (nil, "https://API.OpenAI.com./v1", .topLevel),
            (nil, "https://api.deepseek.com", .thinkingObject),
            (nil, "https://openrouter.ai/api/v1", .topLevel),
            (nil, "https://us.openai.azure.com", .topLevel),
            (nil, "https://x.services.ai.azure.com", .topLevel),
            (nil, "https://x.cognitiveservices.azure.com", .topLevel),
            (nil, "https://openai.azure.com.example.org", .chatTemplate),
            ("openai", "http://proxy:8000", .topLevel),
            ("openai", "https://api.deepseek.com", .thinkingObject),
            ("DeepSeek", "http://proxy:8000", .thinkingObject),
            ("azure-openai", "http://proxy:8000", .topLevel),
            ("vllm", "https://api.openai.com", .chatTemplate),
        ]
    )
    func transports(provider: String?, url: String, expected: ReasoningTransport) throws {
        var backend = BackendReference()
        backend.provider = provider
        backend.baseURL = try ServiceURL.parse(url, traits: FieldTraits())
        #expect(ReasoningTransport.of(backend) == expected)
    }
}
