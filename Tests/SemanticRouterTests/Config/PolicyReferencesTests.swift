import ConfigKit
import SemanticRouter
import Testing

/// What a policy names must exist.
@Suite struct PolicyReferencesTests {
    private static let head = """
        version: v0.3
        providers: {models: [{name: small}, {name: large}]}
        """

    private func errors(_ yaml: String) -> [String] {
        SemanticConfig.parse(yaml, name: "p.yaml").diagnostics.filter { $0.severity == .error }.map { "\($0)" }
    }

    /// A policy with signals of most kinds and this beside them.
    private func routing(_ parts: String) -> String {
        """
        \(Self.head)
        routing:
          signals:
            keywords: [{name: code, keywords: [swift]}]
            embeddings: [{name: near}, {name: far}]
            domains: [{name: math}, {name: law}]
            complexity: [{name: depth}]
            classifiers: [{name: risk, labels: [RISKY]}]
          \(parts)
        """
    }

    private func decision(_ rules: String, _ more: String = "") -> String {
        routing("decisions: [{name: d, modelRefs: [{model: small}], rules: \(rules)\(more)}]")
    }

    @Test("The policy that mistakes are put into has none itself")
    func sound() {
        #expect(errors(decision("{type: keyword, name: code}")) == [])
    }

    @Test(
        "Models and adapters",
        arguments: [
            (
                "providers: {defaults: {default_model: smal}, models: [{name: small}]}",
                2, "providers.defaults.default_model: \"smal\" is not one of small; did you mean \"small\"?"
            ),
            (
                "providers: {models: [{name: a}, {name: a}]}",
                2, "providers.models[1].name: \"a\" is declared twice"
            ),
            (
                "providers: {models: [{name: a, reasoning_family: qwen}]}",
                2, "providers.models[0].reasoning_family: \"qwen\" is not known; none is declared"
            ),
            (
                "providers: {models: [{name: a}]}\nrouting: {modelCards: [{name: b}]}",
                3, "routing.modelCards[0].name: \"b\" is not one of a"
            ),
            (
                "providers: {models: [{name: a}]}\nrouting: {modelCards: [{name: a}, {name: a}]}",
                3, "routing.modelCards[1].name: \"a\" is declared twice"
            ),
        ]
    )
    func models(yaml: String, line: Int, error: String) {
        let errors = errors("version: v0.3\n" + yaml)
        #expect(errors.contains { $0.hasPrefix("p.yaml:\(line):") && $0.contains(" \(error)") }, "\(errors)")
        #expect(errors.count == 1)
    }

