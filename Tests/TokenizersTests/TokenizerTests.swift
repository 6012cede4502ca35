import NIOCore
import Testing
import Tokenizers

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

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
        // Two of four tokens, eight of ten bytes.
        #expect(tokenizer.unknownShare(of: tokenizer.encode("a 𐑐 b 𐑑")) == 0.8)
        #expect(tokenizer.unknownShare(of: tokenizer.encode("")) == 0)
        // A token may stand for a long word, or for many.
        let word = String(repeating: "x", count: 5_000)
        #expect(tokenizer.unknownShare(of: tokenizer.encode("a b c d e f g \(word)")) > 0.99)
        let unigrams = try load("xlm-roberta")
        let run = String(repeating: "𐑐", count: 500)
        #expect(unigrams.unknownShare(of: unigrams.encode("what is the answer to this \(run)")) > 0.9)
        let words = try load("words")
        // One of two tokens, two of fourteen bytes.
        #expect(words.unknownShare(of: words.encode("conversation zz")) == 0.5)
        // One character of three bytes becomes eighteen, all of which stand for the whole of it.
        let padding = String(repeating: "\u{FDFA}", count: 20)
        let padded = unigrams.encode("\(padding) \(String(repeating: "𐑐", count: 15))", addsSpecialTokens: false)
        #expect(padded.offsets.filter { $0 == 0..<3 }.count > 2)
        #expect(unigrams.unknownShare(of: padded) == 0.5)
        // The mark of a word's beginning stands for its first character too; what is unknown is so all the same.
        #expect(unigrams.unknownShare(of: unigrams.encode("𐑐 𐑐")) == 1)
        // Each text of a pair has its own bytes.
        let pair = unigrams.encode("the 𐑐", "𐑐", addsSpecialTokens: false)
        #expect(unigrams.unknownShare(of: pair) == 8.0 / 11)
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

    @Test("A pair's types are the template's without special tokens too")
    func plainPair() throws {
        #expect(try load("xlm-roberta").encode("a", "b", addsSpecialTokens: false).typeIDs.allSatisfy { $0 == 0 })
        #expect(try load("bert-cased").encode("a", "b", addsSpecialTokens: false).typeIDs == [0, 1])
    }

    /// Of each number of bytes by itself: nothing in it is worth more than one token of many.
    static let hostileUnits = [
        "a", "A", "\u{301}", "\u{301}\u{327}", " ", "\t", "\n", " \n", "\r", "é", "e\u{301}", "中", "字a", "가", "ᄀ", "ᅡ",
        "𐎀", "\u{200d}", "👩‍", "🇩", "'", "'s", "1", "1a", "▁", "▁▁a", "<", "[", "|||", "[MASK] ", "<mask>", " <mask>",
        "\u{0}", "\u{fdfa}", "ﬁ", "ab", "aA", ".", " .", "\u{a0}", "xyz", "x", "ae", "\u{5b0}\u{5b1}", "\u{94d}", "क्",
        "a ",
    ]

    /// 8 is linear, 64 is quadratic.
    @Test("Eight times the text takes about eight times the work", arguments: TokenizerGoldenTests.families)
    func hostile(family: String) throws {
        let tokenizer = try load(family)
        for unit in Self.hostileUnits {
            let texts = [4_096, 32_768].map { String(repeating: unit, count: $0 / unit.utf8.count) }
            let ratio = WorkRatio.measure(
                below: 24,
                { _ = tokenizer.encode(texts[0]) },
                { _ = tokenizer.encode(texts[1]) }
            )
            try #require(ratio < 24, "\(unit.debugDescription)")
        }
    }

    @Test("Tokens that are not asked for cost nothing", arguments: TokenizerGoldenTests.families)
    func unaskedTokens(family: String) throws {
        let tokenizer = try load(family)
        let texts = [256, 2_048].map {
            String(repeating: "The quick brown fox jumps over it. ", count: $0 * 1_024 / 35)
        }
        let ratio = WorkRatio.measure(
            below: 3,
            { _ = tokenizer.encode(texts[0], maxTokens: 64) },
            { _ = tokenizer.encode(texts[1], maxTokens: 64) }
        )
        #expect(ratio < 3)
        // An odd room and an even one, whatever the special tokens take.
        for maxTokens in [64, 65] {
            let ratio = WorkRatio.measure(
                below: 4,
                { _ = tokenizer.encode(texts[0], texts[0], maxTokens: maxTokens) },
                { _ = tokenizer.encode(texts[1], texts[1], maxTokens: maxTokens) }
            )
            #expect(ratio < 4)
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

/// Compares what two pieces of work take of the processor: times would say nothing of themselves, and hardly more of each
/// other when they are taken once.
enum WorkRatio {
    /// How many times as long the second takes as the first, of the shortest of several runs each; more runs as long as the
    /// ratio is not below `bound`.
    static func measure(below bound: Double, _ first: () -> Void, _ second: () -> Void) -> Double {
        var (shortest, longest) = (Double.infinity, Double.infinity)
        for round in 0..<8 {
            shortest = min(shortest, seconds(first))
            longest = min(longest, seconds(second))
            if round >= 1, longest / shortest < bound { break }
        }
        return longest / shortest
    }

    private static func seconds(_ work: () -> Void) -> Double {
        let start = processorTime()
        work()
        return processorTime() - start
    }

    /// Of this thread.
    private static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
