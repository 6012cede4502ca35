import Foundation
import TestRandom
import Testing
import TextMatching

@Suite struct BM25IndexTests {
    private func matches(_ keywords: [String], _ text: String, threshold: Float = 0.1) -> [Int] {
        let index = BM25Index(keywords)
        return withBytes(text) { index.matches(in: $0, threshold: threshold) }
    }

    @Test(
        "A keyword matches a text that has one of its words in any form",
        arguments: [
            ("machine learning", "the machines learned a lot", true),
            ("machine learning", "a machine", true),
            ("machine learning", "nothing of the sort", false),
            ("running", "he runs", true), ("connection", "connecting people", true),
            // Stop words count on neither side, even with a stem that a keyword has.
            ("the", "the", false), ("about this", "about this", false), ("doe", "does", false), ("doe", "doe", true),
            ("don't", "don't", false), ("don’t panic", "PANIC", true),
            // Word boundaries.
            ("node.js", "with node.js,", true), ("node.js", "node", false), ("3.14", "is 3.14 or", true),
            ("3.14", "3 14", false), ("1,000", "1,000", true), ("a,b", "xb", false), ("foo", "_foo", false),
            ("foo_bar", "call foo_bar()", true), ("c++", "c", true), ("tcp:port", "tcp:port", true),
            ("v2", "v2", true), ("x.5", "x", true), ("o'clock", "six o’clock", true),
            // Accents and widths fold.
            ("café", "cafe", true), ("cafe", "cafe\u{301}", true), ("straße", "strasse", true), ("ÆGIR", "aegir", true),
            ("Łódź", "lodz", true), ("việt", "viet", true), ("naïve", "naive", true), ("ａｐｉ", "api", true),
            ("smörgåsbord", "smorgasbord", true), ("œuvre", "oeuvre", true),
            // Other alphabets stay whole words.
            ("договор", "этот договор есть", true), ("договор", "договоры", false), ("हिन्दी", "यह हिन्दी है", true),
            // CJK: pairs, or a character that stands alone.
            ("机器学习", "我想学机器学习的课程", true), ("机器学习", "机会难得", false), ("机器学习", "飞机", false),
            ("机器学习", "我喜欢学习", true), ("税", "个人所得税怎么算", true), ("税", "帮助", false),
            ("결제", "카드로 결제했어요", true), ("データ", "このデータベース", true), ("データ", "デスク", false),
            ("ai 技术", "关于ai的问题", true), ("信用卡", "信用，卡", true), ("用卡", "信用，卡", false),
            ("", "text", false), ("word", "", false), ("?!", "?!", false), ("😀", "😀", false),
        ]
    )
    func words(keyword: String, text: String, isFound: Bool) {
        #expect(matches([keyword], text) == (isFound ? [0] : []), "\(keyword) in \(text)")
    }

    @Test("Scores rank keywords; equal ones keep their order; the threshold includes")
    func order() {
        let keywords = ["payment", "refund policy", "refund", "refund", "shipping cost refund"]
        #expect(matches(keywords, "refund refund policy") == [1, 2, 3, 4])
        let index = BM25Index(keywords)
        withBytes("a refund, please") { text in
            let scores = index.scores(in: text)
            #expect(scores[0] == 0)
            #expect(scores[2] == scores[3] && scores[2] > scores[4])
            #expect(index.score(of: 2, in: text) == scores[2])
            #expect(index.matches(in: text, threshold: scores[2]) == [2, 3])
            #expect(index.matches(in: text, threshold: scores[2].nextUp) == [])
            // Without a shared word there is no match, whatever the threshold.
            #expect(index.matches(in: text, threshold: -1) == [2, 3, 1, 4])
        }
    }

    @Test("One keyword of one word scores ln(4/3), and twice that when it occurs twice")
    func knownScore() {
        let index = BM25Index(["urgent"])
        // N = n = 1: idf = ln(1 + 0.5 / 1.5); tf = 1 and length = average: weight 2.2 / 2.2.
        let once = withBytes("urgent") { index.score(of: 0, in: $0) }
        #expect(abs(once - 0.287682) < 1e-6)
        #expect(withBytes("urgently urgent") { index.score(of: 0, in: $0) } == 2 * once)
        #expect(withBytes("urgent urgent") { index.score(of: 0, in: $0) } == 2 * once)
    }

