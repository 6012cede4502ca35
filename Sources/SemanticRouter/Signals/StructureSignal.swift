package import ConfigKit
import TextMatching

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Looks at the form of what is asked: how many questions, lists, words of a kind, in which order.
package struct StructureSignals: SignalKind {
    package enum Feature: String, CaseIterable, ConfigValue {
        case count, exists, density, sequence
    }

    package enum SourceType: String, CaseIterable, ConfigValue {
        case regex
        case keywordSet = "keyword_set"
        case sequence
        case textBytes = "text_bytes"
    }

    package struct Source: Configurable, Equatable {
        package var type = SourceType.regex
        package var pattern: String?
        package var keywords: [String] = []
        package var sequences: [[String]] = []
        package var caseSensitive = false

        package init() {}

        package static let schema = Schema<Self>("structure source", "What is counted.") {
            Field("type", \.type, "What is counted.").required()
            Field("pattern", \.pattern, "For `regex`: the expression, in RE2's syntax.", example: "'[?？]'").verbatim()
            Field("keywords", \.keywords, "For `keyword_set`: the words and phrases.").verbatim()
                .check("must not hold an empty keyword") { !$0.contains(where: \.isEmpty) }
            Field("sequences", \.sequences, "For `sequence`: lists of markers that follow each other.").verbatim()
                .check("must not hold an empty list or marker") { lists in
                    lists.allSatisfy { !$0.isEmpty && !$0.contains(where: \.isEmpty) }
                }
            Field("case_sensitive", \.caseSensitive, "Whether capitals must be as written.")
        }

        package func validate(_ report: inout ValidationReport) {
            guard report.isSound("type") else { return }
            switch type {
            case .regex:
                guard let pattern, !pattern.isEmpty else {
                    if report.isSound("pattern") { report.error("regex needs a `pattern`", at: "pattern") }
                    return
                }
                do {
                    _ = try LinearPattern(pattern, caseInsensitive: !caseSensitive)
                } catch {
                    report.error("\(error)", at: "pattern")
                }
            case .keywordSet:
                if keywords.isEmpty, report.isSound("keywords") {
                    report.error("keyword_set needs `keywords`", at: "keywords")
                }
            case .sequence:
                if sequences.isEmpty, report.isSound("sequences") {
                    report.error("sequence needs `sequences`", at: "sequences")
                }
            case .textBytes:
                break
            }
        }
    }

    package struct FeatureConfig: Configurable, Equatable {
        package var type = Feature.count
        package var source = Source()

        package init() {}

        package static let schema = Schema<Self>("structure feature", "What is looked at.") {
            Field(
                "type",
                \.type,
                "The number itself, whether there is one, the number for each word of the text, or whether markers "
                    + "follow each other."
            )
            .required()
            Field("source", \.source, "What is counted.")
        }

        package func validate(_ report: inout ValidationReport) {
            if (type == .sequence) != (source.type == .sequence), report.isSound("source"), report.isSound("type") {
                report.error("a sequence feature and a sequence source belong together", at: "source", "type")
            }
        }
    }

    package struct Settings: SignalSettings {
        package var name = ""
        package var description = ""
        package var feature = FeatureConfig()
        package var predicate: NumberPredicate?

        package init() {}

        package var signalName: String { name }

        package static let schema = Schema<Self>("structure signal", "The form of what is asked.") {
            Field("name", \.name, "The name that rules use.", example: "many_questions").required().notEmpty()
                .headerSafe()
            Field("description", \.description, "For people.")
            Field("feature", \.feature, "What is looked at.")
            Field("predicate", \.predicate, "Bounds for the number. Default: above 0.")
        }
    }

    package static let type = SignalType.structure
    package static let summary = "The form of what is asked: questions, lists, order, density of words."

    package let names: [String]
    private let rules: [StructureRule]
    private let needsUnits: Bool

    package init(_ rules: [Settings]) {
        names = rules.map(\.name)
        self.rules = rules.map(StructureRule.init)
        needsUnits = rules.contains { $0.feature.type == .density }
    }

    package func evaluate(_ prompt: Prompt) -> [SignalReading] {
        guard !prompt.isBlank else { return [SignalReading](repeating: .absent, count: names.count) }
        let units = needsUnits ? prompt.text.withUnsafeBytes { TextUnits.count(in: $0) } : 0
        var budget = StepBudget(steps: prompt.patternSteps)
        return rules.map { $0.reading(prompt, units: units, budget: &budget) }
    }
}

