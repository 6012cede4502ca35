import NIOCore
import TestRandom
import Testing
import Tokenizers

@Suite struct NormalizerTests {
    static let names = ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "BertNormalizer"]

    private func tokenizer(_ normalizer: String) throws -> Tokenizer {
        try Tokenizer(
            json: ByteBuffer(
                string: """
                    {"normalizer":\(normalizer),"model":{"type":"WordLevel","vocab":{"?":0},"unk_token":"?"}}
                    """
            )
        )
    }

    /// Recorded by `scripts/tokenizers/make-tokenizer-fixtures record`: each scalar is followed by two marks that change
    /// places, so that composition and order are seen too.
    @Test("All scalars become what the reference makes of them", arguments: names)
    func allScalars(name: String) throws {
        let recorded = try Fixture.text("normalizers.golden").split(separator: "\n").map { $0.split(separator: " ") }
        let hashes = try #require(recorded.first { $0[0] == name }).dropFirst().map(String.init)
        let members =
            name == "BertNormalizer"
            ? #","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true"# : ""
        let tokenizer = try tokenizer(#"{"type":"\#(name)"\#(members)}"#)
        let starts = Array(stride(from: UInt32(0), to: 0x30000, by: 0x1000)) + [0xE0000, 0x10F000]
        try #require(hashes.count == starts.count)
        for (start, hash) in zip(starts, hashes) {
            var text = String.UnicodeScalarView()
            for scalar in (start..<start + 0x1000).compactMap(Unicode.Scalar.init) {
                text.append(contentsOf: [scalar, "\u{301}", "\u{323}"])
            }
            let found = tokenizer.normalized(String(text)).unicodeScalars.map { Int32($0.value) }
            #expect(UInt64(hash, radix: 16) == fnv(found) & 0xFFFF_FFFF, "block \(String(start, radix: 16))")
        }
    }

    /// Recorded in the same way; each match is replaced by a dash.
    @Test(
        "A class holds the scalars that the reference's holds",
        arguments: [#"\w"#, #"\W"#, #"[\w\n]"#, #"[^\w\n]"#, #"[\W\n]"#, #"\s"#, #"\d"#, #"\p{L}"#]
    )
    func classes(expression: String) throws {
        let recorded = try Fixture.text("normalizers.golden").split(separator: "\n").map { $0.split(separator: " ") }
        let hashes = try #require(recorded.first { $0[0] == expression }).dropFirst().map(String.init)
        let tokenizer = try replacing(expression)
        let starts = Array(stride(from: UInt32(0), to: 0x30000, by: 0x1000)) + [0xE0000, 0x10F000]
        try #require(hashes.count == starts.count)
        for (start, hash) in zip(starts, hashes) {
            var text = String.UnicodeScalarView()
            text.append(contentsOf: (start..<start + 0x1000).compactMap(Unicode.Scalar.init))
            let found = tokenizer.normalized(String(text)).unicodeScalars.map { Int32($0.value) }
            #expect(UInt64(hash, radix: 16) == fnv(found) & 0xFFFF_FFFF, "block \(String(start, radix: 16))")
        }
    }

    /// An expression, a text, and the text with each match replaced by a dash; recorded from tokenizers 0.23.3.
    static let samples: [(String, String, String)] = [
        (#"a+"#, "baaab", "b-b"), (#"a?b"#, "abbaab", "--a-"), (#"a{2}"#, "aaaaa", "--a"),
        (#"a{2,}"#, "aaaaa", "-"),
        (#"a{1,2}b"#, "aaabab", "a--"), (#"(?:ab|a)c"#, "abcac", "--"), (#"a|ab"#, "ab", "-b"),
        (#"(?i:K)k"#, "kkKkKk\u{212A}k", "----"),
        (#"\s+(?!\S)"#, "a   b  ", "a- b-"), (#"x(?=[0-9])"#, "x1xx2", "-1x-2"), (#"[^\s\p{L}]+"#, "a1! b", "a- b"),
        (#"\p{Lu}\p{Ll}*"#, "aBcDEf", "a---"), (#"[a-c\d]"#, "ad1e", "-d-e"), (#"[]-]"#, "]-x", "--x"),
        (#"\."#, "a.b", "a-b"),
        (#"[\S]"#, " a", " -"), (#"(?:ab){2,3}"#, "abababab", "-ab"), (#"(?:a|b)?c"#, "acbccd", "---d"),
        (#"."#, "a\n", "-\n"),
    ]

    @Test("An expression matches what the engines that it is written for match", arguments: samples)
    func expressions(expression: String, text: String, result: String) throws {
        #expect(try replacing(expression).normalized(text) == result)
    }

    private func replacing(_ expression: String) throws -> Tokenizer {
        let escaped = expression.replacingBackslashes()
        return try tokenizer(#"{"type":"Replace","pattern":{"Regex":"\#(escaped)"},"content":"-"}"#)
    }

    @Test("An expression that would take for ever matches the same as one that does not", arguments: samples)
    func endless(expression: String, text: String, result: String) throws {
        let text = Self.endlessText + text
        let plain = try replacing(expression).normalized(text)
        #expect(try replacing("\(Self.endlessExpression)|(?:\(expression))").normalized(text) == plain)
    }

    @Test("An expression put together at random matches the same when it would take for ever")
    func randomExpressions() throws {
        var random = SeededRandom.fromEnvironment()
        func item(_ depth: Int) -> String {
            let kinds = ["a", "b", "[ab]", "[^a]", ".", "c", "(?!b)", "(?=[ab])"]
            let kind = random.pick(depth == 0 ? kinds : kinds + ["(", "("])
            if kind.count > 4 { return kind }
            guard kind == "(" else { return kind + random.pick(["", "", "*", "+", "?", "{2}", "{1,3}", "{2,}"]) }
            let parts = (0...random.below(3)).map { _ in sequence(depth - 1) }
            return "(?:\(parts.joined(separator: "|")))" + random.pick(["", "?", "{2}", "{0,3}"])
        }
        func sequence(_ depth: Int) -> String { (0...random.below(3)).map { _ in item(depth) }.joined() }
        var compared = 0
        for _ in 0..<400 {
            let expression = sequence(2)
            let letters = (0..<30).map { _ in random.pick(["a", "b", "c", "é", "\n"]) }
            let text = Self.endlessText + letters.joined()
            guard let plain = try replacingUnlessEmpty(expression)?.normalized(text) else { continue }
            compared += 1
            #expect(try replacing("\(Self.endlessExpression)|\(expression)").normalized(text) == plain, "\(expression)")
        }
        #expect(compared > 100)
    }

    private func replacingUnlessEmpty(_ expression: String) throws -> Tokenizer? {
        do {
            return try replacing(expression)
        } catch let error as TokenizerError where error.description.contains("may match nothing") {
            return nil
        }
    }

    /// Three ways for each of forty letters, and then what does not come: no engine that goes back tries them all.
    private static let endlessExpression = "(?:(?:[α-ω]|[α-ω]|[α-ω]){1,16}){1,4}!!"
    private static let endlessText = String(repeating: "αβγδ", count: 10)
}

extension String {
    fileprivate func replacingBackslashes() -> String {
        split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
    }
}
