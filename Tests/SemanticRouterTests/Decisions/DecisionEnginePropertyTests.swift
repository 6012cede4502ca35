import SemanticRouter
import TestRandom
import Testing

@Suite struct DecisionEnginePropertyTests {
    @Test("On random rules and readings the engine decides as a plain evaluator does, in whatever order the file is")
    func random() throws {
        var random = SeededRandom.fromEnvironment()
        var winners = 0
        var contests = 0
        for _ in 0..<25_000 {
            let policy = NaivePolicy(&random)
            let facts = NaivePolicy.Facts(&random)
            let engine = DecisionEngine(policy.decisions.map(\.entry), strategy: policy.strategy)
            let match = engine.decide(facts.signals)
            let expected = policy.matches(facts)
            try #require(match.map { policy.decisions[$0.index].name } == expected.first?.name, "\(policy) \(facts)")
            if let match, let first = expected.first {
                try #require(abs(match.confidence - first.confidence) < 1e-12, "\(policy) \(facts)")
                winners += 1
                contests += expected.count > 1 ? 1 : 0
            }
            try #require(
                Set(engine.matches(facts.signals).map { policy.decisions[$0.index].name })
                    == Set(expected.map(\.name)),
                "\(policy) \(facts)"
            )
            #expect(engine.decide(facts.signals) == match)
            let shuffled = policy.decisions.shuffled(using: &random)
            let other = DecisionEngine(shuffled.map(\.entry), strategy: policy.strategy).decide(facts.signals)
            try #require(other.map { shuffled[$0.index].name } == expected.first?.name, "\(policy) \(facts)")
            try #require(other?.confidence == match?.confidence, "\(policy) \(facts)")
        }
        // The cases must say something.
        #expect(winners > 5_000 && winners < 25_000)
        #expect(contests > 5_000)
    }
}

/// Decisions as text-keyed records, evaluated the plain way: nothing is shared with the engine.
private struct NaivePolicy: CustomStringConvertible {
    struct Rule {
        /// `AND`, `OR`, `NOT`, `ALWAYS`, or the name of a signal.
        var word: String
        var children: [Rule] = []
        /// `gt`, `gte`, `lt`, `lte`; empty: whether the signal is there.
        var bounds: [String: Double] = [:]
        var onError = "no_match"
    }

    struct Decision {
        var name: String
        var priority: Int
        var tier: Int
        var rule: Rule
    }

    /// What is known of a request, as upstream's engine is told.
    struct Facts {
        var found: Set<String> = []
        var confidences: [String: Double] = [:]
        var values: [String: Double] = [:]
        var failed: Set<String> = []
    }

    /// The first four have values, the others only confidences.
    static let names = ["v0", "v1", "v2", "v3", "c0", "c1", "c2", "c3"]

    var strategy: ProfileConfig.Strategy
    var decisions: [Decision]

    var description: String { "\(strategy) \(decisions)" }

    init(_ random: inout SeededRandom) {
        strategy = random.pick([.priority, .confidence])
        let hasTiers = random.once(in: 3)
        decisions = []
        // Not in the order of their names.
        for name in ["e", "b", "f", "a", "d", "c"].prefix(1 + random.below(6)) {
            decisions.append(
                Decision(
                    name: name,
                    priority: random.below(4) - 1,
                    tier: hasTiers ? random.below(3) : 0,
                    rule: Rule(depth: 5, &random)
                )
            )
        }
    }

    // MARK: Evaluation

    /// What matches, the winner first.
    func matches(_ facts: Facts) -> [(name: String, confidence: Double)] {
        var rows: [(keys: [Double], name: String, confidence: Double)] = []
        let matching = decisions.compactMap { decision in
            Self.evaluate(decision.rule, facts).map { (decision, $0) }
        }
        let isTiered = matching.contains { $0.0.tier > 0 }
        for (decision, confidence) in matching {
            let priority = Double(-decision.priority)
            let keys: [Double] =
                if isTiered {
                    [Double(decision.tier), -confidence, priority]
                } else if strategy == .confidence {
                    [-confidence, priority]
                } else {
                    [priority, -confidence]
                }
            rows.append((keys, decision.name, confidence))
        }
        rows.sort { left, right in
            for (one, other) in zip(left.keys, right.keys) where one != other { return one < other }
            return left.name < right.name
        }
        return rows.map { ($0.name, $0.confidence) }
    }

