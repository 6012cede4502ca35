import NIOCore
import OpenAIWire

/// What a request for text asks for, whichever API it came by.
struct GenerationRequest {
    enum API: Sendable {
        case chat
        case completions
        case responses
        case messages
    }

    /// What the answer must be instead of free text.
    enum Demand: Sendable, Equatable {
        case toolCall(name: String, arguments: String)
        case json(String)
    }

    let api: API
    /// As the request named it, or the worker's first name.
    let model: String
    /// One for most requests; a list of prompts in the completions API gives several.
    let prompts: [[UInt32]]
    /// What echo mode answers, per prompt.
    let lastUserTexts: [String]
    /// Nil: the worker's own length.
    let maxTokens: Int?
    /// Answers per prompt.
    let choicesPerPrompt: Int
    let stops: [String]
    let isStream: Bool
    /// A last chunk with the usage.
    let includesUsage: Bool
    /// The usage so far in every chunk.
    let hasContinuousUsage: Bool
    let demand: Demand?
    let seed: UInt64
    /// The completions API's `echo`: the answer begins with the prompt.
    let echoesPrompt: Bool
    /// `reasoning_effort` (or `reasoning.effort`), as given.
    let reasoningEffort: String?
    /// `chat_template_kwargs`, as given.
    let templateArguments: String?
    /// `kv_transfer_params.do_remote_decode`: the prefill leg of a disaggregated pair.
    let isRemoteDecode: Bool
    /// `kv_transfer_params.do_remote_prefill`: the prompt was computed elsewhere.
    let isRemotePrefill: Bool
}

extension GenerationRequest {
    /// vLLM has no bound on `n`; this one keeps a test's mistake from becoming gigabytes.
    private static let maxChoices = 128

    init(_ api: API, _ root: JSONValue, config: SimConfig) throws(SimError) {
        self.api = api
        guard root.isObject else { throw .badRequest("The body must be a JSON object.") }
        model = try Self.model(root, config)
        let tools = root["tools"].flatMap { $0.isArray && $0[0] != nil ? $0 : nil }
        let prompt = try Self.prompt(api, root, tools: tools)
        prompts = prompt.prompts
        lastUserTexts = prompt.lastUserTexts
        maxTokens = try Self.maxTokens(api, root)
        // The other two APIs have no `n`.
        let manyChoices = api == .chat || api == .completions
        choicesPerPrompt = manyChoices ? try Self.whole(root["n"], "n", 1...Self.maxChoices) ?? 1 : 1
        stops = Self.strings(root["stop"] ?? root["stop_sequences"])
        isStream = root["stream"]?.bool ?? false
        let options = root["stream_options"]
        if let options, !options.isNull, !isStream {
            throw .badRequest("stream_options is only allowed when stream is true.", "stream_options")
        }
        includesUsage = options?["include_usage"]?.bool ?? false
        hasContinuousUsage = options?["continuous_usage_stats"]?.bool ?? false
        seed = UInt64(truncatingIfNeeded: root["seed"]?.int ?? 0)
        echoesPrompt = api == .completions && root["echo"]?.bool == true
        reasoningEffort = root["reasoning_effort"]?.string ?? root["reasoning"]?["effort"]?.string
        templateArguments = root["chat_template_kwargs"].flatMap { $0.isObject ? String(buffer: $0.rawBytes) : nil }
        let transfer = root["kv_transfer_params"]
        isRemoteDecode = transfer?["do_remote_decode"]?.bool ?? false
        isRemotePrefill = transfer?["do_remote_prefill"]?.bool ?? false
        demand =
            try Self.toolCall(root["tool_choice"], tools, prompt.lastUserTexts.first ?? "", lastRole: prompt.lastRole)
            ?? Self.json(root["response_format"] ?? root["text"]?["format"])
        try checkLength(config)
    }

    /// The served model that a request names; without a name, the first.
    static func model(_ root: JSONValue, _ config: SimConfig) throws(SimError) -> String {
        guard let value = root["model"], !value.isNull else { return config.modelNames.first ?? config.model }
        guard let name = value.string else { throw .badRequest("model must be a string.", "model") }
        guard config.modelNames.contains(name) else { throw .modelNotFound(name) }
        return name
    }

