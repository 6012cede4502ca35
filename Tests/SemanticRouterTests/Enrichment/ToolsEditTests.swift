import OpenAIWire
import SemanticRouter
import Testing

@Suite struct ToolsEditTests {
    private func edited(
        _ settings: ToolsSettings,
        _ body: String,
        _ endpoint: TextEndpoint = .chatCompletions,
        removed expected: Int? = nil
    ) throws -> String {
        let request = try textRequest(body, endpoint)
        let (edits, removed) = ToolsEdit.edits(settings, for: request)
        if let expected { #expect(removed == expected) }
        return try request.applying(edits)
    }

    private static func function(_ name: String) -> String { #"{"type":"function","function":{"name":"\#(name)"}}"# }

    // MARK: None

    @Test(
        "Without tools, everything that speaks of them goes",
        arguments: [
            (
                TextEndpoint.chatCompletions, 3,
                #"{"a":1,"tools":[1,2],"tool_choice":"auto","functions":[{}],"function_call":{},"parallel_tool_calls":true,"web_search_options":{},"z":2}"#,
                #"{"a":1,"z":2}"#
            ),
            (
                .messages, 1, #"{"tools":[{}],"tool_choice":{"type":"any"},"functions":[],"max_tokens":1}"#,
                #"{"functions":[],"max_tokens":1}"#
            ),
            (
                .responses, 0, #"{"tools":"wrong","tool_choice":1,"parallel_tool_calls":null,"input":"i"}"#,
                #"{"input":"i"}"#
            ),
            (.completions, 0, #"{"tools":[1],"prompt":"p"}"#, #"{"tools":[1],"prompt":"p"}"#),
        ]
    )
    func none(endpoint: TextEndpoint, removed: Int, body: String, expected: String) throws {
        #expect(try edited(ToolsSettings(.none), body, endpoint, removed: removed) == expected)
    }

    @Test("Passing through and a plugin that is off change nothing")
    func inactive() throws {
        let body = #"{"tools":[{"name":"a"}]}"#
        #expect(try edited(ToolsSettings(.passthrough), body, removed: 0) == body)
        #expect(try edited(ToolsSettings(.none, isEnabled: false), body, removed: 0) == body)
        #expect(try edited(ToolsSettings(.filtered, block: ["a"], isEnabled: false), body, removed: 0) == body)
    }

    // MARK: History

    @Test(
        "History in a chat",
        arguments: [
            (#"{"role":"user","content":"u"}, {"role":"tool","content":"t"}"#, #"{"role":"user","content":"u"}"#),
            (#"{"role":"function","name":"f","content":"t"}, {"role":"user"}"#, #"{"role":"user"}"#),
            (#"{"role":"assistant","content":null,"name":"n","tool_calls":[{}],"refusal":null}"#, ""),
            (#"{"role":"assistant","function_call":{}}"#, ""),
            (
                #"{"role":"assistant", "content":"c", "tool_calls":[{}], "function_call":{}}"#,
                #"{"role":"assistant", "content":"c"}"#
            ),
            (#"{"role":"assistant","content":"","tool_calls":[]}"#, #"{"role":"assistant","content":""}"#),
            (
                #"{"role":"assistant","content":null},{"role":"assistant","tool_calls":null,"content":"c"}"#,
                #"{"role":"assistant","content":null},{"role":"assistant","tool_calls":null,"content":"c"}"#
            ),
            (#"{"role":"user","tool_calls":[1]},7,null,"tool""#, #"{"role":"user","tool_calls":[1]},7,null,"tool""#),
        ]
    )
    func chatHistory(messages: String, expected: String) throws {
        let settings = ToolsSettings(.none, history: true)
        #expect(try edited(settings, #"{"messages":[\#(messages)]}"#) == #"{"messages":[\#(expected)]}"#)
    }

    @Test("History in Anthropic's blocks and in items of the responses API")
    func otherHistory() throws {
        let settings = ToolsSettings(.none, history: true)
        let use = #"{"type":"tool_use","id":"1"}"#
        let text = #"{"type":"text","text":"t"}"#
        let body = #"""
            {"messages":[{"role":"assistant","content":[\#(text), \#(use),{"type":"server_tool_use"}]},{"role":"user","content":[{"type":"tool_result"}]},{"role":"user","content":"u"},{"role":"user","content":[]}]}
            """#
        #expect(
            try edited(settings, body, .messages)
                == #"{"messages":[{"role":"assistant","content":[\#(text)]},{"role":"user","content":"u"},{"role":"user","content":[]}]}"#
        )
        #expect(
            try edited(
                settings,
                #"{"input":["u",{"type":"function_call"},{"type":"message"},{"type":"function_call_output"},{}]}"#,
                .responses
            ) == #"{"input":["u",{"type":"message"},{}]}"#
        )
        #expect(try edited(settings, #"{"input":"u"}"#, .responses) == #"{"input":"u"}"#)
    }

    @Test("Without the setting, history stays")
    func keptHistory() throws {
        let body = #"{"messages":[{"role":"tool"}]}"#
        #expect(try edited(ToolsSettings(.none), body) == body)
    }

    // MARK: Filtered

    @Test(
        "Tools pass by name, in the form of each API",
        arguments: [
            (TextEndpoint.chatCompletions, function("a"), function("b")),
            (
                .chatCompletions, #"{"type":"custom","custom":{"name":"a"}}"#,
                #"{"type":"custom","custom":{"name":"b"}}"#
            ),
            (.responses, #"{"type":"function","name":"a"}"#, #"{"type":"web_search"}"#),
            (.responses, #"{"type":"a"}"#, #"{"type":"function","name":"b"}"#),
            (.messages, #"{"name":"\u0061","input_schema":{}}"#, #"{"type":"bash_20250124","name":"bash"}"#),
        ]
    )
    func byName(endpoint: TextEndpoint, a: String, other: String) throws {
        let body = #"{"tools":[ \#(a), \#(other)],"tool_choice":"auto"}"#
        #expect(
            try edited(ToolsSettings(.filtered, allow: ["a"]), body, endpoint, removed: 1)
                == #"{"tools":[ \#(a)],"tool_choice":"auto"}"#
        )
        #expect(
            try edited(ToolsSettings(.filtered, block: ["a"]), body, endpoint, removed: 1)
                == #"{"tools":[ \#(other)],"tool_choice":"auto"}"#
        )
    }

    @Test("Blocking outweighs allowing, and every name of a tool counts")
    func blockWins() throws {
        let both = ToolsSettings(.filtered, allow: ["a", "b"], block: ["b"])
        #expect(
            try edited(both, #"{"tools":[\#(Self.function("a")),\#(Self.function("b"))]}"#, removed: 1)
                == #"{"tools":[\#(Self.function("a"))]}"#
        )
        let twoNames = #"{"tools":[\#(Self.function("a")),{"type":"function","name":"x","function":{"name":"a"}}]}"#
        #expect(try edited(both, twoNames, removed: 1) == #"{"tools":[\#(Self.function("a"))]}"#)
    }

    @Test(
        "What has no name passes only a filter that blocks",
        arguments: ["7", "null", "{}", #"{"function":{"name":1}}"#]
    )
    func nameless(tool: String) throws {
        let body = #"{"tools":[\#(Self.function("a")),\#(tool)]}"#
        #expect(try edited(ToolsSettings(.filtered, block: ["b"]), body, removed: 0) == body)
        #expect(
            try edited(ToolsSettings(.filtered, allow: ["a"]), body, removed: 1)
                == #"{"tools":[\#(Self.function("a"))]}"#
        )
    }

    @Test("Where no tool is left, nothing speaks of tools")
    func noneLeft() throws {
        let settings = ToolsSettings(.filtered, allow: ["x"])
        for tools in ["[]", "[\(Self.function("a"))]"] {
            #expect(
                try edited(settings, #"{"tools":\#(tools),"tool_choice":"auto","parallel_tool_calls":false,"n":1}"#)
                    == #"{"n":1}"#
            )
        }
        let wrong = #"{"tools":{"a":1},"tool_choice":"auto"}"#
        #expect(try edited(settings, wrong, removed: 0) == wrong)
    }

    @Test(
        "A choice of a removed tool goes, another one stays",
        arguments: [
            (#"{"type":"function","function":{"name":"a"}}"#, nil),
            (#"{"type":"function","name":"a"}"#, nil),
            (#"{"type":"tool","name":"a"}"#, nil),
            (#"{"type":"function","function":{"name":"b"}}"#, #"{"type":"function","function":{"name":"b"}}"#),
            (#"{"type":"any"}"#, #"{"type":"any"}"#),
            (#""required""#, #""required""#),
            (#"["a"]"#, #"["a"]"#),
            (
                #"{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[\#(function("a")),\#(function("b"))]}}"#,
                #"{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[\#(function("b"))]}}"#
            ),
            (#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"a"}]}"#, nil),
        ] as [(String, String?)]
    )
    func choices(choice: String, expected: String?) throws {
        let kept = Self.function("b")
        let body = #"{"tools":[\#(Self.function("a")),\#(kept)],"tool_choice":\#(choice)}"#
        let rest = expected.map { #","tool_choice":\#($0)"# } ?? ""
        #expect(try edited(ToolsSettings(.filtered, block: ["a"]), body) == #"{"tools":[\#(kept)]\#(rest)}"#)
    }

    @Test("Functions of the older API likewise")
    func functions() throws {
        let settings = ToolsSettings(.filtered, block: ["a"])
        #expect(
            try edited(settings, #"{"functions":[{"name":"a"},{"name":"b"}],"function_call":{"name":"a"}}"#, removed: 1)
                == #"{"functions":[{"name":"b"}]}"#
        )
        #expect(
            try edited(settings, #"{"functions":[{"name":"a"}],"function_call":"auto","n":1}"#, removed: 1)
                == #"{"n":1}"#
        )
    }
}
