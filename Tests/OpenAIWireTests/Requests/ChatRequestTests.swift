import NIOCore
import OpenAIWire
import Testing

@Suite struct ChatRequestTests {
    private func chat(_ fields: String) throws -> ChatRequest {
        ChatRequest(try request(.chatCompletions, #"{"messages": []\#(fields)}"#))
    }

    @Test("Options are read in all their spellings")
    func options() throws {
        let request = try chat(
            #", "max_tokens": 5, "user": "u", "tool_choice": "auto", "response_format": {"type": "text"}, "#
                + #""stream_options": {"include_usage": true}"#
        )
        #expect(try request.maxTokens == 5)
        #expect(try request.user == "u")
        #expect(request.toolChoice?.string == "auto")
        #expect(request.responseFormat?["type"]?.string == "text")
        #expect(try request.includesUsage)
        #expect(try chat(#", "max_tokens": 5, "max_completion_tokens": 7"#).maxTokens == 7)

        let bare = try chat(#", "tool_choice": null, "stream_options": null, "tools": null"#)
        #expect(try bare.maxTokens == nil)
        #expect(try bare.user == nil)
        #expect(bare.toolChoice == nil)
        #expect(try !bare.includesUsage)
        #expect(try bare.tools.isEmpty)
    }

    @Test("An option of the wrong type is an error only when it is asked for")
    func lazyErrors() throws {
        let request = try chat(#", "max_tokens": 1.5, "user": 7, "stream_options": {"include_usage": "yes"}"#)
        #expect(try routerError { () throws(RouterError) in _ = try request.maxTokens }.parameter == "max_tokens")
        #expect(try routerError { () throws(RouterError) in _ = try request.user }.parameter == "user")
        let error = try routerError { () throws(RouterError) in _ = try request.includesUsage }
        #expect(error.parameter == "stream_options.include_usage")
        #expect(error.message == "stream_options.include_usage must be true or false")
        #expect(try request.messages.isEmpty)
    }

    @Test("Messages carry names, calls and the ids that join them")
    func messages() throws {
        let body = """
            {"messages": [
                {"role": "user", "name": "Ann", "content": "hi"},
                {"role": "assistant", "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "2", "type": "custom", "custom": {"name": "g", "input": "raw"}}]},
                {"role": "tool", "tool_call_id": "1",
                    "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]}
            """
        let messages = try ChatRequest(request(.chatCompletions, body)).messages
        #expect(messages.map(\.textRole) == [.user, .assistant, .tool])
        #expect(try messages[0].name == "Ann")
        let calls = try messages[1].toolCalls
        #expect(calls.map(\.id) == ["1", "2"])
        #expect(calls.map { $0.name?.string } == ["f", "g"])
        #expect(calls.map { $0.arguments?.string } == ["{}", "raw"])
        #expect(try messages[2].toolCallID == "1")
        #expect(messages[2].content.texts.map(\.string) == ["a"])
        #expect(messages[1].content.texts.isEmpty)
    }

    @Test(
        "Tool definitions are read in the form of each API",
        arguments: [
            (#"{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"p": 1}}}"#, "f", "d"),
            (#"{"type": "function", "name": "f", "description": "d", "parameters": {"p": 1}}"#, "f", "d"),
            (#"{"name": "f", "description": "d", "input_schema": {"p": 1}}"#, "f", "d"),
            (#"{"type": "web_search"}"#, "web_search", nil),
        ] as [(String, String, String?)]
    )
    func tools(text: String, name: String, description: String?) throws {
        let tool = try #require(try chat(#", "tools": [\#(text)]"#).tools.first)
        #expect(tool.name == name)
        #expect(tool.description?.string == description)
        #expect(tool.parameters?["p"]?.int == (description == nil ? nil : 1))
        #expect(tool.value.path == ["tools", 0])
    }
}
