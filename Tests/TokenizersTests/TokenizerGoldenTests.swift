import Testing
import Tokenizers

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What tokenizers 0.23.3 finds, recorded by `scripts/tokenizers/make-tokenizer-fixtures`: numbers, offsets, types, words and
/// what is special, for the texts of the corpus and thousands that are put together at random.
///
/// `make-tokenizer-fixtures show FILE TEXT` and `… random FILE NUMBER` print what the reference finds where a test fails.
@Suite("Tokens are the reference's")
struct TokenizerGoldenTests {
    static let families = [
        "bert-uncased", "bert-cased", "roberta", "gpt2-prefixed", "modernbert", "llama3", "xlm-roberta", "t5", "gemma",
        "llama2", "fallback", "mixed", "words",
    ]

    @Test("on every text of the corpus, alone and in pairs", arguments: families)
    func corpus(family: String) throws {
        try compareCorpus(Fixture.path("\(family).json"), Golden(Fixture.path("\(family).golden")))
    }

    @Test("on random texts", arguments: families)
    func random(family: String) throws {
        try compareRandom(Fixture.path("\(family).json"), Golden(Fixture.path("\(family).golden")))
    }

    @Test("on texts that are cut wherever they may be", arguments: families)
    func cut(family: String) throws {
        let (path, golden) = (Fixture.path("\(family).json"), try Golden(Fixture.path("\(family).golden")))
        try compareCorpus(path, golden, chunkBytes: 1)
        try compareRandom(path, golden, chunkBytes: 1)
    }

    /// `SEXTANT_TOKENIZER_FILES` names real files, with a colon between them, for which `record FILE…` has been run.
    @Test("on files that the environment names", .enabled(if: !namedFiles.isEmpty), arguments: namedFiles)
    func named(path: String) throws {
        let golden = try Golden(path.replacingSuffix(".json", by: ".golden"))
        for chunkBytes in [4096, 1] {
            try compareCorpus(path, golden, chunkBytes: chunkBytes)
            try compareRandom(path, golden, chunkBytes: chunkBytes)
        }
    }

    static let namedFiles: [String] =
        getenv("SEXTANT_TOKENIZER_FILES").map { String(cString: $0).split(separator: ":").map(String.init) } ?? []

    private func compareCorpus(_ path: String, _ golden: Golden, chunkBytes: Int = 4096) throws {
        var tokenizer = try Tokenizer(path: path)
        tokenizer.chunkBytes = chunkBytes
        let texts = Corpus.standard.texts
        try #require(golden.texts.count == texts.count)
        for (index, text) in texts.enumerated() {
            let single = Columns(tokenizer.encode(text))
            let second = texts[(index + 1) % texts.count]
            let pair = Columns(tokenizer.encode(text, second, maxTokens: 24))
            let plain = Columns(tokenizer.encode(text, second, maxTokens: 23, addsSpecialTokens: false))
            let found = [single.count] + single.all.map(fnv) + [pair, plain].map { fnv($0.all.flatMap { $0 }) }
            #expect(
                found.map { $0 & 0xFFFF_FFFF } == golden.texts[index],
                "text \(index): count, ids, offsets, types, words, special, pairs of \(text.debugDescription): \(single)"
            )
        }
    }

    private func compareRandom(_ path: String, _ golden: Golden, chunkBytes: Int = 4096) throws {
        var tokenizer = try Tokenizer(path: path)
        tokenizer.chunkBytes = chunkBytes
        try #require(golden.random.count >= 2000)
        var wrong: [Int] = []
        for number in golden.random.indices {
            let text = Corpus.standard.randomText(UInt64(number))
            let found = fnv(Columns(tokenizer.encode(text)).all.flatMap { $0 })
            if UInt16(truncatingIfNeeded: found) != golden.random[number] { wrong.append(number) }
        }
        #expect(wrong.isEmpty, "\(wrong.count) of \(golden.random.count)")
    }
}

/// A recorded file.
private struct Golden {
    /// For each text of the corpus: how many tokens, and a hash of each column.
    var texts: [[UInt64]] = []
    var random: [UInt16] = []

    init(_ path: String) throws {
        let lines = try String(decoding: Fixture.bytes(path), as: UTF8.self).split(separator: "\n")
        let start = try #require(lines.firstIndex { $0.hasPrefix("random ") })
        for line in lines[1..<start] {
            let fields = line.split(separator: " ")
            texts.append(
                try fields.enumerated().map { try #require(UInt64($1, radix: $0 == 0 ? 10 : 16)) }
            )
        }
        let digits = Array(lines[(start + 1)...].joined())
        for at in stride(from: 0, to: digits.count, by: 4) {
            random.append(try #require(UInt16(String(digits[at..<(at + 4)]), radix: 16)))
        }
        try #require(random.count == Int(lines[start].dropFirst("random ".count)))
    }
}

/// What is compared of an encoding, as numbers.
private struct Columns: CustomStringConvertible {
    let encoding: Encoding
    let all: [[Int32]]

    init(_ encoding: Encoding) {
        self.encoding = encoding
        all = [
            encoding.ids, encoding.offsets.flatMap { [Int32($0.lowerBound), Int32($0.upperBound)] }, encoding.typeIDs,
            encoding.words.map { $0 ?? -1 }, encoding.isSpecial.map { $0 ? 1 : 0 },
        ]
    }

    var count: UInt64 { UInt64(encoding.count) }

    var description: String { "\(encoding.ids) \(encoding.offsets) \(encoding.words.map { $0 ?? -1 })" }
}

/// FNV-1a over the numbers' four bytes, low byte first.
func fnv(_ numbers: [Int32]) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for number in numbers {
        for shift in stride(from: 0, to: 32, by: 8) {
            hash = (hash ^ UInt64(UInt8(truncatingIfNeeded: number >> Int32(shift)))) &* 0x100_0000_01B3
        }
    }
    return hash
}

extension String {
    fileprivate func replacingSuffix(_ suffix: String, by other: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) + other : self + other
    }
}