    private func checkLength(_ config: SimConfig) throws(SimError) {
        for prompt in prompts {
            let wanted = maxTokens ?? 1
            guard prompt.count + wanted <= config.maxModelTokens else {
                throw .badRequest(
                    "The model's maximum context length is \(config.maxModelTokens) tokens, but the request needs "
                        + "\(prompt.count + wanted): \(prompt.count) for the prompt and \(wanted) for the answer.",
                    maxTokens == nil ? nil : "max_tokens"
                )
            }
        }
    }

    private static func maxTokens(_ api: API, _ root: JSONValue) throws(SimError) -> Int? {
        let names =
            switch api {
            case .chat: ["max_completion_tokens", "max_tokens"]
            case .completions, .messages: ["max_tokens"]
            case .responses: ["max_output_tokens"]
            }
        for name in names {
            if let count = try whole(root[name], name, 1...Int(Int32.max)) { return count }
        }
        if api == .messages { throw .badRequest("max_tokens: field required.", "max_tokens") }
        return nil
    }

    // MARK: Prompts

    private struct Prompt {
        var prompts: [[UInt32]] = []
        var lastUserTexts: [String] = []
        var lastRole = ""

        init() {}

        init(_ builder: PromptBuilder) {
            lastUserTexts = [String(buffer: builder.lastUserText)]
            lastRole = builder.lastRole
            prompts = [builder.tokensForAnswer()]
        }
    }

    private static func prompt(_ api: API, _ root: JSONValue, tools: JSONValue?) throws(SimError) -> Prompt {
        switch api {
        case .completions:
            var prompt = Prompt()
            guard let value = root["prompt"], !value.isNull else {
                throw .badRequest("prompt: field required.", "prompt")
            }
            for tokens in try tokenLists(value, "prompt") {
                prompt.prompts.append(tokens)
                prompt.lastUserTexts.append(SimTokenizer.decode(tokens))
            }
            return prompt
        case .chat:
            return Prompt(try chat(root["messages"], tools: tools))
        case .messages:
            var builder = PromptBuilder()
            if let tools { builder.addTools(tools) }
            if let system = root["system"], !system.isNull { builder.add(role: "system", content: system) }
            try add(root["messages"], to: &builder)
            return Prompt(builder)
        case .responses:
            var builder = PromptBuilder()
            if let tools { builder.addTools(tools) }
            if let system = root["instructions"], !system.isNull { builder.add(role: "system", content: system) }
            guard let input = root["input"], !input.isNull else { throw .badRequest("input: field required.", "input") }
            if input.isString {
                builder.add(role: "user", content: input)
            } else {
                for item in input.elements {
                    let isOutput = item["type"]?.isString(equalTo: "function_call_output") == true
                    builder.addMessage(role: isOutput ? "tool" : item["role"]?.string ?? "user", item)
                }
            }
            return Prompt(builder)
        }
    }

    /// A chat's messages, rendered.
    static func chat(_ messages: JSONValue?, tools: JSONValue?) throws(SimError) -> PromptBuilder {
        var builder = PromptBuilder()
        if let tools { builder.addTools(tools) }
        try add(messages, to: &builder)
        return builder
    }

    private static func add(_ messages: JSONValue?, to builder: inout PromptBuilder) throws(SimError) {
        guard let messages, !messages.isNull else { throw .badRequest("messages: field required.", "messages") }
        guard messages.isArray, messages[0] != nil else {
            throw .badRequest("messages must be a list with at least one message.", "messages")
        }
        for (index, message) in messages.elements.enumerated() {
            guard let role = message["role"]?.string else {
                throw .badRequest("messages[\(index)].role: field required.", "messages")
            }
            builder.addMessage(role: role, message)
        }
    }

