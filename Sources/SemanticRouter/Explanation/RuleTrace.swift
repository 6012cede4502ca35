/// Why a rule held or did not: the rule's tree, with what each part came to.
package struct RuleTrace: Sendable, Equatable {
    package enum Node: Sendable, Equatable {
        /// The decision has no rules.
        case fallback
        case leaf(SignalID, NumberPredicate?)
        case and, or, not
    }

    package let node: Node
    /// Nil where it does not hold.
    package let confidence: Double?
    /// For a leaf: what was found of the signal.
    package let reading: SignalReading?
    package let children: [RuleTrace]

    package var holds: Bool { confidence != nil }

    /// Every part is evaluated, also where the outcome was clear before.
    init(_ rule: RuleExpression, _ signals: SignalSet, _ table: SignalTable) {
        confidence = rule.confidence(in: signals)
        switch rule {
        case .always:
            (node, reading, children) = (.fallback, nil, [])
        case .signal(let position):
            (node, reading, children) = (.leaf(table.ids[position], nil), signals[position], [])
        case .predicate(let position, let bounds, _), .confidence(let position, let bounds):
            (node, reading, children) = (.leaf(table.ids[position], bounds), signals[position], [])
        case .and(let conditions):
            (node, reading) = (.and, nil)
            children = conditions.map { RuleTrace($0, signals, table) }
        case .or(let conditions):
            (node, reading) = (.or, nil)
            children = conditions.map { RuleTrace($0, signals, table) }
        case .not(let condition):
            (node, reading, children) = (.not, nil, [RuleTrace(condition, signals, table)])
        }
    }
}
