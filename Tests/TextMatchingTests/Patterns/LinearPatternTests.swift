import Testing
import TextMatching

@Suite struct LinearPatternTests {
    /// The matches are written as the matched texts, joined with `|`.
    private func expect(
        _ source: String,
        in text: String,
        finds expected: [String],
        location: SourceLocation = #_sourceLocation
    ) throws {
        let bytes = Array(text.utf8)
        for engine in Engine.allCases {
            let pattern = try engine.pattern(source)
            let spans = pattern.spans(in: bytes)
            let found = spans.map { String(decoding: bytes[$0[0]..<$0[1]], as: UTF8.self) }
            #expect(found == expected, "\(source) in \(text) by \(engine)", sourceLocation: location)
            #expect(
                pattern.countMatches(in: bytes) == expected.count,
                "\(source) by \(engine)",
                sourceLocation: location
            )
            #expect(pattern.isFound(in: bytes) == !expected.isEmpty, "\(source) by \(engine)", sourceLocation: location)
        }
    }

    @Test(
        "Literals and escapes mean one scalar each",
        arguments: [
            ("a.c", "abc a？c a\nc", ["abc", "a？c"]),
            (#"a\.c"#, "abc a.c", ["a.c"]),
            (#"\t\x41\x{7684}\101\0"#, "\tA的A\u{0}", ["\tA的A\u{0}"]),
            (#"\a\f\v\r\n"#, "\u{7}\u{C}\u{B}\r\n", ["\u{7}\u{C}\u{B}\r\n"]),
            (#"\Qa.b*\E+"#, "a.b** a.b", ["a.b**"]),
            (#"\Qa.b"#, "a.b axb", ["a.b"]),
            (#"\_\-\/"#, "_-/", ["_-/"]),
            ("a{,2}", "a{,2} aa", ["a{,2}"]),
            ("a{01}", "a{01}", ["a{01}"]),
            ("]}{", "]}{", ["]}{"]),
            (#"\x{10FFFF}"#, "\u{10FFFF}", ["\u{10FFFF}"]),
            (#"\x{D800}"#, "a", []),
            ("😀", "🙂😀", ["😀"]),
        ]
    )
    func literals(source: String, text: String, found: [String]) throws { try expect(source, in: text, finds: found) }

    @Test(
        "Classes hold what Go's classes hold",
        arguments: [
            ("[?？]", "a? b？", ["?", "？"]),
            ("[a-c]+", "xabcd", ["abc"]),
            ("[^a-c\\n]+", "xabcd\né", ["x", "d", "é"]),
            ("[]a]+", "a]b", ["a]"]),
            ("[^]a]+", "a]b", ["b"]),
            ("[a-]+", "a-b", ["a-"]),
            ("[-a]+", "a-b", ["a-"]),
            (#"[\]\-\\]+"#, #"a]-\b"#, [#"]-\"#]),
            ("[[:alpha:]_]+", "ab_1é", ["ab_"]),
            ("[[:^alpha:]]+", "ab_1é", ["_1é"]),
            (#"\d+"#, "12 ３", ["12"]),
            (#"\D+"#, "12 ３", [" ３"]),
            (#"\w+"#, "ab_1 é", ["ab_1"]),
            (#"\W+"#, "ab é\n", [" é\n"]),
            (#"\s+"#, "a \t\r\n\u{C}\u{B}\u{A0}", [" \t\r\n\u{C}"]),
            (#"[\s\d]+"#, "a 1b", [" 1"]),
            (#"[^\S\n]+"#, "a \n b", [" ", " "]),
            (#"\pL+"#, "aé的 1", ["aé的"]),
            (#"\p{Lu}"#, "aÉ", ["É"]),
            (#"\PL+"#, "a1 é", ["1 "]),
            (#"\p{^L}+"#, "a1 é", ["1 "]),
            (#"\P{^L}+"#, "a1 é", ["a", "é"]),
            (#"[\p{Nd}\pP]+"#, "a1٣!？b", ["1٣!？"]),
            (#"\p{Han}+"#, "漢字かな한글", ["漢字"]),
            (#"\p{Hiragana}+"#, "漢字かな한글", ["かな"]),
            (#"\p{Hangul}+"#, "漢字かな한글", ["한글"]),
            (#"\p{Cyrillic}+"#, "abcабв", ["абв"]),
            (
                #"\p{Greek}+|\p{Arabic}+|\p{Hebrew}+|\p{Devanagari}+|\p{Thai}+"#, "αβ عر עב हि ไท",
                ["αβ", "عر", "עב", "हि", "ไท"]
            ),
            (#"\p{Katakana}+|\p{Latin}+"#, "カナé", ["カナ", "é"]),
            (#"\p{Any}+"#, "a\n😀", ["a\n😀"]),
            (#"[^\x00-\x{10FFFF}]"#, "a", []),
            ("[[:word:]-z]+", "a-z!", ["a-z"]),
            ("[[a]+", "[a]", ["[a"]),
        ]
    )
    func classes(source: String, text: String, found: [String]) throws { try expect(source, in: text, finds: found) }

    @Test(
        "Repetitions take as much or as little as they say",
        arguments: [
            ("a*b", "aab b", ["aab", "b"]),
            ("a+?", "aa", ["a", "a"]),
            ("a??b", "ab", ["ab"]),
            ("a{2}", "aaaaa", ["aa", "aa"]),
            ("a{2,}", "aaaaa", ["aaaaa"]),
            ("a{2,3}", "aaaaa", ["aaa", "aa"]),
            ("a{2,3}?", "aaaaa", ["aa", "aa"]),
            ("(ab){0}c", "abc", ["c"]),
            ("(?:a{0,2}){2}", "aaaaa", ["aaaa", "a"]),
            ("<.+?>", "<a><b>", ["<a>", "<b>"]),
            ("(?U)<.+>", "<a><b>", ["<a>", "<b>"]),
            ("(?U)<.+?>", "<a><b>", ["<a><b>"]),
            ("x(?:|a)+", "xa", ["x"]),
            ("(?:b|(?:|a))+", "baa", ["baa"]),
            ("x(?:a|)+", "xa", ["xa"]),
        ]
    )
    func repetitions(source: String, text: String, found: [String]) throws {
        try expect(source, in: text, finds: found)
    }

    @Test(
        "The first alternative that leads to a match wins",
        arguments: [
            ("a|ab", "ab", ["a"]),
            ("ab|a", "ab", ["ab"]),
            ("(a|ab)(c|bcd)", "abcd", ["abcd"]),
            ("a||b", "b", ["", ""]),
            ("(?P<x>a)(?<y>b)", "ab", ["ab"]),
            ("()", "a", ["", ""]),
            ("a.*b|a", "aaab aa", ["aaab", "a", "a"]),
            ("a.*b|a", "aaa", ["a", "a", "a"]),
        ]
    )
    func alternatives(source: String, text: String, found: [String]) throws {
        try expect(source, in: text, finds: found)
    }

    @Test(
        "Assertions look at both sides of their place",
        arguments: [
            ("^a", "aa\na", ["a"]),
            ("(?m)^a", "aa\na", ["a", "a"]),
            ("a$", "a\na", ["a"]),
            ("(?m)a$", "a\na", ["a", "a"]),
            ("(?m)^$", "a\n\nb\n", ["", ""]),
            (#"\Aa|b\z"#, "ab\nab", ["a", "b"]),
            (#"(?m)\Aa"#, "a\na", ["a"]),
            (#"\bcat\b"#, "cat concat cat.", ["cat", "cat"]),
            (#"\Bat"#, "at cat", ["at"]),
            (#"\b"#, "ab é", ["", ""]),
            (#"\B"#, "é", ["", ""]),
            (#"(?m)^\s*\d+\.\s+"#, "1. a\n  2. b\n3.c\n\n\n 4.\n", ["1. ", "  2. ", "\n\n 4.\n"]),
            ("a^b", "a^b", []),
            ("(?:^|b)a", "aba", ["a", "ba"]),
            ("^*a", "ba", ["a"]),
        ]
    )
    func assertions(source: String, text: String, found: [String]) throws { try expect(source, in: text, finds: found) }

    @Test(
        "Flags hold until the end of their group",
        arguments: [
            ("(?i)abc", "ABC aBc", ["ABC", "aBc"]),
            ("a(?i)b|c", "aB C b", ["aB", "C"]),
            ("a(?i:b)c", "aBc aBC", ["aBc"]),
            ("(a(?i)b)c", "aBc aBC", ["aBc"]),
            ("(?i)a(?-i)b", "Ab AB", ["Ab"]),
            ("(?is-m:A.c)", "a\nC", ["a\nC"]),
            ("(?s).+", "a\nb", ["a\nb"]),
            ("(?i)straße", "STRAßE STRAẞE STRASSE", ["STRAßE", "STRAẞE"]),
            ("(?i)k+", "kK\u{212A}", ["kK\u{212A}"]),
            ("(?i)[s]+", "sSſ", ["sSſ"]),
            ("(?i)[^s]+", "sSſa", ["a"]),
            (#"(?i)\w+"#, "aſ\u{212A}é", ["aſ\u{212A}"]),
            ("(?i)σ+", "σςΣ", ["σςΣ"]),
            ("(?i)ı|İ", "iIı", ["ı"]),
            ("(?i)[а-я]+", "ПриВет", ["ПриВет"]),
            (
                "(?i)(<system>|<assistant>|begin system prompt|```system|###\\s*system)", "<SYSTEM> ###  sYstem",
                ["<SYSTEM>", "###  sYstem"]
            ),
        ]
    )
    func flags(source: String, text: String, found: [String]) throws { try expect(source, in: text, finds: found) }

    @Test("Ignoring case from outside is the same as a flag in front")
    func caseInsensitive() throws {
        let pattern = try LinearPattern("system|(?-i:Tool)", caseInsensitive: true)
        #expect(pattern.countMatches(in: Array("SYSTEM ſystem Tool TOOL".utf8)) == 3)
    }

    @Test(
        "Empty matches count as in Go: not where the match before them ended",
        arguments: [("a*", "baac", 3), ("", "é的", 3), ("a|", "aab", 3), ("", "", 1), (#"\d*"#, "12ab3", 3)]
    )
    func emptyMatches(source: String, text: String, count: Int) throws {
        for engine in Engine.allCases {
            #expect(try engine.pattern(source).countMatches(in: Array(text.utf8)) == count, "\(engine)")
        }
    }

    @Test("A first match may be asked for behind a place, which still sees what is before it")
    func firstMatchFrom() throws {
        let text = Array("aab".utf8)
        for engine in Engine.allCases {
            #expect(try engine.pattern("a").firstMatch(in: text, from: 1) == 1..<2)
            #expect(try engine.pattern("^a").firstMatch(in: text, from: 1) == nil)
            #expect(try engine.pattern(#"\bb"#).firstMatch(in: text, from: 2) == nil)
            #expect(try engine.pattern("").firstMatch(in: text, from: 3) == 3..<3)
            #expect(try engine.pattern("").firstMatch(in: text, from: 4) == nil)
            #expect(try engine.pattern("a").firstMatch(in: text, from: -5) == 0..<1)
        }
    }

    @Test("Small sets of bytes are found at every distance")
    func distances() throws {
        for engine in Engine.allCases {
            for source in ["x", "[xy]", "[xyz]", "[w-z]", "？"] {
                let pattern = try engine.pattern(source)
                for distance in 0..<40 {
                    for behind in [0, 1, 15, 16, 17] {
                        let hit = source == "？" ? Array("？".utf8) : [UInt8(ascii: "x")]
                        let text =
                            Array(repeating: UInt8(ascii: "."), count: distance) + hit
                            + Array(repeating: UInt8(ascii: "."), count: behind)
                        #expect(pattern.firstMatch(in: text)?.lowerBound == distance)
                        #expect(pattern.countMatches(in: text) == 1)
                    }
                }
            }
        }
    }
}
