package import ConfigKit
import TextMatching

/// Looks for words and phrases in what is asked.
///
/// All literal keywords of a profile are searched in one pass. A keyword counts where no letter or digit stands next to
/// it, so that `java` is not found in `javascript`; one in a script without spaces between words (Chinese, Japanese,
/// Korean) counts anywhere.
package struct KeywordSignals: SignalKind {
    package enum Operator: String, CaseIterable, ConfigValue {
        case and = "AND"
        case or = "OR"
        case nor = "NOR"
    }

    package enum Method: String, CaseIterable, ConfigValue {
        /// A keyword with a character of `\[](){}|^$*` is a regular expression; others are found as they are written.
        case regex
        case bm25
        case ngram
        case fuzzy
    }

    package struct Settings: SignalSettings {
        package var name = ""
        package var description = ""
        package var `operator` = Operator.or
        /// Nil: as they are written.
        package var method: Method?
        package var keywords: [String] = []
        package var caseSensitive = false
        package var fuzzyMatch = false
        package var fuzzyThreshold: Int?
        package var bm25Threshold = defaultBM25Threshold
        package var ngramThreshold = defaultNGramThreshold
        package var ngramArity = defaultNGramArity

        // Upstream's defaults, which 0 means too.
        fileprivate static let defaultBM25Threshold = 0.1
        fileprivate static let defaultNGramThreshold = 0.4
        fileprivate static let defaultNGramArity = 3

        package init() {}

        package var signalName: String { name }

        fileprivate var givenFuzzyThreshold: Int? { fuzzyThreshold.flatMap { $0 > 0 ? $0 : nil } }

        package static let schema = Schema<Self>("keyword signal", "Words and phrases in what is asked.") {
            Field("name", \.name, "The name that rules use.", example: "code_keywords").required().notEmpty()
                .headerSafe()
            Field("description", \.description, "For people.")
            Field("operator", \.operator, "Whether all, any or none of the keywords must be there.")
            Field(
                "method",
                \.method,
                "How a keyword is found: as an expression where it has a character of `\\[](){}|^$*` (`regex`), by the "
                    + "words it shares with the text (`bm25`), by the letters it shares with a word (`ngram`), or "
                    + "with some letters wrong (`fuzzy`). Default: as written."
            )
            Field("keywords", \.keywords, "The words and phrases.", example: "[python, \"stack trace\"]").verbatim()
                .required().count(1...10_000)
                .check("must not hold an empty keyword") { !$0.contains(where: \.isEmpty) }
                .check("must not hold a keyword of more than 1000 bytes") { $0.allSatisfy { $0.utf8.count <= 1000 } }
            Field(
                "case_sensitive",
                \.caseSensitive,
                "Whether capitals must be as written (without a method, and `regex`)."
            )
            Field("fuzzy_match", \.fuzzyMatch, "Whether a keyword that is not found as written may have letters wrong.")
            Field(
                "fuzzy_threshold",
                \.fuzzyThreshold,
                "Up to 10: how many letters may be wrong. Above: how alike the words must be, in percent. Default, and "
                    + "0: 2 for `fuzzy_match`, 80 for `method: fuzzy`."
            )
            .range(0...100)
            Field("bm25_threshold", \.bm25Threshold, "The score that a keyword needs. 0: the default.").range(0...)
            Field("ngram_threshold", \.ngramThreshold, "The similarity that a keyword needs. 0: the default.").range(
                0...1
            )
            Field("ngram_arity", \.ngramArity, "How many letters are compared at a time. 0: the default.").range(0...8)
        }

        package func validate(_ report: inout ValidationReport) {
            guard method == .regex else { return }
            for (index, keyword) in keywords.enumerated() where Self.isPattern(keyword) {
                do {
                    _ = try LinearPattern(keyword, caseInsensitive: !caseSensitive)
                } catch {
                    report.error("is not a regular expression: \(error)", at: "keywords", .index(index))
                }
            }
        }

        /// Whether the keyword is meant as a regular expression. `+`, `?` and `.` alone do not say so: `C++`, `.NET`,
        /// `why?`.
        static func isPattern(_ keyword: String) -> Bool {
            keyword.utf8.contains { "\\[](){}|^$*".utf8.contains($0) }
        }
    }

    package static let type = SignalType.keyword
    package static let summary = "Words and phrases in what is asked."

    package let names: [String]
    private let rules: [Rule]
    /// All literal keywords, in lower case and as written.
    private let folded: Literals
    private let exact: Literals

    package init(_ rules: [Settings]) {
        names = rules.map(\.name)
        var folded = Literals.Builder()
        var exact = Literals.Builder()
        self.rules = rules.map { Rule($0, &folded, &exact) }
        self.folded = folded.built()
        self.exact = exact.built()
    }

    package func evaluate(_ prompt: Prompt) -> [SignalReading] {
        let foundFolded = folded.find(in: prompt.lowercasedText)
        let foundExact = exact.find(in: prompt.text)
        var budget = StepBudget(steps: prompt.patternSteps)
        return rules.map { $0.reading(prompt, foundFolded, foundExact, &budget) }
    }
}

