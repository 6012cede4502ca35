import NIOCore
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

    @Test(
        "An expression matches what the engines that it is written for match",
        arguments: [
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
    )
    func expressions(expression: String, text: String, result: String) throws {
        let escaped = expression.replacingBackslashes()
        let tokenizer = try tokenizer(#"{"type":"Replace","pattern":{"Regex":"\#(escaped)"},"content":"-"}"#)
        #expect(tokenizer.normalized(text) == result)
    }
}

extension String {
    fileprivate func replacingBackslashes() -> String {
        split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
    }
}
