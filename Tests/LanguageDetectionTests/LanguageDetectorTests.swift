import LanguageDetection
import Testing

private let detector = LanguageDetector()

private func detect(_ text: String) -> DetectedLanguage? { detect(Array(text.utf8)) }

private func detect(_ bytes: [UInt8]) -> DetectedLanguage? {
    bytes.withUnsafeBytes { detector.detect($0) }
}

@Suite struct LanguageDetectorTests {
    @Test(
        "Prompts are told apart, the more surely the longer they are",
        arguments: [(1...20, 0.91), (21...60, 0.94), (61...400, 0.97)]
    )
    func prompts(characters: ClosedRange<Int>, share: Double) {
        let prompts = Prompt.all.filter { characters.contains($0.text.count) }
        let wrong = prompts.filter { detect($0.text)?.code != $0.code }
        #expect(prompts.count >= 100)
        #expect(
            Double(prompts.count - wrong.count) >= share * Double(prompts.count),
            "\(wrong.map { "\($0.code): \($0.text)" })"
        )
    }

    @Test("Every language of the table is found in most of its prompts")
    func everyLanguage() {
        let byCode = Dictionary(grouping: Prompt.all, by: \.code)
        #expect(byCode.count >= 45)
        // Malay and Indonesian share most short sentences.
        for (code, prompts) in byCode where code != "ms" {
            let right = prompts.count { detect($0.text)?.code == code }
            #expect(2 * right > prompts.count, "\(code): \(right) of \(prompts.count)")
        }
    }

    @Test("Every code of the table is among the languages, which are sorted and without repetition")
    func languages() {
        let languages = LanguageDetector.languages
        #expect(languages == Set(languages).sorted())
        #expect(Set(Prompt.all.map(\.code)).isSubset(of: languages))
        #expect(languages.count == 87)
    }

    @Test(
        "Code, names and addresses in Latin letters do not hide the language around them",
        arguments: [
            ("请解释这段代码：for (int i = 0; i < count; i++) { total += values[i]; }", "zh"),
            ("这个函数有什么问题？\n```python\ndef average(values):\n    return sum(values) / len(values)\n```", "zh"),
            ("请总结 https://example.com/articles/how-to-write-better-software-in-teams 的内容", "zh"),
            ("このコードを説明してください: print(sorted(names, key=len))", "ja"),
            ("이 오류를 고쳐 줘: TypeError: unsupported operand type(s)", "ko"),
            ("Как установить Docker Compose на Ubuntu Server Linux?", "ru"),
            ("Напиши запрос: SELECT name, age FROM users WHERE age > 30", "ru"),
            (
                "Explica qué hace este código y cómo mejorarlo:\n```swift\nlet values = try await load(from: source)\nreturn values.first\n```",
                "es"
            ),
            ("Warum gibt `getUserName()` hier keinen Wert zurück?", "de"),
            ("Pourquoi est-ce que foo_bar.baz(qux) renvoie une erreur ?", "fr"),
            ("What does the word привет mean in this sentence?", "en"),
            ("What is the meaning of 你好 when people say it on the phone?", "en"),
            ("Please review https://example.com/übersicht and tell me what is missing", "en"),
        ]
    )
    func mixed(text: String, code: String) {
        #expect(detect(text)?.code == code)
    }

    @Test(
        "Without letters there is nothing to judge",
        arguments: [
            "", " \n\t", "12345", "3.14 + 2 = 5.14", "?!… — «»", "🙂🚀👍🏽", "https://example.com/a/b?c=d", "٣٤٥", "१२३",
        ]
    )
    func nothing(text: String) {
        #expect(detect(text) == nil)
    }

    @Test("A text that is only code is judged by its words")
    func onlyCode() {
        #expect(detect("```\nreturn the_first_value_of(this_list)\n```") != nil)
        #expect(detect("foo_bar") != nil)
    }

    @Test("Case does not matter", arguments: ["de", "fr", "pl", "tr", "ru", "uk", "vi", "ro", "cs"])
    func caseFolding(code: String) {
        for prompt in Prompt.all where prompt.code == code && prompt.text.count > 40 {
            #expect(detect(prompt.text.uppercased())?.code == detect(prompt.text.lowercased())?.code, "\(prompt.text)")
        }
    }

    @Test("Romanian may be written with commas or cedillas, Persian with Arabic letters")
    func variants() {
        #expect(detect("Ce condiţii trebuie să îndeplinesc şi ce acte îmi trebuie?")?.code == "ro")
        #expect(detect("Ce condiții trebuie să îndeplinesc și ce acte îmi trebuie?")?.code == "ro")
        #expect(detect("تفاوت فرآيند و رشته را براي يك فرد مبتدي توضيح بده")?.code == "fa")
    }

    @Test("Kana make a text Japanese; a quotation of Japanese leaves a text Chinese")
    func kana() throws {
        #expect(detect("東京の天気予報")?.code == "ja")
        let chinese = detect("我昨天在东京的便利店里看到很多人都在排队买“おでん”，请问这是什么食物，为什么冬天特别受欢迎？")
        #expect(chinese?.code == "zh")
        #expect(try #require(chinese).confidence < 1)
    }

    @Test("The confidence is a share: 1 for a script of one language, high for plain sentences, lower for single words")
    func confidence() throws {
        #expect(detect("Ποια είναι η πρωτεύουσα;") == DetectedLanguage(code: "el", confidence: 1))
        #expect(try #require(detect("Explain the difference between these two sentences.")).confidence > 0.95)
        #expect(try #require(detect("hotel")).confidence < 0.9)
        for prompt in Prompt.all {
            let confidence = try #require(detect(prompt.text)).confidence
            #expect(confidence > 0 && confidence <= 1)
        }
    }

    @Test("Bytes that are not UTF-8 count as spaces")
    func invalidBytes() {
        let broken =
            Array("Wie installiere ich ".utf8) + [0xFF, 0xC0, 0xE2, 0x82] + Array(" Docker auf meinem Rechner?".utf8)
        #expect(detect(broken)?.code == "de")
        #expect(detect([0x80, 0xBF, 0xFE, 0xF8]) == nil)
        for byte in UInt8.min...UInt8.max { _ = detect([byte]) }
    }

    @Test("A text may be cut anywhere")
    func cuts() {
        let text = "Wie heißt das auf 日本語? ```let a = 1``` https://a.example/ü 🙂 Поясни, будь ласка: foo_bar(1) क्या है"
        let bytes = Array(text.utf8)
        for start in 0...bytes.count {
            _ = detect(Array(bytes[start...]))
            _ = detect(Array(bytes[..<start]))
        }
        // Across the limit of what is read, with every alignment of the cuts.
        let long = Array(String(repeating: text + " ", count: 40).utf8)
        for length in 4000...4400 { #expect(detect(Array(long[..<length])) != nil) }
    }

    @Test("Random bytes are judged the same each time")
    func determinism() {
        var state: UInt64 = 0x5EED
        for _ in 0..<2000 {
            let bytes = (0..<Int(state >> 33 % 200)).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            }
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            #expect(detect(bytes) == detect(bytes))
        }
        for prompt in Prompt.all { #expect(detect(prompt.text) == LanguageDetectorTests.fresh(prompt.text)) }
    }

    private static func fresh(_ text: String) -> DetectedLanguage? {
        Array(text.utf8).withUnsafeBytes { LanguageDetector().detect($0) }
    }

    @Test("A long text is judged by its ends: what lies between changes nothing")
    func boundedWork() {
        let german = "Bitte erkläre mir, warum dieser Vertrag so lange läuft und wie ich ihn kündigen kann. "
        let end = String(repeating: german, count: 40)
        let latin = Array((end + String(repeating: "the quick brown fox ", count: 3000) + end).utf8)
        let han = Array((end + String(repeating: "请解释这段代码", count: 3000) + end).utf8)
        #expect(latin.count > 60_000 && han.count > 60_000)
        #expect(detect(latin)?.code == "de")
        #expect(detect(latin) == detect(han))
    }

    @Test("A word without end does not outgrow the sums", arguments: ["a", "ß", "ж", "ب", "म", "Ab", "a b "])
    func endlessWords(unit: String) {
        #expect(detect(String(repeating: unit, count: 65536)) != nil)
    }
}
