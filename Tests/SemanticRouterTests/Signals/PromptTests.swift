import OpenAIWire
import SemanticRouter
import TestRandom
import Testing

@Suite struct PromptTests {
    // MARK: Which text

    @Test(
        "What is asked is the user's last text",
        arguments: [
            (
                #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]}"#,
                "c"
            ),
            (#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#, "a"),
            (
                #"{"messages": [{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "1", "content": "b"}]}"#,
                "a"
            ),
            // A last message without text leaves the one before.
            (
                #"{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}"#,
                "a"
            ),
            (
                #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}"#,
                "a\nb"
            ),
            (#"{"messages": [{"role": "user", "content": ["a", "b"]}]}"#, "a\nb"),
            (#"{"messages": [{"role": "user", "content": " a "}]}"#, " a "),
        ]
    )
    func lastText(body: String, text: String) throws {
        let prompt = try Prompt(body: body)
        #expect(prompt.string == text)
        #expect(prompt.userTextBytes == text.utf8.count)
    }

    @Test(
        "Where the user says nothing, instructions and answers are read instead",
        arguments: [
            (#"{"messages": [{"role": "system", "content": "a"}, {"role": "assistant", "content": "b"}]}"#, "a b"),
            (
                #"{"messages": [{"role": "developer", "content": "a"}, {"role": "tool", "tool_call_id": "1", "content": "b"}]}"#,
                "a"
            ),
            (#"{"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": ""}]}"#, "a"),
            (#"{"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": null}]}"#, "a"),
            (#"{"messages": []}"#, ""),
            (#"{"messages": [{"role": "tool", "tool_call_id": "1", "content": "b"}]}"#, ""),
        ]
    )
    func otherText(body: String, text: String) throws {
        let prompt = try Prompt(body: body)
        #expect(prompt.string == text)
        #expect(prompt.userTextBytes == 0)
    }

    @Test(
        "Other endpoints' prompts are the user's words, the last of several",
        arguments: [
            (TextEndpoint.completions, #"{"prompt": "a"}"#, "a"),
            (.completions, #"{"prompt": ["a", "b"]}"#, "b"),
            (.completions, #"{"prompt": [1, 2]}"#, ""),
            (.responses, #"{"input": "a", "instructions": "b"}"#, "a"),
            (.responses, #"{"input": ["a", {"role": "user", "content": "b"}]}"#, "b"),
            (.responses, #"{"instructions": "b"}"#, "b"),
            (.messages, #"{"system": "a", "messages": [{"role": "user", "content": "b"}]}"#, "b"),
            (.messages, #"{"system": [{"type": "text", "text": "a"}], "messages": []}"#, "a"),
            (.embeddings, #"{"input": ["a", "b"]}"#, "b"),
        ]
    )
    func endpoints(endpoint: TextEndpoint, body: String, text: String) throws {
        #expect(try Prompt(body: body, endpoint).string == text)
    }

    @Test(
        "A request without its endpoint's form is the client's mistake",
        arguments: [
            (TextEndpoint.chatCompletions, "{}"),
            (.chatCompletions, #"{"messages": "a"}"#),
            (.chatCompletions, #"{"messages": [{"content": "a"}]}"#),
            (.chatCompletions, #"{"messages": [{"role": "user", "content": 7}]}"#),
            (.chatCompletions, #"{"messages": [{"role": "user", "content": [{"type": "text"}]}]}"#),
            (.responses, #"{"input": 7}"#),
            (.responses, #"{"input": [7]}"#),
            (.messages, #"{"messages": {}}"#),
            (.completions, #"{"prompt": {}}"#),
        ]
    )
    func wrongForm(endpoint: TextEndpoint, body: String) throws {
        let request = try textRequest(body, endpoint)
        let error = #expect(throws: RouterError.self) { _ = try Prompt(request) }
        #expect(error?.code == .invalidRequest)
    }

    @Test("Keywords are sought in instructions where the user says nothing, and only there")
    func keywordsElsewhere() throws {
        let rules = try SignalRules("keywords: [{name: k, keywords: [python]}]")
        let system = #"{"role": "system", "content": "You know Python."}"#
        #expect(rules.present(try Prompt(body: #"{"messages": [\#(system)]}"#)) == ["k"])
        #expect(
            rules.present(try Prompt(body: #"{"messages": [\#(system), {"role": "user", "content": "hi"}]}"#)) == []
        )
    }

    // MARK: The window

    @Test("A text of both windows' length is read whole; one byte more is cut")
    func windowEdge() throws {
        let size = 2 * Prompt.windowBytes
        let whole = try Prompt.asking(String(repeating: "x", count: size))
        #expect(whole.text.count == size)
        let cut = try Prompt.asking("a" + String(repeating: "x", count: size - 1) + "b")
        #expect(cut.text.count == size + 1)
        #expect(cut.text.first == UInt8(ascii: "a") && cut.text.last == UInt8(ascii: "b"))
        #expect(cut.text[Prompt.windowBytes] == UInt8(ascii: "\n"))
        #expect(cut.userTextBytes == size + 1)
        let close = try Prompt.asking(String(repeating: "x", count: 2 * Prompt.closeBytes))
        #expect(close.closeText == close.text)
    }

    @Test("A long text is cut between characters, at every offset of the cut", arguments: ["é", "数", "🙂"])
    func characters(character: String) throws {
        for shift in 0..<4 {
            for end in 0..<4 {
                let text =
                    String(repeating: "a", count: shift) + String(repeating: character, count: 40_000)
                    + String(repeating: "b", count: end)
                let prompt = try Prompt.asking(text)
                for bytes in [prompt.text, prompt.lowercasedText, prompt.closeText] {
                    let read = try #require(String(validating: bytes, as: UTF8.self))
                    let ends = read.split(separator: "\n", omittingEmptySubsequences: false)
                    #expect(ends.count == 2)
                    #expect(text.hasPrefix(ends[0]) && text.hasSuffix(ends[1]))
                }
                let width = character.utf8.count
                #expect((2 * Prompt.windowBytes + 1 - prompt.text.count) < 2 * width)
                #expect((2 * Prompt.closeBytes + 1 - prompt.closeText.count) < 2 * width)
                #expect(prompt.userTextBytes == text.utf8.count)
            }
        }
    }

    @Test("Any long text has its own ends, in valid UTF-8, in as many bytes as the window")
    func anyText() throws {
        var random = SeededRandom.fromEnvironment()
        let pieces = ["a", "Z", " ", "\n", "é", "ß", "İ", "数", "한", "🙂", "👩‍👩‍👧", "\u{0301}", "\0"]
        for _ in 0..<20 {
            let text = (0..<(20_000 + random.below(40_000))).map { _ in random.pick(pieces) }.joined()
            let prompt = try Prompt.asking(text)
            #expect(String(validating: prompt.text, as: UTF8.self) != nil)
            #expect(String(validating: prompt.closeText, as: UTF8.self) != nil)
            #expect(prompt.string.lowercased().utf8.elementsEqual(prompt.lowercasedText))
            #expect(prompt.userTextBytes == text.utf8.count)
            #expect(prompt.text.count <= 2 * Prompt.windowBytes + 1)
            #expect(prompt.closeText.count <= 2 * Prompt.closeBytes + 1)
            if text.utf8.count <= 2 * Prompt.windowBytes { #expect(prompt.string == text) }
        }
    }

    @Test("Keywords at either end of a long text are found by every method, in the middle by none")
    func keywordsInWindow() throws {
        let rules = try SignalRules(
            """
            keywords:
              - {name: literal, keywords: [zebra]}
              - {name: pattern, method: regex, keywords: ["z[e]bra"]}
              - {name: bm25, method: bm25, keywords: [zebra]}
              - {name: ngram, method: ngram, keywords: [zebra]}
              - {name: fuzzy, method: fuzzy, keywords: [zebra]}
              - {name: exact, keywords: [zebra], case_sensitive: true}
            """
        )
        let all = ["literal", "pattern", "bm25", "ngram", "fuzzy", "exact"]
        for filler in ["word ", "数学。", "naïve "] {
            let half = String(repeating: filler, count: 10_000)
            #expect(try rules.present("zebra " + half + half) == all)
            #expect(try rules.present(half + half + " zebra") == all)
            #expect(try rules.present(half + " zebra " + half) == [])
            // Between the two windows: what costs one pass finds it.
            let near = String(repeating: filler, count: 3 * Prompt.closeBytes / 2 / filler.utf8.count)
            #expect(try rules.present(near + " zebra " + half + half) == ["literal", "pattern", "exact"])
        }
    }

    @Test("Nothing is found across the cut")
    func acrossCut() throws {
        let rules = try SignalRules(
            #"keywords: [{name: phrase, keywords: ["left right"]}, {name: glued, method: regex, keywords: ["left(| )right"]}]"#
        )
        let middle = String(repeating: "x", count: 10)
        let head = String(repeating: ".", count: Prompt.windowBytes - 4) + "left"
        let tail = "right" + String(repeating: ".", count: Prompt.windowBytes - 5)
        let prompt = try Prompt.asking(head + middle + tail)
        // Both words go on behind their cut.
        #expect(prompt.string.contains(".\n."))
        #expect(!prompt.string.contains("left") && !prompt.string.contains("right"))
        #expect(rules.present(prompt) == [])
    }

    @Test("Counts and sequences of a long text are those of its ends")
    func structureInWindow() throws {
        let rules = try SignalRules(
            """
            structure:
              - {name: marks, feature: {type: count, source: {type: regex, pattern: "[?]"}}}
              - {name: order, feature: {type: sequence, source: {type: sequence, sequences: [[alpha, omega]]}}}
              - {name: bytes, feature: {type: count, source: {type: text_bytes}}}
            """
        )
        let filler = String(repeating: ".", count: 100_000)
        let prompt = try Prompt.asking("alpha?" + filler + "?" + filler + "?omega")
        #expect(try rules.reading(.structure, "marks", prompt).value == 2)
        #expect(try rules.reading(.structure, "order", prompt).isPresent)
        #expect(try rules.reading(.structure, "bytes", prompt).value == 200_013)
    }
}
