import TestRandom
import Testing
import TextMatching

@Suite struct HostilePatternTests {
    private static let length = 65_536

    private static let patterns = [
        "(a+)+$", "(a+)+b", "(a|aa)*b", "(x+x+)+y", "(.*)*", "(.*)*b", "(.*.*.*)*b", "((a*)*)*b", "(a*?)*?b", "(a|a)*b",
        "(a|b|ab)*c", "a*a*a*a*a*a*a*b", "a.*b|a", "a.*b.*c|a.*d|a", "(?:a{0,30}){0,30}b", "(a?){50}a{50}b",
        "(a|b)*a(a|b){12}c",
        "(?m)^(a+)+$", #"(\w+\s*)+!"#, #"(\s*\d*)*\."#, ".{0,300}b", "(?s).*a.*b.*c", "[a-z]{500}b", #"\b(a+\b)*c"#,
        "(?i)(k|s)*x",
        #"(\pL+)*\pN"#, "(?:(?:a?|b?)*)*c", "^(?:a|^)*b", "(|a)+b", "(|a|aa)*?c",
    ]

    private static var texts: [[UInt8]] {
        func filled(_ unit: [UInt8]) -> [UInt8] { (0..<length).map { unit[$0 % unit.count] } }
        return [
            filled([UInt8(ascii: "a")]), filled(Array("ab".utf8)), filled(Array("x".utf8)), filled(Array("a\n".utf8)),
            filled(Array("的é😀".utf8)), filled([0xFF]), filled([0x80]), filled([0xF0, 0x9F]),
            filled([0xE7, 0x9A, 0x61]),
            filled([UInt8(ascii: " ")]), filled([0]), [],
        ]
    }

    /// Steps instead of time. The simulations of the largest texts are cut to 4 KiB, to keep the test short.
    @Test("No pattern takes more steps on any text than it says", arguments: patterns)
    func staysLinear(source: String) throws {
        for engine in Engine.allCases {
            let pattern = try engine.pattern(source)
            for text in Self.texts {
                let text = pattern.hasAutomaton && engine == .standard ? text : Array(text.prefix(4096))
                let steps = pattern.measure(text)
                let most = pattern.worstCaseStepsPerByte * (text.count + 1)
                #expect(steps.isFound <= (pattern.hasAutomaton ? text.count + 1 : most), "\(engine)")
                #expect(steps.countMatches <= most, "\(engine)")
                #expect(steps.firstMatch <= most, "\(engine)")
            }
        }
    }

    @Test("Counting reads a text once, though each match may need a look at the whole rest")
    func countsInOnePass() throws {
        let text = Array(repeating: UInt8(ascii: "a"), count: Self.length)
        for engine in Engine.allCases {
            let pattern = try engine.pattern("a.*b|a")
            #expect(pattern.countMatches(in: text) == Self.length)
            #expect(pattern.countMatches(in: text + [UInt8(ascii: "b")]) == 1)
            #expect(pattern.countMatches(in: [UInt8(ascii: "b")] + text) == Self.length)
        }
    }

    @Test("Without an automaton the largest text is matched too")
    func withoutAutomaton() throws {
        let pattern = try LinearPattern("(a|b)*a(a|b){14}c")
        #expect(!pattern.hasAutomaton)
        let text = (0..<Self.length).map { UInt8(ascii: $0 % 3 == 0 ? "b" : "a") }
        #expect(!pattern.isFound(in: text))
        #expect(pattern.countMatches(in: text + [UInt8(ascii: "c")]) == 1)
        #expect(pattern.firstMatch(in: text + [UInt8(ascii: "c")]) == 0..<(Self.length + 1))
    }

    @Test(
        "Patterns that grow too large are refused",
        arguments: [
            "a{1000}{1000}", "(?:a{1000}){1000}", "(?:(?:a{0,50}){0,50})", "(?:a{32}){32}", "a{1001}",
            "[^a]{1000}[^b]{1000}[^c]{1000}",
            #"\pL{1000}"#, #"(?:[\pL\pN]{10}){100}"#, String(repeating: "a", count: 30_000),
            String(repeating: "a", count: 70_000),
            String(repeating: "(", count: 5000) + String(repeating: ")", count: 5000),
            String(repeating: "(?:a|", count: 3000),
            "a" + String(repeating: "(?i)*", count: 2000), String(repeating: #"[^\pL]"#, count: 5000),
            String(repeating: #"(?i)[^\pL\PL]"#, count: 4000), String(repeating: "[:", count: 32_000),
            "(?:(?:(?:(?:a{9}){9}){9}){9}){9}",
        ]
    )
    func tooLarge(source: String) {
        #expect(throws: PatternError.self) { try LinearPattern(source) }
    }

    @Test("Patterns just within the limits are made, and bounded")
    func large() throws {
        let sources = [
            #"[^a]{1000}"#, #"\pL{50}"#, String(repeating: "a", count: 19_000), "(?:a{0,1000})b",
            String(repeating: "(?:", count: 99) + "a" + String(repeating: ")*", count: 99),
            (0..<2000).map { "word\($0)" }.joined(separator: "|"), "[" + String(repeating: "a-z", count: 20_000) + "]",
            "(?:" + String(repeating: "a|", count: 5000) + "b)*c", "(?:(?:a|b)?){1000}",
        ]
        for source in sources {
            let pattern = try LinearPattern(source)
            let text = Array("aaaa word1999 ".utf8) + Array(repeating: UInt8(ascii: "a"), count: 300)
            let steps = pattern.measure(text)
            let most = pattern.worstCaseStepsPerByte * (text.count + 1)
            #expect(max(steps.isFound, steps.countMatches, steps.firstMatch) <= most)
        }
    }

    @Test("Bytes that are not UTF-8 match nothing and end nothing")
    func invalidUTF8() throws {
        var generator = SeededRandom(seed: 7)
        let patterns = try ["的", ".", "[^a]", "(?s).*", "", #"\B"#, "a*", #"\pL+"#, #"(?m)^.*$"#].flatMap { source in
            try Engine.allCases.map { try $0.pattern(source) }
        }
        for _ in 0..<2000 {
            let bytes: [UInt8] = [
                0x61, 0x0A, 0x80, 0xBF, 0xC0, 0xC3, 0xE7, 0x9A, 0x84, 0xED, 0xA0, 0xF0, 0x9F, 0xF5, 0xFF,
            ]
            let text = (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                bytes.randomElement(using: &generator)!
            }
            for pattern in patterns {
                #expect(pattern.isFound(in: text) == (pattern.firstMatch(in: text) != nil))
                #expect(pattern.countMatches(in: text) == pattern.spans(in: text).count)
                for span in pattern.spans(in: text) {
                    #expect(String(validating: text[span[0]..<span[1]], as: UTF8.self) != nil)
                }
            }
        }
    }
}
