package import OpenAIWire

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// An explanation for people: signals with values and cost, the decisions' trees, the choice, the edits as a diff.
package struct ExplanationText: Sendable {
    private let explanation: Explanation

    package init(_ explanation: Explanation) { self.explanation = explanation }

    /// - Parameter request: the request that was explained.
    package func text(of request: InboundRequest) -> String {
        var sections = [heading(request)]
        sections.append(signals())
        if !explanation.scores.isEmpty { sections.append(scores()) }
        if !explanation.decisions.isEmpty { sections.append(decisions()) }
        sections.append(choice())
        sections.append(outcome(request))
        return sections.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    private func heading(_ request: InboundRequest) -> [String] {
        var lines = ["model \(request.text.model ?? "(none)"), decided by \(explanation.profile.name)"]
        if let prompt = explanation.prompt {
            lines.append("about \(prompt.tokens) tokens; signals read \(prompt.text.count) bytes of text")
        } else {
            lines.append("the request's text cannot be read: no decision is made")
        }
        return lines
    }

    // MARK: Signals

    private func signals() -> [String] {
        var lines = ["Signals"]
        let present = explanation.signals.filter { $0.reading.isPresent }
        for signal in present {
            var line = "  + \(signal.id)  confidence \(Self.number(signal.reading.confidence))"
            if let value = signal.reading.value { line += "  value \(Self.number(value))" }
            if !signal.keywords.isEmpty { line += "  found: \(signal.keywords.joined(separator: ", "))" }
            lines.append(line)
        }
        if present.isEmpty { lines.append("  none is present") }
        let absent = explanation.signals.filter { $0.reading.state == .absent }.map { signal in
            let value = signal.reading.value.map { " (\(Self.number($0)))" } ?? ""
            return "\(signal.id)\(value)"
        }
        if !absent.isEmpty { lines += Self.wrapped("  - absent: ", absent) }
        let unavailable = explanation.signals.filter { $0.reading.state == .unavailable }.map { "\($0.id)" }
        if !unavailable.isEmpty { lines += Self.wrapped("  ? not evaluated, taken as absent: ", unavailable) }
        if !explanation.costs.isEmpty {
            let costs = explanation.costs.map { cost in
                "\(cost.type.rawValue) \(cost.rules == 1 ? "1 rule" : "\(cost.rules) rules") \(Self.micros(cost.time))"
            }
            lines.append("  cost: \(costs.joined(separator: ", "))")
        }
        return lines
    }

    private func scores() -> [String] {
        ["Scores"] + explanation.scores.map { "  \($0.name) = \(Self.number($0.value))" }
    }

    // MARK: Decisions

    private func decisions() -> [String] {
        var lines = ["Decisions"]
        for (index, decision) in explanation.decisions.enumerated() {
            let mark = explanation.match?.index == index ? "=>" : decision.trace.holds ? " +" : " -"
            var line = "\(mark) \(decision.decision.name)  priority \(decision.priority)"
            if decision.tier > 0 { line += "  tier \(decision.tier)" }
            if let confidence = decision.trace.confidence {
                line += "  matches with confidence \(Self.number(confidence))"
            } else if decision.certainty == .open {
                line += "  does not match; open without \(Self.few(explanation.openSignals(of: index)))"
            } else {
                line += "  does not match"
            }
            lines.append(line)
            lines += tree(decision.trace, indent: "     ")
        }
        return lines
    }

    private func tree(_ trace: RuleTrace, indent: String) -> [String] {
        let mark = trace.holds ? "+" : trace.reading?.state == .unavailable ? "?" : "-"
        let words: String
        switch trace.node {
        case .fallback: words = "no rule: always"
        case .and: words = "AND"
        case .or: words = "OR"
        case .not: words = "NOT"
        case .leaf(let id, let bounds):
            words = "\(id)" + (bounds.map { " \(Self.words($0))" } ?? "")
        }
        let confidence = trace.confidence.map { "  \(Self.number($0))" } ?? ""
        return ["\(indent)\(mark) \(words)\(confidence)"]
            + trace.children.flatMap { tree($0, indent: indent + "  ") }
    }

    // MARK: Choice

    private func choice() -> [String] {
        guard let selection = explanation.selection else { return ["Choice", "  none: there is no model to choose"] }
        let by = explanation.winner.map { "decision \($0.name)" } ?? "no decision: the default model"
        var lines = ["Choice", "  \(by)"]
        lines.append("  model \(selection.name) (\(selection.algorithm)), asked for as \(selection.servedName)")
        if let destination = selection.destination { lines.append("  preferred backend \(destination)") }
        lines.append("  reasoning \(selection.usesReasoning ? "on" : "off")")
        return lines
    }

    private func outcome(_ request: InboundRequest) -> [String] {
        switch explanation.outcome {
        case .bypass(let reason):
            return ["Outcome", "  the request goes on as it is (\(reason.rawValue))"]
        case .respond(let response):
            return ["Outcome", "  answered without a model: status \(response.statusCode)"]
                + response.fields.map { "  \($0.name): \($0.value)" }
        case .forward(let routed):
            var lines = ["Edits"]
            var edits = routed.edits.body
            if request.text.model != routed.model { edits.append(.set("model", JSONFragment(routed.model))) }
            lines += JSONDiff(request.text.document, edits).lines.map { "  \($0)" }
            for edit in routed.edits.headers {
                switch edit {
                case .add(let name, let value): lines.append("  + header \(name): \(value)")
                case .set(let name, let value): lines.append("  = header \(name): \(value)")
                case .remove(let name): lines.append("  - header \(name)")
                }
            }
            lines.append("Answer")
            lines += (routed.headers.always + routed.headers.onSuccess).map { "  \($0.name): \($0.value)" }
            return lines
        }
    }

    // MARK: Words

    private static func words(_ bounds: NumberPredicate) -> String {
        let parts = [("> ", bounds.gt), (">= ", bounds.gte), ("< ", bounds.lt), ("<= ", bounds.lte)]
        return parts.compactMap { sign, bound in bound.map { sign + number($0) } }.joined(separator: " and ")
    }

    /// At most four digits behind the point, without zeros at the end.
    static func number(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
        let rounded = (value * 10_000).rounded() / 10_000
        return rounded == rounded.rounded() ? String(Int(rounded)) : "\(rounded)"
    }

    private static func micros(_ time: Duration) -> String {
        let micros = Double(time.components.attoseconds) / 1e12 + Double(time.components.seconds) * 1e6
        return "\(number((micros * 10).rounded() / 10)) µs"
    }

    /// The first few of a list.
    package static func few(_ ids: [SignalID], _ count: Int = 4) -> String {
        let shown = ids.prefix(count).map { "\($0)" }.joined(separator: ", ")
        return ids.count > count ? "\(shown) and \(ids.count - count) more" : shown
    }

    /// Items on lines of at most 118 columns.
    private static func wrapped(_ head: String, _ items: [String]) -> [String] {
        var lines = [head]
        for (index, item) in items.enumerated() {
            let text = item + (index == items.count - 1 ? "" : ", ")
            if lines[lines.count - 1].count + text.count > 118 { lines.append("      ") }
            lines[lines.count - 1] += text
        }
        return lines
    }
}
