import OpenAIWire
import SemanticRouter
import Testing

@Suite struct SystemPromptEditTests {
    private func edited(
        _ body: String,
        _ mode: SystemPromptSettings.Mode = .insert,
        at endpoint: TextEndpoint = .chatCompletions,
        isInjected: Bool = true
    ) throws -> String {
        let request = try textRequest(body, endpoint)
        let (edits, injected) = SystemPromptEdit.edits(SystemPromptSettings("P", mode), for: request)
        #expect(injected == isInjected)
        return try request.applying(edits)
    }

    @Test(
        "In a chat, the prompt stands before what the first system message says",
        arguments: [
            (
                #"{ "messages" : [ {"role":"system", "content" : "old", "name":"n"}, {"role":"user","content":"u"}] }"#,
                #"{ "messages" : [ {"role":"system", "content" : "P\n\nold", "name":"n"}, {"role":"user","content":"u"}] }"#
            ),
            (
                #"{"messages":[{"role":"system","content":[ {"type":"text","text":"old"}, {"type":"file"}]}]}"#,
                #"{"messages":[{"role":"system","content":[ {"type":"text","text":"P"},{"type":"text","text":"old"}, {"type":"file"}]}]}"#
            ),
            (
                #"{"messages":[{"role":"system","content":[]}]}"#,
                #"{"messages":[{"role":"system","content":[{"type":"text","text":"P"}]}]}"#
            ),
            (
                #"{"messages":[{"role":"system","content":null}]}"#,
                #"{"messages":[{"role":"system","content":"P"}]}"#
            ),
            (#"{"messages":[{"role":"system"}]}"#, #"{"messages":[{"role":"system","content":"P"}]}"#),
            (
                #"{"messages":[7,null,{"role":"user"},{"role":"\u0073ystem","content":""},{"role":"system"}]}"#,
                #"{"messages":[7,null,{"role":"user"},{"role":"\u0073ystem","content":"P\n\n"},{"role":"system"}]}"#
            ),
        ]
    )
    func insertsIntoSystemMessage(body: String, expected: String) throws {
        #expect(try edited(body) == expected)
    }

    @Test(
        "A chat without system message gets one at the top, also before a developer's",
        arguments: [SystemPromptSettings.Mode.insert, .replace]
    )
    func insertsMessage(mode: SystemPromptSettings.Mode) throws {
        let message = #"{"role":"system","content":"P"}"#
        #expect(try edited(#"{"messages":[]}"#, mode) == #"{"messages":[\#(message)]}"#)
        let developer = #"{"role":"developer","content":"keep"}"#
        #expect(try edited(#"{"messages":[\#(developer)]}"#, mode) == #"{"messages":[\#(message),\#(developer)]}"#)
    }

    @Test("Replacing changes the content of the first system message and nothing else")
    func replaces() throws {
        let developer = #"{"role":"developer","content":"keep"}"#
        let body = #"{"messages":[\#(developer),{"name":"n","role":"system","content":["old"]},{"role":"system"}]}"#
        #expect(
            try edited(body, .replace)
                == #"{"messages":[\#(developer),{"name":"n","role":"system","content":"P"},{"role":"system"}]}"#
        )
    }

    @Test("Content that holds no text stays, and the prompt gets a message of its own", arguments: ["7", "{}", "true"])
    func wrongContent(content: String) throws {
        let message = #"{"role":"system","content":\#(content)}"#
        #expect(
            try edited(#"{"messages":[\#(message)]}"#)
                == #"{"messages":[{"role":"system","content":"P"},\#(message)]}"#
        )
    }

    @Test(
        "A body without a list of messages stays as it is",
        arguments: [#"{}"#, #"{"messages":null}"#, #"{"messages":"m"}"#, #"{"messages":{"role":"system"}}"#]
    )
    func noMessages(body: String) throws {
        #expect(try edited(body, isInjected: false) == body)
        #expect(try edited(body, .replace, isInjected: false) == body)
    }

    @Test(
        "The responses API's instructions and Anthropic's system prompt",
        arguments: [
            (TextEndpoint.responses, #"{"instructions":"old"}"#, #"{"instructions":"P\n\nold"}"#),
            (.responses, #"{"input":"i"}"#, #"{"input":"i","instructions":"P"}"#),
            (.responses, #"{"instructions":null}"#, #"{"instructions":"P"}"#),
            (.messages, #"{"system":"old"}"#, #"{"system":"P\n\nold"}"#),
            (.messages, #"{"system":null}"#, #"{"system":"P"}"#),
            (.messages, #"{}"#, #"{"system":"P"}"#),
            (
                .messages, #"{"system":[{"type":"text","text":"old"}]}"#,
                #"{"system":[{"type":"text","text":"P"},{"type":"text","text":"old"}]}"#
            ),
        ]
    )
    func members(endpoint: TextEndpoint, body: String, expected: String) throws {
        #expect(try edited(body, at: endpoint) == expected)
    }

    @Test("Replacing takes the place of instructions in any form", arguments: ["\"old\"", "null", "[]"])
    func replacesMembers(old: String) throws {
        #expect(try edited(#"{"system":\#(old)}"#, .replace, at: .messages) == #"{"system":"P"}"#)
    }

    @Test(
        "Instructions of a wrong type stay as they are",
        arguments: [
            (TextEndpoint.responses, #"{"instructions":["old"]}"#), (.responses, #"{"instructions":5}"#),
            (.messages, #"{"system":{"type":"text"}}"#), (.messages, #"{"system":false}"#),
        ]
    )
    func wrongMembers(endpoint: TextEndpoint, body: String) throws {
        for mode in SystemPromptSettings.Mode.allCases {
            #expect(try edited(body, mode, at: endpoint, isInjected: false) == body)
        }
    }

    @Test("Other endpoints have no system prompt")
    func otherEndpoints() throws {
        let body = #"{"messages":[],"instructions":"i","system":"s","prompt":"p"}"#
        for endpoint in TextEndpoint.allCases where ![.chatCompletions, .responses, .messages].contains(endpoint) {
            #expect(try edited(body, at: endpoint, isInjected: false) == body)
        }
    }

    @Test("Settings that are off or empty change nothing")
    func inactive() throws {
        let request = try textRequest(#"{"messages":[]}"#)
        for settings in [SystemPromptSettings("P", isEnabled: false), SystemPromptSettings("", isEnabled: true)] {
            let (edits, isInjected) = SystemPromptEdit.edits(settings, for: request)
            #expect(edits.isEmpty)
            #expect(!isInjected)
        }
    }
}
