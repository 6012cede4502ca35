import OpenAIWire
import SemanticRouter
import TestRandom
import Testing

@Suite struct KeywordSignalTests {
    private func rule(
        _ keywords: [String],
        _ `operator`: KeywordSignals.Operator = .or,
        method: KeywordSignals.Method? = nil,
        _ change: (inout KeywordSignals.Settings) -> Void = { _ in }
    ) -> KeywordSignals.Settings {
        var settings = KeywordSignals.Settings()
        settings.name = "rule"
        settings.keywords = keywords
        settings.operator = `operator`
        settings.method = method
        change(&settings)
        return settings
    }

    private func reading(_ rule: KeywordSignals.Settings, _ text: String) throws -> SignalReading {
        KeywordSignals.reading(rule, try .asking(text))
    }

    // MARK: As written

    /// Upstream's tests of the classifier's word boundaries, and marks, emoji and scripts besides.
    private static let boundaries: [(keyword: String, text: String, isFound: Bool)] = [
        ("python", "I like python code", true),
        ("python", "python3", false),
        ("cat", "concatenate", false),
        ("数学", "我喜欢数学", true),
        ("数学", "我喜欢数学课", true),
        ("C++", "Explain C++ move semantics", true),
        ("C++", "C++Builder", false),
        ("C++", "C++Builder then C++", true),
        ("C++", "解释C++语言", true),
        ("C++", "c++", true),
        ("C#", "Convert this C# code", true),
        ("C#", "C#script", false),
        (".NET", "Is .NET 8 faster?", true),
        (".NET", "ASP.NET", false),
        (".NET", ".NETCore", false),
        (".NET", "ASP.NET then .NET", true),
        ("Answer:", "Answer: 42", true),
        ("Answer:", "Answer:42", false),
        ("A)", "A)text", false),
        ("A)", "A) answer", true),
        ("привет", "скажи привет!", true),
        ("привет", "приветствие", false),
        ("café", "a café nearby", true),
        ("café", "caféteria", false),
        ("안녕하세요", "안녕하세요 여러분", true),
        ("こんにちは", "こんにちは 世界", true),
        (",,", "A,,, ", true),
        // Only letters and digits belong to a word.
        ("payment", "my_payment_failed", true),
        ("payment", "pre-payment-plan", true),
        ("payment", "🙂payment🙂", true),
        ("payment", "٣payment", false),
        ("payment", "paymentß", false),
        // A phrase is one text with its blanks.
        ("credit card", "my credit card", true),
        ("credit card", "my credit  card", false),
        ("credit card", "my credit-card", false),
        ("credit card", "my credit\ncard", false),
        // A keyword with any CJK stands anywhere.
        ("AI模型", "XAI模型Y", true),
        ("ラーメン", "味噌ラーメン屋", true),
        ("json", "请输出JSON格式", true),
        ("straße", "DIE STRASSE", false),
        ("straße", "die STRAßE", true),
        ("ПРИВЕТ", "скажи привет", true),
    ]

    @Test("A keyword is found where no letter or digit stands next to it", arguments: boundaries)
    func boundary(keyword: String, text: String, isFound: Bool) throws {
        #expect(try reading(rule([keyword]), text).isPresent == isFound)
    }

    @Test(
        "Under `method: regex` a keyword without a character of expressions is found as written",
        arguments: boundaries
    )
    func boundaryUnderRegex(keyword: String, text: String, isFound: Bool) throws {
        guard !keyword.contains(")") else { return }
        #expect(try reading(rule([keyword], method: .regex), text).isPresent == isFound)
    }

    @Test("Without a method a keyword with characters of expressions is found as written")
    func literalSigns() throws {
        #expect(try reading(rule(["a.*b"]), "is a.*b right?").isPresent)
        #expect(try !reading(rule(["a.*b"]), "is axxb right?").isPresent)
        #expect(try reading(rule(["[x]"]), "mark [x] here").isPresent)
        #expect(try !reading(rule(["[x]"]), "mark x here").isPresent)
    }

    // MARK: Operators