/// Keywords of many rules, searched in one pass.
private struct Literals: Sendable {
    struct Builder {
        private var keywords: [String] = []

        var count: Int { keywords.count }

        /// The keyword's place among those that are searched.
        mutating func add(_ keyword: String) -> Int {
            keywords.append(keyword)
            return keywords.count - 1
        }

        func built() -> Literals {
            Literals(automaton: keywords.isEmpty ? nil : KeywordAutomaton(keywords), count: keywords.count)
        }
    }

    let automaton: KeywordAutomaton?
    let count: Int

    func find(in text: [UInt8]) -> KeywordSet {
        var found = KeywordSet(capacity: count)
        guard let automaton else { return found }
        text.withUnsafeBytes { automaton.find(in: $0, into: &found) }
        return found
    }
}

/// One rule, compiled.
private struct Rule: Sendable {
    enum Matcher: Sendable {
        /// For each keyword, its place among the literals, or its pattern.
        case literals([Literal], fuzzy: FuzzyMatcher?)
        case bm25(BM25Index, threshold: Float)
        case ngram(NGramIndex, threshold: Float)
        case fuzzy(FuzzyMatcher)
    }

    enum Literal: Sendable {
        case folded(Int)
        case exact(Int)
        case pattern(LinearPattern)
    }

    let `operator`: KeywordSignals.Operator
    let count: Int
    let matcher: Matcher
    /// Where all keywords are searched in lower case, and nothing else is tried: their places.
    let places: Range<Int>?

    init(
        _ settings: KeywordSignals.Settings,
        _ folded: inout Literals.Builder,
        _ exact: inout Literals.Builder
    ) {
        self.operator = settings.operator
        count = settings.keywords.count
        let first = folded.count
        let lowercased = settings.keywords.map { Lowercasing.lowercased($0) }
        typealias Settings = KeywordSignals.Settings
        func given<Number: Numeric>(_ number: Number, else fallback: Number) -> Number {
            number == .zero ? fallback : number
        }
        switch settings.method {
        case .bm25:
            matcher = .bm25(
                BM25Index(lowercased),
                threshold: Float(given(settings.bm25Threshold, else: Settings.defaultBM25Threshold))
            )
        case .ngram:
            matcher = .ngram(
                NGramIndex(lowercased, arity: max(2, given(settings.ngramArity, else: Settings.defaultNGramArity))),
                threshold: Float(given(settings.ngramThreshold, else: Settings.defaultNGramThreshold))
            )
        case .fuzzy:
            matcher = .fuzzy(FuzzyMatcher(lowercased, limit: .init(threshold: settings.givenFuzzyThreshold ?? 80)))
        case .regex, nil:
            var literals: [Literal] = []
            for (keyword, folding) in zip(settings.keywords, lowercased) {
                if settings.method == .regex, KeywordSignals.Settings.isPattern(keyword),
                    let pattern = try? LinearPattern(keyword, caseInsensitive: !settings.caseSensitive)
                {
                    literals.append(.pattern(pattern))
                } else if settings.caseSensitive {
                    literals.append(.exact(exact.add(keyword)))
                } else {
                    literals.append(.folded(folded.add(folding)))
                }
            }
            let limit = FuzzyMatcher.Limit(threshold: settings.givenFuzzyThreshold ?? 2)
            matcher = .literals(literals, fuzzy: settings.fuzzyMatch ? FuzzyMatcher(lowercased, limit: limit) : nil)
        }
        let isPlain = folded.count - first == count && !settings.fuzzyMatch
        places = isPlain ? first..<folded.count : nil
    }

