import TestRandom
import Testing
import TextMatching

@Suite struct NGramIndexTests {
    private func matches(_ keywords: [String], _ text: String, arity: Int = 3, threshold: Float = 0.4) -> [Int] {
        let index = NGramIndex(keywords, arity: arity)
        return withBytes(text) { index.matches(in: $0, threshold: threshold) }
    }

    @Test(
        "Words that share enough grams match",
        arguments: [
            ("urgent", "this is urgent", true), ("urgent", "this is urgnet", true), ("urgent", "urgnt!", true),
            ("urgent", "the weather is fine", false), ("immediate", "imediate help", true),
            ("urgent", "my_urgent-task", false), ("credit card", "credit card", true),
            ("credit card", "credt card", true),
            ("credit card", "i lost my keys on the train to the sea last summer", false),
            // Words hold other alphabets and digits.
            ("договор", "нужен договар", true), ("gpt-4", "use gpt-4 now", true),
            // CJK: a part of a run; stretches of letters in it.
            ("机器学习", "我喜欢机器学习技术", true), ("机器学习", "我喜欢机器学刁技术", true), ("机器学习", "飞机晚点了", false),
            ("信用卡", "我的信用卡丢了", true), ("긴급", "이건긴급입니다", true), ("kubernetes", "使用kubernets部署", true),
            ("ai技术", "最新的ai技术怎么样", true), ("税", "个人所得税", true), ("税", "个人所得", false),
            // The blanks around nothing are a gram: only the empty text has it.
            ("", "", true), ("", "text", false), ("x", "", false),
        ]
    )
    func words(keyword: String, text: String, isFound: Bool) {
        #expect(matches([keyword], text) == (isFound ? [0] : []), "\(keyword) in \(text)")
    }

    @Test(
        "One word's similarity to one keyword is the one computed from the formula",
        arguments: [
            ("urgent", "urgent", 3, 8, 8, 1.0), ("urgent", "urgnet", 3, 4, 12, 0.555556),
            ("urgent", "urgnet", 2, 4, 10, 0.64), ("urgent", "urgently", 3, 6, 12, 0.75),
            ("code", "coed", 3, 2, 10, 0.36), ("code", "coding", 3, 3, 11, 0.471074),
            ("code", "node", 3, 3, 9, 0.555556), ("immediate", "imediate", 3, 9, 12, 0.9375),
            ("emergency", "urgent", 3, 2, 17, 0.221453), ("credit card", "credit", 3, 7, 14, 0.75),
            ("credit card", "my credit card", 3, 12, 17, 0.913495),
        ] as [(String, String, Int, Int, Int, Float)]
    )
    func similarities(keyword: String, text: String, arity: Int, shared: Int, all: Int, similarity: Float) {
        let exact = NGramIndex.similarity(shared: shared, all: all)
        #expect(abs(exact - similarity) < 1e-6)
        #expect(matches([keyword], text, arity: arity, threshold: exact) == [0])
        #expect(matches([keyword], text, arity: arity, threshold: exact.nextUp) == [])
    }

    @Test("Nothing in common with nothing is no similarity")
    func nothing() {
        #expect(NGramIndex.similarity(shared: 0, all: 0) == 0)
    }

    @Test(
        "Rules of several keywords find what the original finds",
        arguments: [
            (["urgent", "immediate", "emergency"], "the weather is nice today", [Int]()),
            (["code", "debug"], "i need to debug this code", [1, 0]),
        ]
    )
    func rules(keywords: [String], text: String, expected: [Int]) {
        #expect(matches(keywords, text, threshold: 0.5) == expected)
    }

    @Test("Matches come in the order of the text, then by similarity; duplicates together; ten per word at most")
    func order() {
        #expect(matches(["refund", "urgent", "refunds", "urgent"], "urgent refund") == [1, 3, 0, 2])
        let many = (0..<14).map { "keyword\($0)" }
        #expect(matches(many, "keyword").count == 10)
        #expect(matches(many, "keyword keyword13 keyword12").count > 10)
    }