    /// Upstream's cases. Confidence: half for the rule, half by the share of its keywords.
    @Test(
        "AND needs all keywords, OR one, NOR none; what was found is told by place",
        arguments: [
            (KeywordSignals.Operator.and, ["C++", ".NET"], "C++ and .NET", 1.0, [0, 1]),
            (.and, ["C++", ".NET"], "C++Builder and .NET", nil, []),
            (.or, ["C++", ".NET"], "C++Builder and .NET", 0.75, [1]),
            (.or, ["C++", ".NET"], "C++Builder and ASP.NET", nil, []),
            (.nor, ["C++", ".NET"], "C++ and .NET", nil, []),
            (.nor, ["C++", ".NET"], "C++Builder and ASP.NET", 0.5, []),
            (.or, ["C", "C++"], "C++", 1, [0, 1]),
            (.and, ["SSN", "credit card"], "My SSN and credit card were stolen", 1, [0, 1]),
            (.and, ["SSN", "credit card"], "My SSN was stolen", nil, []),
            (.and, ["SSN", "credit card"], "My credit card and SSN were compromised", 1, [0, 1]),
            (.or, ["urgent", "immediate", "asap", "emergency"], "This is URGENT", 0.625, [0]),
            (.or, ["urgent", "immediate", "asap", "emergency"], "urgent: emergency!", 0.75, [0, 3]),
            (.or, ["urgent", "immediate", "asap", "emergency"], "asap, urgent, immediate", 0.875, [0, 1, 2]),
            (.or, ["a", "b", "c", "d"], "d c b a", 1, [0, 1, 2, 3]),
            (.nor, ["buy now", "free money"], "Get free money with this amazing offer", nil, []),
            (.nor, ["buy now", "free money"], "I need help with my account", 0.5, []),
        ] as [(KeywordSignals.Operator, [String], String, Double?, [Int])]
    )
    func operators(
        _ operator: KeywordSignals.Operator,
        _ keywords: [String],
        _ text: String,
        _ confidence: Double?,
        _ found: [Int]
    ) throws {
        let reading = try reading(rule(keywords, `operator`), text)
        #expect(reading.state == (confidence == nil ? .absent : .present))
        #expect(reading.confidence == confidence ?? 0)
        #expect(reading.keywords == found)
        #expect(reading.value == nil)
    }

    @Test("Capitals count where `case_sensitive` says so, and in that rule alone")
    func caseSensitivity() throws {
        let rules = try SignalRules(
            """
            keywords:
              - {name: exact, keywords: [C++, SELECT, Ünïcode], case_sensitive: true}
              - {name: folded, keywords: [C++, SELECT, Ünïcode]}
              - {name: exact_pattern, method: regex, keywords: ["\\\\bSELECT\\\\b"], case_sensitive: true}
              - {name: folded_pattern, method: regex, keywords: ["\\\\bSELECT\\\\b"]}
            """
        )
        #expect(try rules.present("c++") == ["folded"])
        #expect(try rules.present("C++") == ["exact", "folded"])
        #expect(try rules.present("select") == ["folded", "folded_pattern"])
        #expect(try rules.present("SELECT") == ["exact", "folded", "exact_pattern", "folded_pattern"])
        #expect(try rules.present("ÜNÏCODE") == ["folded"])
        #expect(try rules.present("Ünïcode") == ["exact", "folded"])
    }

    // MARK: Expressions