    @Test(
        "Rules of several keywords find, rank and score what the formula gives",
        arguments: [
            (
                ["urgent", "immediate", "asap", "emergency"], "this is an urgent matter that needs attention", [0],
                [1.203973]
            ),
            (["urgent", "immediate", "asap", "emergency"], "the weather is nice today", [], []),
            (["urgent", "immediate", "asap", "emergency"], "urgent urgent asap", [0, 2], [2.407946, 1.203973]),
            (["code", "debug"], "i need to debug this code", [0, 1], [0.693147, 0.693147]),
            (["code", "debug"], "i need help with my code", [0], [0.693147]),
            (["buy now", "free money"], "what is the weather like today", [], []),
            (["buy now", "free money"], "buy now and get free money today", [1, 0], [1.219939, 0.802591]),
            (["code", "function", "debug", "implement"], "debugging functions", [1, 2], [1.203973, 1.203973]),
            (["credit card", "card"], "my card", [1, 0], [0.211109, 0.160443]),
            (["observability"], "observability matters", [0], [0.287682]),
            (["now", "urgent"], "do it now", [], []),
        ] as [([String], String, [Int], [Float])]
    )
    func rules(keywords: [String], text: String, expected: [Int], scores: [Float]) {
        #expect(matches(keywords, text) == expected)
        let index = BM25Index(keywords)
        for (keyword, score) in zip(expected, scores) {
            #expect(abs(withBytes(text) { index.score(of: keyword, in: $0) } - score) < 1e-5)
        }
    }

    /// The formula in double precision, word by word.
    private func textbook(_ keywords: [[String]], _ text: [String]) -> [Double] {
        let average = Double(keywords.map(\.count).reduce(0, +)) / Double(keywords.count)
        return keywords.map { keyword in
            text.reduce(0.0) { sum, word in
                let frequency = Double(keyword.filter { $0 == word }.count)
                guard frequency > 0 else { return sum }
                let containing = Double(keywords.filter { $0.contains(word) }.count)
                let idf = log(1 + (Double(keywords.count) - containing + 0.5) / (containing + 0.5))
                let norm = 1.2 * (1 - 0.75 + 0.75 * Double(keyword.count) / average)
                return sum + idf * frequency * 2.2 / (frequency + norm)
            }
        }
    }

    @Test("Scores agree with the textbook formula, in order and within single precision")
    func differential() {
        // Words that are their own stems, and not in the list of stop words.
        let vocabulary = ["cat", "dog", "tree", "xyz", "blue", "v2", "机器", "moon"]
        for seed in UInt64(0)..<2000 {
            var generator = SeededRandom(seed: seed)
            func words(_ lengths: ClosedRange<Int>) -> [String] {
                (0..<Int.random(in: lengths, using: &generator)).map { _ in
                    vocabulary[Int.random(in: 0..<vocabulary.count, using: &generator)]
                }
            }
            let keywords = (0..<Int.random(in: 1...12, using: &generator)).map { _ in words(1...5) }
            let text = words(0...30)
            let index = BM25Index(keywords.map { $0.joined(separator: " ") })
            let scores = withBytes(text.joined(separator: ", ")) { index.scores(in: $0) }
            for (score, expected) in zip(scores, textbook(keywords, text)) {
                guard abs(Double(score) - expected) <= 1e-5 * max(1, expected) else {
                    Issue.record("seed \(seed): \(score), not \(expected)")
                    return
                }
            }
        }
    }

    @Test("Texts of 64 KiB of one letter, one word or one character are scored")
    func longTexts() {
        let keywords = ["a", "aaaa", "word", "机机"]
        #expect(matches(keywords, String(repeating: "b", count: 1 << 16)) == [])
        #expect(matches(keywords, String(repeating: "word ", count: 13_107)) == [2])
        #expect(matches(keywords, String(repeating: "机", count: 21_845)) == [3])
        #expect(matches(keywords, String(repeating: "'", count: 1 << 16)) == [])
        // Words are cut after 255 bytes.
        let long = String(repeating: "b", count: 300)
        #expect(matches([long], long + "bbb") == [0])
    }

    @Test("Ill-formed bytes separate words")
    func illFormed() {
        let index = BM25Index(["refund"])
        #expect(
            withBytes([0xFF, 0xC3] + Array("refund".utf8) + [0xE6, 0x9C]) { index.matches(in: $0, threshold: 0.1) } == [
                0
            ]
        )
        #expect(BM25Index([]).matches(in: UnsafeRawBufferPointer(start: nil, count: 0), threshold: 0.1) == [])
    }
}
