import ConfigKit
import SemanticRouter
import Testing

@Suite("Decisions")
struct DecisionEngineTests {
    private func engine(_ yaml: String) throws -> DecisionEngine {
        let config = try SemanticConfig.parse(yaml).get()
        return DecisionEngine(config.routing.decisions)
    }

    private func signals(_ scores: [String: Double]) -> SignalSet {
        SignalSet(scores.map { SignalMatch(name: $0.key, score: $0.value, keywords: []) })
    }

    private static let head = """
        version: v0.3
        providers:
          models: [{name: small}, {name: large}]
        routing:
          signals:
            keywords:
              - {name: a, keywords: [a]}
              - {name: b, keywords: [b]}
              - {name: c, keywords: [c]}
          decisions:

        """

    @Test(
        "Rules combine",
        arguments: [
            ("{type: keyword, name: a}", ["a": 0.7], 0.7), ("{type: keyword, name: a}", ["b": 1], nil),
            (
                "{operator: AND, conditions: [{type: keyword, name: a}, {type: keyword, name: b}]}",
                ["a": 0.6, "b": 0.8], 0.7
            ),
            ("{operator: AND, conditions: [{type: keyword, name: a}, {type: keyword, name: b}]}", ["a": 1], nil),
            (
                "{operator: OR, conditions: [{type: keyword, name: a}, {type: keyword, name: b}]}",
                ["a": 0.6, "b": 0.8], 0.8
            ),
            ("{operator: NOT, conditions: [{type: keyword, name: a}]}", [:], 1),
            ("{operator: NOT, conditions: [{type: keyword, name: a}]}", ["a": 0.5], nil), ("{}", [:], 0),
            (
                """
                {operator: AND, conditions: [{type: keyword, name: a}, {operator: NOT, conditions: [{operator: OR, \
                conditions: [{type: keyword, name: b}, {type: keyword, name: c}]}]}]}
                """, ["a": 0.5], 0.75
            ),
        ] as [(String, [String: Double], Double?)]
    )
    func rules(rule: String, scores: [String: Double], confidence: Double?) throws {
        let engine = try engine(Self.head + "    - {name: d, rules: \(rule), modelRefs: [{model: small}]}")
        #expect(engine.decide(signals(scores))?.confidence == confidence)
    }

    @Test("Priority decides, then confidence, then the name; never the file's order")
    func order() throws {
        let lines = [
            "    - {name: y, priority: 5, rules: {type: keyword, name: a}, modelRefs: [{model: small}]}",
            "    - {name: x, priority: 5, rules: {type: keyword, name: a}, modelRefs: [{model: small}]}",
            "    - {name: z, priority: 5, rules: {type: keyword, name: b}, modelRefs: [{model: small}]}",
            "    - {name: top, priority: 9, rules: {type: keyword, name: c}, modelRefs: [{model: large}]}",
        ]
        for lines in [lines, lines.reversed()] {
            let engine = try engine(Self.head + lines.joined(separator: "\n"))
            #expect(engine.decide(signals(["a": 1, "b": 1, "c": 0.5]))?.decision.name == "top")
            #expect(engine.decide(signals(["a": 0.6, "b": 0.9]))?.decision.name == "z")
            #expect(engine.decide(signals(["a": 0.6]))?.decision.name == "x")
            #expect(engine.decide(signals([:])) == nil)
        }
    }

    @Test("Every mistake of a policy is reported at once, with its line")
    func mistakes() {
        let yaml = """
            version: v0.2
            providers:
              defaults: {default_model: smal}
              models: [{name: small}, {name: small}, {nme: large}]
            routing:
              signals:
                keywords:
                  - {name: code, operator: XOR, keywords: []}
              decisions:
                - name: d
                  priority: high
                  rules: {operator: NOT, conditions: []}
                  modelRefs: [{model: smalll}]
                - {name: d, rules: {type: keyword, name: cod}, modelRefs: [{model: small}]}
            """
        let diagnostics = SemanticConfig.parse(yaml, name: "policy.yaml").diagnostics.map { "\($0)" }
        #expect(
            diagnostics == [
                #"policy.yaml:1:10: version: must be v0.3, found the text "v0.2""#,
                #"policy.yaml:3:29: providers.defaults.default_model: "smal" is not one of small; did you mean "small"?"#,
                #"policy.yaml:4:34: providers.models[1].name: "small" is declared twice"#,
                "policy.yaml:4:42: providers.models[2].name: is required but missing",
                """
                policy.yaml:4:43: providers.models[2].nme: is not a known key; did you mean "name"? \
                Known here: name, provider_model_id
                """,
                """
                policy.yaml:8:32: routing.signals.keywords[0].operator: "XOR" is not one of AND, OR, NOR; \
                did you mean "OR"?
                """,
                "policy.yaml:8:47: routing.signals.keywords[0].keywords: must have at least 1 elements but has 0",
                #"policy.yaml:11:17: routing.decisions[0].priority: expected a whole number, found the text "high""#,
                "policy.yaml:12:42: routing.decisions[0].rules.conditions: NOT takes exactly one condition",
                """
                policy.yaml:13:27: routing.decisions[0].modelRefs[0].model: "smalll" is not one of small; \
                did you mean "small"?
                """,
                #"policy.yaml:14:14: routing.decisions[1].name: "d" is declared twice"#,
                #"policy.yaml:14:46: routing.decisions[1].rules.name: "cod" is not one of code; did you mean "code"?"#,
            ]
        )
    }
}