    @Test(
        "Under `method: regex` a keyword with a character of expressions is one, without boundaries of words",
        arguments: [
            (#"C\+\+"#, "C++Builder", true),
            ("colou?r$", "what colour", true),
            ("colou?r$", "colours", false),
            ("py(thon)?3*", "happy", true),
            (#"\d{3}-\d{4}"#, "call 555-1234 now", true),
            (#"\d{3}-\d{4}"#, "call 55-1234 now", false),
            ("^(who|what)", "What is it?", true),
            ("^(who|what)", "Say what", false),
            ("数[学理]", "我喜欢数理化", true),
            (#"\p{Han}{4}"#, "learn 机器学习 now", true),
            (#"\p{Han}{5}"#, "learn 机器学习 now", false),
            ("a|b", "xbx", true),
            // Signs that words have too say nothing.
            ("why?", "why? tell me", true),
            ("why?", "wh", false),
            (".NET", "ASP.NET", false),
        ]
    )
    func expressions(keyword: String, text: String, isFound: Bool) throws {
        #expect(try reading(rule([keyword], method: .regex), text).isPresent == isFound)
    }

    @Test("Expressions and words of one rule are counted together, in the order of the list")
    func mixedRule() throws {
        let rules = rule(["[0-9]{4}", "python", "^who"], method: .regex)
        let reading = try reading(rules, "Python came out in 1991")
        #expect(reading.keywords == [0, 1])
        #expect(abs(reading.confidence - (0.5 + 0.5 * 2 / 3)) < 1e-12)
    }

    // MARK: BM25

    /// Matches are upstream's tests, orders follow from the scores that its formula gives.
    @Test(
        "bm25 finds keywords by the words they share with the text, those with the highest score first",
        arguments: [
            (
                KeywordSignals.Operator.or, ["urgent", "immediate", "asap", "emergency"],
                "This is an urgent matter that needs attention", [0]
            ),
            (.or, ["urgent", "immediate", "asap", "emergency"], "The weather is nice today", nil),
            (.or, ["asap", "urgent"], "urgent urgent asap", [1, 0]),
            (.and, ["code", "debug"], "I need to debug this code", [0, 1]),
            (.and, ["code", "debug"], "I need help with my code", nil),
            (.nor, ["buy now", "free money"], "What is the weather like today", []),
            (.nor, ["buy now", "free money"], "Buy now and get free money today", nil),
            (.or, ["code", "function", "debug", "implement"], "Debugging functions", [1, 2]),
            (.or, ["credit card", "card"], "my card", [1, 0]),
            (.or, ["observability"], "observability matters", [0]),
            (.or, ["now", "urgent"], "do it now", nil),
            // A word alone has the whole phrase.
            (.or, ["machine learning"], "the machine is broken", [0]),
            // Case counts nowhere, signs separate.
            (.or, ["Machine Learning", "SQL"], "MACHINES! sql?", [1, 0]),
            // Pairs of neighbours stand for CJK words.
            (.or, ["机器学习", "数据库"], "我在看机器学习的书", [0]),
            (.or, ["机器学习"], "一个机会", nil),
            (.or, ["ラーメン"], "味噌ラーメンが好き", [0]),
            (.or, ["데이터베이스"], "데이터베이스를 고쳐 줘", [0]),
        ] as [(KeywordSignals.Operator, [String], String, [Int]?)]
    )
    func bm25(_ operator: KeywordSignals.Operator, _ keywords: [String], _ text: String, _ found: [Int]?) throws {
        let reading = try reading(rule(keywords, `operator`, method: .bm25), text)
        #expect(reading.isPresent == (found != nil))
        #expect(reading.keywords == found ?? [])
    }

    /// Scores computed from the formula of upstream's crate (k1 1.2, b 0.75), to six digits.
    @Test(
        "A bm25 keyword is found from its score on",
        arguments: [
            (["urgent", "immediate", "asap", "emergency"], "This is an urgent matter that needs attention", 1.203973),
            (["asap", "urgent", "immediate", "emergency"], "urgent urgent", 2.407946),
            (["code", "debug"], "debug it", 0.693147),
            (["observability"], "observability matters", 0.287682),
            (["credit card", "card"], "my card", 0.211109),
        ]
    )
    func bm25Threshold(keywords: [String], text: String, score: Double) throws {
        #expect(try reading(rule(keywords, method: .bm25) { $0.bm25Threshold = score - 1e-5 }, text).isPresent)
        #expect(try !reading(rule(keywords, method: .bm25) { $0.bm25Threshold = score + 1e-5 }, text).isPresent)
    }

    // MARK: N-grams

    /// From upstream's formula; "urgnet" and "urgent" are in its tests.
    @Test(
        "An ngram keyword is found from its similarity with a word on",
        arguments: [
            ("urgent", "urgent", 3, 1),
            ("urgent", "urgnet", 3, 0.555556),
            ("urgent", "urgnet", 2, 0.64),
            ("urgent", "urgently", 3, 0.75),
            ("code", "coed", 3, 0.36),
            ("code", "coding", 3, 0.471074),
            ("code", "node", 3, 0.555556),
            ("immediate", "imediate", 3, 0.9375),
            ("emergency", "urgent", 3, 0.221453),
            ("credit card", "credit", 3, 0.75),
            ("credit card", "my credit card", 3, 0.913495),
            ("URGENT", "Urgnet", 3, 0.555556),
        ] as [(String, String, Int, Double)]
    )
    func ngramSimilarity(keyword: String, text: String, arity: Int, similarity: Double) throws {
        func isFound(_ threshold: Double) throws -> Bool {
            let settings = rule([keyword], method: .ngram) {
                $0.ngramArity = arity
                $0.ngramThreshold = threshold
            }
            return try reading(settings, text).isPresent
        }
        #expect(try isFound(similarity - 1e-5))
        if similarity < 1 { #expect(try !isFound(similarity + 1e-5)) }
    }

    @Test(
        "ngram finds words with letters wrong, in the order of the text",
        arguments: [
            (KeywordSignals.Operator.or, ["urgent", "immediate", "emergency"], "The weather is nice today", nil),
            (.or, ["urgent", "immediate", "emergency"], "this is urgnet", [0]),
            (.and, ["code", "debug"], "I need to debug this code", [1, 0]),
            (.and, ["code", "debug"], "I need help with my code", nil),
            (.nor, ["urgent", "emergency"], "an urgnet matter", nil),
            (.nor, ["urgent", "emergency"], "The weather is nice today", []),
            (.or, ["机器学习"], "我在看机器学习的书", [0]),
            (.or, ["ラーメン"], "味噌ラーメン", [0]),
        ] as [(KeywordSignals.Operator, [String], String, [Int]?)]
    )
    func ngram(_ operator: KeywordSignals.Operator, _ keywords: [String], _ text: String, _ found: [Int]?) throws {
        let reading = try reading(rule(keywords, `operator`, method: .ngram) { $0.ngramThreshold = 0.5 }, text)
        #expect(reading.isPresent == (found != nil))
        #expect(reading.keywords == found ?? [])
    }

    @Test("One word yields its ten best keywords")
    func ngramBest() throws {
        let keywords = (0..<12).map { "code" + String(repeating: "x", count: $0 / 6) + "\($0 % 6)" }
        let reading = try reading(rule(keywords, method: .ngram) { $0.ngramThreshold = 0.1 }, "code")
        #expect(reading.keywords == Array(0..<10))
    }

    // MARK: Wrong letters

    @Test(
        "`fuzzy_match` finds a keyword with up to two letters wrong",
        arguments: [
            ("urgent", "this is urgnt", true),
            ("urgent", "this is urgnet", true),
            ("urgent", "this is URGNET", true),
            ("urgent", "this is argund", false),
            // Half of a short word may not be wrong.
            ("go", "so no do", false),
            ("go", "go on", true),
            ("code", "rode", true),
            ("code", "rodo", false),
            ("stack trace", "the stak trase says", true),
            ("机器学习", "我在看机器学刁的书", true),
            ("机器学习", "我在看机会学刁的书", false),
            ("데이터베이스", "데이타베이스를", true),
        ]
    )
    func fuzzyMatch(keyword: String, text: String, isFound: Bool) throws {
        #expect(try reading(rule([keyword]) { $0.fuzzyMatch = true }, text).isPresent == isFound)
        #expect(try reading(rule([keyword], .nor) { $0.fuzzyMatch = true }, text).isPresent == !isFound)
    }

    @Test("Wrong letters are never a matter of case, and need not be wrong in all keywords")
    func fuzzyAndExact() throws {
        let settings = rule(["Kubernetes", "Docker"], .and) {
            $0.fuzzyMatch = true
            $0.caseSensitive = true
        }
        let reading = try reading(settings, "Docker and kubernets")
        #expect(reading.keywords == [0, 1])
        #expect(reading.confidence == 1)
    }

    @Test(
        "`fuzzy_threshold` is a number of letters up to 10 and a percentage above",
        arguments: [
            (KeywordSignals.Method.fuzzy, nil, "observabilty", true),
            (.fuzzy, nil, "obsrvabilite", true),
            (.fuzzy, nil, "obsrvabilti", false),
            (.fuzzy, 75, "obsrvabilti", true),
            (.fuzzy, 95, "observabilty", false),
            (.fuzzy, 100, "observability", true),
            (.fuzzy, 100, "observabilitx", false),
            (.fuzzy, 1, "observabilty", true),
            (.fuzzy, 1, "obsrvabilty", false),
            (.fuzzy, 0, "observabilty", true),
            (.fuzzy, 0, "obsrvabilti", false),
            (nil, nil, "obsrvabilty", true),
            (nil, nil, "obsrvablty", false),
            (nil, 3, "obsrvablty", true),
            (nil, 90, "observabilty", true),
            (nil, 90, "obsrvabilty", false),
        ] as [(KeywordSignals.Method?, Int?, String, Bool)]
    )
    func fuzzyThreshold(method: KeywordSignals.Method?, threshold: Int?, text: String, isFound: Bool) throws {
        let settings = rule(["observability"], method: method) {
            $0.fuzzyMatch = true
            $0.fuzzyThreshold = threshold
        }
        #expect(try reading(settings, "about \(text), please").isPresent == isFound)
    }

    // MARK: CJK by every method

    @Test(
        "Chinese, Japanese and Korean keywords are found inside running text by every method",
        arguments: [
            ("数据库", "请优化数据库查询"), ("機械学習", "機械学習を説明して"), ("カタカナ", "これはカタカナです"), ("인공지능", "인공지능이란 무엇인가"),
        ],
        [nil, .regex, .bm25, .ngram, .fuzzy] as [KeywordSignals.Method?]
    )
    func cjk(pair: (keyword: String, text: String), method: KeywordSignals.Method?) throws {
        #expect(try reading(rule([pair.keyword], method: method), pair.text).keywords == [0])
        #expect(try !reading(rule([pair.keyword], method: method), "量子力学とは").isPresent)
    }

    // MARK: Empty texts

    @Test("In an empty or blank text there is no keyword", arguments: ["", " ", "\n\t \u{3000}"])
    func blank(text: String) throws {
        for method in [nil, .regex, .bm25, .ngram, .fuzzy] as [KeywordSignals.Method?] {
            #expect(try !reading(rule(["a", "数"], method: method), text).isPresent)
            #expect(try !reading(rule(["a", "数"], .and, method: method), text).isPresent)
            #expect(try reading(rule(["a", "数"], .nor, method: method), text).confidence == 0.5)
        }
    }

    // MARK: Properties

    @Test("Many rules in one pass find what each keyword's own search finds")
    func againstPlainSearch() throws {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<300 {
            let rules = (0..<(1 + random.below(6))).map { number in
                var settings = rule((0..<(1 + random.below(4))).map { _ in Self.word(1 + random.below(4), &random) })
                settings.name = "rule\(number)"
                settings.operator = random.pick(KeywordSignals.Operator.allCases)
                settings.caseSensitive = random.once(in: 2)
                return settings
            }
            let text = Self.word(random.below(60), &random)
            let readings = KeywordSignals(rules).evaluate(try .asking(text))
            for (rule, reading) in zip(rules, readings) {
                let found = rule.keywords.indices.filter { index in
                    rule.caseSensitive
                        ? Self.stands(rule.keywords[index], in: text)
                        : Self.stands(rule.keywords[index].lowercased(), in: text.lowercased())
                }
                let isPresent =
                    switch rule.operator {
                    case .and: found.count == rule.keywords.count
                    case .or: !found.isEmpty
                    case .nor: found.isEmpty
                    }
                #expect(reading.isPresent == isPresent, "\(rule.operator) \(rule.keywords) in \(text.json)")
                #expect(reading.keywords == (isPresent ? found : []))
                let share = Double(found.count) / Double(rule.keywords.count)
                #expect(reading.confidence == (isPresent ? 0.5 + 0.5 * share : 0))
            }
        }
    }

    private static func word(_ length: Int, _ random: inout SeededRandom) -> String {
        let letters: [Character] = ["a", "A", "b", "+", "-", "_", " ", "é", "1", "数", "カ", "я", "Я"]
        return String((0..<length).map { _ in random.pick(letters) })
    }

    /// By definition: somewhere, with no letter or digit around, other than CJK.
    private static func stands(_ keyword: String, in text: String) -> Bool {
        let keyword = Array(keyword.unicodeScalars)
        let text = Array(text.unicodeScalars)
        guard !keyword.isEmpty, keyword.count <= text.count else { return false }
        func isCJK(_ scalar: Unicode.Scalar) -> Bool { scalar == "数" || scalar == "カ" }
        func blocks(_ index: Int) -> Bool {
            text.indices.contains(index) && !isCJK(text[index])
                && (text[index].properties.isAlphabetic || text[index] == "1")
        }
        let isBounded = !keyword.contains(where: isCJK)
        return (0...text.count - keyword.count).contains { start in
            text[start..<start + keyword.count].elementsEqual(keyword)
                && (!isBounded || (!blocks(start - 1) && !blocks(start + keyword.count)))
        }
    }

    @Test("Among thousands of keywords of several rules each is told by its place in its own rule")
    func manyKeywords() throws {
        let rules = (0..<3).map { number in
            var settings = rule((0..<3000).map { "word\($0 * 3 + number)" }, .or)
            settings.caseSensitive = number == 1
            return settings
        }
        let text = stride(from: 0, to: 9000, by: 7).map { "Word\($0) word\($0)" }.joined(separator: ", ")
        let readings = KeywordSignals(rules).evaluate(try .asking(text))
        for (number, reading) in readings.enumerated() {
            #expect(reading.keywords == (0..<3000).filter { ($0 * 3 + number) % 7 == 0 })
        }
    }

    @Test("For every method, NOR is what OR is not, and AND is never more than OR")
    func operatorsAgree() throws {
        var random = SeededRandom.fromEnvironment()
        let words = ["urgent", "urgnet", "code", "coding", "node", "debug", "机器学习", "机会", "credit card", "card", "C++"]
        let methods: [KeywordSignals.Method?] = [nil, .regex, .bm25, .ngram, .fuzzy]
        for _ in 0..<200 {
            let keywords = Array(words.shuffled(using: &random).prefix(1 + random.below(4)))
            let text = (0..<random.below(6)).map { _ in random.pick(words) }.joined(
                separator: random.pick([" ", ", ", ""])
            )
            let prompt = try Prompt.asking(text)
            for method in methods {
                let and = KeywordSignals.reading(rule(keywords, .and, method: method), prompt)
                let or = KeywordSignals.reading(rule(keywords, .or, method: method), prompt)
                let nor = KeywordSignals.reading(rule(keywords, .nor, method: method), prompt)
                #expect(or.isPresent != nor.isPresent)
                #expect(!and.isPresent || or == and)
                #expect(Set(or.keywords).count == or.keywords.count)
                #expect(or.keywords.allSatisfy(keywords.indices.contains))
            }
        }
    }

    // MARK: Settings

    @Test("A rule without settings but its keywords has upstream's defaults")
    func defaults() throws {
        let settings = KeywordSignals.Settings()
        #expect(settings.operator == .or)
        #expect(settings.method == nil)
        #expect(!settings.caseSensitive && !settings.fuzzyMatch)
        #expect(settings.bm25Threshold == 0.1)
        #expect(settings.ngramThreshold == 0.4)
        #expect(settings.ngramArity == 3)
        let rules = try SignalRules(
            "keywords: [{name: ngram, method: ngram, keywords: [code]}, {name: plain, keywords: [code]}]"
        )
        #expect(try rules.present("coding") == ["ngram"])
        #expect(try rules.present("coed") == [])
        #expect(try rules.present("code") == ["ngram", "plain"])
    }
}
