import TestRandom
import Testing
import TextMatching

@Suite struct FuzzyMatcherTests {
    private func matches(_ keywords: [String], _ text: String, _ limit: FuzzyMatcher.Limit) -> [Int] {
        let matcher = FuzzyMatcher(keywords, limit: limit)
        return withBytes(text) { matcher.matches(in: $0) }
    }

    @Test(
        "Words within two edits match, short keywords within fewer",
        arguments: [
            ("urgent", "this is urgnt", true), ("urgent", "urgnet", true), ("urgent", "argents", true),
            ("urgent", "agents", false), ("urgent", "urgent", true), ("urgent", "it's_urgnet-now", true),
            ("URGENT", "urgemt", true), ("ÜBER", "uber", true),
            // (length − 1) / 2 edits: none, one, one, two.
            ("ai", "an", false), ("ai", "ai", true), ("api", "app", true), ("api", "axx", false),
            ("code", "bodes", false),
            ("token", "tokne", true), ("token", "tkne", false),
            ("c++", "c", false), ("c++", "use c++", false), ("c#", "c#", false), ("+", "+", false),
            (".net", "net", true),
            ("node.js", "node.js", true), ("node.js", "nod js", true), ("node js", "node-jz", true),
            ("credit card", "my credti card", true), ("credit card", "my credit", false),
            ("credit card", "creditcard", false),
            ("credit card", "credit 😀 crd", true), ("credit card", "card credit", false),
            // CJK: stretches of the keyword's length anywhere.
            ("机器学习", "我喜欢机器学刁技术", true), ("机器学习", "我喜欢机器技术", false), ("机器学习", "机器学习", true),
            ("机器学习", "机器，学习", false), ("支付", "我要支付", true), ("支付", "我要支出", false),
            ("신용 카드", "내 신용 가드를 잃어", true), ("신용 카드", "내 신용카드를", false), ("결제", "결제를", true),
            ("ai技术", "新的ai技木好", true), ("urgent", "请urgnet处理", true), ("데이터베이스", "데이타베이스는", true),
            ("x", "", false), ("", "x", false),
        ]
    )
    func edits(keyword: String, text: String, isFound: Bool) {
        #expect(matches([keyword], text, .edits(2)) == (isFound ? [0] : []), "\(keyword) in \(text)")
    }

    @Test("The number of edits bounds, and a negative one matches nothing")
    func numbers() {
        let keywords = ["payments"]
        #expect(matches(keywords, "payment", .edits(0)) == [])
        #expect(matches(keywords, "payments", .edits(0)) == [0])
        #expect(matches(keywords, "payment", .edits(1)) == [0])
        #expect(matches(keywords, "pymnt", .edits(9)) == [0])
        #expect(matches(keywords, "payments", .edits(-1)) == [])
    }

