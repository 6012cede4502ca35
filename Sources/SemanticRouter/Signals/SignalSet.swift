/// The signals of a profile, by position: every signal that its rules can name has one, given when the profile is built,
/// so that a request's readings are an array and rules are looked up without hashing.
package struct SignalTable: Sendable {
    package let ids: [SignalID]
    /// The kinds that are evaluated, each with the positions of its signals.
    let kinds: [(kind: any SignalKind, positions: Range<Int>)]
    private let positions: [SignalID: Int]

    /// - Parameter profile: validated.
    init(_ profile: ProfileConfig) {
        var ids: [SignalID] = []
        var kinds: [(kind: any SignalKind, positions: Range<Int>)] = []
        for kind in SignalCatalog.active {
            let compiled = Self.compile(kind, profile.signals)
            guard !compiled.names.isEmpty else { continue }
            let start = ids.count
            ids += compiled.names.map { SignalID(type(of: compiled).type, $0) }
            kinds.append((compiled, start..<ids.count))
        }
        // What nothing evaluates has a position where a rule or a score asks for it.
        var positions = Dictionary(ids.enumerated().map { ($1, $0) }) { first, _ in first }
        let asked =
            profile.decisions.flatMap { $0.rules.signals } + profile.projections.signals(KnownSignals(profile))
            + profile.projections.mappings.flatMap { mapping in
                mapping.outputs.map { SignalID(.projection, $0.name) }
            }
        // Kind by kind, as headers list them.
        for type in SignalType.allCases {
            for id in asked where id.type == type && positions[id] == nil {
                positions[id] = ids.count
                ids.append(id)
            }
        }
        self.ids = ids
        self.kinds = kinds
        self.positions = positions
    }

    private static func compile<Kind: SignalKind>(_ kind: Kind.Type, _ signals: SignalsConfig) -> any SignalKind {
        Kind(signals.rules(of: kind))
    }

    package func position(of id: SignalID) -> Int? { positions[id] }

    /// The signals that were found, as `kind:name`.
    func names(of signals: SignalSet) -> [String] {
        signals.readings.enumerated().compactMap { position, reading in
            reading.isPresent ? "\(ids[position].type.rawValue):\(ids[position].name)" : nil
        }
    }

    /// The readings of all signals that are evaluated; the others are unavailable.
    ///
    /// - Parameter observe: called around the evaluation of each kind, which it must run; for measuring.
    package func evaluate(
        _ prompt: Prompt,
        observing observe: (any SignalKind, () -> Void) -> Void = { _, evaluate in evaluate() }
    ) -> SignalSet {
        var readings = [SignalReading](repeating: .unavailable, count: ids.count)
        for (kind, positions) in kinds {
            observe(kind) { readings.replaceSubrange(positions, with: kind.evaluate(prompt)) }
        }
        return SignalSet(readings: readings)
    }
}

/// What was found of each signal in one request, by position in the `SignalTable`.
package struct SignalSet: Sendable, Equatable {
    package var readings: [SignalReading]

    package init(readings: [SignalReading]) { self.readings = readings }

    package subscript(position: Int) -> SignalReading { readings[position] }
}

extension RuleConfig {
    /// Every signal that the rule asks for, in the order of the tree.
    var signals: [SignalID] { [signal].compactMap { $0 } + conditions.flatMap(\.signals) }
}

extension ProjectionsConfig {
    /// Every signal that partitions and scores ask for.
    fileprivate func signals(_ known: KnownSignals) -> [SignalID] {
        let inputs = scores.flatMap(\.inputs).compactMap { input -> SignalID? in
            guard case .signal(let type) = input.type else { return nil }
            guard type != .projection || input.valueSource == .confidence else { return nil }
            return SignalID(type, input.name)
        }
        let members = partitions.flatMap { partition in
            known.kind(of: partition).map { kind in partition.members.map { SignalID(kind, $0) } } ?? []
        }
        return inputs + members
    }
}
