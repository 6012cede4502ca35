import SemanticRouter
import Testing

/// What upstream's engine tests say, where its order of matching decisions is the documented one: any matching tier, then
/// confidence, priority, name. Names of signals are theirs.
@Suite struct DecisionEngineTests {
    /// Signals by position.
    private enum Place {
        static let first = 0
        static let second = 1
        static let third = 2
        static let count = 3
    }

    private static func signals(_ readings: [Int: SignalReading]) -> SignalSet {
        SignalSet(readings: (0..<Place.count).map { readings[$0] ?? .absent })
    }

    /// What one rule comes to, read off a policy with one decision.
    private func confidence(_ rule: RuleExpression, _ readings: [Int: SignalReading]) -> Double? {
        let engine = DecisionEngine(
            [DecisionEngine.Entry(name: "only", priority: 1, tier: 0, rule: rule)],
            strategy: .priority
        )
        return engine.decide(Self.signals(readings))?.confidence
    }

    private func winner(
        _ strategy: ProfileConfig.Strategy,
        _ readings: [Int: SignalReading],
        _ entries: [DecisionEngine.Entry]
    ) -> String? {
        let engine = DecisionEngine(entries, strategy: strategy)
        return engine.decide(Self.signals(readings)).map { entries[$0.index].name }
    }

    private func entry(
        _ name: String,
        _ priority: Int,
        tier: Int = 0,
        _ rule: RuleExpression
    ) -> DecisionEngine.Entry {
        DecisionEngine.Entry(name: name, priority: priority, tier: tier, rule: rule)
    }

    private let first = RuleExpression.signal(Place.first)
    private let second = RuleExpression.signal(Place.second)
    private let third = RuleExpression.signal(Place.third)

    private func close(_ confidence: Double?, _ expected: Double) -> Bool {
        confidence.map { abs($0 - expected) < 1e-12 } ?? false
    }

    // MARK: Operators

    @Test("AND holds where all conditions do, with the mean of their confidences")
    func conjunction() {
        let rule = RuleExpression.and([first, second])
        #expect(close(confidence(rule, [0: .present(0.8), 1: .present(0.6)]), 0.7))
        #expect(confidence(rule, [0: .present(0.8)]) == nil)
    }

    @Test("OR holds where one condition does, with the highest confidence")
    func disjunction() {
        let rule = RuleExpression.or([first, second])
        #expect(confidence(rule, [0: .present(0.4), 1: .present(0.9)]) == 0.9)
        #expect(confidence(rule, [0: .present(0.4)]) == 0.4)
        #expect(confidence(rule, [:]) == nil)
    }

    @Test("NOT holds with confidence 1 where its condition does not")
    func negation() {
        #expect(confidence(.not(first), [:]) == 1)
        #expect(confidence(.not(first), [0: .present(0.1)]) == nil)
        #expect(confidence(.not(.not(first)), [0: .present(0.1)]) == 1)
    }

    @Test("Operators nest")
    func nested() {
        let rule = RuleExpression.and([.or([first, second]), .not(third)])
        #expect(close(confidence(rule, [1: .present(0.8)]), 0.9))
        #expect(confidence(rule, [1: .present(0.8), 2: .present(0.1)]) == nil)
    }

    @Test("No rule and AND of nothing hold with confidence 0; OR of nothing never holds")
    func empty() {
        #expect(confidence(.always, [:]) == 0)
        #expect(confidence(.and([]), [:]) == 0)
        #expect(confidence(.or([]), [:]) == nil)
        #expect(confidence(.not(.or([])), [:]) == 1)
        #expect(confidence(.not(.and([])), [:]) == nil)
    }

    @Test("A signal that was found with confidence 0 is found, and has confidence 0")
    func zero() {
        #expect(confidence(first, [0: .present(0)]) == 0)
        #expect(confidence(.not(first), [0: .present(0)]) == nil)
    }

