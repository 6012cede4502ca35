import SemanticRouter
import Testing

@Suite("Keyword signals")
struct KeywordSignalTests {
    private func match(
        _ keywords: [String],
        _ text: String,
        _ operator: KeywordSignal.Settings.Operator = .or,
        caseSensitive: Bool = false
    ) -> SignalMatch? {
        var settings = KeywordSignal.Settings()
        settings.name = "k"
        settings.keywords = keywords
        settings.operator = `operator`
        settings.caseSensitive = caseSensitive
        return KeywordSignal(settings).evaluate(Prompt(userText: text))
    }

    @Test(
        "Words match as words",
        arguments: [
            ("java", "I like Java.", true), ("java", "I like JavaScript.", false), ("java", "myjava", false),
            ("java", "java", true), ("java", "java_home", false), ("java", "(java)", true),
            ("java", "javajava java", true),
            ("c++", "write c++ code", true), ("c++", "c++11", true), ("stack trace", "a Stack Trace here", true),
            (".net", "asp.net", true), ("é", "café", true), ("ÉTÉ", "un été chaud", true), ("java", "", false),
        ]
    )
    func words(keyword: String, text: String, found: Bool) {
        #expect((match([keyword], text) != nil) == found)
    }

    @Test("Scripts without spaces match anywhere", arguments: ["请用代码实现", "代码", "写代码吧", "a代码b"])
    func chinese(text: String) {
        #expect(match(["代码"], text) != nil)
    }

    @Test("Capitals count when they are said to")
    func caseSensitive() {
        #expect(match(["SQL"], "sql", caseSensitive: true) == nil)
        #expect(match(["SQL"], "the SQL", caseSensitive: true) != nil)
    }

    @Test("Operators")
    func operators() {
        #expect(match(["a", "b"], "a", .and) == nil)
        #expect(match(["a", "b"], "b a", .and)?.keywords == ["a", "b"])
        #expect(match(["a", "b"], "b", .or)?.keywords == ["b"])
        #expect(match(["a", "b"], "c", .nor)?.keywords == [])
        #expect(match(["a", "b"], "b", .nor) == nil)
    }

    @Test(
        "Confidence is half for matching and half by the share of keywords",
        arguments: [(1, 0.625), (2, 0.75), (3, 0.875), (4, 1.0)]
    )
    func confidence(found: Int, score: Double) {
        let words = ["one", "two", "three", "four"]
        #expect(match(words, words[..<found].joined(separator: " "))?.score == score)
    }
}
