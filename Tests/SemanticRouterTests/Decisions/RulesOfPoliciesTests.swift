import OpenAIWire
import SemanticRouter
import Testing

/// From a file's `rules` to what they come to.
@Suite struct RulesOfPoliciesTests {
    private func profile(_ rules: String) throws -> RoutingProfile {
        try PolicyTools.router(
            """
            version: v0.3
            providers: {defaults: {default_model: m}, models: [{name: m}]}
            routing:
              signals:
                keywords: [{name: a, keywords: [apple]}, {name: b, keywords: [pear]}, {name: blocked, keywords: [plum]}]
                embeddings: [{name: e, threshold: 0.5, candidates: [x]}]
                complexity: [{name: legal, threshold: 0.1, hard: {candidates: [x]}, easy: {candidates: [y]}}]
                classifiers: [{name: risk, labels: [RISKY, SAFE]}]
              projections:
                scores: [{name: s, method: weighted_sum, inputs: [{type: keyword, name: a, weight: 1}]}]
                mappings: [{name: m, source: s, outputs: [{name: high, gte: 0.5}]}]
              decisions:
                - name: only
                  rules: \(rules)
                  modelRefs: [{model: m}]
            """
        ).profiles[0]
    }

    private func confidence(_ rules: String, _ readings: [SignalID: SignalReading]) throws -> Double? {
        let profile = try profile(rules)
        let signals = SignalSet(readings: profile.table.ids.map { readings[$0] ?? .absent })
        return profile.engine.decide(signals)?.confidence
    }

    private static let a = SignalID(.keyword, "a")
    private static let b = SignalID(.keyword, "b")

    @Test("Operators are taken in any case", arguments: ["AND", "and", "And"], ["OR", "or"])
    func operatorCase(and: String, or: String) throws {
        let all = "{operator: \(and), conditions: [{type: keyword, name: a}, {type: keyword, name: b}]}"
        #expect(
            try confidence(all, [Self.a: .present(0.8), Self.b: .present(0.4)]).map { abs($0 - 0.6) < 1e-12 } == true
        )
        #expect(try confidence(all, [Self.a: .present(0.8)]) == nil)
        let any = "{operator: \(or), conditions: [{type: keyword, name: a}, {type: keyword, name: b}]}"
        #expect(try confidence(any, [Self.a: .present(0.8)]) == 0.8)
        let none = "{operator: \(and == "AND" ? "NOT" : "not"), conditions: [{type: keyword, name: a}]}"
        #expect(try confidence(none, [:]) == 1)
    }

    @Test("Conditions without an operator are all asked for")
    func noOperator() throws {
        let rules = "{conditions: [{type: keyword, name: a}, {type: keyword, name: b}]}"
        #expect(try confidence(rules, [Self.a: .present()]) == nil)
        #expect(try confidence(rules, [Self.a: .present(), Self.b: .present()]) == 1)
    }

    @Test("Rules that ask for nothing always hold", arguments: ["{}", "{operator: AND}", "{conditions: []}"])
    func nothing(rules: String) throws {
        #expect(try confidence(rules, [:]) == 0)
    }

    @Test("A band is asked for by its name, and counts with its confidence")
    func projection() throws {
        let rules = "{type: projection, name: high}"
        #expect(try confidence(rules, [SignalID(.projection, "high"): .present(0.81)]) == 0.81)
        #expect(try confidence(rules, [:]) == nil)
    }

    @Test("A level of a complexity signal is a signal of its own")
    func complexity() throws {
        let rules = "{type: complexity, name: \"legal:hard\"}"
        #expect(try confidence(rules, [SignalID(.complexity, "legal:hard"): .present(0.61)]) == 0.61)
    }

    @Test(
        "A classifier's label is compared, and `on_error` says what counts without it",
        arguments: ["match", "no_match"]
    )
    func classifier(onError: String) throws {
        let rules = "{type: classifier, name: risk, label: RISKY, predicate: {gte: 0.5}, on_error: \(onError)}"
        let id = SignalID(.classifier, "risk:RISKY")
        #expect(try confidence(rules, [id: .present(0.5)]) == 1)
        #expect(try confidence(rules, [id: .present(0.4)]) == nil)
        #expect(try confidence(rules, [id: .unavailable]) == (onError == "match" ? 1 : nil))
    }

    @Test("Domains need not be declared")
    func domain() throws {
        let rules = "{type: domain, name: computer science}"
        #expect(try confidence(rules, [SignalID(.domain, "computer science"): .present(0.7)]) == 0.7)
    }

    @Test("Signals that nothing evaluates are known to be unknown")
    func unavailable() throws {
        let profile = try profile("{type: embedding, name: e}")
        let prompt = try Prompt(try PolicyTools.ask("apple").text)
        let readings = Dictionary(uniqueKeysWithValues: zip(profile.table.ids, profile.table.evaluate(prompt).readings))
        #expect(readings[SignalID(.embedding, "e")] == .unavailable)
        #expect(readings[Self.a]?.isPresent == true)
        #expect(readings[Self.b] == .absent)
        #expect(profile.evaluate(prompt).match == nil)
    }
}
