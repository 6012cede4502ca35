import SimWorker
import TestRandom
import Testing

@Suite struct SimTokenizerTests {
    @Test(
        "Text survives the way there and back",
        arguments: [
            "", " ", "a", "the quick brown fox", "  two  spaces\n\ttabs ", "{\"a\": [1, 2.5e3]}", "naïve café", "漢字かな",
            "👩‍👩‍👧 family", "a👍b", "\u{1}\u{7F}", "<|user|>Hi!<|assistant|>",
        ]
    )
    func roundTrip(text: String) {
        let tokens = SimTokenizer.encode(text)
        #expect(SimTokenizer.decode(tokens) == text)
        #expect(SimTokenizer.pieces(tokens).joined() == text)
        #expect(SimTokenizer.pieces(tokens).count == tokens.count)
        #expect(tokens.allSatisfy { $0 < SimTokenizer.vocabularySize })
    }

    @Test("Random scalars survive too")
    func randomText() {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<2_000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<20, using: &random) {
                let limit: UInt32 = [0x80, 0x800, 0xFFFF, 0x10FFFF].randomElement(using: &random) ?? 0x80
                if let scalar = Unicode.Scalar(UInt32.random(in: 0...limit, using: &random)) {
                    text.unicodeScalars.append(scalar)
                }
            }
            let tokens = SimTokenizer.encode(text)
            #expect(Array(SimTokenizer.decode(tokens).utf8) == Array(text.utf8))
            #expect(Array(SimTokenizer.pieces(tokens).joined().utf8) == Array(text.utf8))
        }
    }

    @Test("A word with the space before it is one token up to four bytes, and a longer word is several")
    func granularity() {
        #expect(SimTokenizer.encode("the cat sat").count == 3)
        #expect(SimTokenizer.encode("international").count == 4)
        #expect(SimTokenizer.encode("a, b.").count == 4)
    }

    @Test("What precedes a message does not change its tokens")
    func prefixStability() {
        let head = SimTokenizer.encode("<|user|>Hello there<|assistant|>")
        let tail = SimTokenizer.encode("the answer\n")
        #expect(SimTokenizer.encode("<|user|>Hello there<|assistant|>the answer\n") == head + tail)
    }

    @Test("Different pieces have different ids")
    func injective() {
        var seen: [UInt32: String] = [:]
        for text in ["a", " a", "aa", "a\u{0}", "\u{0}", "\u{0}\u{0}", "é", "漢", "abc", " abc", "ab", "c"] {
            for token in SimTokenizer.encode(text) {
                let piece = SimTokenizer.decode([token])
                #expect(seen[token, default: piece] == piece)
                seen[token] = piece
            }
        }
        #expect(Set(seen.values).count == seen.count)
    }

    @Test("Ids that no text gives decode to nothing")
    func unknownIDs() {
        #expect(SimTokenizer.decode([SimTokenizer.vocabularySize, .max]) == "")
    }
}
