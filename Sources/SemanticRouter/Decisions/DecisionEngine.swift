/// Decides from signals. Pure: the same signals give the same decision.
package struct DecisionEngine: Sendable {
    /// A decision as the engine sees it.
    package struct Entry: Sendable {
        package let name: String
        package let priority: Int
        package let tier: Int
        package let rule: RuleExpression

        package init(name: String, priority: Int, tier: Int, rule: RuleExpression) {
            self.name = name
            self.priority = priority
            self.tier = tier
            self.rule = rule
        }
    }

    /// A decision that matches.
    package struct Match: Sendable, Equatable {
        /// Its place in the file.
        package let index: Int
        /// 0…1.
        package let confidence: Double

        package init(index: Int, confidence: Double) {
            self.index = index
            self.confidence = confidence
        }
    }

    package let entries: [Entry]
    package let strategy: ProfileConfig.Strategy

    /// - Parameter entries: in the order of the file, with unique names.
    package init(_ entries: [Entry], strategy: ProfileConfig.Strategy) {
        self.entries = entries
        self.strategy = strategy
    }

    init(_ profile: ProfileConfig, _ table: SignalTable) {
        self.init(
            profile.decisions.map {
                Entry(
                    name: $0.name,
                    priority: $0.priority,
                    tier: $0.tier,
                    rule: RuleExpression($0.rules, table)
                )
            },
            strategy: profile.strategy ?? .priority
        )
    }

    /// The decision that wins among those that match; nil if none does.
    ///
    /// - Complexity: O(conditions of all rules).
    package func decide(_ signals: SignalSet) -> Match? {
        let matches = matches(signals)
        let isTiered = matches.contains { entries[$0.index].tier > 0 }
        return matches.min { precedes($0, $1, isTiered: isTiered) }
    }

    /// Every decision that matches, in the order of the file.
    package func matches(_ signals: SignalSet) -> [Match] {
        var matches: [Match] = []
        for (index, entry) in entries.enumerated() {
            guard let confidence = entry.rule.confidence(in: signals) else { continue }
            matches.append(Match(index: index, confidence: confidence))
        }
        return matches
    }

    /// Upstream's order: where a matching decision has a tier, the lowest tier, then confidence, then priority; else what
    /// the strategy names first, then the other. Names settle what is left, so that the file's order does not matter.
    package func precedes(_ left: Match, _ right: Match, isTiered: Bool) -> Bool {
        let (first, second) = (entries[left.index], entries[right.index])
        if isTiered, first.tier != second.tier { return first.tier < second.tier }
        if isTiered || strategy == .confidence {
            if left.confidence != right.confidence { return left.confidence > right.confidence }
            if first.priority != second.priority { return first.priority > second.priority }
        } else {
            if first.priority != second.priority { return first.priority > second.priority }
            if left.confidence != right.confidence { return left.confidence > right.confidence }
        }
        return first.name < second.name
    }
}
