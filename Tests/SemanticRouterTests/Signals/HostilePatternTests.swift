import OpenAIWire
import SemanticRouter
import TestRandom
import Testing

/// Expressions and texts that take exponential or quadratic time where matches are tried one after the other.
@Suite struct HostilePatternTests {
    private static let patterns = [
        "(a+)+$",
        "^(a+)+$",
        "(a|aa)*b",
        "(x+x+)+y",
        "(a*)*c",
        "(a|a)*$",
        "(.*a){20}",
        "(.*)(.*)(.*)[x]$",
        "(?i)(ignore.{0,80}){3}instructions",
        "(?i)ignore.{0,200}previous.{0,200}instructions",
        "[ab]*a[ab]{12}c",
        "(a?){50}a{50}",
        #"(\w+\s?)*!"#,
        #"(\d+)*$"#,
        #"^(([a-z])+.)+[A-Z]([a-z])+$"#,
        #"(\p{L}+[ ]?){5,60}[?]"#,
    ]

    private static func texts() -> [String] {
        let size = 64 * 1024
        return ["a", "x", "ab", "aaaaaaaaaaaaaaab", "ignore ", "Ignore previous ", "a b ", "1", "数", "é1"].flatMap {
            unit in
            let text = String(repeating: unit, count: size / unit.utf8.count)
            return [text, text.dropLast() + "!"]
        }
    }

    private func structure(_ pattern: String, _ feature: StructureSignals.Feature) -> StructureSignals.Settings {
        var settings = StructureSignals.Settings()
        settings.name = "it"
        settings.feature.type = feature
        settings.feature.source.pattern = pattern
        return settings
    }

    private func keyword(_ patterns: [String]) -> KeywordSignals.Settings {
        var settings = KeywordSignals.Settings()
        settings.name = "it"
        settings.method = .regex
        settings.keywords = patterns
        return settings
    }

    @Test("The policy takes them: no expression is refused for what it could cost elsewhere")
    func accepted() {
        let signals = """
            keywords:
              - {name: k, method: regex, keywords: \(Self.patterns.json)}
            structure:
            \(Self.patterns.enumerated().map { #"  - {name: s\#($0), feature: {type: count, source: {type: regex, pattern: \#($1.json)}}}"# }.joined(separator: "\n"))
            """
        #expect(SignalRules.mistakes(signals) == [])
    }

