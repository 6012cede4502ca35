import NIOCore
import Testing
import Tokenizers

private func load(_ family: String) throws -> Tokenizer { try Tokenizer(path: Fixture.path("\(family).json")) }

@Suite struct TokenizerTests {
    @Test("Truncation leaves the special tokens in their place and takes from the longer text first")
    func truncation() throws {
        let tokenizer = try load("bert-uncased")
        let text = "a b c d e f g h"
        #expect(tokenizer.tokens(of: tokenizer.encode(text, maxTokens: 5)) == ["[CLS]", "a", "b", "c", "[SEP]"])
        let pair = tokenizer.encode("a b", text, maxTokens: 8)
        #expect(tokenizer.tokens(of: pair) == ["[CLS]", "a", "b", "[SEP]", "a", "b", "c", "[SEP]"])
        #expect(pair.typeIDs == [0, 0, 0, 0, 1, 1, 1, 1])
        #expect(tokenizer.tokens(of: tokenizer.encode(text, maxTokens: 1)) == ["[CLS]", "[SEP]"])
        #expect(tokenizer.encode(text, maxTokens: 3, addsSpecialTokens: false).count == 3)
    }

    @Test("Padding appends special tokens that are masked out")
    func padding() throws {
        let tokenizer = try load("bert-uncased")
        let pad = try #require(tokenizer.id(of: "[PAD]"))
        var encoding = tokenizer.encode("a b")
        encoding.pad(to: 7, with: pad)
        #expect(encoding.ids.suffix(3) == [pad, pad, pad])
        #expect(encoding.attentionMask == [1, 1, 1, 1, 0, 0, 0])
        #expect(encoding.isSpecial == [true, false, false, true, true, true, true])
        #expect(encoding.words == [nil, 0, 1, nil, nil, nil, nil])
        encoding.pad(to: 2, with: pad)
        #expect(encoding.count == 7)
    }

    @Test("Offsets are bytes of the original text")
    func offsets() throws {
        let tokenizer = try load("bert-uncased")
        let text = "É中 ü"
        let encoding = tokenizer.encode(text, addsSpecialTokens: false)
        let bytes = Array(text.utf8)
        let parts = encoding.offsets.map { String(decoding: bytes[$0], as: UTF8.self) }
        #expect(tokenizer.tokens(of: encoding) == ["e", "中", "u"])
        #expect(parts == ["É", "中", "ü"])
    }

    @Test("The share of unknown tokens leaves special ones out")
    func unknownShare() throws {
        let tokenizer = try load("bert-cased")
        #expect(tokenizer.unknownShare(of: tokenizer.encode("a b")) == 0)
        #expect(tokenizer.unknownShare(of: tokenizer.encode("a 𐑐 b 𐑑")) == 0.5)
        #expect(tokenizer.unknownShare(of: tokenizer.encode("")) == 0)
        let bytes = try load("roberta")
        #expect(bytes.unknownID == nil)
        #expect(bytes.unknownShare(of: bytes.encode("𐑐𐑑")) == 0)
    }

    @Test("Tokens and numbers lead to each other", arguments: TokenizerGoldenTests.families)
    func vocabulary(family: String) throws {
        let tokenizer = try load(family)
        var found = 0
        for id in 0..<Int32(tokenizer.vocabularySize) {
            guard let token = tokenizer.token(of: id) else { continue }
            found += 1
            #expect(tokenizer.id(of: token) == id)
        }
        #expect(found >= 300)
        #expect(tokenizer.token(of: Int32(tokenizer.vocabularySize)) == nil)
        #expect(tokenizer.token(of: -1) == nil)
        #expect(tokenizer.id(of: "no such token at all") == nil)
    }

    /// Were anything quadratic, some of these would take minutes.
    @Test("Text that is made to be slow is not", .timeLimit(.minutes(5)), arguments: TokenizerGoldenTests.families)
    func hostile(family: String) throws {
        let tokenizer = try load(family)
        let units = [
            "a", "A", "\u{301}", "\u{301}\u{327}", " ", "\t", "\n", " \n", "\r", "é", "e\u{301}", "中", "字a", "가", "ᄀ",
            "ᅡ", "𐎀",
            "\u{200d}", "👩‍", "🇩", "'", "'s", "1", "1a", "▁", "▁▁a", "<", "[", "|||", "[MASK] ", "<mask>", " <mask>",
            "\u{0}",
            "\u{fdfa}", "ﬁ", "ab", "aA", ".", " .", "\u{a0}", "xyz", "x", "ae", "\u{5b0}\u{5b1}", "\u{94d}", "क्",
        ]
        for unit in units {
            let text = String(repeating: unit, count: 150_000 / unit.utf8.count)
            let encoding = tokenizer.encode(text, maxTokens: 512)
            #expect(encoding.count <= 512)
            #expect(encoding.offsets.allSatisfy { $0.upperBound <= text.utf8.count })
        }
    }

    @Test("A word without end is merged as one of a few characters is", arguments: [40, 47, 48, 49, 50, 200])
    func manySymbols(count: Int) throws {
        let json = """
            {"model":{"type":"BPE","vocab":{"a":0,"b":1,"aa":2,"ab":3,"aaaa":4,"aab":5,"ba":6},\
            "merges":["b a","a a","a b","aa aa","aa b"]}}
            """
        let tokenizer = try Tokenizer(json: ByteBuffer(string: json))
        // The lowest rank is merged first, from left to right.
        let text = String(repeating: "aaaaab", count: count / 6) + String(repeating: "a", count: count % 6)
        let found = tokenizer.tokens(of: tokenizer.encode(text))
        #expect(found == merged(text))
        #expect(found.joined() == text)
    }

    /// Byte-pair encoding as it is defined.
    private func merged(_ text: String) -> [String] {
        var parts = text.map(String.init)
        let merges = [("b", "a"), ("a", "a"), ("a", "b"), ("aa", "aa"), ("aa", "b")]
        while let merge = merges.first(where: { pair in zip(parts, parts.dropFirst()).contains { $0 == pair } }) {
            for index in parts.indices.dropLast() where (parts[index], parts[index + 1]) == merge {
                parts[index] += parts.remove(at: index + 1)
                break
            }
        }
        return parts
    }

    @Test("Several threads use one tokenizer at a time")
    func threads() async throws {
        let tokenizer = try load("xlm-roberta")
        let expected = Corpus.standard.texts.map { tokenizer.encode($0) }
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask { Corpus.standard.texts.map { tokenizer.encode($0) } == expected }
            }
            for await isEqual in group { #expect(isEqual) }
        }
    }
}
