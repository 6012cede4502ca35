import ConfigKit
import OpenAIWire
import SemanticRouter
import Testing

/// Exactly which headers an answer has, by `header_contract`.
@Suite struct HeaderContractTests {
    private func router(_ settings: String) throws -> SemanticRouter {
        try PolicyTools.router(
            """
            version: v0.3
            providers:
              defaults:
                default_model: small
                reasoning_families: {qwen: {type: chat_template_kwargs, parameter: enable_thinking}}
              models: [{name: small}, {name: big, provider_model_id: big-served, reasoning_family: qwen}]
            routing:
              modelCards: [{name: big, loras: [{name: adapter}]}]
              signals:
                keywords: [{name: hard, keywords: [prove, lemma]}, {name: code, keywords: [swift]}]
                domains: [{name: math}]
                context: [{name: short, max_tokens: 1K}]
              projections:
                scores: [{name: s, method: weighted_sum, inputs: [{type: keyword, name: hard, weight: 1}]}]
                mappings: [{name: m, source: s, outputs: [{name: difficult, gte: 0.5}]}]
              decisions:
                - name: proof
                  priority: 5
                  rules:
                    operator: OR
                    conditions: [{type: keyword, name: hard}, {type: domain, name: math}]
                  modelRefs: [{model: big, use_reasoning: true}, {model: small}]
                  plugins: [{type: system_prompt, configuration: {system_prompt: Be exact.}}]
                - name: tuned
                  rules: {type: keyword, name: code}
                  modelRefs: [{model: big, lora_name: adapter}]
                - name: refused
                  priority: 9
                  rules: {operator: AND, conditions: [{type: keyword, name: hard}, {type: keyword, name: code}]}
                  plugins: [{type: fast_response, configuration: {message: No.}}]
            entrypoints: [{model_names: [acme/other], recipe: other}]
            recipes:
              - {name: other, routing: {decisions: [{name: rest, modelRefs: [{model: small}]}]}}
            global: {router: \(settings)}
            """
        )
    }

    private func headers(
        _ settings: String,
        _ text: String = "prove it",
        model: String = "auto",
        debug: Bool = false
    ) throws -> (always: [String], onSuccess: [String]) {
        let outcome = try router(settings).routeAll(try PolicyTools.ask(text, model: model, debug: debug))
        let headers = try #require(outcome.forwarded).headers
        return (headers.always.lines, headers.onSuccess.lines)
    }

    private static let full = [
        "x-vsr-selected-category: math", "x-vsr-selected-decision: proof", "x-vsr-selected-reasoning: on",
        "x-vsr-selected-model: big", "x-vsr-injected-system-prompt: true", "x-vsr-matched-keywords: hard",
        "x-vsr-matched-context: short", "x-vsr-matched-projections: difficult", "x-vsr-context-token-count: 6",
    ]

    @Test("v0.1: every header, on successful answers", arguments: ["{}", "{header_contract: v0.1}"], [false, true])
    func full(settings: String, debug: Bool) throws {
        let headers = try headers(settings, debug: debug)
        #expect(headers.always == [])
        #expect(headers.onSuccess == Self.full)
    }

