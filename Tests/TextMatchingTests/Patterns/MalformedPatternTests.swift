import TestRandom
import Testing
import TextMatching

@Suite struct MalformedPatternTests {
    @Test(
        "An error says where and what",
        arguments: [
            ("a(b", 1, "`)`"), ("ab)", 2, "closes no group"), ("a[b", 1, "`]`"), ("é*+", 3, "group"),
            ("*a", 0, "nothing"),
            ("a|+", 2, "nothing"), ("a{2,1}", 1, "swap"), ("a{1001}", 1, "1000"),
            ("x{1000}{2}", 7, "repeats a repetition"),
            ("(?:a{50}){50}", 9, "multiply"), (#"a\"#, 1, "backslash"), (#"(a)\1"#, 3, "back-reference"),
            (#"(?P<n>a)\k<n>"#, 8, "back-reference"), ("a(?=b)", 1, "look-around"), ("(?!b)", 0, "look-around"),
            ("(?<=b)", 0, "look-around"), ("(?<!b)", 0, "look-around"), ("(?>a)", 0, "atomic"),
            ("(?#a)", 0, "comments"),
            ("(?P=n)", 0, "back-reference"), ("(?P<n>a)(?P<n>b)", 8, "the name"), ("(?P<>a)", 0, "name"),
            ("(?x)a", 0, "flags"),
            ("(?i-)a", 0, "flags"), ("a(?i", 1, "not closed"), (#"\Z"#, 0, #"\z"#), (#"\u00e9"#, 0, #"\x{"#),
            (#"\y"#, 0, "means nothing"),
            (#"\p{Klingon}"#, 0, "Latin"), (#"\p{Han"#, 0, "missing"), (#"\x{110000}"#, 0, "10FFFF"),
            (#"\xG"#, 0, "scalar"),
            ("[z-a]", 1, "swap"), ("[[:foo:]]", 1, "alnum"), (#"[\y]"#, 1, "means nothing"),
            (#"\8"#, 0, "back-reference"),
            ("a++", 2, "repeats a repetition"), (#"[a-\d]"#, 3, "means nothing"),
        ]
    )
    func explains(source: String, offset: Int, words: String) {
        do {
            _ = try LinearPattern(source)
            Issue.record("\(source) should be refused")
        } catch {
            #expect(error.offset == offset, "\(error)")
            #expect(error.message.contains(words), "\(error)")
            #expect(error.description.hasPrefix("at byte \(offset) of the pattern: "))
        }
    }

    /// 100,000 strings from pieces of the syntax; what is taken is run.
    @Test("Random strings are taken or refused, and never worse", arguments: [11, 12, 13, 14] as [UInt64])
    func survives(seed: UInt64) {
        let pieces =
            "( ) [ ] { } * + ? | ^ $ . \\ - , : = ! < > P i m s U a b 1 9 é 的 (? (?: (?i) "
            + "(?P<n> [^ [: :] [:alpha:] {2} {1,3} "
            + "{0,99} {1000} \\d \\pL \\p{ \\P{^ \\x \\x{ \\x{41} \\Q \\E \\1 \\b \\B \\A \\z *? +? \u{0} \u{10FFFF}"
        let words = pieces.split(separator: " ").map(String.init) + [" ", "\n"]
        var generator = SeededRandom(seed: seed)
        var taken = 0
        var limits = PatternLimits()
        limits.states = 100
        limits.constructionSteps = 2000
        let text = Array("ab1é的 \n91aab".utf8)
        for _ in 0..<25_000 / caseStride {
            let count = Int.random(in: 1...10, using: &generator)
            let source = (0..<count).map { _ in words.randomElement(using: &generator)! }.joined()
            do {
                let pattern = try LinearPattern(source, limits: limits)
                taken += 1
                let isFound = pattern.isFound(in: text)
                #expect(isFound == (pattern.firstMatch(in: text) != nil), "seed \(seed): \(source.debugDescription)")
                #expect(isFound == (pattern.countMatches(in: text) > 0), "seed \(seed): \(source.debugDescription)")
            } catch {
                #expect((0...source.utf8.count).contains(error.offset), "seed \(seed): \(source.debugDescription)")
            }
        }
        print("seed \(seed): \(25_000 / caseStride) random strings, \(taken) taken")
    }
}
