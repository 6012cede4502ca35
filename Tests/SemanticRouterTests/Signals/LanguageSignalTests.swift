import OpenAIWire
import SemanticRouter
import Testing

@Suite struct LanguageSignalTests {
    private func rule(_ name: String, threshold: Double = 0) -> LanguageSignals.Settings {
        var settings = LanguageSignals.Settings()
        settings.name = name
        settings.threshold = threshold
        return settings
    }

    private func readings(_ rules: [LanguageSignals.Settings], _ text: String) throws -> [SignalReading] {
        LanguageSignals(rules).evaluate(try .asking(text))
    }

    /// Upstream's examples.
    @Test(
        "The language of a text is present, the others are not",
        arguments: [
            ("Hello, how are you?", "en"),
            ("你好，世界", "zh"),
            ("Bonjour, comment allez-vous?", "fr"),
            ("こんにちは、元気ですか？", "ja"),
            ("Guten Tag, wie geht es Ihnen? Ich heiße Hans und wohne in Berlin. Woher kommen Sie?", "de"),
            ("Привет, как дела?", "ru"),
            ("오늘 날씨가 어때요?", "ko"),
            ("¿Cuál es la capital de España y cuántos habitantes tiene?", "es"),
        ]
    )
    func languages(text: String, code: String) throws {
        let codes = ["en", "zh", "fr", "ja", "de", "ru", "ko", "es"]
        let readings = try readings(codes.map { rule($0) }, text)
        #expect(zip(codes, readings).filter(\.1.isPresent).map(\.0) == [code])
        let reading = try #require(readings.first { $0.isPresent })
        #expect(reading.confidence == 1)
        let confidence = try #require(reading.value)
        #expect((0.3...1).contains(confidence))
    }

    @Test(
        "A text that tells nothing is English at 0.5",
        arguments: ["", "   \n\t  ", "1234567890 9876543210", "?!…", "🙂🚀", "https://example.com/a"]
    )
    func fallback(text: String) throws {
        let readings = try readings([rule("zh"), rule("en")], text)
        #expect(readings == [.absent, .present(1, value: 0.5)])
        #expect(try self.readings([rule("en", threshold: 0.5)], text)[0].isPresent)
        #expect(try !self.readings([rule("en", threshold: 0.51)], text)[0].isPresent)
    }

    @Test("A text of whose language nobody is sure enough is English at 0.5")
    func unsure() throws {
        #expect(try readings([rule("es", threshold: 1), rule("en", threshold: 0.5)], "Hola mundo")[0] == .absent)
        // Chinese with a little kana is Chinese, but not wholly.
        let mixed = "量子力学是物理学的重要分支之一，の"
        #expect(try readings([rule("zh", threshold: 1)], mixed) == [.absent])
        #expect(try readings([rule("zh", threshold: 0.9)], mixed)[0].isPresent)
        #expect(try readings([rule("en", threshold: 1), rule("zh", threshold: 1)], mixed) == [.absent, .absent])
    }

    @Test("A word of many languages is English at 0.5, unless less is enough", arguments: ["ok", "no", "radio"])
    func anyLanguage(word: String) throws {
        #expect(try readings([rule("zh"), rule("en")], word) == [.absent, .present(1, value: 0.5)])
        // A rule for whatever language it is would have it at less: nothing falls back to English.
        #expect(try readings([rule("zh", threshold: 0.01), rule("en")], word) == [.absent, .absent])
    }

    @Test("A rule's own threshold counts where another rule's is lower")
    func ownThreshold() throws {
        let mixed = "量子力学是物理学的重要分支之一，の"
        let readings = try readings(
            [rule("zh", threshold: 1), rule("ja", threshold: 0.1), rule("en", threshold: 0.1)],
            mixed
        )
        #expect(readings == [.absent, .absent, .absent])
    }

    @Test("Both standards of Norwegian are Norwegian", arguments: ["no", "nb", "nn"])
    func norwegian(name: String) throws {
        let rules = try SignalRules("language: [{name: '\(name)'}, {name: en}, {name: ja}]")
        #expect(
            try rules.present("Hvordan kan jeg lære meg å programmere raskere, og hvilke bøker bør jeg lese først?")
                == [name]
        )
        #expect(try rules.present("How can I learn to write programs faster, and which books should I read?") == ["en"])
    }

    @Test("Norwegian's code needs no quotes in YAML")
    func plainNo() throws {
        let rules = try SignalRules("language:\n  - name: no")
        #expect(rules.table.ids.map(\.name) == ["no"])
    }

    @Test("The user's last words decide, not instructions, answers or earlier words")
    func lastWords() throws {
        let rules = try SignalRules("language: [{name: en}, {name: zh}]")
        let prompt = try Prompt(
            body: """
                {"messages": [{"role": "system", "content": "You are a helpful assistant who answers in English."},
                {"role": "user", "content": "What is quantum mechanics about?"},
                {"role": "assistant", "content": "It is about the smallest things."},
                {"role": "user", "content": "请用中文解释一下量子力学"}]}
                """
        )
        #expect(rules.present(prompt) == ["zh"])
    }
}
