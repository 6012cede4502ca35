import ConfigKit
import NIOCore
import OpenAIWire

/// Judges a policy by probes.
package struct ProbeRun: Sendable {
    /// What came of one probe.
    package struct Outcome: Sendable {
        /// `premium_legal/contract_clause_analysis`.
        package let name: String
        package let expected: String
        /// The decision that was made; nil: none.
        package let decision: String?
        /// Whether the decision would be the same whatever signals that are not evaluated said: only rules made it.
        package let isSettled: Bool
        /// What is not as expected, and why; empty where the probe passes.
        package let misses: [String]
        /// The probe's prompt could not be read.
        package let isReadable: Bool

        package var passes: Bool { misses.isEmpty }
        package var agrees: Bool { decision == expected }
    }

    package let outcomes: [Outcome]

    /// - Parameter isServed: as in `SemanticRouter.routeNow`.
    package init(_ file: ProbeFile, _ router: SemanticRouter, isServed: (String) -> Bool = { _ in true }) {
        var outcomes: [Outcome] = []
        for group in file.decisions {
            for (index, probe) in group.variants.enumerated() {
                let name = "\(group.id ?? group.expectedDecision)/\(probe.id ?? "v\(index + 1)")"
                outcomes.append(Self.judge(probe, of: group, name, router, isServed: isServed))
            }
        }
        self.outcomes = outcomes
    }

    private static func judge(
        _ probe: Probe,
        of group: ProbeGroup,
        _ name: String,
        _ router: SemanticRouter,
        isServed: (String) -> Bool
    ) -> Outcome {
        let evaluation: EvaluationRequest
        do {
            evaluation = try EvaluationRequest(
                body: try probe.body(model: group.model),
                fallbackModel: router.config.global.router.automaticName
            )
        } catch {
            return Outcome(
                name: name,
                expected: group.expectedDecision,
                decision: nil,
                isSettled: true,
                misses: ["cannot be asked: \(error)"],
                isReadable: false
            )
        }
        let explanation = router.explain(evaluation.request, isServed: isServed)
        return Outcome(
            name: name,
            expected: group.expectedDecision,
            decision: explanation.winner?.name,
            isSettled: explanation.isSettled,
            misses: misses(explanation, probe, group),
            isReadable: true
        )
    }

    private static func misses(_ explanation: Explanation, _ probe: Probe, _ group: ProbeGroup) -> [String] {
        var misses: [String] = []
        let winner = explanation.winner
        if winner?.name != group.expectedDecision { misses.append(reason(explanation, group.expectedDecision)) }
        if let recipe = group.expectedRecipe, recipe != explanation.profile.name {
            misses.append("recipe \(explanation.profile.name) decides, not \(recipe)")
        }
        if winner?.name == group.expectedDecision, let winner {
            if let algorithm = group.expectedAlgorithm, algorithm != winner.algorithm {
                misses.append("algorithm is \(winner.algorithm), not \(algorithm)")
            }
            for plugin in group.expectedPlugins where !winner.pluginTypes.contains(plugin) {
                misses.append("plugin \(plugin) is missing")
            }
            for plugin in group.forbiddenPlugins where winner.pluginTypes.contains(plugin) {
                misses.append("plugin \(plugin) is there")
            }
            if let alias = group.expectedAlias, !winner.candidates.contains(where: { $0.baseName == alias }) {
                misses.append("\(alias) is none of its models")
            }
        }
        let expected = group.expectedSignals.merging(probe.expectedSignals) { $0 + $1 }
        for (kind, names) in expected.sorted(by: { $0.key < $1.key }) {
            for name in names {
                let signal = explanation.signals.first { $0.id.type.reportKey == kind && $0.id.name == name }
                switch signal?.reading.state {
                case .present: break
                case .unavailable: misses.append("signal \(kind):\(name) is not evaluated")
                case .absent: misses.append("signal \(kind):\(name) is absent")
                case nil: misses.append("signal \(kind):\(name) is used by no rule")
                }
            }
        }
        return misses
    }

    /// Why the expected decision was not made.
    private static func reason(_ explanation: Explanation, _ expected: String) -> String {
        let made = explanation.winner.map { "\($0.name) was decided" } ?? "nothing was decided"
        guard let index = explanation.decisions.firstIndex(where: { $0.decision.name == expected }) else {
            return "\(made): the policy has no decision \(expected)"
        }
        let decision = explanation.decisions[index]
        if decision.trace.holds {
            return "\(made), which comes before it"
        }
        let open = explanation.openSignals(of: index)
        guard !open.isEmpty else { return "\(made): its rule does not hold" }
        return "\(made): its rule depends on signals that are not evaluated: \(ExplanationText.few(open))"
    }
}

extension Probe {
    /// The probe as a body of `/api/v1/eval`.
    fileprivate func body(model: String?) throws(RouterError) -> ByteBuffer {
        var members: [(String, JSONFragment)] = []
        if let model { members.append(("model", JSONFragment(model))) }
        if let query {
            let lines = [String](repeating: query, count: repetitions)
            members.append(("text", JSONFragment(lines.joined(separator: "\n"))))
        } else {
            members.append(("messages", try Self.list(messages)))
        }
        if !tools.isEmpty { members.append(("tools", try Self.list(tools))) }
        return JSONFragment.object(members).bytes
    }

    private static func list(_ nodes: [ConfigNode]) throws(RouterError) -> JSONFragment {
        var fragments: [JSONFragment] = []
        for node in nodes {
            do throws(JSONError) {
                fragments.append(try JSONFragment(json: ByteBuffer(string: node.jsonText)))
            } catch {
                throw .invalidRequest("a message or tool cannot be read: \(error)", parameter: "messages")
            }
        }
        return .array(fragments)
    }
}
