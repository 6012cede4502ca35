import TestRandom
import Testing
import TextMatching

@Suite struct KeywordAutomatonTests {
    private func find(_ keywords: [String], in text: String) -> [Int] {
        let automaton = KeywordAutomaton(keywords)
        var found = KeywordSet(capacity: keywords.count)
        withBytes(text) { automaton.find(in: $0, into: &found) }
        return found.indices
    }

    @Test(
        "A keyword counts where no letter or digit outside CJK touches it",
        arguments: [
            ("urgent", "urgent", true), ("urgent", "this is urgent", true), ("urgent", "urgent!", true),
            ("urgent", "insurgent", false), ("urgent", "urgently", false), ("urgent", "urgent2", false),
            ("urgent", "not_urgent_at", true), ("urgent", "non-urgent-ish", true), ("urgent", "🔥urgent🔥", true),
            ("urgent", "éurgent", false), ("urgent", "urgenté", false), ("urgent", "urgentя", false),
            // A combining accent is a mark, no letter.
            ("cafe", "cafe\u{301}", true), ("café", "le café.", true),
            // Full-width letters and digits are letters and digits; Arabic-Indic digits too; ² and Ⅷ are no decimal digits.
            ("urgent", "ａurgent", false), ("urgent", "urgent９", false), ("urgent", "urgent٣", false),
            ("urgent", "urgent²", true), ("urgent", "urgentⅧ", true),
            ("urgent", "urgent，", true), ("urgent", "请urgent处理", true), ("urgent", "긴급urgent입니다", true),
            ("api", "サーバーapi", true), ("api", "apiー", true),
            ("c++", "use c++ now", true), ("c++", "c++,", true), ("c++", "c++x", false), ("c++", "objc++", false),
            ("c++", "c++", true), ("c++", "c+++", true),
            ("node.js", "node.js", true), ("node.js", "nodexjs", false), ("node.js", "use node.js.", true),
            ("node.js", "node.jsx", false),
            ("credit card", "my credit card is", true), ("credit card", "credit  card", false),
            ("credit card", "credit-card", false), ("credit card", "credit cards", false),
            // The first hit is rejected, a later one is not.
            ("aa", "aaa aa", true), ("aa", "aaa", false), ("a a", "ba a a", true),
            // With CJK anywhere.
            ("机器学习", "我喜欢机器学习技术", true), ("机器学习", "机器 学习", false), ("ai技术", "openai技术x", true),
            ("カード", "クレジットカード払い", true), ("결제", "결제를", true), ("긴급", "x긴급y", true),
            ("", "", true), ("", "anything", true), ("x", "", false),
        ]
    )
    func boundary(keyword: String, text: String, isFound: Bool) {
        #expect(find([keyword], in: text) == (isFound ? [0] : []), "\(keyword) in \(text)")
    }

    @Test(
        "Keywords in lower case match as vLLM Semantic Router's tests expect of literals",
        arguments: [
            ("python", "i like python code", true), ("python", "python3", false), ("cat", "concatenate", false),
            ("数学", "我喜欢数学", true), ("数学", "我喜欢数学课", true), ("c++", "explain c++ move semantics", true),
            ("c++", "c++builder", false), ("c++", "c++builder then c++", true), ("c++", "解释c++语言", true),
            ("c#", "convert this c# code", true), ("c#", "c#script", false), (".net", "is .net 8 faster?", true),
            (".net", "asp.net", false), (".net", ".netcore", false), (".net", "asp.net then .net", true),
            ("answer:", "answer: 42", true), ("answer:", "answer:42", false), ("a)", "a)text", false),
            ("a)", "a) answer", true), ("привет", "скажи привет!", true), ("привет", "приветствие", false),
            ("café", "a café nearby", true), ("café", "caféteria", false), ("안녕하세요", "안녕하세요 여러분", true),
            ("こんにちは", "こんにちは 世界", true), (",,", "a,,, ", true),
        ]
    )
    func literals(keyword: String, text: String, isFound: Bool) {
        #expect(find([keyword], in: text) == (isFound ? [0] : []), "\(keyword) in \(text)")
    }

    @Test(
        "Rules of several keywords find what vLLM Semantic Router's tests expect",
        arguments: [
            (["c++", ".net"], "c++ and .net", [0, 1]), (["c++", ".net"], "c++builder and .net", [1]),
            (["c++", ".net"], "c++builder and asp.net", []), (["c", "c++"], "c++", [0, 1]),
            (["ssn", "credit card"], "my credit card and ssn were compromised", [0, 1]),
            (["ssn", "credit card"], "my ssn was stolen", [0]),
            (["urgent", "immediate", "asap", "emergency"], "this is urgent", [0]),
            (["buy now", "free money"], "get free money with this amazing offer", [1]),
            (["buy now", "free money"], "i need help with my account", []),
        ]
    )
    func rules(keywords: [String], text: String, expected: [Int]) {
        #expect(find(keywords, in: text) == expected)
    }

