import SemanticRouter
import TestRandom
import Testing

/// What is said to be certain without some signals must be so whatever those signals say.
@Suite struct PossibilitiesTests {
    @Test("No assignment of the missing signals contradicts what is certain, and a settled decision is always the same")
    func enumerated() throws {
        var random = SeededRandom.fromEnvironment()
        var counts: [String: Int] = [:]
        for _ in 0..<1_500 {
            let policy = PartialPolicy(&random)
            let profile = try PolicyTools.router(policy.yaml).profiles[0]
            for _ in 0..<3 {
                let bare = policy.readings(profile, &random)
                try check(profile, bare, policy, &random, &counts)
            }
        }
        // Each answer is given often, where signals are missing.
        for answer in ["holds", "fails", "open", "settled", "unsettled"] {
            #expect(counts[answer, default: 0] > 500, "\(counts)")
        }
    }

    private func check(
        _ profile: RoutingProfile,
        _ bare: SignalSet,
        _ policy: PartialPolicy,
        _ random: inout SeededRandom,
        _ counts: inout [String: Int]
    ) throws {
        let missing = bare.readings.indices.filter {
            bare[$0].state == .unavailable && profile.table.ids[$0].type != .projection
        }
        let possibilities = Possibilities(bare, profile.projections)
        let rules = profile.engine.entries.map { possibilities.certainty(of: $0.rule) }
        let made = outcome(profile, bare)
        let isSettled = possibilities.settles(made.match, in: profile.engine)
        if !missing.isEmpty {
            for rule in rules { counts["\(rule)", default: 0] += 1 }
            counts[isSettled ? "settled" : "unsettled", default: 0] += 1
        }
        for assignment in 0..<(1 << missing.count) {
            // Twice, as confidences and values may be anything.
            for _ in 0..<2 {
                var signals = bare
                for (bit, position) in missing.enumerated() {
                    signals.readings[position] =
                        assignment >> bit & 1 == 1
                        ? .present(PartialPolicy.confidence(&random), value: PartialPolicy.value(&random))
                        : SignalReading(state: .absent, confidence: 0, value: PartialPolicy.value(&random))
                }
                let other = outcome(profile, signals)
                for (index, rule) in rules.enumerated() where rule != .open {
                    try #require(
                        other.holds[index] == (rule == .holds),
                        "decision \(index) is said to be certain: \(rule)\n\(policy.yaml)\n\(bare)\n\(signals)"
                    )
                }
                guard isSettled else { continue }
                try #require(
                    other.match?.index == made.match?.index,
                    "said to be settled\n\(policy.yaml)\n\(bare)\n\(signals)"
                )
            }
        }
    }

    private func outcome(
        _ profile: RoutingProfile,
        _ bare: SignalSet
    ) -> (match: DecisionEngine.Match?, holds: [Bool]) {
        var signals = bare
        _ = profile.projections.apply(to: &signals)
        let holds = profile.engine.entries.map { $0.rule.confidence(in: signals) != nil }
        return (profile.engine.decide(signals), holds)
    }
}

/// A small policy over signals that are evaluated and signals that are not.
private struct PartialPolicy {
    static let evaluated = ["keyword:k0", "keyword:k1", "structure:s0"]
    /// All of them without a classifier, at most six.
    static let missing = ["embedding:e0", "embedding:e1", "jailbreak:j0", "pii:p0", "kb:b0", "reask:r0"]

    let yaml: String
    /// Of `e0` and `e1`, of which nothing is known then.
    let hasPartition: Bool