    @Test(
        "Similarity is the share of the longer that needs no edit",
        arguments: [
            ("urgent", "urgnet", 66, true), ("urgent", "urgnet", 67, false), ("urgent", "urgent", 100, true),
            ("urgent", "urgents", 86, false), ("urgent", "urgents", 85, true), ("urgent", "urgent", 101, false),
            ("ab", "ac", 50, true), ("ab", "xyz", 0, false), ("ab", "ayz", -5, true),
            ("credit card", "credt card", 90, true),
            ("credit card", "credt card", 91, false), ("机器学习", "好机器学刁好", 75, true), ("机器学习", "好机器学刁好", 76, false),
        ]
    )
    func similarity(keyword: String, text: String, percent: Int, isFound: Bool) {
        #expect(
            matches([keyword], text, .similarity(percent: percent)) == (isFound ? [0] : []),
            "\(keyword) in \(text)"
        )
    }

    @Test("Keywords are told in their order, each once, duplicates each")
    func order() {
        #expect(matches(["zebra", "urgent", "zebra", "horse"], "urgnet zebar zebra", .edits(2)) == [0, 1, 2])
    }

    // MARK: Naive

    private func distance(_ first: [Unicode.Scalar], _ second: [Unicode.Scalar]) -> Int {
        var row = Array(0...second.count)
        for (line, letter) in first.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in 1..<second.count + 1 {
                let cost = min(row[column] + 1, row[column - 1] + 1, diagonal + (letter == second[column - 1] ? 0 : 1))
                diagonal = row[column]
                row[column] = cost
            }
        }
        return row[second.count]
    }

    /// Runs of letters and digits, cut where CJK begins and ends.
    private func words(_ run: [Unicode.Scalar]) -> [[Unicode.Scalar]] {
        run.split(whereSeparator: isCJK).map(Array.init)
    }

    private func naive(_ keywords: [String], _ text: String, _ limit: FuzzyMatcher.Limit) -> [Int] {
        func isNear(_ keyword: [Unicode.Scalar], _ candidate: [Unicode.Scalar]) -> Bool {
            let distance = distance(keyword, candidate)
            switch limit {
            case .edits(let edits): return distance <= min(edits, (keyword.count - 1) / 2)
            case .similarity(let percent):
                let longer = max(keyword.count, candidate.count)
                return 100 * (longer - distance) >= max(1, percent) * longer
            }
        }
        // Runs of letters and digits joined by blanks.
        let runs = Array(text.unicodeScalars).split(whereSeparator: { !isLetterOrDigit($0) }).map(Array.init)
        let stream = Array(runs.joined(separator: [" "]))
        return keywords.indices.filter { index in
            let scalars = Array(keywords[index].unicodeScalars)
            guard let first = scalars.firstIndex(where: isLetterOrDigit),
                let last = scalars.lastIndex(where: isLetterOrDigit)
            else { return false }
            let parts = scalars[first...last].split(whereSeparator: { !isLetterOrDigit($0) })
            let keyword =
                Array(scalars[..<first]) + Array(parts.joined(separator: [" "])) + Array(scalars[(last + 1)...])
            if keyword.contains(where: isCJK) {
                guard keyword.count <= stream.count else { return false }
                return (0...stream.count - keyword.count).contains { start in
                    let window = Array(stream[start..<start + keyword.count])
                    return window.first != " " && window.last != " " && window.contains(where: isCJK)
                        && window.filter { $0 == " " }.count == parts.count - 1 && isNear(keyword, window)
                }
            }
            // Stretches of neighbouring words without CJK between.
            let stretches = stream.split(whereSeparator: isCJK)
            return stretches.contains { stretch in
                let words = stretch.split(separator: " ")
                guard words.count >= parts.count else { return false }
                return (0...words.count - parts.count).contains { start in
                    isNear(keyword, Array(words[start..<start + parts.count].joined(separator: [" "])))
                }
            }
        }
    }

    @Test("The matcher finds what a comparison of everything with everything finds")
    func differential() {
        let alphabet = ["a", "b", "a", "b", "c", " ", "é", "机", "学", "_", ".", "1"]
        for seed in UInt64(0)..<12_000 {
            var generator = SeededRandom(seed: seed)
            let keywords = (0..<Int.random(in: 1...10, using: &generator)).map { _ in generator.string(alphabet, 0...9)
            }
            let text = generator.string(alphabet, 0...30)
            let limit: FuzzyMatcher.Limit =
                Bool.random(using: &generator)
                ? .edits(Int.random(in: 0...4, using: &generator))
                : .similarity(percent: Int.random(in: 1...100, using: &generator))
            let expected = naive(keywords, text, limit)
            let found = matches(keywords, text, limit)
            guard found == expected else {
                Issue.record("seed \(seed): \(keywords) in \(text), \(limit): \(found), not \(expected)")
                return
            }
        }
    }

    @Test("Texts of 64 KiB of one letter, one character or one word are searched to their end")
    func longTexts() {
        let keywords = ["aaaaa", "机机学机机", "zebra", "aaaaa aaaaa"]
        let last = " zebar"
        #expect(matches(keywords, String(repeating: "a", count: 1 << 16) + last, .edits(2)) == [2])
        #expect(matches(keywords, String(repeating: "机", count: 21_000) + last, .edits(1)) == [1])
        #expect(matches(keywords, String(repeating: "aaaa ", count: 13_000) + last, .edits(2)) == [0, 2, 3])
        #expect(matches(["学习机器"], String(repeating: "机器", count: 10_000) + "学习机器", .edits(0)) == [0])
    }

    @Test("Ill-formed bytes separate words, and empty texts match nothing")
    func illFormed() {
        let matcher = FuzzyMatcher(["urgent"], limit: .edits(2))
        #expect(withBytes([0xFF] + Array("urgnt".utf8) + [0xE6, 0x9C]) { matcher.matches(in: $0) } == [0])
        #expect(matcher.matches(in: UnsafeRawBufferPointer(start: nil, count: 0)) == [])
        #expect(FuzzyMatcher([], limit: .edits(2)).matches(in: UnsafeRawBufferPointer(start: nil, count: 0)) == [])
    }
}