    /// A string, a list of strings, a list of token ids, or a list of such lists.
    static func tokenLists(_ value: JSONValue, _ name: String) throws(SimError) -> [[UInt32]] {
        if let text = value.string { return [SimTokenizer.encode(text)] }
        guard let first = value[0] else {
            throw .badRequest("\(name) must be a string or a list that is not empty.", name)
        }
        if first.kind == .number { return [try tokens(value, name)] }
        var lists: [[UInt32]] = []
        for element in value.elements {
            if let text = element.string {
                lists.append(SimTokenizer.encode(text))
            } else if element.isArray {
                lists.append(try tokens(element, name))
            } else if let text = element["text"]?.string ?? element["content"]?.string {
                lists.append(SimTokenizer.encode(text))
            } else {
                throw .badRequest("\(name) must hold strings or lists of token ids.", name)
            }
        }
        return lists
    }

    static func tokens(_ list: JSONValue, _ name: String) throws(SimError) -> [UInt32] {
        var tokens: [UInt32] = []
        for element in list.elements {
            guard let id = element.int.flatMap({ UInt32(exactly: $0) }), id < SimTokenizer.vocabularySize else {
                throw .badRequest("\(name) holds something that is not a token id.", name)
            }
            tokens.append(id)
        }
        return tokens
    }

    // MARK: Demands

    private static func json(_ format: JSONValue?) -> Demand? {
        guard let format else { return nil }
        if format["type"]?.isString(equalTo: "json_object") == true { return .json("{\"answer\": \"text\"}") }
        guard format["type"]?.isString(equalTo: "json_schema") == true else { return nil }
        let schema = format["json_schema"]?["schema"] ?? format["schema"]
        return .json(String(buffer: SchemaExample.value(for: schema).bytes))
    }

    /// `none` never calls; a named tool and `required` always do. Left to itself (`auto`), the model answers a user's
    /// message with a call of the tool whose name is in it, else of the first tool, and a tool's result with text, so
    /// that an agent's loop ends.
    private static func toolCall(
        _ choice: JSONValue?,
        _ tools: JSONValue?,
        _ lastUserText: String,
        lastRole: String
    ) throws(SimError) -> Demand? {
        let word = choice?.string ?? choice?["type"]?.string ?? "auto"
        let named = choice?["function"]?["name"]?.string ?? choice?["name"]?.string
        guard let tools else {
            if named != nil || word == "required" || word == "any" {
                throw .badRequest("tool_choice asks for a tool, but tools is empty.", "tool_choice")
            }
            return nil
        }
        if let named {
            guard let tool = tools.elements.first(where: { name(of: $0) == named }) else {
                throw .badRequest("tool_choice names \(named), which is not in tools.", "tool_choice")
            }
            return call(tool)
        }
        switch word {
        case "none": return nil
        case "auto" where lastRole != "user": return nil
        case "auto", "required", "any":
            let text = lastUserText.lowercased()
            let mentioned = tools.elements.first { name(of: $0).map { text.contains($0.lowercased()) } ?? false }
            return (mentioned ?? tools[0]).flatMap(call)
        default: throw .badRequest("tool_choice must be none, auto, required or a tool.", "tool_choice")
        }
    }

    private static func name(of tool: JSONValue) -> String? {
        tool["function"]?["name"]?.string ?? tool["name"]?.string
    }

    private static func call(_ tool: JSONValue) -> Demand? {
        guard let name = name(of: tool) else { return nil }
        let schema = tool["function"]?["parameters"] ?? tool["parameters"] ?? tool["input_schema"]
        return .toolCall(name: name, arguments: String(buffer: SchemaExample.value(for: schema).bytes))
    }

    // MARK: Scalars

    private static func whole(_ value: JSONValue?, _ name: String, _ range: ClosedRange<Int>) throws(SimError) -> Int? {
        guard let value, !value.isNull else { return nil }
        guard let number = value.int, range.contains(number) else {
            throw .badRequest("\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound).", name)
        }
        return number
    }

    private static func strings(_ value: JSONValue?) -> [String] {
        guard let value else { return [] }
        return (value.string.map { [$0] } ?? value.elements.compactMap(\.string)).filter { !$0.isEmpty }
    }
}
