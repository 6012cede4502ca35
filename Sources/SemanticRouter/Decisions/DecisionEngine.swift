/// Decides from signals. Pure: the same signals give the same decision.
package struct DecisionEngine: Sendable {
    private let decisions: [Decision]

    /// - Parameter decisions: in the order of the file.
    package init(_ decisions: [DecisionConfig]) {
        self.decisions = decisions.map(Decision.init)
    }

    /// The matching decision of the highest priority; of several, the one with the higher confidence, then the first by
    /// name, so that the file's order does not matter.
    package func decide(_ signals: SignalSet) -> DecisionMatch? {
        decisions
            .compactMap { decision in
                decision.rule.confidence(in: signals).map { DecisionMatch(decision: decision, confidence: $0) }
            }
            .max { left, right in
                let (first, second) = (left.decision, right.decision)
                if first.priority != second.priority { return first.priority < second.priority }
                if left.confidence != right.confidence { return left.confidence < right.confidence }
                return first.name > second.name
            }
    }
}

/// A choice and the rule under which it is made.
package struct Decision: Sendable {
    package let name: String
    package let priority: Int
    /// Names from `providers.models`; not empty.
    package let models: [String]
    let rule: RuleExpression

    init(_ config: DecisionConfig) {
        name = config.name
        priority = config.priority
        models = config.modelRefs.map(\.model)
        rule = RuleExpression(config.rules)
    }
}

package struct DecisionMatch: Sendable {
    package let decision: Decision
    /// 0…1.
    package let confidence: Double
}

/// The signals that were found, by name.
package struct SignalSet: Sendable {
    private(set) var matches: [String: SignalMatch] = [:]

    package init(_ matches: some Sequence<SignalMatch> = []) {
        for match in matches { self.matches[match.name] = match }
    }

    package subscript(name: String) -> SignalMatch? { matches[name] }

    /// In the order of their names.
    package var all: [SignalMatch] { matches.values.sorted { $0.name < $1.name } }
}

/// A rule as a tree.
///
/// Confidences combine as in upstream's rule engine: a leaf has its signal's, AND the mean, OR the highest, NOT 1 when its
/// condition does not hold. No rule at all matches with confidence 0; AND of nothing holds.
indirect enum RuleExpression: Sendable {
    case always
    case signal(String)
    case and([RuleExpression])
    case or([RuleExpression])
    case not(RuleExpression)

    init(_ config: RuleConfig) {
        if let name = config.name {
            self = .signal(name)
            return
        }
        let conditions = config.conditions.map(RuleExpression.init)
        switch config.operator {
        case .and: self = .and(conditions)
        case .or: self = .or(conditions)
        case .not: self = conditions.first.map { .not($0) } ?? .always
        case nil: self = conditions.isEmpty ? .always : .and(conditions)
        }
    }

    /// The confidence with which the rule holds, or nil if it does not.
    func confidence(in signals: SignalSet) -> Double? {
        switch self {
        case .always:
            return 0
        case .signal(let name):
            return signals[name]?.score
        case .and(let conditions):
            var sum = 0.0
            for condition in conditions {
                guard let confidence = condition.confidence(in: signals) else { return nil }
                sum += confidence
            }
            return conditions.isEmpty ? 1 : sum / Double(conditions.count)
        case .or(let conditions):
            return conditions.compactMap { $0.confidence(in: signals) }.max()
        case .not(let condition):
            return condition.confidence(in: signals) == nil ? 1 : nil
        }
    }
}