extension Prompt {
    /// Whether there is nothing but white space.
    var isBlank: Bool { text.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) } }
}

/// One rule, compiled.
private struct StructureRule: Sendable {
    enum Source: Sendable {
        case pattern(LinearPattern)
        case keywords(KeywordCounter, caseSensitive: Bool)
        case sequences([[BytePattern]], caseSensitive: Bool)
        case textBytes
        case nothing
    }

    let feature: StructureSignals.Feature
    let source: Source
    let predicate: NumberPredicate?

    init(_ settings: StructureSignals.Settings) {
        feature = settings.feature.type
        predicate = settings.predicate
        let config = settings.feature.source
        let isExact = config.caseSensitive
        let fold = { (text: String) in isExact ? text : Lowercasing.lowercased(text) }
        switch config.type {
        case .regex:
            let pattern = config.pattern.flatMap { try? LinearPattern($0, caseInsensitive: !isExact) }
            source = pattern.map { .pattern($0) } ?? .nothing
        case .keywordSet:
            source = .keywords(KeywordCounter(config.keywords.map(fold)), caseSensitive: isExact)
        case .sequence:
            source = .sequences(config.sequences.map { $0.map { BytePattern(fold($0)) } }, caseSensitive: isExact)
        case .textBytes:
            source = .textBytes
        }
    }

    func reading(_ prompt: Prompt, units: Int, budget: inout StepBudget) -> SignalReading {
        guard let count = count(in: prompt, budget: &budget) else { return .unavailable }
        let value: Double =
            switch feature {
            case .count: Double(count)
            case .exists, .sequence: count > 0 ? 1 : 0
            case .density: units == 0 ? 0 : Double(count) / Double(units)
            }
        guard let predicate else {
            return SignalReading(state: value > 0 ? .present : .absent, confidence: value > 0 ? 1 : 0, value: value)
        }
        guard predicate.holds(value) else { return SignalReading(state: .absent, confidence: 0, value: value) }
        // Upstream's: by the distance from the bound that it names first, with a slope of 4.
        let bound = predicate.gt ?? predicate.gte ?? predicate.lt ?? predicate.lte
        let distance = bound.map { abs(value - $0) } ?? 1
        return SignalReading(state: .present, confidence: max(0.5, 1 / (1 + exp(-4 * distance))), value: value)
    }

    /// Nil where an expression takes too long.
    private func count(in prompt: Prompt, budget: inout StepBudget) -> Int? {
        switch source {
        case .pattern(let pattern):
            return prompt.text.withUnsafeBytes { pattern.countMatches(in: $0, budget: &budget) }
        case .keywords(let counter, let isExact):
            return (isExact ? prompt.text : prompt.lowercasedText).withUnsafeBytes { counter.count(in: $0) }
        case .sequences(let sequences, let isExact):
            let text = isExact ? prompt.text : prompt.lowercasedText
            return text.withUnsafeBytes { text in sequences.contains { Self.follow($0, in: text) } } ? 1 : 0
        case .textBytes:
            return prompt.userTextBytes
        case .nothing:
            return 0
        }
    }

    /// Whether the markers stand one behind the other.
    private static func follow(_ markers: [BytePattern], in text: UnsafeRawBufferPointer) -> Bool {
        var start = 0
        for marker in markers {
            guard let end = marker.firstEnd(in: text, from: start) else { return false }
            start = end
        }
        return true
    }
}