    private static func evaluate(_ rule: Rule, _ facts: Facts) -> Double? {
        let parts = rule.children.map { evaluate($0, facts) }
        switch rule.word {
        case "ALWAYS":
            return 0
        case "AND":
            if parts.contains(where: { $0 == nil }) { return nil }
            let sum = parts.map { $0! }.reduce(0, +)
            return parts.isEmpty ? 0 : sum / Double(parts.count)
        case "OR":
            return parts.filter { $0 != nil }.map { $0! }.sorted().last
        case "NOT":
            return parts[0] == nil ? 1 : nil
        default:
            if rule.bounds.isEmpty {
                return facts.found.contains(rule.word) ? facts.confidences[rule.word] ?? 1 : nil
            }
            if let number = facts.values[rule.word] ?? facts.confidences[rule.word] {
                return keeps(number, rule.bounds) ? 1 : nil
            }
            return facts.failed.contains(rule.word) && rule.onError == "match" ? 1 : nil
        }
    }

    private static func keeps(_ number: Double, _ bounds: [String: Double]) -> Bool {
        if number.isNaN || number.isInfinite { return false }
        return bounds.allSatisfy { word, bound in
            switch word {
            case "gt": number > bound
            case "gte": number > bound || number == bound
            case "lt": number < bound
            default: number < bound || number == bound
            }
        }
    }
}

extension NaivePolicy.Rule {
    /// - Parameter depth: at most this many levels.
    init(depth: Int, _ random: inout SeededRandom) {
        switch random.below(depth > 1 ? 10 : 4) {
        case 0...2:
            self.init(word: random.pick(NaivePolicy.names))
        case 3:
            let name = random.pick(NaivePolicy.names)
            self.init(word: name)
            let low = Double(random.below(9)) / 8
            // A signal without a value is compared by its confidence, which an absent one does not have: bounds that 0
            // does not keep.
            if name.hasPrefix("c") {
                bounds["gt"] = low
            } else if !random.once(in: 3) {
                bounds[random.pick(["gt", "gte"])] = low - 0.5
            }
            if bounds.isEmpty || random.once(in: 3) { bounds[random.pick(["lt", "lte"])] = low + 0.25 }
            onError = random.pick(["match", "no_match"])
        case 4:
            self.init(word: random.pick(["ALWAYS", "AND", "OR"]))
        case 5:
            self.init(word: "NOT", children: [Self(depth: depth - 1, &random)])
        default:
            self.init(word: random.pick(["AND", "OR", "OR"]))
            for _ in 0..<(1 + random.below(3)) { children.append(Self(depth: depth - 1, &random)) }
        }
    }

    /// The same rule for the engine.
    var expression: RuleExpression {
        switch word {
        case "ALWAYS": return .always
        case "AND": return .and(children.map(\.expression))
        case "OR": return .or(children.map(\.expression))
        case "NOT": return .not(children[0].expression)
        default:
            let position = NaivePolicy.names.firstIndex(of: word)!
            if bounds.isEmpty { return .signal(position) }
            return .predicate(
                position,
                NumberPredicate(gt: bounds["gt"], gte: bounds["gte"], lt: bounds["lt"], lte: bounds["lte"]),
                countsUnavailable: onError == "match"
            )
        }
    }
}

extension NaivePolicy.Decision {
    var entry: DecisionEngine.Entry {
        DecisionEngine.Entry(name: name, priority: priority, tier: tier, rule: rule.expression)
    }
}

extension NaivePolicy.Facts {
    init(_ random: inout SeededRandom) {
        for name in NaivePolicy.names {
            let state = random.below(8)
            if state == 0 {
                failed.insert(name)
                continue
            }
            if state < 5 {
                found.insert(name)
                confidences[name] = Double(random.below(9)) / 8
            }
            if name.hasPrefix("v") {
                let odd = [Double.nan, .infinity, -.infinity]
                values[name] = random.once(in: 8) ? random.pick(odd) : Double(random.below(17)) / 8 - 0.5
            }
        }
    }

    /// The same facts for the engine.
    var signals: SignalSet {
        SignalSet(
            readings: NaivePolicy.names.map { name in
                if failed.contains(name) { return .unavailable }
                return SignalReading(
                    state: found.contains(name) ? .present : .absent,
                    confidence: confidences[name] ?? 0,
                    value: values[name]
                )
            }
        )
    }
}