    @Test("Keywords inside one another, duplicates and suffixes each get their bit")
    func overlaps() {
        let keywords = ["he", "she", "hers", "his", "she", "", "sh e", "e"]
        #expect(find(keywords, in: "she hers his") == [1, 2, 3, 4, 5])
        #expect(find(keywords, in: "sh e") == [5, 6, 7])
        #expect(find(["学习", "机器学习", "器学", "习"], in: "机器学习") == [0, 1, 2, 3])
    }

    @Test("Ill-formed bytes beside a keyword are no letters, and nothing is read outside the text")
    func illFormed() {
        let automaton = KeywordAutomaton(["ab"])
        let neighbours: [[UInt8]] = [
            [0x80], [0xFF], [0xC3], [0xE6, 0x9C], [0xF0, 0x9F, 0x94], [0xED, 0xA0, 0x80], [0xC0, 0xAF],
            [0x80, 0x80, 0x80, 0x80, 0x80],
        ]
        for bytes in neighbours {
            var found = KeywordSet()
            withBytes(bytes + Array("ab".utf8) + bytes) { automaton.find(in: $0, into: &found) }
            #expect(found.contains(0), "\(bytes)")
        }
        // é is whole on the one side or the other.
        for bytes in [[0xC3, 0xA9, 0x61, 0x62], [0x61, 0x62, 0xC3, 0xA9]] as [[UInt8]] {
            var found = KeywordSet()
            withBytes(bytes) { automaton.find(in: $0, into: &found) }
            #expect(found.isEmpty, "\(bytes)")
        }
        var none = KeywordSet()
        automaton.find(in: UnsafeRawBufferPointer(start: nil, count: 0), into: &none)
        #expect(none.isEmpty)
    }

    @Test("A set keeps what earlier texts brought")
    func severalTexts() {
        let automaton = KeywordAutomaton(["one", "two", "three"])
        var found = KeywordSet(capacity: automaton.count)
        withBytes("one") { automaton.find(in: $0, into: &found) }
        withBytes("three") { automaton.find(in: $0, into: &found) }
        #expect(found.indices == [0, 2])
        withBytes("two one") { automaton.find(in: $0, into: &found) }
        #expect(found.count == 3)
    }

    @Test("No keywords find nothing")
    func noKeywords() {
        #expect(find([], in: "text") == [])
    }

    /// Every place, every keyword.
    private func naive(_ keywords: [String], _ text: String) -> [Int] {
        let text = Array(text.unicodeScalars)
        func blocks(_ index: Int) -> Bool {
            text.indices.contains(index) && isLetterOrDigit(text[index]) && !isCJK(text[index])
        }
        return keywords.indices.filter { keyword in
            let keyword = Array(keywords[keyword].unicodeScalars)
            guard !keyword.isEmpty else { return true }
            guard keyword.count <= text.count else { return false }
            let isBounded = !keyword.contains(where: isCJK)
            return (0...text.count - keyword.count).contains { start in
                Array(text[start..<start + keyword.count]) == keyword
                    && !(isBounded && (blocks(start - 1) || blocks(start + keyword.count)))
            }
        }
    }

    @Test(
        "The automaton finds what a search keyword by keyword finds, with rows for all states, some, or only the root",
        arguments: [KeywordAutomaton.denseEntries, 60, 1]
    )
    func differential(denseEntries: Int) {
        let alphabet = ["a", "b", "a", "b", " ", "é", "机", "学", "😀", "_"]
        for seed in UInt64(0)..<10_000 {
            var generator = SeededRandom(seed: seed)
            let keywords = (0..<Int.random(in: 1...8, using: &generator)).map { _ in generator.string(alphabet, 0...4) }
            let text = generator.string(alphabet, 0...24)
            let automaton = KeywordAutomaton(keywords, denseEntries: denseEntries)
            var found = KeywordSet(capacity: keywords.count)
            withBytes(text) { automaton.find(in: $0, into: &found) }
            let expected = naive(keywords, text)
            guard found.indices == expected else {
                Issue.record("seed \(seed): \(keywords) in \(text): \(found.indices), not \(expected)")
                return
            }
        }
    }

    @Test("A thousand keywords of a hundred bytes, of which the deepest states have no row, are found")
    func manyLongKeywords() {
        var generator = SeededRandom(seed: 42)
        let alphabet = "abcdefghijklmnopqrstuvwxyz ".map(String.init)
        let keywords = (0..<1000).map { _ in generator.string(alphabet, 100...100) }
        let text = keywords.enumerated().filter { $0.offset % 3 == 0 }.map(\.element).joined(separator: "|")
        #expect(find(keywords, in: text) == Array(stride(from: 0, to: 1000, by: 3)))
    }

    @Test("Keywords that all end at every place of a 64 KiB text are found at its end")
    func nested() {
        let keywords = (1...100).map { String(repeating: "a", count: $0) }
        #expect(find(keywords, in: String(repeating: "a", count: 1 << 16)) == [])
        #expect(find(keywords, in: String(repeating: "a", count: 1 << 16) + " " + keywords[41]) == [41])
    }
}