    func reading(
        _ prompt: Prompt,
        _ folded: KeywordSet,
        _ exact: KeywordSet,
        _ budget: inout StepBudget
    ) -> SignalReading {
        // Most rules find nothing.
        if let places, folded.isDisjoint(with: places) {
            return `operator` == .nor ? .present(0.5) : .absent
        }
        let found = prompt.closeText.withUnsafeBytes { text in
            switch matcher {
            case .literals(let literals, let fuzzy):
                literalsFound(literals, fuzzy, prompt, text, folded, exact, &budget)
            case .bm25(let index, let threshold):
                budget.spend(text.count) ? index.matches(in: text, threshold: threshold) : nil
            case .ngram(let index, let threshold):
                budget.spend(comparisons(text)) ? index.matches(in: text, threshold: threshold) : nil
            case .fuzzy(let matcher):
                budget.spend(comparisons(text)) ? matcher.matches(in: text) : nil
            }
        }
        guard let found else { return .unavailable }
        let isPresent =
            switch `operator` {
            case .and: found.count == count
            case .or: !found.isEmpty
            case .nor: found.isEmpty
            }
        guard isPresent else { return .absent }
        // Upstream's confidence of a keyword rule: half for being there, half by the share of keywords found.
        let confidence = 0.5 + 0.5 * Double(found.count) / Double(count)
        return SignalReading(state: .present, confidence: confidence, keywords: found)
    }

    /// What comparing all keywords with all words takes at most, in steps of 5 ns: 200 keywords and 16 KiB took 2.6 ms,
    /// 0.8 ns for each keyword and byte.
    private func comparisons(_ text: UnsafeRawBufferPointer) -> Int { count * text.count / 6 }

    /// Nil where expressions take too long.
    private func literalsFound(
        _ literals: [Literal],
        _ fuzzy: FuzzyMatcher?,
        _ prompt: Prompt,
        _ lowercased: UnsafeRawBufferPointer,
        _ folded: KeywordSet,
        _ exact: KeywordSet,
        _ budget: inout StepBudget
    ) -> [Int]? {
        var found: [Int] = []
        for (index, literal) in literals.enumerated() {
            let isFound: Bool? =
                switch literal {
                case .folded(let place): folded.contains(place)
                case .exact(let place): exact.contains(place)
                case .pattern(let pattern): prompt.text.withUnsafeBytes { pattern.isFound(in: $0, budget: &budget) }
                }
            guard let isFound else { return nil }
            if isFound { found.append(index) }
        }
        guard let fuzzy, found.count < count else { return found }
        guard budget.spend(comparisons(lowercased)) else { return nil }
        return Set(found).union(fuzzy.matches(in: lowercased)).sorted()
    }
}

extension FuzzyMatcher.Limit {
    /// Upstream's flag counts wrong letters, its files also give percents: no word has more than ten letters wrong and is
    /// still that word.
    fileprivate init(threshold: Int) {
        self = threshold <= 10 ? .edits(threshold) : .similarity(percent: threshold)
    }
}
