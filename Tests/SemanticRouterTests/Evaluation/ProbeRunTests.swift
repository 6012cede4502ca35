import ConfigKit
import SemanticRouter
import Testing

@Suite struct ProbeRunTests {
    // MARK: Upstream's probes

    private func run(_ recipe: String) throws -> ProbeRun {
        let file = try ProbeFile.load(
            PolicyTools.upstream("\(recipe)/probes.yaml"),
            options: DecodingOptions(unknownKeys: .error)
        ).get()
        return ProbeRun(file, PolicyTools.router(try PolicyTools.upstreamPolicy("\(recipe)/config.yaml")))
    }

    /// Numbers of now: more of them agree when more signals are evaluated, and fewer must never.
    @Test(
        "Of upstream's probes these many agree, and all that rules alone decide",
        arguments: [
            (recipe: "privacy", probes: 20, agree: 15, settled: 5),
            (recipe: "balance", probes: 57, agree: 28, settled: 0),
        ]
    )
    func upstream(recipe: String, probes: Int, agree: Int, settled: Int) throws {
        let outcomes = try run(recipe).outcomes
        #expect(outcomes.count == probes)
        #expect(outcomes.count { $0.agrees } == agree)
        #expect(outcomes.count { $0.isSettled } == settled)
        #expect(outcomes.allSatisfy { $0.isReadable })
        for outcome in outcomes {
            if outcome.isSettled { #expect(outcome.agrees, "\(outcome)") }
            // What does not agree, or lacks something, says why.
            if !outcome.agrees { #expect(!outcome.misses.isEmpty, "\(outcome)") }
            #expect(outcome.misses.allSatisfy { !$0.isEmpty })
            #expect(outcome.passes == outcome.misses.isEmpty)
        }
        #expect(Set(outcomes.map(\.name)).count == probes)
    }

    @Test("What is missed for want of a signal names the signal")
    func reasons() throws {
        let misses = try run("balance").outcomes.filter { !$0.agrees }.flatMap(\.misses)
        #expect(!misses.isEmpty)
        #expect(misses.contains { $0.contains("depends on signals that are not evaluated: ") })
    }

    // MARK: Our own

    private static let policy = """
        version: v0.3
        providers: {defaults: {default_model: small}, models: [{name: small}, {name: big}]}
        routing:
          signals:
            keywords: [{name: hard, keywords: [prove]}]
            embeddings: [{name: near, threshold: 0.5, candidates: [x]}]
            context: [{name: long, min_tokens: 100}]
            conversation:
              - {name: tools, feature: {type: exists, source: {type: tool_definition}}}
              - {name: answered, feature: {type: exists, source: {type: message, role: assistant}}}
          decisions:
            - {name: long, priority: 9, rules: {type: context, name: long}, modelRefs: [{model: big}]}
            - {name: tools, priority: 8, rules: {type: conversation, name: tools}, modelRefs: [{model: big}]}
            - name: hard
              priority: 7
              rules: {type: keyword, name: hard}
              modelRefs: [{model: big}]
              plugins: [{type: system_prompt, configuration: {system_prompt: x}}]
            - {name: near, priority: 6, rules: {type: embedding, name: near}, modelRefs: [{model: big}]}
            - {name: answered, priority: 5, rules: {type: conversation, name: answered}, modelRefs: [{model: small}]}
        entrypoints: [{model_names: [acme/other], recipe: other}]
        recipes: [{name: other, routing: {decisions: [{name: rest, modelRefs: [{model: small}]}]}}]
        """

    private func outcomes(_ group: String) throws -> [ProbeRun.Outcome] {
        let file = try ProbeFile.parse("decisions: [\(group)]", name: "probes.yaml").get()
        return ProbeRun(file, try PolicyTools.router(Self.policy)).outcomes
    }

    @Test("A probe is named by its group and itself, or by its place")
    func names() throws {
        let some = try outcomes("{expected_decision: hard, variants: [{id: a, query: prove}, {query: prove}]}")
        #expect(some.map(\.name) == ["hard/a", "hard/v2"])
        #expect(some.allSatisfy { $0.passes && $0.agrees && $0.isSettled && $0.expected == "hard" })
        let others = try outcomes("{id: group, expected_decision: hard, variants: [{query: prove}]}")
        #expect(others.map(\.name) == ["group/v1"])
    }

    @Test("A query is repeated line by line", arguments: [(1, "answered"), (200, "long")])
    func repeated(times: Int, decision: String) throws {
        let outcome = try outcomes("{expected_decision: long, variants: [{query: say, repeat: \(times)}]}")[0]
        #expect(outcome.agrees == (decision == "long"))
        #expect(outcome.isReadable)
    }

    @Test("A probe has messages or a query, and may have tools")
    func shapes() throws {
        let probes = """
            {expected_decision: tools, variants: [
            {query: hi, tools: [{type: function, function: {name: f}}]},
            {messages: [{role: user, content: hi}], tools: [{type: function, function: {name: f}}]}]}
            """
        #expect(try outcomes(probes).map(\.agrees) == [true, true])
        let talk = """
            {expected_decision: answered, variants: [{messages: [
            {role: user, content: hi}, {role: assistant, content: "yes"}, {role: user, content: [{type: text, text: bye}]}]}]}
            """
        #expect(try outcomes(talk).map(\.decision) == ["answered"])
        let prove = "{expected_decision: hard, variants: [{messages: [{role: user, content: prove}]}]}"
        #expect(try outcomes(prove).map(\.decision) == ["hard"])
    }

    @Test("A decision that hangs on missing signals is not settled")
    func settled() throws {
        let near = try outcomes("{expected_decision: near, variants: [{query: hello}]}")[0]
        #expect(!near.isSettled)
        #expect(near.decision == nil)
        #expect(
            near.misses == ["nothing was decided: its rule depends on signals that are not evaluated: embedding:near"]
        )
        #expect(try outcomes("{expected_decision: hard, variants: [{query: prove}]}")[0].isSettled)
    }

    @Test(
        "A miss says what is not as expected",
        arguments: [
            ("expected_decision: hurd", "prove", "hard was decided: the policy has no decision hurd"),
            ("expected_decision: long", "prove", "hard was decided: its rule does not hold"),
            ("expected_decision: hard", "prove it x", nil),
            ("expected_decision: hard, expected_recipe: other", "prove", "recipe default decides, not other"),
            ("expected_decision: hard, expected_algorithm: knn", "prove", "algorithm is static, not knn"),
            ("expected_decision: hard, expected_plugins: [tools]", "prove", "plugin tools is missing"),
            ("expected_decision: hard, expected_plugins: [system_prompt]", "prove", nil),
            ("expected_decision: hard, forbidden_plugins: [system_prompt]", "prove", "plugin system_prompt is there"),
            ("expected_decision: hard, expected_alias: small", "prove", "small is none of its models"),
            ("expected_decision: hard, expected_alias: big", "prove", nil),
            ("expected_decision: hard, expected_signals: {keywords: [hard]}", "prove", nil),
            (
                "expected_decision: hard, expected_signals: {context: [long]}", "prove", "signal context:long is absent"
            ),
            (
                "expected_decision: hard, expected_signals: {embeddings: [near]}", "prove",
                "signal embeddings:near is not evaluated"
            ),
            (
                "expected_decision: hard, expected_signals: {keywords: [soft]}", "prove",
                "signal keywords:soft is used by no rule"
            ),
            ("expected_decision: rest, model: acme/other", "prove", nil),
        ] as [(String, String, String?)]
    )
    func misses(group: String, query: String, miss: String?) throws {
        let outcome = try outcomes("{\(group), variants: [{query: \(query)}]}")[0]
        #expect(outcome.misses == (miss.map { [$0] } ?? []))
    }

    @Test("A decision that matches but loses says so")
    func loses() throws {
        let probes =
            "{expected_decision: hard, variants: [{query: prove, tools: [{type: function, function: {name: f}}]}]}"
        #expect(try outcomes(probes)[0].misses == ["tools was decided, which comes before it"])
    }

    @Test(
        "Mistakes in a file of probes are told",
        arguments: [
            ("{}", "decisions"), ("decisions: []", "decisions"),
            ("decisions: [{expected_decision: d}]", "decisions[0].variants"),
            ("decisions: [{variants: [{query: x}]}]", "decisions[0].expected_decision"),
            ("decisions: [{expected_decision: d, variants: [{}]}]", "needs either a `query` or `messages`"),
            (
                "decisions: [{expected_decision: d, variants: [{query: x, messages: [{role: user}]}]}]",
                "needs either a `query` or `messages`"
            ),
            ("decisions: [{expected_decision: d, variants: [{query: x, repeat: 0}]}]", "variants[0].repeat"),
            ("decisions: [{expected_decision: d, variants: [{query: x, repeat: 10001}]}]", "variants[0].repeat"),
            ("schema_version: v2\ndecisions: [{expected_decision: d, variants: [{query: x}]}]", "must be v1"),
            ("decisions: [{expected_decision: d, variants: [{query: x, hope: 1}]}]", "hope"),
        ]
    )
    func mistakes(yaml: String, words: String) {
        let errors = ProbeFile.parse(yaml).diagnostics.filter { $0.severity == .error }.map { "\($0)" }
        #expect(errors.count == 1, "\(errors)")
        #expect(errors.contains { $0.contains(words) }, "\(errors)")
    }
}