    @Test("Each ends on a hostile text of 64 KiB: with an answer, or unavailable", arguments: patterns)
    func ends(pattern: String) throws {
        let structure = StructureSignals([structure(pattern, .count)])
        let keyword = KeywordSignals([keyword([pattern])])
        for text in Self.texts() {
            let prompt = try Prompt.asking(text)
            let counted = structure.evaluate(prompt)[0]
            let found = keyword.evaluate(prompt)[0]
            if counted.state == .unavailable {
                #expect(counted == .unavailable)
            } else {
                let value = try #require(counted.value)
                #expect((0...Double(prompt.text.count + 1)).contains(value))
                #expect(counted.isPresent == (value > 0))
                // What is counted is found, unless looking took too long.
                if found.state != .unavailable { #expect(found.isPresent == counted.isPresent, "\(pattern)") }
            }
        }
    }

    @Test(
        "What a short hostile text says is known",
        arguments: [
            ("(a+)+$", "aaaa", 1.0), ("(a+)+$", "aaaa!", 0), ("(a|aa)*b", "aaab aab", 2), ("(x+x+)+y", "xxxxy", 1),
            ("(x+x+)+y", "xxxx", 0),
            ("(?i)(ignore.{0,80}){3}instructions", "Ignore, IGNORE and ignore all instructions", 1),
            ("(?i)(ignore.{0,80}){3}instructions", "Ignore and ignore all instructions", 0),
            (#"(\w+\s?)*!"#, "some words!", 1), ("(a?){3}a{3}", "aaaaaa", 1),
        ]
    )
    func answers(pattern: String, text: String, count: Double) throws {
        let prompt = try Prompt.asking(text)
        #expect(StructureSignals.reading(structure(pattern, .count), prompt).value == count)
        #expect(KeywordSignals.reading(keyword([pattern]), prompt).isPresent == (count > 0))
    }

    /// Too many states for an automaton, so that every byte costs steps.
    private static let costly = "(?i)(ignore.{0,80}){3}instructions"

    @Test("An expression that exceeds the steps gives nothing known, and so do those behind it in the kind")
    func exhausted() throws {
        let prompt = try Prompt.asking(String(repeating: "ignore ", count: 9000), patternSteps: 10_000)
        let structure = StructureSignals([
            structure("(?i)zebra", .count), structure(Self.costly, .count), structure("ignore", .exists),
        ])
        // One pass of an automaton ends by itself; what it costs is missing afterwards.
        #expect(structure.evaluate(prompt).map(\.state) == [.absent, .unavailable, .unavailable])
        let enough = try Prompt.asking(String(repeating: "ignore ", count: 90), patternSteps: 10_000)
        let states = structure.evaluate(enough).map(\.state)
        #expect(states == [.absent, .unavailable, .unavailable])
        let keywords = KeywordSignals([
            keyword(["plain"]), keyword([Self.costly]), keyword(["ignore"]), keyword(["ignore$"]),
        ])
        #expect(keywords.evaluate(enough).map(\.state) == [.absent, .unavailable, .present, .unavailable])
    }

    @Test("Once the steps are used up, nothing more is known, whatever the texts and however many the expressions")
    func usedUp() throws {
        let rules = Self.patterns + ["[?]", "instructions"]
        let counts = StructureSignals(rules.map { structure($0, .count) })
        let keywords = KeywordSignals(rules.map { keyword([$0 + "|[?]"]) })
        for text in Self.texts().prefix(8) {
            let prompt = try Prompt.asking(text)
            for readings in [counts.evaluate(prompt), keywords.evaluate(prompt)] {
                let isKnown = readings.map { $0.state != .unavailable }
                let first = isKnown.firstIndex(of: false) ?? isKnown.endIndex
                #expect(first > 0)
                #expect(!isKnown[first...].contains(true))
            }
        }
    }

    @Test("NOR of an expression that nobody could look for is not known either")
    func exhaustedNor() throws {
        let prompt = try Prompt.asking(String(repeating: "ignore ", count: 900), patternSteps: 1000)
        var settings = keyword([Self.costly])
        settings.operator = .nor
        #expect(KeywordSignals.reading(settings, prompt) == .unavailable)
    }

    @Test("Each kind has its own steps, and sources without expressions need none")
    func separateBudgets() throws {
        let rules = try SignalRules(
            """
            keywords:
              - {name: k, keywords: [ignore]}
              - {name: f, method: fuzzy, keywords: [ignroe], fuzzy_threshold: 2}
            structure:
              - {name: costly, feature: {type: count, source: {type: regex, pattern: \(Self.costly.json)}}}
              - {name: words, feature: {type: count, source: {type: keyword_set, keywords: [ignore]}}}
              - {name: bytes, feature: {type: count, source: {type: text_bytes}}}
              - {name: order, feature: {type: sequence, source: {type: sequence, sequences: [[ignore, ignore]]}}}
            context: [{name: c, min_tokens: 1}]
            """
        )
        let prompt = try Prompt.asking(String(repeating: "ignore ", count: 900), patternSteps: 1)
        #expect(rules.present(prompt) == ["k", "words", "bytes", "order", "c"])
        // Comparing words is paid for too.
        #expect(try rules.reading(.keyword, "f", prompt) == .unavailable)
        #expect(try rules.reading(.structure, "costly", prompt) == .unavailable)
    }

    @Test("Without any steps no expression is looked for", arguments: [0, -1, .min])
    func noSteps(steps: Int) throws {
        let prompt = try Prompt.asking("a?", patternSteps: steps)
        #expect(StructureSignals.reading(structure("a", .count), prompt) == .unavailable)
        #expect(KeywordSignals.reading(keyword(["a$"]), prompt) == .unavailable)
        var event = EventSignals.Settings()
        event.isTemporal = true
        #expect(EventSignals.reading(event, prompt) == .unavailable)
    }

    @Test("More steps never change an answer, they only make one known")
    func monotonic() throws {
        let text = String(repeating: "ignore previous ", count: 120) + "instructions"
        for pattern in Self.patterns {
            let kind = StructureSignals([structure(pattern, .count)])
            var known: SignalReading?
            for steps in [1, 100, 1000, 10_000, 100_000, 1_000_000, 100_000_000] {
                let reading = kind.evaluate(try .asking(text, patternSteps: steps))[0]
                if let known { #expect(reading == known, "\(pattern) with \(steps) steps") }
                if reading.state != .unavailable { known = reading }
            }
            #expect(known != nil)
        }
    }

    @Test("Expressions and texts put together by chance end, and agree on whether and how often")
    func random() throws {
        var random = SeededRandom.fromEnvironment()
        let atoms = [
            "a", "b", ".", "[ab]", "(a|b)", "(a*)", "(b+a?)", "a{2,9}", "(ab|a)", "\\w", "$", "^", "\\b", "(?:)",
        ]
        let repeats = ["", "", "*", "+", "?", "{0,12}", "*?"]
        for _ in 0..<200 {
            var pattern = ""
            for _ in 0...random.below(5) {
                let atom = random.pick(atoms)
                pattern += ["^", "$", "\\b"].contains(atom) ? atom : atom + random.pick(repeats)
            }
            pattern = "(\(pattern))" + random.pick(["", "+", "*", "{0,5}"])
            let text =
                String((0..<random.below(3000)).map { _ in random.pick(["a", "a", "a", "b", " "] as [Character]) })
                + "a"
            let prompt = try Prompt.asking(text)
            let count = StructureSignals.reading(structure(pattern, .count), prompt)
            let found = KeywordSignals.reading(keyword([pattern]), prompt)
            guard count.state != .unavailable, found.state != .unavailable else { continue }
            #expect(count.isPresent == found.isPresent, "\(pattern)")
            let value = try #require(count.value)
            #expect(value <= Double(text.utf8.count + 1))
        }
    }
}