    @Test("v0.1: without a decision there is neither decision nor category")
    func fullDefault() throws {
        #expect(
            try headers("{}", "hello").onSuccess == [
                "x-vsr-selected-reasoning: off", "x-vsr-selected-model: small", "x-vsr-injected-system-prompt: false",
                "x-vsr-matched-context: short", "x-vsr-context-token-count: 6",
            ]
        )
    }

    @Test("v0.4: few headers")
    func keystones() throws {
        let headers = try headers("{header_contract: v0.4}")
        #expect(headers.always == ["x-vsr-schema-version: 2", "x-vsr-response-path: upstream"])
        #expect(
            headers.onSuccess == [
                "x-vsr-selected-recipe: default", "x-vsr-selected-decision: proof",
                "x-vsr-selected-confidence: 0.7500", "x-vsr-selected-algorithm: static", "x-vsr-selected-model: big",
            ]
        )
    }

    @Test(
        "v0.4: recipe, decision and algorithm of other requests",
        arguments: [
            (
                "auto", "hello",
                ["x-vsr-selected-recipe: default", "x-vsr-selected-algorithm: default", "x-vsr-selected-model: small"]
            ),
            (
                "auto", "in swift",
                [
                    "x-vsr-selected-recipe: default", "x-vsr-selected-decision: tuned",
                    "x-vsr-selected-confidence: 1.0000", "x-vsr-selected-algorithm: single",
                    "x-vsr-selected-model: adapter",
                ]
            ),
            (
                "acme/other", "hello",
                [
                    "x-vsr-selected-recipe: other", "x-vsr-selected-decision: rest",
                    "x-vsr-selected-confidence: 0.0000", "x-vsr-selected-algorithm: single",
                    "x-vsr-selected-model: small",
                ]
            ),
            ("big", "hello", ["x-vsr-selected-model: big"]),
        ]
    )
    func keystonesOfOthers(model: String, text: String, expected: [String]) throws {
        let headers = try headers("{header_contract: v0.4}", text, model: model)
        #expect(headers.always == ["x-vsr-schema-version: 2", "x-vsr-response-path: upstream"])
        #expect(headers.onSuccess == expected)
    }

    @Test("v0.4 with `x-vsr-debug`: the others too, each once")
    func debug() throws {
        let headers = try headers("{header_contract: v0.4}", debug: true)
        #expect(headers.always == ["x-vsr-schema-version: 2", "x-vsr-response-path: upstream"])
        #expect(
            headers.onSuccess == [
                "x-vsr-selected-recipe: default", "x-vsr-selected-decision: proof",
                "x-vsr-selected-confidence: 0.7500", "x-vsr-selected-algorithm: static", "x-vsr-selected-model: big",
                "x-vsr-selected-category: math", "x-vsr-selected-reasoning: on", "x-vsr-injected-system-prompt: true",
                "x-vsr-matched-keywords: hard", "x-vsr-matched-context: short",
                "x-vsr-matched-projections: difficult", "x-vsr-context-token-count: 6",
            ]
        )
    }

    @Test("Aliases stand beside either contract", arguments: ["v0.1", "v0.4"])
    func aliases(version: String) throws {
        let plain = try headers("{header_contract: \(version)}").onSuccess
        let aliased = try headers("{header_contract: \(version), header_aliases: true}").onSuccess
        #expect(
            aliased == plain + [
                "x-vsr-category: math", "x-vsr-model: big", "x-vsr-reasoning: on", "x-vsr-model-used: big",
            ]
        )
        let none = try headers("{header_contract: \(version), header_aliases: true}", "hello").onSuccess
        #expect(none.suffix(3) == ["x-vsr-model: small", "x-vsr-reasoning: off", "x-vsr-model-used: small"])
        #expect(!none.contains { $0.hasPrefix("x-vsr-category:") })
    }

    @Test("Several signals of a kind stand in one header, in the order of the file")
    func lists() throws {
        let router = try PolicyTools.router(
            """
            version: v0.3
            providers: {defaults: {default_model: m}, models: [{name: m}]}
            routing:
              signals:
                keywords: [{name: b, keywords: [x]}, {name: c, keywords: [y]}, {name: a, keywords: [z]}]
                events: [{name: urgent, temporal: true}]
                metadata: [{name: tagged, key: tag, predicate: {exists: true}}]
                role_bindings: [{name: r, role: admin, subjects: [{kind: User, name: ann}]}]
                conversation: [{name: turns, feature: {type: count, source: {type: message}}}]
                structure: [{name: marks, feature: {type: count, source: {type: regex, pattern: "[?]"}}}]
            """
        )
        let request = try PolicyTools.request(
            #"{"model":"auto","metadata":{"tag":"1"},"messages":[{"role":"user","content":"z x asap?"}]}"#,
            identity: Identity(user: "ann")
        )
        let lines = try #require(router.routeAll(request).forwarded).headers.onSuccess.lines
        #expect(lines.contains("x-vsr-matched-keywords: b,a"))
        for line in ["event: urgent", "metadata: tagged", "authz: admin", "conversation: turns", "structure: marks"] {
            #expect(lines.contains("x-vsr-matched-\(line)"), "\(lines)")
        }
    }

    // MARK: Answers of our own

    @Test("An answer without a model says so, and names no model", arguments: [false, true])
    func fastResponse(isExplicit: Bool) throws {
        let model = isExplicit ? "big" : "auto"
        let request = try PolicyTools.ask("prove it in swift", model: model)
        let full = try #require(router("{}").routeAll(request).response)
        #expect(full.statusCode == 200)
        #expect(
            full.fields.lines == [
                "content-type: application/json", "x-vsr-selected-decision: refused", "x-vsr-selected-reasoning: off",
                "x-vsr-injected-system-prompt: false", "x-vsr-matched-keywords: hard,code",
                "x-vsr-matched-context: short", "x-vsr-matched-projections: difficult",
                "x-vsr-context-token-count: 9", "x-vsr-fast-response: true",
            ]
        )
        let few = try #require(router("{header_contract: v0.4}").routeAll(request).response)
        #expect(
            few.fields.lines == [
                "content-type: application/json", "x-vsr-schema-version: 2", "x-vsr-response-path: fast_response",
                "x-vsr-selected-recipe: default", "x-vsr-selected-decision: refused",
                "x-vsr-selected-confidence: 0.8750", "x-vsr-selected-algorithm: fast_response",
                "x-vsr-fast-response: true",
            ]
        )
    }

    // MARK: What the worker gets

    @Test(
        "The model's family says how reasoning is asked for",
        arguments: [
            (
                "{type: chat_template_kwargs, parameter: enable_thinking}", "true",
                #""chat_template_kwargs":{"enable_thinking":true}"#
            ),
            (
                "{type: chat_template_kwargs, parameter: thinking}", "false",
                #""chat_template_kwargs":{"thinking":false}"#
            ),
            (
                "{type: reasoning_effort, parameter: reasoning_effort}", "true",
                #""chat_template_kwargs":{"reasoning_effort":"high"}"#
            ),
            (
                "{type: reasoning_effort, parameter: reasoning_effort}", "false",
                #""chat_template_kwargs":{"reasoning_effort":"low"}"#
            ),
            ("{type: top_level_reasoning_effort, parameter: reasoning_effort}", "true", #""reasoning_effort":"high""#),
        ]
    )
    func reasoning(family: String, isOn: String, member: String) throws {
        let router = try PolicyTools.router(
            """
            version: v0.3
            providers:
              defaults: {default_reasoning_effort: high, reasoning_families: {f: \(family)}}
              models: [{name: m, reasoning_family: f}]
            routing:
              modelCards: [{name: m, loras: [{name: tuned}]}]
              signals: {keywords: [{name: k, keywords: [tune]}]}
              decisions:
                - name: tuned
                  priority: 1
                  rules: {type: keyword, name: k}
                  modelRefs: [{model: m, lora_name: tuned, use_reasoning: \(isOn)}]
                - {name: d, modelRefs: [{model: m, use_reasoning: \(isOn)}]}
            """
        )
        // An adapter reasons as its model does.
        for (text, model) in [("x", "m"), ("tune", "tuned")] {
            let request = try PolicyTools.ask(text)
            let routed = try #require(router.routeAll(request).forwarded)
            #expect(
                try routed.body(of: request)
                    == #"{"model":"\#(model)","messages":[{"role":"user","content":"\#(text)"}],\#(member)}"#
            )
            #expect(
                routed.headers.onSuccess.lines.contains("x-vsr-selected-reasoning: \(isOn == "true" ? "on" : "off")")
            )
        }
    }

    @Test("A model without a family reasons as it likes, and the default model is not told")
    func noFamily() throws {
        let request = try PolicyTools.ask("hello")
        let routed = try #require(router("{}").routeAll(request).forwarded)
        #expect(routed.edits.body == [])
        #expect(routed.edits.headers == [.set(name: "x-selected-model", value: "small")])
    }
}
