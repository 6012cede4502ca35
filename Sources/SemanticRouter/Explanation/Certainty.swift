/// What can be said of a decision while some signals are not evaluated: S. C. Kleene's strong three-valued logic, with
/// intervals for scores.
package enum Certainty: Sendable, Equatable {
    /// It holds whatever the missing signals would say.
    case holds
    /// It does not hold whatever they would say.
    case fails
    case open

    var negated: Certainty {
        switch self {
        case .holds: .fails
        case .fails: .holds
        case .open: .open
        }
    }

    static func all(_ parts: [Certainty]) -> Certainty {
        parts.contains(.fails) ? .fails : parts.contains(.open) ? .open : .holds
    }

    static func any(_ parts: [Certainty]) -> Certainty {
        parts.contains(.holds) ? .holds : parts.contains(.open) ? .open : .fails
    }
}

/// What every signal of a profile may come to, given those that were evaluated.
package struct Possibilities: Sendable {
    private var states: [Certainty]
    private var confidences: [ClosedRange<Double>]
    private let signals: SignalSet
    /// Whether every signal was evaluated.
    private let isComplete: Bool

    /// - Parameter evaluated: as evaluated, before projections.
    package init(_ evaluated: SignalSet, _ projections: Projections) {
        var signals = evaluated
        let bands = Set(projections.scores.flatMap { $0.mappings.flatMap { $0.bands.map(\.position) } })
        isComplete = signals.readings.indices.allSatisfy {
            bands.contains($0) || signals[$0].state != .unavailable
        }
        for partition in projections.partitions
        where partition.members.allSatisfy({ signals[$0].state != .unavailable }) {
            partition.apply(to: &signals)
        }
        self.signals = signals
        states = signals.readings.map { reading in
            switch reading.state {
            case .present: .holds
            case .absent: .fails
            case .unavailable: .open
            }
        }
        confidences = signals.readings.map { $0.state == .unavailable ? 0...1 : $0.confidence...$0.confidence }
        for partition in projections.partitions where partition.members.contains(where: { states[$0] == .open }) {
            // Any member may win over any other.
            for member in partition.members {
                states[member] = .open
                confidences[member] = 0...1
            }
        }
        var scores: [ClosedRange<Double>] = []
        for score in projections.scores {
            var low = 0.0
            var high = 0.0
            for input in score.inputs {
                let range = range(of: input.source, scores)
                let (first, second) = (input.weight * range.lowerBound, input.weight * range.upperBound)
                low += min(first, second)
                high += max(first, second)
            }
            let range = low.isFinite && high.isFinite ? low...max(low, high) : -Self.wide...Self.wide
            scores.append(range)
            for mapping in score.mappings { apply(mapping, range) }
        }
    }

    private func range(of source: Projections.Input.Source, _ scores: [ClosedRange<Double>]) -> ClosedRange<Double> {
        switch source {
        case .binary(let position, let match, let miss):
            switch states[position] {
            case .holds: return match...match
            case .fails: return miss...miss
            case .open: return min(match, miss)...max(match, miss)
            }
        case .confidence(let position):
            switch states[position] {
            case .holds: return confidences[position]
            case .fails: return 0...0
            case .open: return 0...1
            }
        case .raw(let position):
            if states[position] == .open { return -Self.wide...Self.wide }
            let value = signals[position].value ?? 0
            return value...value
        case .score(let place):
            return scores[place]
        case .unknown:
            // The margin between two groups of a knowledge base, each scored in 0…1.
            return -1...1
        }
    }

    /// More than any signal's value.
    private static let wide = 1e9

    private mutating func apply(_ mapping: Projections.Mapping, _ score: ClosedRange<Double>) {
        var isTaken = Certainty.fails
        for (position, bounds) in mapping.bands {
            var state = bounds.certainty(score)
            if !mapping.emitsAll {
                state = .all([state, isTaken.negated])
                isTaken = .any([isTaken, state])
            }
            states[position] = state
            confidences[position] = 0...1
        }
    }

    // MARK: Rules

    /// What can be said of the rule.
    package func certainty(of rule: RuleExpression) -> Certainty {
        switch rule {
        case .always: return .holds
        case .signal(let position): return states[position]
        case .predicate(let position, let bounds, _):
            guard states[position] != .open else { return .open }
            let reading = signals[position]
            guard let value = reading.value ?? (reading.isPresent ? reading.confidence : nil) else { return .fails }
            return bounds.holds(value) ? .holds : .fails
        case .confidence(let position, _):
            // How far a band's score lies from its bounds is not looked at here.
            return states[position] == .fails ? .fails : .open
        case .and(let conditions): return .all(conditions.map(certainty))
        case .or(let conditions): return .any(conditions.map(certainty))
        case .not(let condition): return certainty(of: condition).negated
        }
    }

    /// Whether the decision would be the same whatever the missing signals said.
    package func settles(_ match: DecisionEngine.Match?, in engine: DecisionEngine) -> Bool {
        guard !isComplete else { return true }
        let certainties = engine.entries.map { certainty(of: $0.rule) }
        guard let match else { return certainties.allSatisfy { $0 == .fails } }
        let winner = engine.entries[match.index]
        guard certainties[match.index] == .holds else { return false }
        let isTiered = zip(engine.entries, certainties).contains { $0.tier > 0 && $1 != .fails }
        return zip(engine.entries, certainties).enumerated().allSatisfy { index, pair in
            let (entry, certainty) = pair
            if index == match.index || certainty == .fails { return true }
            // Confidences may be anything: only what comes before them settles the order.
            if isTiered {
                // A tier counts only where some decision with one matches.
                return entry.tier > winner.tier && winner.tier > 0 || entry.tier > winner.tier && certainty == .holds
            }
            return engine.strategy == .priority && entry.priority < winner.priority
        }
    }
}

extension NumberPredicate {
    /// Whether all numbers of the range keep the bounds, or none does.
    fileprivate func certainty(_ range: ClosedRange<Double>) -> Certainty {
        if holds(range.lowerBound), holds(range.upperBound) { return .holds }
        let isBelow = (gt.map { range.upperBound <= $0 } ?? false) || (gte.map { range.upperBound < $0 } ?? false)
        let isAbove = (lt.map { range.lowerBound >= $0 } ?? false) || (lte.map { range.lowerBound > $0 } ?? false)
        return isBelow || isAbove ? .fails : .open
    }
}
