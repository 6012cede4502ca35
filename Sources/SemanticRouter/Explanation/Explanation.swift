package import OpenAIWire

/// How a request is routed and why: everything that `routeNow` goes through, kept.
package struct Explanation: Sendable {
    /// One signal.
    package struct Signal: Sendable {
        package let id: SignalID
        package let reading: SignalReading
        /// The keywords that were found, as the policy spells them.
        package let keywords: [String]
    }

    /// A kind of signal, with what evaluating all of its rules took.
    package struct Cost: Sendable {
        package let type: SignalType
        package let rules: Int
        package let time: Duration
    }

    /// One decision, whether it matches or not.
    package struct DecisionTrace: Sendable {
        package let decision: Decision
        package let priority: Int
        package let tier: Int
        package let trace: RuleTrace
        /// What could be said if signals that are not evaluated were.
        package let certainty: Certainty
    }

    package let profile: RoutingProfile
    /// Nil where the request's text could not be read.
    package let prompt: Prompt?
    package let signals: [Signal]
    package let costs: [Cost]
    package let scores: [(name: String, value: Double)]
    /// In the order of the file.
    package let decisions: [DecisionTrace]
    package let match: DecisionEngine.Match?
    /// Whether the decision would be the same whatever signals that are not evaluated said.
    package let isSettled: Bool
    package let selection: SemanticRouter.Selection?
    package let outcome: RoutingOutcome

    /// The decision that won.
    package var winner: Decision? { match.map { profile.decisions[$0.index] } }

    /// Signals that are not evaluated and that a decision depends on, directly or through scores.
    package func openSignals(of decision: Int) -> [SignalID] {
        guard decisions[decision].certainty == .open else { return [] }
        var seen: Set<SignalID> = []
        return profile.unavailable(in: profile.engine.entries[decision].rule, signals.map(\.reading)).filter {
            seen.insert($0).inserted
        }
    }
}

extension SemanticRouter {
    /// Routes the request and says why. Costs many times what routing does.
    ///
    /// - Parameter isServed: as in `routeNow`.
    package func explain(_ request: InboundRequest, isServed: (String) -> Bool) -> Explanation {
        let profile = profile(for: request.text.model) ?? profiles[0]
        let outcome = routeNow(request, isServed: isServed)
        guard let prompt = try? prompt(of: request) else {
            return Explanation(
                profile: profile,
                prompt: nil,
                signals: [],
                costs: [],
                scores: [],
                decisions: [],
                match: nil,
                isSettled: false,
                selection: select(from: nil, isServed: isServed),
                outcome: outcome
            )
        }
        let bare = profile.table.evaluate(prompt)
        let possibilities = Possibilities(bare, profile.projections)
        let evaluation = profile.evaluate(prompt)
        let signals = zip(profile.table.ids, evaluation.signals.readings).map { id, reading in
            Explanation.Signal(id: id, reading: reading, keywords: profile.keywords(of: id, reading))
        }
        let decisions = zip(profile.decisions, profile.engine.entries).map { decision, entry in
            Explanation.DecisionTrace(
                decision: decision,
                priority: entry.priority,
                tier: entry.tier,
                trace: RuleTrace(entry.rule, evaluation.signals, profile.table),
                certainty: possibilities.certainty(of: entry.rule)
            )
        }
        return Explanation(
            profile: profile,
            prompt: prompt,
            signals: signals,
            costs: profile.table.kinds.map { kind, _ in Explanation.Cost(measuring: kind, prompt) },
            scores: zip(profile.projections.scores.map(\.name), evaluation.scores).map { ($0, $1) },
            decisions: decisions,
            match: evaluation.match,
            isSettled: possibilities.settles(evaluation.match, in: profile.engine),
            selection: select(
                from: evaluation.match.map { profile.decisions[$0.index] },
                isServed: isServed
            ),
            outcome: outcome
        )
    }
}

extension Explanation.Cost {
    /// The best of a few runs: the first one warms caches.
    fileprivate init(measuring kind: any SignalKind, _ prompt: Prompt) {
        self.type = Swift.type(of: kind).type
        rules = kind.names.count
        let clock = ContinuousClock()
        time = (0..<5).map { _ in clock.measure { _ = kind.evaluate(prompt) } }.min() ?? .zero
    }
}

extension RoutingProfile {
    /// The keywords that were found, as the policy spells them.
    fileprivate func keywords(of id: SignalID, _ reading: SignalReading) -> [String] {
        guard id.type == .keyword, !reading.keywords.isEmpty,
            let rule = config.signals.rules(of: KeywordSignals.self).first(where: { $0.name == id.name })
        else { return [] }
        return reading.keywords.map { rule.keywords[$0] }
    }

    /// Signals of the rule that nothing was known of, those behind its projections included.
    fileprivate func unavailable(in rule: RuleExpression, _ readings: [SignalReading]) -> [SignalID] {
        switch rule {
        case .always: []
        case .signal(let position), .predicate(let position, _, _): unavailable(at: position, readings)
        case .and(let conditions), .or(let conditions): conditions.flatMap { unavailable(in: $0, readings) }
        case .not(let condition): unavailable(in: condition, readings)
        }
    }

    private func unavailable(at position: Int, _ readings: [SignalReading]) -> [SignalID] {
        let id = table.ids[position]
        if readings[position].state == .unavailable { return [id] }
        guard id.type == .projection,
            let place = projections.scores.firstIndex(where: { score in
                score.mappings.contains { $0.bands.contains { $0.position == position } }
            })
        else { return [] }
        return unavailable(inScore: place, readings)
    }

    private func unavailable(inScore place: Int, _ readings: [SignalReading]) -> [SignalID] {
        projections.scores[place].inputs.flatMap { input -> [SignalID] in
            switch input.source {
            case .binary(let position, _, _), .confidence(let position), .raw(let position):
                unavailable(at: position, readings)
            case .score(let other): unavailable(inScore: other, readings)
            case .unknown: []
            }
        }
    }
}