    @Test("A signal of which nothing is known counts as absent")
    func unavailable() {
        #expect(confidence(first, [0: .unavailable]) == nil)
        #expect(confidence(.not(first), [0: .unavailable]) == 1)
    }

    // MARK: Predicates

    @Test(
        "A predicate compares the value, and counts with confidence 1",
        arguments: [
            (NumberPredicate(gte: 3), 3.0, true),
            (NumberPredicate(gt: 3), 3, false),
            (NumberPredicate(gt: 3), 3.000001, true),
            (NumberPredicate(lte: 0), 0, true),
            (NumberPredicate(lt: 0), 0, false),
            (NumberPredicate(gt: 0, lt: 1), 0.5, true),
            (NumberPredicate(gt: 0, lt: 1), 1, false),
            (NumberPredicate(gte: 0.2, lt: 0.4), 0.3, true),
            (NumberPredicate(gte: 0), .nan, false),
            (NumberPredicate(lte: 0), .nan, false),
            (NumberPredicate(gte: 0), .infinity, false),
            (NumberPredicate(lte: 0), -.infinity, false),
        ]
    )
    func predicate(bounds: NumberPredicate, value: Double, holds: Bool) {
        let rule = RuleExpression.predicate(Place.first, bounds, countsUnavailable: false)
        let expected: Double? = holds ? 1 : nil
        #expect(confidence(rule, [0: .present(0.3, value: value)]) == expected)
        // Whether the signal is present does not matter.
        #expect(confidence(rule, [0: SignalReading(state: .absent, confidence: 0, value: value)]) == expected)
    }

    @Test("Without a value a predicate compares the confidence")
    func predicateOfConfidence() {
        let rule = RuleExpression.predicate(Place.first, NumberPredicate(gte: 0.5), countsUnavailable: false)
        #expect(confidence(rule, [0: .present(0.5)]) == 1)
        #expect(confidence(rule, [0: .present(0.49)]) == nil)
    }

    @Test("`on_error` says what a predicate makes of a signal of which nothing is known", arguments: [false, true])
    func onError(matches: Bool) {
        let rule = RuleExpression.predicate(Place.first, NumberPredicate(gte: 0.8), countsUnavailable: matches)
        #expect(confidence(rule, [0: .unavailable]) == (matches ? 1 : nil))
        // It is not asked where the signal is known.
        #expect(confidence(rule, [0: .present(0.1)]) == nil)
    }

    // MARK: Order

    @Test("Nothing that matches is decided upon")
    func none() {
        #expect(winner(.priority, [1: .present()], [entry("a", 0, first)]) == nil)
        #expect(winner(.priority, [:], []) == nil)
    }

    @Test("By priority: the priority, then the confidence, then the name")
    func byPriority() {
        let both = [entry("low", 1, first), entry("high", 2, first)]
        #expect(winner(.priority, [0: .present(0.3)], both) == "high")
        let equal = [entry("weak", 5, first), entry("strong", 5, second)]
        #expect(winner(.priority, [0: .present(0.3), 1: .present(0.8)], equal) == "strong")
        let same = [entry("beta", 0, first), entry("alpha", 0, first)]
        #expect(winner(.priority, [0: .present()], same) == "alpha")
        let apart = [entry("preference", 160, first), entry("language", 135, second)]
        #expect(winner(.priority, [0: .present(0.7), 1: .present(0.99)], apart) == "preference")
    }

    @Test("By confidence: the confidence, then the priority, then the name")
    func byConfidence() {
        let equal = [entry("a", 1, first), entry("b", 1, second)]
        #expect(winner(.confidence, [0: .present(0.3), 1: .present(0.8)], equal) == "b")
        let apart = [entry("a", 9, first), entry("b", 1, second)]
        #expect(winner(.confidence, [0: .present(0.3), 1: .present(0.8)], apart) == "b")
        #expect(winner(.confidence, [0: .present(0.8), 1: .present(0.8)], apart) == "a")
        let same = [entry("beta", 1, first), entry("alpha", 1, second)]
        #expect(winner(.confidence, [0: .present(0.8), 1: .present(0.8)], same) == "alpha")
    }

