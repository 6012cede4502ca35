import ConfigKit
import OpenAIWire
import SemanticRouter
import Testing

/// Which model names ask for a choice, and what becomes of those that do not.
@Suite struct ModelNamesTests {
    private static func policy(_ router: String = "{}", _ more: String = "") -> String {
        """
        version: v0.3
        providers:
          defaults: {default_model: small}
          models: [{name: small}, {name: big, provider_model_id: big-served}]
        routing:
          modelCards: [{name: big, loras: [{name: adapter}]}]
          signals: {keywords: [{name: hard, keywords: [prove]}]}
          decisions: [{name: hard, rules: {type: keyword, name: hard}, modelRefs: [{model: big}]}]
        global: {router: \(router)}
        \(more)
        """
    }

    private func chosen(_ router: SemanticRouter, _ model: String, _ text: String = "prove it") throws -> String {
        router.routeAll(try PolicyTools.ask(text, model: model)).summary
    }

    // MARK: Automatic names

    @Test(
        "Names that ask for a choice",
        arguments: [
            ("{}", ["auto", "MoM", "vllm-sr/auto"], ["mom", "AUTO", "custom"]),
            ("{auto_model_name: custom}", ["auto", "custom", "vllm-sr/auto"], ["MoM"]),
            ("{auto_model_names: [vllm-sr/auto, custom/auto]}", ["vllm-sr/auto", "custom/auto"], ["auto", "MoM"]),
            ("{auto_model_names: [one, one], auto_model_name: two}", ["one"], ["auto", "two", "MoM", "vllm-sr/auto"]),
        ]
    )
    func automatic(settings: String, names: [String], others: [String]) throws {
        let router = try PolicyTools.router(Self.policy(settings))
        for name in names {
            #expect(try chosen(router, name) == "big-served")
            #expect(router.profile(for: name)?.name == "default")
        }
        for name in others {
            #expect(try chosen(router, name) == "bypass explicit_model")
            #expect(router.profile(for: name) == nil)
        }
        #expect(router.modelCards.map(\.id).sorted() == names.sorted())
    }

    @Test("A request without a model asks for none")
    func missing() throws {
        let router = try PolicyTools.router(Self.policy())
        #expect(router.profile(for: nil) == nil)
        #expect(router.routeAll(try PolicyTools.request(#"{"messages":[]}"#)).summary == "bypass explicit_model")
    }

    // MARK: Entrypoints

    private static let recipes = """
        entrypoints:
          - {model_names: [acme/private, acme/secret], recipe: private}
          - {model_names: [acme/plain], recipe: default}
          - {model_names: [acme/nothing], recipe: nothing}
        recipes:
          - name: private
            routing:
              strategy: confidence
              signals: {keywords: [{name: hard, keywords: [salary, payslip]}]}
              decisions:
                - {name: local, priority: 1, rules: {type: keyword, name: hard}, modelRefs: [{model: small}]}
                - {name: rest, priority: 9, modelRefs: [{model: big, lora_name: adapter}]}
          - {name: nothing}
        """

    @Test("Entrypoints ask a recipe, which sees nothing of `routing`")
    func entrypoints() throws {
        let router = try PolicyTools.router(Self.policy("{}", Self.recipes))
        #expect(router.profiles.map(\.name) == ["default", "private", "nothing"])
        for name in ["acme/private", "acme/secret"] {
            #expect(router.profile(for: name)?.name == "private")
            // The same signal name means the recipe's own keywords, and its strategy is its own.
            #expect(try chosen(router, name, "my salary") == "small")
            #expect(try chosen(router, name, "prove it") == "adapter")
        }
        #expect(router.profile(for: "acme/plain")?.name == "default")
        #expect(try chosen(router, "acme/plain", "prove it") == "big-served")
        #expect(try chosen(router, "auto", "my salary") == "small")
        #expect(try chosen(router, "auto", "prove it") == "big-served")
        // A recipe without decisions has the default model, and never `routing`'s decisions.
        #expect(try chosen(router, "acme/nothing", "prove it") == "small")
    }

    @Test("`global.router.strategy` is for `routing` alone")
    func strategy() throws {
        let decisions = """
            decisions:
                  - {name: sure, priority: 1, rules: {type: keyword, name: k}, modelRefs: [{model: small}]}
                  - {name: rest, priority: 9, modelRefs: [{model: big}]}
            """
        let router = try PolicyTools.router(
            """
            version: v0.3
            providers: {models: [{name: small}, {name: big}]}
            routing:
                  signals: {keywords: [{name: k, keywords: [x]}]}
                  \(decisions)
            recipes:
              - name: r
                routing:
                  signals: {keywords: [{name: k, keywords: [x]}]}
                  \(decisions)
            entrypoints: [{model_names: [e], recipe: r}]
            global: {router: {strategy: confidence}}
            """
        )
        #expect(try chosen(router, "auto", "x") == "small")
        #expect(try chosen(router, "e", "x") == "big")
    }

