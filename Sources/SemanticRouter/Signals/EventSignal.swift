package import ConfigKit
import TextMatching

/// Looks for words of events and incidents in what is asked.
package struct EventSignals: SignalKind {
    package enum Severity: String, CaseIterable, ConfigValue {
        case critical, high, medium, low
    }

    package struct Settings: SignalSettings {
        package var name = ""
        package var description = ""
        package var eventTypes: [String] = []
        package var severities: [Severity] = []
        package var actionCodes: [String] = []
        package var isTemporal = false

        package init() {}

        package var signalName: String { name }

        package static let schema = Schema<Self>("event signal", "Words of events and incidents.") {
            Field("name", \.name, "The name that rules use.", example: "payment_event").required().notEmpty()
                .headerSafe()
            Field("description", \.description, "For people.")
            Field("event_types", \.eventTypes, "Names of events.", example: "[payment_failed]").trimmed()
            Field("severities", \.severities, "Words of severity.")
            Field("action_codes", \.actionCodes, "Codes of actions.", example: "[TXN_DECLINE]").trimmed()
            Field("temporal", \.isTemporal, "Whether words of urgency count too: urgent, immediate, asap, deadline.")
        }

        package func validate(_ report: inout ValidationReport) {
            if eventTypes.isEmpty, severities.isEmpty, actionCodes.isEmpty, !isTemporal {
                report.error("needs event_types, severities, action_codes or temporal", atPath: [])
            }
            for (key, names) in [("event_types", eventTypes), ("action_codes", actionCodes)] {
                do {
                    _ = try EventSignals.words(names.map(LinearPattern.quoted))
                } catch {
                    report.error("are too many, or too long, for one rule: split it", atPath: [.key(key)])
                }
            }
        }
    }

    package static let type = SignalType.event
    package static let summary = "Words of events and incidents in what is asked."

    package let names: [String]
    /// For each rule, what is looked for: one pattern for each of its criteria.
    private let criteria: [[LinearPattern]]

    package init(_ rules: [Settings]) {
        names = rules.map(\.name)
        criteria = rules.map { rule in
            [
                rule.eventTypes.map(LinearPattern.quoted), rule.severities.map(\.rawValue),
                rule.actionCodes.map(LinearPattern.quoted), rule.isTemporal ? Self.urgency : [],
            ]
            // `validate` has tried the same.
            .compactMap { try? Self.words($0) }
        }
    }

    /// Upstream's words of urgency.
    private static let urgency = [
        "urgent", "immediate", "asap", "deadline", "time.sensitive", "now", "critical.window",
    ]

    /// Any of the expressions as whole words; nil for none.
    fileprivate static func words(_ expressions: [String]) throws(PatternError) -> LinearPattern? {
        guard !expressions.isEmpty else { return nil }
        return try LinearPattern("\\b(?:\(expressions.joined(separator: "|")))\\b", caseInsensitive: true)
    }

    package func evaluate(_ prompt: Prompt) -> [SignalReading] {
        var budget = StepBudget(steps: prompt.patternSteps)
        return prompt.text.withUnsafeBytes { text in
            criteria.map { criteria in
                let outcomes = criteria.map { $0.isFound(in: text, budget: &budget) }
                guard !outcomes.contains(nil) else { return .unavailable }
                let found = outcomes.count { $0 == true }
                guard found > 0 else { return .absent }
                // Upstream's confidence: half for any criterion, half by their share.
                return .present(0.5 + 0.5 * Double(found) / Double(criteria.count))
            }
        }
    }
}

extension Field where Value == [String] {
    /// Each text has a first and a last character that is not white space.
    fileprivate func trimmed() -> Self {
        check("must not hold an empty name, or one with white space around it") { names in
            names.allSatisfy { $0.first?.isWhitespace == false && $0.last?.isWhitespace == false }
        }
    }
}