    @Test("By confidence a decision without rules comes last, as it has none")
    func fallbacks() {
        for fallback in [RuleExpression.always, .and([])] {
            let entries = [entry("specific", 1, first), entry("fallback", 100, fallback)]
            #expect(winner(.confidence, [0: .present(0.72)], entries) == "specific")
            #expect(winner(.confidence, [:], entries) == "fallback")
        }
        let law = [entry("catch_all", 500, .and([])), entry("law", 100, first)]
        #expect(winner(.priority, [0: .present(0.9)], law) == "catch_all")
        #expect(winner(.confidence, [0: .present(0.9)], law) == "law")
        let tiered = [entry("route", 50, tier: 1, first), entry("catch_all", 100, tier: 1, .and([]))]
        #expect(winner(.priority, [0: .present()], tiered) == "route")
    }

    @Test(
        "Where a matching decision has a tier, tiers come first and confidence next, whatever the strategy",
        arguments: [ProfileConfig.Strategy.priority, .confidence]
    )
    func tiers(strategy: ProfileConfig.Strategy) {
        let lower = [entry("late", 100, tier: 2, first), entry("early", 1, tier: 1, second)]
        #expect(winner(strategy, [0: .present(0.9), 1: .present(0.2)], lower) == "early")
        let jailbreak = [entry("guard", 10, tier: 1, first), entry("math", 200, tier: 2, second)]
        #expect(winner(strategy, [0: .present(0.55), 1: .present(0.99)], jailbreak) == "guard")
        #expect(winner(strategy, [1: .present(0.99)], jailbreak) == "math")
        // No tier comes before tier 1.
        let none = [entry("none", 10, first), entry("one", 900, tier: 1, second)]
        #expect(winner(strategy, [0: .present(0.6), 1: .present(0.95)], none) == "none")
        let peers = [entry("sure", 60, tier: 1, first), entry("unsure", 180, tier: 1, second)]
        #expect(winner(strategy, [0: .present(0.95), 1: .present(0.86)], peers) == "sure")
        let projection = [entry("conversation", 250, tier: 2, first), entry("band", 900, tier: 2, second)]
        #expect(winner(strategy, [0: .present(), 1: .present(0.82)], projection) == "conversation")
    }

    @Test("Tiers and priorities of one policy: math and science")
    func mathAndScience() {
        func entries(tier: Int) -> [DecisionEngine.Entry] {
            [entry("math", 200, tier: tier, first), entry("science", 100, tier: tier, second)]
        }
        let apart: [Int: SignalReading] = [0: .present(0.52), 1: .present(0.89)]
        #expect(winner(.priority, apart, entries(tier: 2)) == "science")
        #expect(winner(.priority, [0: .present(0.89), 1: .present(0.89)], entries(tier: 2)) == "math")
        #expect(winner(.priority, apart, entries(tier: 0)) == "math")
    }

    @Test("A tier that matches turns priority into confidence for decisions without one too")
    func tierElsewhere() {
        let entries = [
            entry("preference", 160, first), entry("language", 135, second), entry("domain", 200, tier: 2, third),
        ]
        let readings: [Int: SignalReading] = [0: .present(0.7), 1: .present(0.99), 2: .present(0.8)]
        #expect(winner(.priority, readings, entries) == "language")
        // A tier that does not match changes nothing.
        #expect(winner(.priority, [0: .present(0.7), 1: .present(0.99)], entries) == "preference")
    }

    @Test("A mean of more conditions may be lower")
    func moreConditions() {
        let entries = [
            entry("two", 100, tier: 1, .and([first, second])),
            entry("three", 200, tier: 1, .and([first, second, third])),
        ]
        #expect(winner(.priority, [0: .present(0.9), 1: .present(0.9), 2: .present(0.88)], entries) == "two")
    }
}
