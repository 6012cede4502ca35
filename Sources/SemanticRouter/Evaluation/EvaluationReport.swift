package import OpenAIWire

/// What `/api/v1/eval` says of a request, in upstream's shape.
package struct EvaluationReport: Sendable {
    private let explanation: Explanation
    private let request: EvaluationRequest

    package init(_ explanation: Explanation, _ request: EvaluationRequest) {
        self.explanation = explanation
        self.request = request
    }

    package var json: JSONFragment {
        var members: [(String, JSONFragment)] = [
            ("original_text", JSONFragment(explanation.prompt.map { String(decoding: $0.text, as: UTF8.self) } ?? ""))
        ]
        if let model = request.requestedModel { members.append(("requested_model", JSONFragment(model))) }
        members.append(("recipe", JSONFragment(explanation.profile.name)))
        members.append(("decision_result", decisionResult))
        if request.wantsTrace { members.append(("eval_trace", .array(explanation.decisions.map(trace)))) }
        if let winner = explanation.winner, !winner.candidates.isEmpty {
            members.append(("recommended_models", .array(winner.candidates.map { JSONFragment($0.baseName) })))
            if let selection = explanation.selection {
                members.append(("selected_model", JSONFragment(selection.name)))
                members.append(("selection_status", "selected"))
                members.append(("selection_method", JSONFragment(selection.algorithm)))
            }
            members.append(("routing_decision", JSONFragment(winner.name)))
        }
        members.append(("metrics", metrics))
        let present = explanation.signals.filter { $0.reading.isPresent }
        members.append(
            ("signal_confidences", .object(present.map { ("\($0.id)", JSONFragment($0.reading.confidence)) }))
        )
        let valued = explanation.signals.compactMap { signal in
            signal.reading.value.map { ("\(signal.id)", JSONFragment($0)) }
        }
        members.append(("signal_values", .object(valued)))
        let unavailable = explanation.signals.filter { $0.reading.state == .unavailable && $0.id.type != .projection }
        if !unavailable.isEmpty {
            members.append(("signals_not_evaluated", .array(unavailable.map { JSONFragment("\($0.id)") })))
        }
        return .object(members)
    }

    // MARK: Decision

    private var decisionResult: JSONFragment {
        let winner = explanation.winner
        return .object([
            ("decision_name", JSONFragment(winner?.name ?? "")),
            ("algorithm", JSONFragment(winner?.algorithm ?? "")),
            ("plugins", .array((winner?.pluginTypes ?? []).map { JSONFragment($0) })),
            ("confidence", JSONFragment(explanation.match?.confidence ?? 0)),
            ("used_signals", grouped(used)),
            ("matched_signals", grouped(explanation.signals.filter { $0.reading.isPresent }.map(\.id))),
            ("unmatched_signals", grouped(explanation.signals.filter { !$0.reading.isPresent }.map(\.id))),
        ])
    }

    /// The signals of the winner's rule, in the order of its tree.
    private var used: [SignalID] {
        (explanation.winner?.signals ?? []).map { explanation.profile.table.ids[$0] }
    }

    /// Names by kind; kinds without names are left out.
    private func grouped(_ ids: [SignalID]) -> JSONFragment {
        .object(
            SignalType.allCases.compactMap { type in
                let names = ids.filter { $0.type == type }.map { JSONFragment($0.name) }
                return names.isEmpty ? nil : (type.reportKey, .array(names))
            }
        )
    }

    private var metrics: JSONFragment {
        .object(
            explanation.costs.map { cost in
                let time = cost.time.components
                let milliseconds = Double(time.seconds) * 1e3 + Double(time.attoseconds) / 1e15
                let confidences = explanation.signals.filter { $0.id.type == cost.type && $0.reading.isPresent }
                return (
                    cost.type.reportKey,
                    .object([
                        ("execution_time_ms", JSONFragment(milliseconds)),
                        ("confidence", JSONFragment(confidences.map(\.reading.confidence).max() ?? 0)),
                    ])
                )
            }
        )
    }

    // MARK: Trace

    private func trace(_ decision: Explanation.DecisionTrace) -> JSONFragment {
        .object([
            ("decision_name", JSONFragment(decision.decision.name)),
            ("matched", JSONFragment(decision.trace.holds)),
            ("confidence", JSONFragment(decision.trace.confidence ?? 0)),
            ("root_trace", node(decision.trace)),
        ])
    }

    private func node(_ trace: RuleTrace) -> JSONFragment {
        var members: [(String, JSONFragment)] = []
        switch trace.node {
        case .fallback: members.append(("node_type", "fallback"))
        case .and: members.append(("node_type", "AND"))
        case .or: members.append(("node_type", "OR"))
        case .not: members.append(("node_type", "NOT"))
        case .leaf(let id, _):
            members.append(("node_type", "leaf"))
            members.append(("signal_type", JSONFragment(id.type.rawValue)))
            members.append(("signal_name", JSONFragment(id.name)))
        }
        members.append(("matched", JSONFragment(trace.holds)))
        members.append(("confidence", JSONFragment(trace.confidence ?? 0)))
        if !trace.children.isEmpty { members.append(("children", .array(trace.children.map(node)))) }
        return .object(members)
    }
}
