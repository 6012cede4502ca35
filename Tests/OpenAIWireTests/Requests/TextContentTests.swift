import NIOCore
import OpenAIWire
import Testing

/// What guards and signals see of a request: every text, whose it is, and what cannot be read.
@Suite struct TextContentTests {
    /// The texts as `role:text`, those around the messages in parentheses, keys with a `#`.
    private func texts(_ endpoint: TextEndpoint, _ text: String) throws -> [String] {
        try request(endpoint, text).content().texts.map { part in
            let text = "\(part.role.rawValue):\(part.isKey ? "#" : "")\(part.text.string ?? "?")"
            return part.isContent ? text : "(\(text))"
        }
    }

    @Test("A chat's messages come in order, with their roles")
    func chat() throws {
        let body = """
            {"model": "m", "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "one"},
                    {"type": "text", "text": "two"}, "three"]},
                {"role": "assistant", "content": null, "reasoning_content": "hmm",
                 "tool_calls": [{"id": "c1", "type": "function",
                     "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "42"},
                {"role": "developer", "content": "Go on."},
                {"role": "critic", "name": "Bob", "content": "bad"},
                {"role": "user", "content": "last\\u0021"}
            ], "tools": [{"type": "function", "function": {"name": "f", "description": "adds", "parameters":
                {"type": "object", "properties": {"a": {"type": "number", "description": "the a"}}}}}]}
            """
        #expect(
            try texts(.chatCompletions, body) == [
                "system:Be brief.", "user:one", "user:two", "user:three", "(assistant:hmm)", "(assistant:f)",
                #"(assistant:{"a": 1})"#, "tool:42", "developer:Go on.", "(other:Bob)", "other:bad", "user:last!",
                "(toolDefinition:function)", "(toolDefinition:f)", "(toolDefinition:adds)", "(toolDefinition:object)",
                "(toolDefinition:number)", "(toolDefinition:the a)",
            ]
        )
        let content = try request(.chatCompletions, body).content()
        #expect(content.unreadable == [])
        #expect(content.lastUserBytes == Array("last!".utf8))
        #expect(content.lastUserParts.map(\.path) == [["messages", 6, "content"]])
        #expect(content.texts[2].path == ["messages", 1, "content", 1, "text"])
        #expect(content.texts.prefix(5).map(\.turn) == [0, 1, 1, 1, 2])
    }

    @Test("The last user text is the whole of the last user turn, even when the assistant speaks last")
    func lastUserBytes() throws {
        let body = """
            {"messages": [{"role": "user", "content": "old"},
                {"role": "user", "content": [{"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "u"}},
                                             {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": "c"}]}
            """
        #expect(try request(.chatCompletions, body).content().lastUserBytes == Array("a\nb".utf8))
        let silent = #"{"messages": [{"role": "system", "content": "x"}]}"#
        #expect(try request(.chatCompletions, silent).content().lastUserBytes.isEmpty)
    }

    @Test(
        "What cannot be read is said",
        arguments: [
            (#"{"type": "image_url", "image_url": {"url": "data:,"}}"#, Unreadable.image),
            (#"{"type": "input_audio"}"#, .audio),
            (#"{"type": "video_url"}"#, .video), (#"{"type": "file", "file": {"file_id": "f"}}"#, .file),
            (#"{"type": "image_embeds"}"#, .encoded), (#"{"type": "hologram", "text": "x"}"#, .unknown),
            (#"{"typ": "text"}"#, .unknown), (#"{"type": "text", "text": "x"}"#, []), (#"{"text": "x"}"#, []),
        ] as [(String, Unreadable)]
    )
    func unreadableParts(part: String, expected: Unreadable) throws {
        let body = #"{"messages": [{"role": "user", "content": [\#(part)]}]}"#
        #expect(try request(.chatCompletions, body).content().unreadable == expected)
    }

    @Test("Strings of unknown parts are still seen, keys and nested values included")
    func unknownParts() throws {
        let body = """
            {"messages": [{"role": "user", "content":
                [{"type": "new", "inner": {"deep": ["x", {"key": {}}]}, "z": "y"}]}]}
            """
        let expected = ["#type", "new", "#inner", "#deep", "x", "#key", "#z", "y"].map { "(user:\($0))" }
        #expect(try texts(.chatCompletions, body) == expected)
    }

    @Test("Everything a chat template can render is seen")
    func chatExtras() throws {
        let body = """
            {"chat_template": "T", "chat_template_kwargs": {"k": "v"}, "documents": [{"title": "D", "text": "E"}],
             "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "function_call": {"name": "old"}}],
             "functions": [{"name": "g"}]}
            """
        #expect(
            try texts(.chatCompletions, body) == [
                "(other:T)", "(other:#k)", "(other:v)", "user:hi", "(assistant:#name)", "(assistant:old)",
                "(document:D)",
                "(document:E)", "(toolDefinition:g)",
            ]
        )
    }

    @Test(
        "Prompts come in four forms",
        arguments: [
            (#"{"prompt": "a"}"#, ["user:a"], []),
            (#"{"prompt": ["a", "b"], "suffix": "c"}"#, ["user:a", "user:b", "(user:c)"], []),
            (#"{"prompt": [1, 2]}"#, [], .tokenIDs), (#"{"prompt": [[1], [2, 3]]}"#, [], .tokenIDs),
            (#"{"prompt_embeds": "gAJ9"}"#, [], .encoded),
            (#"{"prompt": "a", "prompt_embeds": ["x"]}"#, ["user:a"], .encoded),
            (#"{"prompt": []}"#, [], []),
        ] as [(String, [String], Unreadable)]
    )
    func completions(body: String, expected: [String], unreadable: Unreadable) throws {
        #expect(try texts(.completions, body) == expected)
        #expect(try request(.completions, body).content().unreadable == unreadable)
    }

    @Test("A responses request: instructions, items, and what only its id names")
    func responses() throws {
        #expect(try texts(.responses, #"{"instructions": "I", "input": "Q"}"#) == ["system:I", "user:Q"])
        let body = """
            {"previous_response_id": "r1", "input": [
                {"role": "user", "content": "q"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"},
                                                                     {"type": "refusal", "refusal": "no"}]},
                {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
                {"type": "function_call_output", "call_id": "c", "output": "42"},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "x"},
                {"type": "item_reference", "id": "i"},
                {"type": "computer_call", "action": "click"},
                {"role": "user", "content": [{"type": "input_text", "text": "z"},
                    {"type": "input_image"}, {"type": "input_file"}]}
            ], "tools": [{"type": "web_search"}, {"type": "function", "name": "f", "description": "d"}]}
            """
        #expect(
            try texts(.responses, body) == [
                "user:q", "assistant:a", "assistant:no", "(assistant:f)", "(assistant:{})", "tool:42", "(assistant:s)",
                "(other:#type)", "(other:computer_call)", "(other:#action)", "(other:click)", "user:z",
                "(toolDefinition:web_search)", "(toolDefinition:function)", "(toolDefinition:f)", "(toolDefinition:d)",
            ]
        )
        let content = try request(.responses, body).content()
        #expect(content.unreadable == [.stored, .encoded, .unknown, .image, .file])
        #expect(content.lastUserBytes == Array("z".utf8))
    }

    @Test("An Anthropic request: system first, blocks of all kinds")
    func messages() throws {
        let body = """
            {"system": [{"type": "text", "text": "S"}], "max_tokens": 9, "messages": [
                {"role": "user", "content": "u"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "x"},
                    {"type": "redacted_thinking", "data": "e"},
                        {"type": "tool_use", "id": "1", "name": "f", "input": {"q": "w"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "1", "content":
                        [{"type": "text", "text": "r"}, {"type": "image"}]},
                    {"type": "tool_result", "tool_use_id": "2", "content": "rr"},
                    {"type": "document", "title": "T", "source": {"type": "text", "data": "D"}},
                    {"type": "document", "source": {"type": "base64", "data": "JVBE"}},
                    {"type": "text", "text": "v"}]}
            ], "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]}
            """
        #expect(
            try texts(.messages, body) == [
                "system:S", "user:u", "(assistant:t)", "(assistant:f)", "(assistant:#q)", "(assistant:w)", "tool:r",
                "tool:rr", "(user:T)", "user:D", "user:v", "(toolDefinition:f)", "(toolDefinition:d)",
                "(toolDefinition:object)",
            ]
        )
        let content = try request(.messages, body).content()
        #expect(content.unreadable == [.encoded, .image, .file])
        #expect(content.lastUserBytes == Array("D\nv".utf8))
        let tool = try #require(try MessagesRequest(request(.messages, body)).tools.first)
        #expect(tool.name == "f")
        #expect(tool.description?.string == "d")
        #expect(tool.parameters?["type"]?.string == "object")
    }

    @Test(
        "Embeddings, classification and pooling take texts, tokens, chats or plug-in data",
        arguments: [
            (#"{"input": "a"}"#, ["user:a"], []), (#"{"input": ["a", "b"]}"#, ["user:a", "user:b"], []),
            (#"{"input": [1]}"#, [], .tokenIDs), (#"{"input": [[1]]}"#, [], .tokenIDs),
            (#"{"messages": [{"role": "user", "content": "c"}]}"#, ["user:c"], []),
            (#"{"data": {"x": "y"}}"#, ["(other:#x)", "(other:y)"], .unknown),
        ] as [(String, [String], Unreadable)]
    )
    func embeddings(body: String, expected: [String], unreadable: Unreadable) throws {
        for endpoint in [TextEndpoint.embeddings, .classify, .pooling] {
            #expect(try texts(endpoint, body) == expected)
            #expect(try request(endpoint, body).content().unreadable == unreadable)
        }
    }

    @Test(
        "Rerank and score take strings, objects and parts under all their names",
        arguments: [
            (
                .rerank,
                #"{"query": "q", "documents": ["a", {"text": "b"}, {"content": [{"type": "text", "text": "c"}]}]}"#,
                ["user:q", "document:a", "document:b", "document:c"]
            ),
            (
                .rerank, #"{"query": {"content": [{"type": "text", "text": "q"}]}, "documents": {"content": []}}"#,
                ["user:q"]
            ),
            (.score, #"{"text_1": "q", "text_2": ["a", "b"]}"#, ["user:q", "document:a", "document:b"]),
            (.score, #"{"queries": ["q", "r"], "documents": "a"}"#, ["user:q", "user:r", "document:a"]),
            (.score, #"{"queries": "q", "items": ["a"]}"#, ["user:q", "document:a"]),
            (
                .score, #"{"data_1": "q", "data_2": {"content": "a"}, "instruction": "i"}"#,
                ["(system:i)", "user:q", "document:a"]
            ),
        ] as [(TextEndpoint, String, [String])]
    )
    func rerankAndScore(endpoint: TextEndpoint, body: String, expected: [String]) throws {
        #expect(try texts(endpoint, body) == expected)
    }

    @Test("Tokenize reads prompts and chats, detokenize has only numbers")
    func tokenize() throws {
        #expect(try texts(.tokenize, #"{"prompt": "a"}"#) == ["user:a"])
        #expect(try texts(.tokenize, #"{"messages": [{"role": "user", "content": "b"}]}"#) == ["user:b"])
        let content = try request(.detokenize, #"{"tokens": [1, 2]}"#).content()
        #expect(content.texts.isEmpty)
        #expect(content.unreadable == .tokenIDs)
    }

    @Test(
        "A field of the wrong form is named by its path",
        arguments: [
            (.chatCompletions, "{}", "messages"), (.chatCompletions, #"{"messages": {}}"#, "messages"),
            (.chatCompletions, #"{"messages": ["hi"]}"#, "messages[0]"),
            (.chatCompletions, #"{"messages": [{"role": "user"}, {"content": "x"}]}"#, "messages[1].role"),
            (.chatCompletions, #"{"messages": [{"role": "user", "content": 5}]}"#, "messages[0].content"),
            (.chatCompletions, #"{"messages": [{"role": "user", "content": [5]}]}"#, "messages[0].content[0]"),
            (
                .chatCompletions, #"{"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}"#,
                "messages[0].content[0].text"
            ),
            (
                .chatCompletions, #"{"messages": [{"role": "user", "content": [{"type": "text"}]}]}"#,
                "messages[0].content[0].text"
            ),
            (
                .chatCompletions, #"{"messages": [{"role": "assistant", "tool_calls": [3]}]}"#,
                "messages[0].tool_calls[0]"
            ),
            (
                .chatCompletions, #"{"messages": [], "tools": [{"type": "function", "function": {}}]}"#,
                "tools[0].function.name"
            ),
            (.chatCompletions, #"{"messages": [], "tools": "x"}"#, "tools"), (.completions, "{}", "prompt"),
            (.completions, #"{"prompt": 1}"#, "prompt"), (.completions, #"{"prompt": ["a", 1]}"#, "prompt"),
            (.completions, #"{"prompt": [[1], ["a"]]}"#, "prompt"), (.responses, #"{"input": 1}"#, "input"),
            (.responses, #"{"input": [{"content": "x"}]}"#, "input[0].role"),
            (.responses, #"{"instructions": []}"#, "instructions"),
            (.messages, #"{"system": 1, "messages": []}"#, "system"), (.messages, "{}", "messages"),
            (.embeddings, "{}", "input"), (.embeddings, #"{"input": {}}"#, "input"),
            (.rerank, #"{"documents": []}"#, "query"),
            (.rerank, #"{"query": "q"}"#, "documents"),
            (.rerank, #"{"query": "q", "documents": ["a", 1]}"#, "documents[1]"),
            (.rerank, #"{"query": "q", "documents": [{"text": 1}]}"#, "documents[0].text"),
            (.score, #"{"text_1": "a"}"#, "queries"),
            (.score, #"{"queries": "a"}"#, "documents"), (.tokenize, "{}", "prompt"), (.detokenize, "{}", "tokens"),
        ] as [(TextEndpoint, String, String)]
    )
    func wrongForms(endpoint: TextEndpoint, body: String, parameter: String) throws {
        let request = try request(endpoint, body)
        let error = try routerError { () throws(RouterError) in _ = try request.content() }
        #expect(error.code == .invalidRequest)
        #expect(error.parameter == parameter)
        #expect(error.message.contains(parameter))
    }

    @Test("Every endpoint's texts can be redacted by their paths, whatever the form")
    func redaction() throws {
        let bodies: [(TextEndpoint, String)] = [
            (
                .chatCompletions,
                #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "secret"}, "secret"]}]}"#
            ),
            (.completions, #"{"prompt": ["secret", "secret"]}"#),
            (.responses, #"{"instructions": "secret", "input": "secret"}"#),
            (.messages, #"{"system": "secret", "messages": [{"role": "user", "content": "secret"}]}"#),
            (.embeddings, #"{"input": "secret"}"#),
            (.rerank, #"{"query": "secret", "documents": [{"text": "secret"}]}"#),
            (.score, #"{"text_1": "secret", "text_2": ["secret"]}"#), (.tokenize, #"{"prompt": "secret"}"#),
        ]
        for (endpoint, body) in bodies {
            let request = try request(endpoint, body)
            let edits = try request.content().texts.map { JSONEdit.set($0.path, "x") }
            let redacted = String(buffer: try edits.applied(to: request.document))
            #expect(redacted == body.replacing("secret", with: "x"))
        }
    }
}