    // MARK: Models by name

    @Test("A model that is named keeps its name; workers are asked for it by theirs")
    func explicit() throws {
        let router = try PolicyTools.router(Self.policy())
        #expect(try chosen(router, "small") == "bypass explicit_model")
        #expect(try chosen(router, "unheard-of") == "bypass explicit_model")
        #expect(try chosen(router, "adapter") == "bypass explicit_model")
        #expect(try chosen(router, "big-served") == "bypass explicit_model")
        let request = try PolicyTools.ask("prove it", model: "big")
        let routed = try #require(router.routeAll(request).forwarded)
        #expect(routed.model == "big-served")
        #expect(routed.edits.body == [])
        #expect(routed.edits.headers == [.set(name: "x-selected-model", value: "big-served")])
        #expect(try routed.body(of: request).hasPrefix(#"{"model":"big-served","#))
    }

    @Test("A name that workers do serve is left as it is where the other is not served")
    func servedAsWritten() throws {
        let router = try PolicyTools.router(Self.policy())
        let request = try PolicyTools.ask("prove it", model: "big")
        #expect(router.routeNow(request) { $0 == "big" }.summary == "bypass explicit_model")
        #expect(router.routeNow(request) { _ in false }.summary == "big-served")
        #expect(router.routeNow(request) { $0 == "big-served" }.summary == "big-served")
    }

    private static func plugins(_ settings: String) -> String {
        """
        version: v0.3
        providers:
          defaults: {default_model: small, reasoning_families: {qwen: {type: chat_template_kwargs, parameter: think}}}
          models: [{name: small, reasoning_family: qwen}, {name: big, provider_model_id: big-served}]
        routing:
          signals: {keywords: [{name: blocked, keywords: [forbidden]}, {name: hard, keywords: [prove]}]}
          decisions:
            - name: blocked
              priority: 9
              rules: {type: keyword, name: blocked}
              plugins: [{type: fast_response, configuration: {message: No.}}]
            - name: hard
              rules: {type: keyword, name: hard}
              modelRefs: [{model: small, use_reasoning: true}]
              plugins:
                - {type: system_prompt, configuration: {system_prompt: Be exact.}}
                - {type: header_mutation, configuration: {update: [{name: x-team, value: math}]}}
                - {type: request_params, configuration: {max_tokens_limit: 10, blocked_params: [logprobs]}}
                - {type: tools, configuration: {enabled: true, mode: none}}
        global: {router: \(settings)}
        """
    }

    private static func body(_ model: String) -> String {
        #"{"model":"\#(model)","messages":[{"role":"user","content":"prove it"}],"max_tokens":99,"logprobs":true,"#
            + #""tools":[{"type":"function","function":{"name":"f"}}]}"#
    }

