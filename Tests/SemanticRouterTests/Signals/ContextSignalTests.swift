import OpenAIWire
import SemanticRouter
import TestRandom
import Testing

@Suite struct ContextSignalTests {
    /// One user's message that is estimated at so many tokens: four for its frame, one for four bytes.
    private func prompt(tokens: Int) throws -> Prompt {
        guard tokens >= 4 else { return try Prompt(body: #"{"messages": []}"#) }
        return try .asking(String(repeating: "word", count: tokens - 4))
    }

    // MARK: Bands

    /// Upstream's bands and cases.
    @Test(
        "A band holds both its ends; all bands that hold the number are present",
        arguments: [
            (0, ["low"]),
            (999, ["low"]),
            (1000, ["exact", "low"]),
            (1001, []),
            (1999, []),
            (2000, ["mid"]),
            (4000, ["mid"]),
            (4001, []),
            (6000, []),
            (7999, []),
            (8000, ["overflow"]),
            (100_000, ["overflow"]),
        ]
    )
    func bands(tokens: Int, present: [String]) throws {
        let rules = try SignalRules(
            """
            context:
              - {name: exact, min_tokens: 1K, max_tokens: 1K}
              - {name: low, min_tokens: "0", max_tokens: 1K}
              - {name: mid, min_tokens: 2K, max_tokens: 4K}
              - {name: overflow, min_tokens: 8K}
            """
        )
        let prompt = try prompt(tokens: tokens)
        #expect(prompt.tokens == tokens)
        #expect(rules.present(prompt) == present)
        for name in present {
            #expect(try rules.reading(.context, name, prompt) == .present(1, value: Double(tokens)))
        }
    }

    @Test("Bands that overlap are told in the order of the file; a missing minimum is 0, a missing maximum no limit")
    func overlap() throws {
        let rules = try SignalRules(
            """
            context:
              - {name: wide, max_tokens: 10K}
              - {name: narrow, min_tokens: 2K, max_tokens: 3K}
              - {name: tail, min_tokens: 2.5K}
            """
        )
        #expect(rules.present(try prompt(tokens: 2600)) == ["wide", "narrow", "tail"])
        #expect(rules.present(try prompt(tokens: 2499)) == ["wide", "narrow"])
        #expect(rules.present(try prompt(tokens: 0)) == ["wide"])
        #expect(rules.present(try prompt(tokens: 20_000)) == ["tail"])
    }

    @Test("Images alone can make a request long")
    func images() throws {
        let image = #"{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}"#
        let images = Array(repeating: image, count: 611).joined(separator: ",")
        let prompt = try Prompt(body: #"{"messages": [{"role": "user", "content": [\#(images)]}]}"#)
        #expect(prompt.tokens == 611 * 8192 + 4)
        let rules = try SignalRules("context: [{name: low, max_tokens: 4M}, {name: high, min_tokens: 4M}]")
        #expect(rules.present(prompt) == ["high"])
    }

    // MARK: The estimate

    @Test(
        "Four bytes are a token, and what is begun counts",
        arguments: [
            ("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("数学", 2), ("🙂", 1),
            (String(repeating: "x", count: 401), 101),
        ]
    )
    func bytes(text: String, tokens: Int) throws {
        #expect(try Prompt.asking(text).tokens == tokens + 4)
        #expect(try Prompt(body: #"{"prompt": \#(text.json)}"#, .completions).tokens == tokens + 4)
    }

    @Test("Text of all roles counts together, once rounded, with four for each message")
    func messages() throws {
        let prompt = try Prompt(
            body: """
                {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"},
                {"role": "assistant", "content": "c"}, {"role": "tool", "tool_call_id": "1", "content": "d"},
                {"role": "user", "content": [{"type": "text", "text": "e"}, {"type": "text", "text": "fghi"}]}]}
                """
        )
        #expect(prompt.tokens == 3 + 4 * 5)
    }

    @Test("A text counts by what it says, not by how JSON writes it")
    func escapes() throws {
        let prompt = try Prompt(body: #"{"messages": [{"role": "user", "content": "\u0061\u6570\n\ud83d\ude42"}]}"#)
        #expect(prompt.string == "a数\n🙂")
        #expect(prompt.tokens == (1 + 3 + 1 + 4 + 3) / 4 + 4)
    }

    @Test("A tool costs eight and its definition's text, a call eight and its name and arguments")
    func tools() throws {
        let without = try Prompt(body: #"{"messages": [{"role": "user", "content": "abcd"}]}"#)
        let with = try Prompt(
            body: """
                {"messages": [{"role": "user", "content": "abcd"}],
                "tools": [{"type": "function", "function": {"name": "find"}}]}
                """
        )
        // "function" and "find" are twelve bytes.
        #expect(with.tokens == without.tokens + 8 + 3)
        let called = try Prompt(
            body: """
                {"messages": [{"role": "user", "content": "abcd"}, {"role": "assistant", "tool_calls":
                [{"id": "1", "type": "function", "function": {"name": "find", "arguments": "{\\"a\\":1}"}}]}]}
                """
        )
        // "find" and {"a":1} are eleven bytes.
        #expect(called.tokens == without.tokens + 4 + 8 + 3)
    }

    @Test("More text, messages, tools or images are never fewer tokens")
    func monotonic() throws {
        var random = SeededRandom.fromEnvironment()
        var messages: [String] = []
        var last = 0
        for _ in 0..<200 {
            let text = String(repeating: random.pick(["a", "数", "🙂", " "]), count: random.below(50))
            let role = random.pick(["user", "assistant", "system", "developer"])
            messages.append(#"{"role": "\#(role)", "content": \#(text.json)}"#)
            let tokens = try Prompt(body: #"{"messages": [\#(messages.joined(separator: ","))]}"#).tokens
            #expect(tokens >= last + 4)
            #expect(tokens <= last + 4 + (text.utf8.count + 3) / 4)
            last = tokens
        }
    }

    // MARK: Settings

    @Test(
        "Numbers of tokens may be in thousands and millions, with fractions",
        arguments: [
            ("1500", 1500), ("0", 0), ("32K", 32_000), ("32k", 32_000), ("2.5K", 2500), ("1M", 1_000_000),
            ("0.5m", 500_000),
            ("1.5", 1), ("1e3", 1000), ("\"8K\"", 8000),
        ]
    )
    func tokenCounts(text: String, count: Int) throws {
        let rules = try SignalRules("context: [{name: from, min_tokens: \(text)}, {name: to, max_tokens: \(text)}]")
        if count >= 4 {
            #expect(rules.present(try prompt(tokens: count)) == ["from", "to"])
            #expect(rules.present(try prompt(tokens: count + 1)) == ["from"])
            #expect(rules.present(try prompt(tokens: count - 1)) == ["to"])
        } else {
            #expect(rules.present(try prompt(tokens: 4)) == ["from"])
        }
    }

    @Test(
        "What is no number of tokens is refused",
        arguments: ["1G", "8KB", "-1", "abc", ".nan", ".inf", "nan", "K", "[1]", "1K K"]
    )
    func notTokenCounts(text: String) {
        let mistakes = SignalRules.mistakes("context:\n  - {name: it, min_tokens: \(text)}")
        #expect(mistakes.count == 1)
        #expect(
            mistakes.allSatisfy {
                $0.hasPrefix("2: context[0].min_tokens: expected a number of tokens such as 1500, 32K or 1M, found ")
            }
        )
    }
}