    init(_ random: inout SeededRandom) {
        let hasPartition = random.once(in: 3)
        self.hasPartition = hasPartition
        let scores = (0..<random.below(3)).map { place in
            let inputs = (0..<(1 + random.below(3))).map { _ in Self.input(place, hasPartition, &random) }
            return "{name: x\(place), method: weighted_sum, inputs: [\(inputs.joined(separator: ", "))]}"
        }
        let mappings = scores.indices.map { place in
            let bands = (0..<(1 + random.below(3))).map { index in
                let low = Double(random.below(9)) / 4 - 1
                let bounds = random.pick(["gte: \(low)", "lt: \(low)", "gt: \(low), lte: \(low + 0.75)"])
                return "{name: x\(place)_\(index), \(bounds)}"
            }
            let method = bands.count > 1 ? random.pick(["threshold_bands", "multi_emit"]) : "threshold_bands"
            return
                "{name: m\(place), source: x\(place), method: \(method), outputs: [\(bands.joined(separator: ", "))]}"
        }
        let bands = scores.indices.map { "projection:x\($0)_0" }
        let hasTiers = random.once(in: 3)
        let decisions = (0..<(1 + random.below(4))).map { index in
            let rule = random.once(in: 12) ? "{}" : Self.rule(3, bands, &random)
            let tier = hasTiers ? ", tier: \(random.below(3))" : ""
            return "{name: d\(index), priority: \(index)\(tier), modelRefs: [{model: m}], rules: \(rule)}"
        }
        let strategy = random.pick(["priority", "priority", "confidence"])
        yaml = """
            version: v0.3
            providers: {defaults: {default_model: m}, models: [{name: m}]}
            routing:
              strategy: \(strategy)
              signals:
                keywords: [{name: k0, keywords: [apple]}, {name: k1, keywords: [pear]}]
                structure: [{name: s0, feature: {type: count, source: {type: regex, pattern: x}}}]
                embeddings: [{name: e0}, {name: e1}]
                jailbreak: [{name: j0}]
                pii: [{name: p0}]
                kb: [{name: b0}]
                reasks: [{name: r0}]
              projections:
                partitions: [\(hasPartition ? "{name: p, semantics: exclusive, members: [e0, e1], default: e1}" : "")]
                scores: [\(scores.joined(separator: ",\n  "))]
                mappings: [\(mappings.joined(separator: ",\n  "))]
              decisions: [\(decisions.joined(separator: ",\n  "))]
            """
    }

    private static func input(_ place: Int, _ hasPartition: Bool, _ random: inout SeededRandom) -> String {
        let weight = Double(random.below(9)) / 4 - 1
        if place > 0, random.once(in: 2) {
            let source = random.pick(["", ", value_source: score"])
            return random.once(in: 2)
                ? "{type: projection, name: x\(place - 1), weight: \(weight)\(source)}"
                : "{type: projection, name: x\(place - 1)_0, weight: \(weight), value_source: confidence}"
        }
        let parts = random.pick(evaluated + evaluated + missing).split(separator: ":")
        let source = random.pick(["binary, match: 1.5, miss: -0.25", "binary", "confidence", "raw"])
        return "{type: \(parts[0]), name: \(parts[1]), weight: \(weight), value_source: \(source)}"
    }

    private static func rule(_ depth: Int, _ bands: [String], _ random: inout SeededRandom) -> String {
        if depth > 1, !random.once(in: 3) {
            let word = random.pick(["AND", "OR", "NOT"])
            let count = word == "NOT" ? 1 : 1 + random.below(3)
            let conditions = (0..<count).map { _ in rule(depth - 1, bands, &random) }
            return "{operator: \(word), conditions: [\(conditions.joined(separator: ", "))]}"
        }
        let signal = random.pick(evaluated + evaluated + missing + bands + bands)
        let parts = signal.split(separator: ":")
        let condition = "type: \(parts[0]), name: \(parts[1])"
        // Bands are only asked whether they hold.
        guard !signal.hasPrefix("projection"), random.once(in: 4) else { return "{\(condition)}" }
        let bound = Double(1 + random.below(8)) / 8
        let onError = random.once(in: 2) ? ", on_error: match" : ""
        return "{\(condition), predicate: {\(random.pick(["gt", "gte"])): \(bound)}\(onError)}"
    }

    static func confidence(_ random: inout SeededRandom) -> Double { Double(random.below(9)) / 8 }

    static func value(_ random: inout SeededRandom) -> Double? {
        random.once(in: 2) ? Double(random.below(41)) / 8 - 2 : nil
    }

    /// Some of the evaluated signals are there, and some of the others are known after all.
    func readings(_ profile: RoutingProfile, _ random: inout SeededRandom) -> SignalSet {
        let known = random.below(4)
        return SignalSet(
            readings: profile.table.ids.map { id in
                if id.type == .projection { return .unavailable }
                let isMember = hasPartition && id.type == .embedding
                let isKnown = Self.evaluated.contains("\(id)") || (known > random.below(6) && !isMember)
                if !isKnown { return .unavailable }
                return random.once(in: 2)
                    ? .present(Self.confidence(&random), value: Self.value(&random))
                    : SignalReading(state: .absent, confidence: 0, value: Self.value(&random))
            }
        )
    }
}
