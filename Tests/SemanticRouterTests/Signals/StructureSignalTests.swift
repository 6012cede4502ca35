import OpenAIWire
import SemanticRouter
import TestRandom
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct StructureSignalTests {
    /// The reading of one rule: its feature's source and its predicate, in YAML's flow style.
    private func reading(
        _ feature: String,
        _ source: String,
        _ text: String,
        predicate: String? = nil
    ) throws -> SignalReading {
        let bounds = predicate.map { ", predicate: \($0)" } ?? ""
        let rules = try SignalRules("structure: [{name: it, feature: {type: \(feature), source: \(source)}\(bounds)}]")
        return try rules.reading(.structure, "it", text)
    }

    // MARK: Sources

    @Test(
        "`regex` counts matches that do not overlap",
        arguments: [
            ("[?？]", "What? How? 为什么？", 3.0),
            ("a+", "aa b AAA", 2),
            ("aa", "aaaaa", 2),
            (#"\n\s*\d+\."#, "\n1. one\n 2. two\n\n3. three", 3),
            (#"\p{Han}+"#, "a 中文 b 字", 2),
            // Matches of nothing count too, but not next to the match before them.
            ("x*", "abc", 4),
            ("x*", "axb", 3),
            ("(?i)json", "JSON json", 2),
            ("nothing", "a text", 0),
        ]
    )
    func regex(pattern: String, text: String, count: Double) throws {
        #expect(try reading("count", "{type: regex, pattern: \(pattern.json)}", text).value == count)
    }

    @Test("Capitals are alike unless `case_sensitive` says otherwise, for each source")
    func caseSensitivity() throws {
        for source in ["type: regex, pattern: Ärger", "type: keyword_set, keywords: [Ärger]"] {
            #expect(try reading("count", "{\(source)}", "ÄRGER, ärger, Ärger").value == 3)
            #expect(try reading("count", "{\(source), case_sensitive: true}", "ÄRGER, ärger, Ärger").value == 1)
        }
        let sequence = "type: sequence, sequences: [[First, Then]]"
        #expect(try reading("sequence", "{\(sequence)}", "first a, then b").isPresent)
        #expect(try !reading("sequence", "{\(sequence), case_sensitive: true}", "first a, then b").isPresent)
        #expect(try reading("sequence", "{\(sequence), case_sensitive: true}", "First a, Then b").isPresent)
        let pattern = "{type: regex, pattern: '(?i)json', case_sensitive: true}"
        #expect(try reading("count", pattern, "JSON json").value == 2)
    }

    @Test(
        "`keyword_set` counts all occurrences of all keywords, as whole words",
        arguments: [
            (["表格", "最多"], "请用表格输出，最多三点。", 2.0),
            (["json"], "请输出JSON格式。", 1),
            (["json"], "jsonschema output", 0),
            (["json"], "JSON, json; my_json (json)", 4),
            (["json", "json"], "json", 2),
            (["表格", "格"], "表格", 2),
            (["step", "step by step"], "step by step", 3),
            (["C++", "C"], "C++ and C, not C++Builder", 4),
            // The first place is no whole word, the second one is.
            ([",,"], "A,,, ", 1),
            (["aa"], "aa aaa aa", 2),
        ]
    )
    func keywordSet(keywords: [String], text: String, count: Double) throws {
        #expect(try reading("count", "{type: keyword_set, keywords: \(keywords.json)}", text).value == count)
    }

    @Test(
        "A sequence is there where its markers follow each other, whatever stands between",
        arguments: [
            ([["first", "then"]], "First do this, then that", true),
            ([["first", "then"]], "then that, first this", false),
            ([["first", "then", "finally"]], "first a, finally b, then c", false),
            ([["first", "then", "finally"]], "first a, then b, then c, finally d", true),
            ([["one", "two"], ["首先", "然后"]], "首先读文件，然后总结", true),
            // Markers are text, not words, and do not share letters.
            ([["the", "n"]], "then", true),
            ([["aa", "ab"]], "aab", false),
            ([["aa", "ab"]], "aaab", true),
            ([["a", "a"]], "a", false),
            ([["a", "a"]], "aa", true),
        ]
    )
    func sequences(sequences: [[String]], text: String, isThere: Bool) throws {
        let lists = "[" + sequences.map(\.json).joined(separator: ", ") + "]"
        let reading = try reading("sequence", "{type: sequence, sequences: \(lists)}", text)
        #expect(reading == (isThere ? .present(1, value: 1) : SignalReading(state: .absent, confidence: 0, value: 0)))
    }

    @Test(
        "`text_bytes` is the length in UTF-8 of all that the user said last, also of what is not read",
        arguments: [("abc", 3.0), ("数学", 6), ("🙂", 4), (" é ", 4)]
    )
    func textBytes(text: String, bytes: Double) throws {
        #expect(try reading("count", "{type: text_bytes}", text).value == bytes)
        let long = String(repeating: text, count: 30_000)
        #expect(try reading("count", "{type: text_bytes}", long).value == 30_000 * bytes)
        let rules = try SignalRules("structure: [{name: it, feature: {type: count, source: {type: text_bytes}}}]")
        let chat = try Prompt(
            body: """
                {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "a long question"},
                {"role": "assistant", "content": "an answer"}, {"role": "user", "content": \(text.json)}]}
                """
        )
        #expect(try rules.reading(.structure, "it", chat).value == bytes)
    }

    @Test("Parts of a message count together, and nothing but the user's words")
    func textBytesOfParts() throws {
        let rules = try SignalRules("structure: [{name: it, feature: {type: count, source: {type: text_bytes}}}]")
        let parts = try Prompt(
            body: """
                {"messages": [{"role": "user", "content": [{"type": "text", "text": "abc"},
                {"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "text", "text": "de"}]}]}
                """
        )
        #expect(try rules.reading(.structure, "it", parts).value == 6)
        let nobody = try Prompt(body: #"{"messages": [{"role": "system", "content": "be brief"}]}"#)
        #expect(try rules.reading(.structure, "it", nobody).state == .absent)
        #expect(try rules.reading(.structure, "it", nobody).value == 0)
    }

    // MARK: Features

    @Test("`exists` is 1 or 0, however many there are")
    func exists() throws {
        let source = "{type: keyword_set, keywords: [json]}"
        #expect(try reading("exists", source, "json json json") == .present(1, value: 1))
        #expect(
            try reading("exists", source, "xml") == SignalReading(state: .absent, confidence: 0, value: 0)
        )
        #expect(try reading("exists", source, "json json", predicate: "{lte: 1}").isPresent)
    }

    /// The first three, and the density of 2/7, are upstream's.
    @Test(
        "Density is the number for each word, of which every CJK character is one",
        arguments: [
            ("please output markdown table", "table", 1, 4),
            ("请用表格输出", "表格", 1, 6),
            ("请输出JSON表格", "json", 1, 6),
            ("don't say json", "json", 1, 4),
            ("snake_case-json", "json", 1, 3),
            ("json 2024 json", "json", 2, 3),
            ("データjson 한국 json", "json", 2, 7),
            ("naïve café json", "json", 1, 3),
        ] as [(String, String, Double, Double)]
    )
    func density(text: String, keyword: String, count: Double, units: Double) throws {
        let reading = try reading("density", "{type: keyword_set, keywords: [\(keyword.json)]}", text)
        #expect(reading == .present(1, value: count / units))
    }

    @Test("The density in a text without words is 0, and upstream's example is 2/7")
    func densityEnds() throws {
        let two = try reading("density", #"{type: keyword_set, keywords: ["表格", json]}"#, "请用JSON表格输出")
        #expect(two == .present(1, value: 2.0 / 7))
        let none = try reading("density", "{type: regex, pattern: '[?]'}", "???")
        #expect(none == SignalReading(state: .absent, confidence: 0, value: 0))
        #expect(try reading("density", "{type: regex, pattern: '[?]'}", "???", predicate: "{lt: 0.5}").isPresent)
    }

    // MARK: Predicates

    @Test(
        "Confidence grows with the distance from the bound that stands first of gt, gte, lt, lte",
        arguments: [
            ("{gte: 4}", 4, 0.0),
            ("{gte: 4}", 5, 1),
            ("{gt: 3}", 4, 1),
            ("{gt: 3.75}", 4, 0.25),
            ("{lt: 6}", 4, 2),
            ("{lte: 4}", 4, 0),
            ("{lte: 6}", 1, 5),
            ("{gte: 1, lt: 10}", 4, 3),
            ("{gt: 1, lte: 4}", 4, 3),
            ("{lt: 2}", 0, 2),
        ] as [(String, Int, Double)]
    )
    func confidence(predicate: String, count: Int, distance: Double) throws {
        let text = "x" + String(repeating: "?", count: count)
        let reading = try reading("count", "{type: regex, pattern: '[?]'}", text, predicate: predicate)
        #expect(reading.state == .present)
        #expect(reading.value == Double(count))
        #expect(abs(reading.confidence - 1 / (1 + exp(-4 * distance))) < 1e-12)
    }

    @Test(
        "A number out of bounds makes the signal absent, but is told",
        arguments: [
            ("{gte: 4}", 3), ("{gt: 4}", 4), ("{lt: 4}", 4), ("{lte: 4}", 5), ("{gte: 1, lt: 4}", 4),
            ("{gt: 1, lte: 4}", 1),
        ]
    )
    func outOfBounds(predicate: String, count: Int) throws {
        let text = "x" + String(repeating: "?", count: count)
        let reading = try reading("count", "{type: regex, pattern: '[?]'}", text, predicate: predicate)
        #expect(reading == SignalReading(state: .absent, confidence: 0, value: Double(count)))
    }

    @Test("Upstream's example: four questions are many, one is not")
    func questions() throws {
        let rules = try SignalRules(
            """
            structure:
              - name: many_questions
                feature: {type: count, source: {type: regex, pattern: '[?？]'}}
                predicate: {gte: 4}
            """
        )
        let four = try rules.reading(.structure, "many_questions", "Who? What? Where? And why?")
        #expect(four == .present(0.5, value: 4))
        let one = try rules.reading(.structure, "many_questions", "What's a good recipe for pasta tonight?")
        #expect(one == SignalReading(state: .absent, confidence: 0, value: 1))
    }

    @Test("Without a predicate anything above 0 is there, for certain")
    func noPredicate() throws {
        #expect(try reading("count", "{type: regex, pattern: '[?]'}", "?") == .present(1, value: 1))
        #expect(
            try reading("count", "{type: regex, pattern: '[?]'}", "!")
                == SignalReading(state: .absent, confidence: 0, value: 0)
        )
    }

    @Test("In a blank text no rule is looked at, not even one for few", arguments: ["", "  ", "\n\t\r\u{0B}\u{0C}"])
    func blank(text: String) throws {
        #expect(try reading("count", "{type: regex, pattern: 'x*'}", text, predicate: "{lt: 9}") == .absent)
        #expect(try reading("count", "{type: text_bytes}", text, predicate: "{gte: 0}") == .absent)
        #expect(try reading("density", "{type: keyword_set, keywords: [a]}", text) == .absent)
    }

    // MARK: Properties

    @Test("A predicate decides by all its bounds, and presence is never without confidence")
    func predicates() throws {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<500 {
            var settings = StructureSignals.Settings()
            settings.name = "it"
            settings.feature.source.pattern = "[?]"
            let low = random.below(6)
            let high = low + 1 + random.below(6)
            var predicate = NumberPredicate()
            if random.once(in: 2) { predicate.gt = Double(low) } else { predicate.gte = Double(low) }
            if random.once(in: 2) { predicate.lt = Double(high) } else { predicate.lte = Double(high) }
            settings.predicate = predicate
            let count = random.below(12)
            let reading = StructureSignals.reading(
                settings,
                try .asking("x" + String(repeating: "? ", count: count))
            )
            let isAbove = predicate.gt == nil ? count >= low : count > low
            let isBelow = predicate.lt == nil ? count <= high : count < high
            #expect(reading.isPresent == (isAbove && isBelow))
            #expect(reading.isPresent ? (0.5...1).contains(reading.confidence) : reading.confidence == 0)
            #expect(reading.value == Double(count))
        }
    }
}