    @Test("On a request that names its model, only `fast_response`, `tools` and `request_params` act by default")
    func explicitPlugins() throws {
        let router = try PolicyTools.router(Self.plugins("{}"))
        let request = try PolicyTools.request(Self.body("big"))
        let routed = try #require(router.routeAll(request).forwarded)
        #expect(routed.model == "big-served")
        #expect(routed.edits.headers == [.set(name: "x-selected-model", value: "big-served")])
        #expect(
            try routed.body(of: request)
                == #"{"model":"big-served","messages":[{"role":"user","content":"prove it"}],"max_tokens":10}"#
        )
        // A model that the policy does not know is limited as well.
        let other = try PolicyTools.request(Self.body("other"))
        let limited = try #require(router.routeAll(other).forwarded)
        #expect(limited.model == "other")
        #expect(limited.destination == nil)
        #expect(
            try limited.body(of: other)
                == #"{"model":"other","messages":[{"role":"user","content":"prove it"}],"max_tokens":10}"#
        )
        // What matches nothing is unaltered.
        #expect(try chosen(router, "other", "hello") == "bypass explicit_model")
    }

    @Test("A blocked request is blocked whatever model it names")
    func explicitAnswer() throws {
        let router = try PolicyTools.router(Self.plugins("{}"))
        for model in ["auto", "small", "big", "other"] {
            #expect(try chosen(router, model, "a forbidden thing") == "respond 200")
        }
    }

    @Test("The policy says which plugins act on requests that name a model")
    func explicitModelPlugins() throws {
        let none = try PolicyTools.router(Self.plugins("{explicit_model_plugins: []}"))
        #expect(try chosen(none, "other", "a forbidden thing") == "bypass explicit_model")
        #expect(none.routeAll(try PolicyTools.request(Self.body("other"))).summary == "bypass explicit_model")
        #expect(try chosen(none, "auto", "a forbidden thing") == "respond 200")

        let some = try PolicyTools.router(Self.plugins("{explicit_model_plugins: [system_prompt, header_mutation]}"))
        #expect(try chosen(some, "other", "a forbidden thing") == "bypass explicit_model")
        let request = try PolicyTools.request(Self.body("other"))
        let routed = try #require(some.routeAll(request).forwarded)
        #expect(
            routed.edits.headers
                == [.set(name: "x-selected-model", value: "other"), .set(name: "x-team", value: "math")]
        )
        #expect(try routed.body(of: request).contains(#"[{"role":"system","content":"Be exact."},"#))
        #expect(try routed.body(of: request).contains(#""max_tokens":99"#))
        // Reasoning is the client's.
        #expect(try !routed.body(of: request).contains("think"))
        let automatic = try PolicyTools.request(Self.body("auto"))
        let full = try #require(some.routeAll(automatic).forwarded)
        #expect(try full.body(of: automatic).contains(#""chat_template_kwargs":{"think":true}"#))
    }

    // MARK: Choice

    @Test("Of a decision's models the first that is served is taken, then the default, then the first of all")
    func served() throws {
        let router = try PolicyTools.router(
            """
            version: v0.3
            providers:
              defaults: {default_model: spare}
              models:
                - {name: one, provider_model_id: one-served}
                - {name: two, backend_refs: [{endpoint: "10.0.0.2:8000"}, {endpoint: "10.0.0.3:8000", weight: 5}]}
                - {name: spare}
            routing:
              modelCards: [{name: two, loras: [{name: tuned}]}]
              decisions:
                - {name: all, modelRefs: [{model: one}, {model: two, lora_name: tuned}, {model: two, use_reasoning: true}]}
            """
        )
        let request = try PolicyTools.ask("x")
        func outcome(_ names: Set<String>) throws -> RoutedRequest {
            try #require(router.routeNow(request) { names.contains($0) }.forwarded)
        }
        #expect(try outcome(["one-served", "tuned", "two", "spare"]).model == "one-served")
        #expect(try outcome(["one", "tuned", "two", "spare"]).model == "tuned")
        #expect(try outcome(["tuned"]).destination == "10.0.0.3:8000")
        #expect(try outcome(["two", "spare"]).model == "two")
        #expect(try outcome(["spare"]).model == "spare")
        #expect(try outcome([]).model == "one-served")
        #expect(router.servedModelNames == ["one-served", "two", "spare"])

        let decision = router.profiles[0].decisions[0]
        func selection(_ names: Set<String>) throws -> SemanticRouter.Selection {
            try #require(router.select(from: decision) { names.contains($0) })
        }
        #expect(try selection(["one-served"]).name == "one")
        #expect(try selection(["one-served"]).algorithm == "static")
        #expect(try selection(["tuned"]).name == "tuned")
        #expect(try !selection(["tuned"]).usesReasoning)
        #expect(try selection(["two"]).usesReasoning)
        #expect(try selection(["spare"]).algorithm == "default")
        #expect(try #require(router.select(from: nil) { _ in false }).name == "spare")
    }

    @Test("One model is told from several, and none from both")
    func algorithms() throws {
        let router = try PolicyTools.router(
            """
            version: v0.3
            providers: {models: [{name: m}]}
            routing:
              signals: {keywords: [{name: k, keywords: [x]}]}
              decisions: [{name: d, rules: {type: keyword, name: k}, modelRefs: [{model: m}]}]
            """
        )
        #expect(router.select(from: router.profiles[0].decisions[0]) { _ in true }?.algorithm == "single")
        #expect(router.select(from: nil) { _ in true } == nil)
        #expect(try chosen(router, "auto", "y") == "bypass nothing_to_choose")
        #expect(try chosen(router, "auto", "x") == "m")
    }

    // MARK: The list of models

    @Test("The list has the names that ask for a choice, then entrypoints, and models where the policy says so")
    func cards() throws {
        let short = try PolicyTools.router(Self.policy("{auto_model_names: [a, b]}", Self.recipes))
        #expect(short.modelCards.map(\.id) == ["a", "b", "acme/private", "acme/secret", "acme/plain", "acme/nothing"])
        #expect(short.modelCards.allSatisfy { $0.ownedBy == "vllm-semantic-router" })
        let long = try PolicyTools.router(Self.policy("{auto_model_names: [a], include_config_models_in_list: true}"))
        #expect(long.modelCards.map(\.id) == ["a", "small", "big"])
    }
}
