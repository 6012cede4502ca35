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
        var search = OpenSignalSearch(profile, signals.map(\.reading))
        search.visit(profile.engine.entries[decision].rule)
        return search.found
    }
}

extension SemanticRouter {
    /// Routes the request and says why. Costs many times what routing does.
    ///
    /// - Parameter isServed: as in `routeNow`.
    package func explain(_ request: InboundRequest, isServed: (String) -> Bool) -> Explanation {
        var judgement = unjudged(request)
        let profile = judgement.profile
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
                outcome: outcome(of: request, judgement, isServed: isServed)
            )
        }
        var costs: [Explanation.Cost] = []
        let bare = profile.table.evaluate(prompt) { kind, evaluate in
            let time = ContinuousClock().measure(evaluate)
            costs.append(Explanation.Cost(type: type(of: kind).type, rules: kind.names.count, time: time))
        }
        let possibilities = Possibilities(bare, profile.projections)
        let evaluation = profile.conclude(bare)
        if canAct(on: request, judgement) {
            judgement.evaluation = evaluation
            judgement.tokens = prompt.tokens
        }
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
            costs: costs,
            scores: zip(profile.projections.scores.map(\.name), evaluation.scores).map { ($0, $1) },
            decisions: decisions,
            match: evaluation.match,
            isSettled: possibilities.settles(evaluation.match, in: profile.engine),
            selection: select(
                from: evaluation.match.map { profile.decisions[$0.index] },
                isServed: isServed
            ),
            outcome: outcome(of: request, judgement, isServed: isServed)
        )
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
}

/// Finds the signals of a rule that nothing was known of, those behind its projections included, each once.
private struct OpenSignalSearch {
    private let profile: RoutingProfile
    private let readings: [SignalReading]
    private(set) var found: [SignalID] = []
    private var seenPositions: Set<Int> = []
    private var seenScores: Set<Int> = []

    init(_ profile: RoutingProfile, _ readings: [SignalReading]) {
        self.profile = profile
        self.readings = readings
    }

    mutating func visit(_ rule: RuleExpression) {
        switch rule {
        case .always: break
        case .signal(let position), .predicate(let position, _, _), .confidence(let position, _): visit(position)
        case .and(let conditions), .or(let conditions): for condition in conditions { visit(condition) }
        case .not(let condition): visit(condition)
        }
    }

    private mutating func visit(_ position: Int) {
        guard seenPositions.insert(position).inserted else { return }
        if readings[position].state == .unavailable {
            found.append(profile.table.ids[position])
            return
        }
        let place = profile.projections.scores.firstIndex { score in
            score.mappings.contains { $0.bands.contains { $0.position == position } }
        }
        if let place { visit(score: place) }
    }

    private mutating func visit(score place: Int) {
        guard seenScores.insert(place).inserted else { return }
        for input in profile.projections.scores[place].inputs {
            switch input.source {
            case .binary(let position, _, _), .confidence(let position), .raw(let position): visit(position)
            case .score(let other): visit(score: other)
            case .unknown: break
            }
        }
    }
}