    @Test("Arities out of range are brought in")
    func arities() {
        #expect(NGramIndex(["a"], arity: 0).arity == 2)
        #expect(NGramIndex(["a"], arity: 1_000_000).arity == 32)
        for arity in 2...32 { #expect(matches(["urgent"], "so urgent", arity: arity) == [0], "\(arity)") }
    }

    // MARK: Naive

    private struct Naive {
        let arity: Int
        let threshold: Float

        func grams(_ scalars: [Unicode.Scalar]) -> (length: Int, counts: [[Unicode.Scalar]: Int]) {
            let padding = [Unicode.Scalar](repeating: " ", count: arity - 1)
            let padded = padding + scalars + padding
            var counts: [[Unicode.Scalar]: Int] = [:]
            for start in 0...padded.count - arity { counts[Array(padded[start..<start + arity]), default: 0] += 1 }
            return (padded.count, counts)
        }

        func similarity(_ query: [Unicode.Scalar], _ keyword: [Unicode.Scalar]) -> Float? {
            let (query, keyword) = (grams(query), grams(keyword))
            let shared = query.counts.reduce(0) { $0 + min($1.value, keyword.counts[$1.key] ?? 0) }
            guard shared > 0 else { return nil }
            let all = Float(query.length + keyword.length - 2 * arity + 2 - shared)
            return (all * all - (all - Float(shared)) * (all - Float(shared))) / (all * all)
        }

        func matches(_ keywords: [String], _ text: String) -> [Int] {
            let keywords = keywords.map { Array($0.unicodeScalars) }
            var distinct: [[Unicode.Scalar]] = []
            for keyword in keywords where !distinct.contains(keyword) { distinct.append(keyword) }
            var result: [Int] = []
            func search(_ query: [Unicode.Scalar], _ isCandidate: ([Unicode.Scalar]) -> Bool = { _ in true }) {
                let hits = distinct.enumerated().compactMap { entry, keyword -> (Float, Int)? in
                    guard isCandidate(keyword), let similarity = similarity(query, keyword), similarity >= threshold
                    else { return nil }
                    return (similarity, entry)
                }
                for hit in hits.sorted(by: { $0.0 > $1.0 || ($0.0 == $1.0 && $0.1 < $1.1) }).prefix(10) {
                    for index in keywords.indices where keywords[index] == distinct[hit.1] && !result.contains(index) {
                        result.append(index)
                    }
                }
            }
            func isWord(_ scalar: Unicode.Scalar) -> Bool {
                scalar.properties.isAlphabetic || isLetterOrDigit(scalar) || scalar == "_" || scalar == "-"
            }
            let scalars = Array(text.unicodeScalars)
            let lengths = Set(distinct.filter { $0.contains(where: isCJK) }.map(\.count)).sorted()
            for word in scalars.split(whereSeparator: { !isWord($0) }).map(Array.init) {
                search(word)
                guard word.contains(where: isCJK) else { continue }
                for part in word.split(whereSeparator: isCJK) { search(Array(part)) }
                for length in lengths where length <= word.count {
                    for start in 0...word.count - length {
                        search(Array(word[start..<start + length])) { $0.count == length && $0.contains(where: isCJK) }
                    }
                }
            }
            if result.count < keywords.count { search(scalars) }
            return result
        }
    }

    @Test("The index finds what a comparison of everything with everything finds, in the same order")
    func differential() {
        let alphabet = ["a", "b", "a", "b", "c", " ", "é", "机", "学", "_", ".", "😀"]
        for seed in UInt64(0)..<6000 {
            var generator = SeededRandom(seed: seed)
            let keywords = (0..<Int.random(in: 1...14, using: &generator)).map { _ in generator.string(alphabet, 0...6)
            }
            let text = generator.string(alphabet, 0...24)
            let arity = Int.random(in: 2...5, using: &generator)
            let threshold = [0.4, 0.05, 0.7, 0.25, 0, -1, 0.9].randomElement(using: &generator).map(Float.init) ?? 0.4
            let expected = Naive(arity: arity, threshold: threshold).matches(keywords, text)
            let found = matches(keywords, text, arity: arity, threshold: threshold)
            guard found == expected else {
                Issue.record("seed \(seed): \(keywords) in \(text), \(arity), \(threshold): \(found), not \(expected)")
                return
            }
        }
    }

    @Test("Texts of 64 KiB of one letter, of one character, or of one word are searched to their end")
    func longTexts() {
        let keywords = ["aaaa", "机机机机机", "机学机", "zebra"]
        #expect(matches(keywords, String(repeating: "a", count: 1 << 16)) == [])
        #expect(matches(keywords, String(repeating: "a", count: 1 << 16) + " zebra") == [3])
        #expect(matches(keywords, String(repeating: "机", count: 21_000) + "。zebra") == [2, 1, 3])
        #expect(matches(["学习"], String(repeating: "机", count: 21_000) + "学习") == [0])
        #expect(matches(keywords, String(repeating: "zebra ", count: 10_922)) == [3])
        // A threshold of nothing takes any shared gram, in words of any length.
        #expect(matches(keywords, String(repeating: "a", count: 1 << 16), threshold: -1) == [0, 3])
    }
}