    @Test(
        "Models of decisions",
        arguments: [
            ("{model: smal}", "modelRefs[0].model: \"smal\" is not one of small, large; did you mean \"small\"?"),
            ("{model: small, lora_name: x}", "modelRefs[0].lora_name: \"x\" is not known; none is declared"),
            ("{model: large, lora_name: adapted}", "modelRefs[0].lora_name: \"adapted\" is not one of adapter"),
        ]
    )
    func references(reference: String, error: String) {
        let errors = errors(
            """
            \(Self.head)
            routing:
              modelCards: [{name: small}, {name: large, loras: [{name: adapter}]}]
              decisions: [{name: d, modelRefs: [\(reference)]}]
            """
        )
        #expect(errors.count == 1)
        #expect(
            errors.contains { $0.hasPrefix("p.yaml:5:") && $0.contains("routing.decisions[0].\(error)") },
            "\(errors)"
        )
    }

    @Test(
        "Rules",
        arguments: [
            ("{type: keyword, name: cod}", "name: \"cod\" is not one of code; did you mean \"code\"?"),
            ("{type: domain, name: maths}", "name: \"maths\" is not one of law, math; did you mean \"math\"?"),
            ("{type: embedding, name: code}", "name: \"code\" is not one of far, near"),
            ("{type: projection, name: band}", "name: \"band\" is not known; none is declared"),
            ("{type: complexity, name: depth}", "name: \"depth\" is not one of depth:easy, depth:medium, depth:hard"),
            ("{type: complexity, name: \"depth:odd\"}", "name: \"depth:odd\" is not one of"),
            ("{type: words, name: code}", "type: \"words\" is not one of"),
            ("{type: keyword}", "rules: names a kind of signal but no signal: add `name`"),
            ("{name: code}", "rules: names a signal but not its kind: add `type`"),
            (
                "{type: keyword, name: code, operator: AND}",
                "rules: is either a condition or a combination, not both"
            ),
            (
                "{operator: XOR, conditions: [{type: keyword, name: code}]}",
                "operator: \"XOR\" is not one of AND, OR, NOT"
            ),
            ("{operator: NOT}", "conditions: NOT takes exactly one condition"),
            (
                "{operator: NOT, conditions: [{type: keyword, name: code}, {type: domain, name: law}]}",
                "conditions: NOT takes exactly one condition"
            ),
            ("{operator: OR}", "conditions: needs at least one condition"),
            ("{operator: OR, conditions: []}", "conditions: needs at least one condition"),
            ("{conditions: [{operator: AND}]}", "conditions[0].conditions: needs at least one condition"),
            ("{conditions: [{}]}", "conditions[0].conditions: needs at least one condition"),
            (
                "{operator: NOT, conditions: [{operator: OR, conditions: [{type: keyword, name: no}]}]}",
                "conditions[0].conditions[0].name: \"no\" is not one of code"
            ),
            ("{type: keyword, name: code, label: X}", "label: is for `type: classifier` only"),
            (
                "{type: classifier, name: risk, predicate: {gte: 0.5}}",
                "rules: a classifier's condition needs a `label`"
            ),
            ("{type: classifier, name: risk, label: RISKY}", "rules: a classifier's condition needs a `predicate`"),
            (
                "{type: classifier, name: risky, label: RISKY, predicate: {gte: 0.5}}",
                "name: \"risky\" is not one of risk; did you mean \"risk\"?"
            ),
            ("{type: keyword, name: code, predicate: {}}", "predicate: needs a bound: gt, gte, lt or lte"),
            ("{type: keyword, name: code, predicate: {gt: 1, gte: 1}}", "predicate.gte: has both gt and gte; keep one"),
            ("{type: keyword, name: code, predicate: {lt: 1, lte: 1}}", "predicate.lte: has both lt and lte; keep one"),
            (
                "{type: keyword, name: code, predicate: {gt: 2, lt: 1}}",
                "predicate: no number is both above 2.0 and below"
            ),
            (
                "{type: keyword, name: code, predicate: {gte: 1}, on_error: maybe}",
                "on_error: \"maybe\" is not one of match, no_match"
            ),
        ]
    )
    func rules(rules: String, error: String) {
        let errors = errors(decision(rules))
        #expect(errors.count == 1, "\(errors)")
        #expect(errors.contains { $0.hasPrefix("p.yaml:10:") && $0.contains(error) }, "\(errors)")
        #expect(errors.contains { $0.contains("routing.decisions[0].rules") }, "\(errors)")
    }

    @Test(
        "Projections",
        arguments: [
            (
                "partitions: [{name: p, semantics: exclusive, members: [near, math], default: near}]",
                "partitions[0].members: must all be domain signals, or all embedding signals, that are declared"
            ),
            (
                "partitions: [{name: p, semantics: exclusive, members: [near, nearer], default: near}]",
                "partitions[0].members: must all be domain signals"
            ),
            (
                "partitions: [{name: p, semantics: exclusive, members: [near, far], default: fat}]",
                "partitions[0].default: \"fat\" is not one of near, far; did you mean \"far\"?"
            ),
            (
                "partitions: [{name: p, semantics: exclusive, members: [near, far]}]",
                "partitions[0].default"
            ),
            (
                "partitions: [{name: p, semantics: softmax_exclusive, members: [near, far], default: far}]",
                "partitions[0].semantics: softmax_exclusive needs a `temperature`"
            ),
            (
                "partitions: [{name: p, semantics: softmax_exclusive, temperature: 0, members: [near], default: near}]",
                "partitions[0].temperature: must be above 0"
            ),
            (
                "scores: [{name: s, method: weighted_sum, inputs: [{type: keyword, name: cod, weight: 1}]}]",
                "scores[0].inputs[0].name: \"cod\" is not one of code"
            ),
            (
                "scores: [{name: s, method: weighted_sum, inputs: [{type: kb_metric, metric: best_score, weight: 1}]}]",
                "scores[0].inputs[0]: needs a `kb`"
            ),
            (
                "scores: [{name: s, method: weighted_sum, inputs: [{type: kb_metric, kb: k, weight: 1}]}]",
                "scores[0].inputs[0]: needs a `metric`"
            ),
            (
                "scores: [{name: s, method: weighted_sum, inputs: [{type: projection, name: t, weight: 1}]}]",
                "scores[0].inputs[0].name: \"t\" is not one of s"
            ),
            (
                "scores: [{name: s, method: weighted_sum, inputs: [{type: projection, name: t, weight: 1, "
                    + "value_source: confidence}]}]",
                "scores[0].inputs[0].name: \"t\" is not known; none is declared"
            ),
            (
                "scores: [{name: s, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1, "
                    + "value_source: score}]}]",
                "scores[0].inputs[0].value_source: must be binary, confidence or raw for a signal"
            ),
            (
                "scores: [{name: s, method: product, inputs: [{type: keyword, name: code, weight: 1}]}]",
                "scores[0].method: \"product\" is not one of weighted_sum"
            ),
            ("scores: [{name: s, method: weighted_sum, inputs: []}]", "scores[0].inputs"),
            (
                "mappings: [{name: m, source: s, outputs: [{name: b, gte: 1}]}]",
                "mappings[0].source: \"s\" is not known; none is declared"
            ),
        ]
    )
    func projections(projections: String, error: String) {
        let errors = errors(routing("projections: {\(projections)}"))
        #expect(errors.count == 1, "\(errors)")
        #expect(
            errors.contains { $0.hasPrefix("p.yaml:10:") && $0.contains("routing.projections.\(error)") },
            "\(errors)"
        )
    }

    @Test(
        "Scores and their bands",
        arguments: [
            (
                "[{name: s, method: weighted_sum, inputs: [{type: projection, name: t, weight: 1, value_source: raw}]}, "
                    + "{name: t, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1}]}]",
                "[]",
                "scores[0].inputs[0].value_source: must be score or confidence for a projection"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: [{type: projection, name: s, weight: 1}]}]", "[]",
                "scores: depend on each other: s → s"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: [{type: projection, name: t, weight: 1}]}, "
                    + "{name: t, method: weighted_sum, inputs: [{type: projection, name: s, weight: 1}]}]",
                "[]",
                "scores: depend on each other: s → t → s"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: "
                    + "[{type: projection, name: high, weight: 1, value_source: confidence}]}]",
                "[{name: m, source: s, outputs: [{name: high, gte: 1}]}]",
                "scores: depend on each other: s → s"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1}]}, "
                    + "{name: s, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1}]}]",
                "[]",
                "scores[1].name: \"s\" is declared twice"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1}]}]",
                "[{name: m, source: s, outputs: [{name: b, gte: 1}]}, {name: n, source: s, outputs: [{name: b, lt: 1}]}]",
                "mappings[1].outputs[0].name: \"b\" is declared twice"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1}]}]",
                "[{name: m, source: s, outputs: [{name: a, gte: 1}]}, {name: m, source: s, outputs: [{name: b, lt: 1}]}]",
                "mappings[1].name: \"m\" is declared twice"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1}]}]",
                "[{name: m, source: s, outputs: [{name: b}]}]",
                "mappings[0].outputs[0]: needs a bound: gt, gte, lt or lte"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1}]}]",
                "[{name: m, source: s, method: top_k, outputs: [{name: b, gt: 0}]}]",
                "mappings[0].method: \"top_k\" is not one of threshold_bands, multi_emit"
            ),
            (
                "[{name: s, method: weighted_sum, inputs: [{type: keyword, name: code, weight: 1}]}]",
                "[{name: m, source: s, calibration: {slope: 0}, outputs: [{name: b, gt: 0}]}]",
                "mappings[0].calibration.slope: must be above 0"
            ),
        ]
    )
    func bands(scores: String, mappings: String, error: String) {
        let errors = errors(routing("projections: {scores: \(scores), mappings: \(mappings)}"))
        #expect(errors.count == 1, "\(errors)")
        #expect(errors.contains { $0.contains("routing.projections.\(error)") }, "\(errors)")
    }

    @Test(
        "Plugins and algorithms",
        arguments: [
            ("plugins: [{type: sytem_prompt}]", "plugins[0].type: \"sytem_prompt\" is not one of"),
            ("plugins: [{type: sytem_prompt}]", "did you mean \"system_prompt\"?"),
            ("algorithm: {type: dice}", "algorithm.type: \"dice\" is not one of static"),
            (
                "plugins: [{type: tools, configuration: {enabled: true, mode: filtered}}]",
                "plugins[0].configuration.mode: filtered needs `allow_tools` or `block_tools`"
            ),
            (
                "plugins: [{type: tools, configuration: {enabled: true, allow_tools: [a]}}]",
                "plugins[0].configuration.mode: `allow_tools` and `block_tools` need `mode: filtered`"
            ),
            (
                "plugins: [{type: tools, configuration: {mode: filtered, block_tools: [a], strip_tool_history: true}}]",
                "plugins[0].configuration.strip_tool_history: needs `mode: none`"
            ),
            ("plugins: [{type: fast_response, configuration: {}}]", "plugins[0].configuration.message"),
            (
                "plugins: [{type: request_params, configuration: {blocked_params: [model]}}]",
                "blocked_params: must not hold model, messages, prompt or input"
            ),
            (
                "plugins: [{type: header_mutation, configuration: {update: [{name: host, value: x}]}}]",
                "update[0].name: must name headers that are neither"
            ),
            (
                "plugins: [{type: header_mutation, configuration: {delete: [x-authz-user-id]}}]",
                "delete: must name headers that are neither"
            ),
            (
                "plugins: [{type: tools, configuration: {}}, {type: tools, configuration: {}}]",
                "plugins[1].type: the decision has this plugin already"
            ),
            ("tier: -1", "tier"),
        ]
    )
    func plugins(more: String, error: String) {
        let errors = errors(decision("{type: keyword, name: code}", ", \(more)"))
        #expect(errors.count == 1, "\(errors)")
        #expect(errors.contains { $0.hasPrefix("p.yaml:10:") && $0.contains(error) }, "\(errors)")
    }

    @Test("A decision needs a model, or an answer of its own")
    func answers() {
        #expect(errors(routing("decisions: [{name: d}]")).contains { $0.contains("modelRefs: needs a model") })
        let fast = "[{name: d, plugins: [{type: fast_response, configuration: {message: no}}]}]"
        #expect(errors(routing("decisions: \(fast)")) == [])
    }

    @Test(
        "Names of signals and decisions are each one's own",
        arguments: [
            "signals: {keywords: [{name: a, keywords: [x]}, {name: a, keywords: [y]}]}",
            "signals: {embeddings: [{name: a}, {name: a}]}", "signals: {jailbreak: [{name: a}, {name: a}]}",
            "decisions: [{name: a, modelRefs: [{model: small}]}, {name: a, modelRefs: [{model: small}]}]",
            "projections: {partitions: [{name: a, semantics: exclusive, members: [x], default: x}, "
                + "{name: a, semantics: exclusive, members: [y], default: y}]}",
        ]
    )
    func repeats(parts: String) {
        let errors = errors("\(Self.head)\nrouting:\n  \(parts)")
        #expect(errors.count == 1, "\(errors)")
        #expect(errors.contains { $0.contains("[1].name: \"a\" is declared twice") }, "\(errors)")
    }

    @Test("Bindings of one role may be several")
    func roles() {
        let yaml = """
            \(Self.head)
            routing:
              signals:
                role_bindings:
                  - {name: a, role: admin, subjects: [{kind: User, name: u}]}
                  - {name: b, role: admin, subjects: [{kind: group, name: g}]}
            """
        #expect(errors(yaml) == [])
    }

    @Test(
        "Recipes and entrypoints",
        arguments: [
            ("recipes: [{name: default}]", "recipes[0].name: `default` means `routing`; choose another name"),
            ("recipes: [{name: r}, {name: r}]", "recipes[1].name: \"r\" is declared twice"),
            ("entrypoints: [{model_names: [x], recipe: r}]", "entrypoints[0].recipe: \"r\" is not one of default"),
            ("entrypoints: [{model_names: []}]", "entrypoints[0].model_names"),
            ("entrypoints: [{model_names: [\"\"]}]", "entrypoints[0].model_names: must not hold an empty name"),
            (
                "entrypoints: [{model_names: [x, small]}]",
                "entrypoints[0].model_names[1]: \"small\" is a model, or asks for a choice already"
            ),
            ("entrypoints: [{model_names: [auto]}]", "entrypoints[0].model_names[0]: \"auto\" is a model, or asks"),
            ("entrypoints: [{model_names: [MoM]}]", "entrypoints[0].model_names[0]: \"MoM\" is a model, or asks"),
            (
                "entrypoints: [{model_names: [x]}, {model_names: [y, x]}]",
                "entrypoints[1].model_names[1]: \"x\" is a model, or asks for a choice already"
            ),
            (
                "routing: {modelCards: [{name: small, loras: [{name: adapter}]}]}\n"
                    + "entrypoints: [{model_names: [adapter]}]",
                "entrypoints[0].model_names[0]: \"adapter\" is a model, or asks for a choice already"
            ),
            (
                "recipes: [{name: r, routing: {decisions: [{name: d, modelRefs: [{model: huge}]}]}}]",
                "recipes[0].routing.decisions[0].modelRefs[0].model: \"huge\" is not one of small, large"
            ),
            ("recipes: [{name: r, routing: {modelCards: []}}]", "recipes[0].routing"),
            ("global: {router: {auto_model_name: \"\"}}", "global.router.auto_model_name: must not be empty"),
        ]
    )
    func entrypoints(parts: String, error: String) {
        let errors = errors("\(Self.head)\n\(parts)")
        #expect(errors.count == 1, "\(errors)")
        #expect(errors.contains { $0.contains(error) }, "\(errors)")
    }

    @Test("A recipe sees its own signals only, and may use names that others use")
    func isolation() {
        let recipe = "decisions: [{name: d, rules: {type: keyword, name: code}, modelRefs: [{model: small}]}]"
        let foreign = errors("\(decision("{}"))\nrecipes: [{name: r, routing: {\(recipe)}}]")
        #expect(foreign.count == 1)
        #expect(foreign.contains { $0.contains("recipes[0].routing.decisions[0].rules.name: \"code\" is not known") })
        let own = "signals: {keywords: [{name: code, keywords: [x]}]}, \(recipe)"
        #expect(errors("\(decision("{}"))\nrecipes: [{name: r, routing: {\(own)}}]") == [])
    }

    @Test("All mistakes of a file are told at once, in its order, each once")
    func together() {
        let yaml = """
            version: v0.3
            providers:
              defaults: {default_model: tiny}
              models:
                - {name: small, reasoning_family: none}
                - {name: small}
                - {name: large}
            routing:
              strategy: chance
              modelCards: [{name: huge}]
              signals:
                keywords:
                  - {name: code, keywords: [swift]}
                  - {name: code, keywords: [c]}
              projections:
                scores:
                  - {name: s, method: weighted_sum, inputs: [{type: projection, name: s, weight: 1}]}
                mappings:
                  - {name: m, source: t, outputs: [{name: b, gte: 1}]}
              decisions:
                - name: one
                  rules: {type: keyword, name: coed}
                  modelRefs: [{model: larg}]
                - name: one
                  rules: {operator: NOT, conditions: []}
                  modelRefs: [{model: large, lora_name: x}]
                  plugins: [{type: tools, configuration: {mode: filtered}}, {type: wish}]
                  unheard_of: true
            entrypoints: [{model_names: [small], recipe: missing}]
            recipes: [{name: default}]
            """
        let diagnostics = SemanticConfig.parse(yaml, name: "p.yaml").diagnostics.filter { $0.severity == .error }
        #expect(diagnostics.map(\.position) == diagnostics.map(\.position).sorted())
        let paths = diagnostics.map { "\($0.position.line) \($0.path)" }
        #expect(
            paths == [
                "3 providers.defaults.default_model", "5 providers.models[0].reasoning_family",
                "6 providers.models[1].name", "9 routing.strategy", "10 routing.modelCards[0].name",
                "14 routing.signals.keywords[1].name", "17 routing.projections.scores",
                "19 routing.projections.mappings[0].source", "22 routing.decisions[0].rules.name",
                "23 routing.decisions[0].modelRefs[0].model", "24 routing.decisions[1].name",
                "25 routing.decisions[1].rules.conditions", "26 routing.decisions[1].modelRefs[0].lora_name",
                "27 routing.decisions[1].plugins[0].configuration.mode", "27 routing.decisions[1].plugins[1].type",
                "28 routing.decisions[1].unheard_of", "29 entrypoints[0].model_names[0]", "29 entrypoints[0].recipe",
                "30 recipes[0].name",
            ]
        )
    }
}
