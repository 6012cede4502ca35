/// A rule as a tree whose leaves are positions of signals.
///
/// Confidences combine as in upstream's rule engine (its `pkg/decision`): a leaf has its signal's, AND the mean, OR the
/// highest, NOT 1 where its condition does not hold; a predicate that holds has 1. No rule at all, and AND of nothing,
/// hold with confidence 0.
package indirect enum RuleExpression: Sendable {
    case always
    case signal(Int)
    /// The signal's value keeps the bounds; `countsUnavailable`: a signal of which nothing is known counts as if it did.
    case predicate(Int, NumberPredicate, countsUnavailable: Bool)
    /// The confidence of a projection that is present keeps the bounds.
    case confidence(Int, NumberPredicate)
    case and([RuleExpression])
    case or([RuleExpression])
    case not(RuleExpression)

    /// - Parameter table: has every signal that the rule names.
    package init(_ config: RuleConfig, _ table: SignalTable) {
        if let signal = config.signal, let position = table.position(of: signal) {
            if let predicate = config.predicate, signal.type == .projection {
                self = .confidence(position, predicate)
            } else if let predicate = config.predicate {
                self = .predicate(position, predicate, countsUnavailable: config.onError == .match)
            } else {
                self = .signal(position)
            }
            return
        }
        let conditions = config.conditions.map { RuleExpression($0, table) }
        switch config.operator {
        case .and: self = .and(conditions)
        case .or: self = .or(conditions)
        case .not: self = conditions.first.map { .not($0) } ?? .always
        case nil: self = conditions.isEmpty ? .always : .and(conditions)
        }
    }

    /// The confidence with which the rule holds, or nil if it does not.
    package func confidence(in signals: SignalSet) -> Double? {
        switch self {
        case .always:
            return 0
        case .signal(let position):
            // Not by way of the whole reading, which would be copied.
            return signals.readings[position].isPresent ? signals.readings[position].confidence : nil
        case .predicate(let position, let bounds, let countsUnavailable):
            let reading = signals[position]
            guard reading.state != .unavailable else { return countsUnavailable ? 1 : nil }
            // What is absent has a value only where its kind measures one.
            guard let value = reading.value ?? (reading.isPresent ? reading.confidence : nil) else { return nil }
            return bounds.holds(value) ? 1 : nil
        case .confidence(let position, let bounds):
            let reading = signals[position]
            return reading.isPresent && bounds.holds(reading.confidence) ? 1 : nil
        case .and(let conditions):
            var sum = 0.0
            for condition in conditions {
                guard let confidence = condition.confidence(in: signals) else { return nil }
                sum += confidence
            }
            return conditions.isEmpty ? 0 : sum / Double(conditions.count)
        case .or(let conditions):
            var best: Double?
            for condition in conditions {
                guard let confidence = condition.confidence(in: signals) else { continue }
                best = max(best ?? confidence, confidence)
            }
            return best
        case .not(let condition):
            return condition.confidence(in: signals) == nil ? 1 : nil
        }
    }
}
