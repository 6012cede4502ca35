package import ConfigKit
import OpenAIWire

/// One of `decisions[].plugins`: what else happens to a request that the decision matches.
package enum PluginConfig: Sendable {
    case systemPrompt(SystemPromptSettings)
    case headerMutation(HeaderMutationSettings)
    case requestParams(RequestParamsSettings)
    case tools(ToolsSettings)
    case fastResponse(FastResponseSettings)
    /// A type of upstream's that has no effect here.
    case inactive(type: String)
}

/// The settings of a plugin, with its word under `type`.
package protocol PluginSettings: Configurable, Equatable {
    static var type: PluginType { get }
    static func plugin(_ settings: Self) -> PluginConfig
}

/// The plugins that act, by their word under `type`.
package enum PluginType: String, CaseIterable, ConfigValue {
    case systemPrompt = "system_prompt"
    case headerMutation = "header_mutation"
    case requestParams = "request_params"
    case tools
    case fastResponse = "fast_response"
}

/// Every plugin that a file may name.
enum PluginCatalog {
    static let active: [any PluginSettings.Type] = [
        SystemPromptSettings.self, HeaderMutationSettings.self, RequestParamsSettings.self, ToolsSettings.self,
        FastResponseSettings.self,
    ]

    /// Upstream's other plugins, and what happens without them.
    static let inactive: [(types: [String], instead: String)] = [
        (["response_cache", "semantic-cache", "semantic_cache", "response-cache"], "answers are not cached"),
        (["context_compression"], "the conversation goes on as it is"),
        (["tool_selection"], "tools are not selected by meaning; see the `tools` plugin"),
        (["hallucination"], "answers are not checked"),
        (["response_jailbreak"], "answers are not checked"),
        (["router_replay"], "routing decisions are not recorded"),
        (["memory"], "nothing is remembered of users"),
        (["rag"], "no documents are retrieved"),
        (["image_gen"], "the request goes to the model as it is"),
        (["provider_prompt_cache"], "the request goes to the model as it is"),
    ]

    static var words: [String] { active.map { $0.type.rawValue } + inactive.flatMap(\.types) }
}

extension PluginConfig: ConfigValue {
    package static var configType: ConfigType {
        let inactive = PluginCatalog.inactive.flatMap(\.types).map { ConfigType.TaggedCase($0, InactivePlugin.self) }
        return .tagged(key: "type", cases: PluginCatalog.active.map { $0.taggedCase } + inactive)
    }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> PluginConfig? {
        guard let (word, rest) = decoder.tag(of: node, key: "type", among: PluginCatalog.words) else { return nil }
        if let type = PluginCatalog.active.first(where: { $0.type.rawValue == word }) {
            return type.decodePlugin(rest, with: &decoder)
        }
        let entry = PluginCatalog.inactive.first { $0.types.contains(word) }
        decoder.notSupported("\(word): \(entry?.instead ?? "nothing happens")", at: node["type"] ?? node)
        return .inactive(type: entry?.types.first ?? word)
    }

    package var configNode: ConfigNode {
        switch self {
        case .systemPrompt(let settings): settings.pluginNode
        case .headerMutation(let settings): settings.pluginNode
        case .requestParams(let settings): settings.pluginNode
        case .tools(let settings): settings.pluginNode
        case .fastResponse(let settings): settings.pluginNode
        case .inactive(let type): Self.node(type: type, configuration: nil)
        }
    }

    /// The word under `type`, as the file has it.
    package var type: String {
        switch self {
        case .systemPrompt: PluginType.systemPrompt.rawValue
        case .headerMutation: PluginType.headerMutation.rawValue
        case .requestParams: PluginType.requestParams.rawValue
        case .tools: PluginType.tools.rawValue
        case .fastResponse: PluginType.fastResponse.rawValue
        case .inactive(let type): type
        }
    }

    fileprivate static func node(type: String, configuration: ConfigNode?) -> ConfigNode {
        .mapping([("type", .scalar(type))] + (configuration.map { [("configuration", $0)] } ?? []))
    }
}

/// A plugin of upstream's that does not act, for the reference.
private struct InactivePlugin: Configurable {
    static let schema = Schema<Self>(
        "inactive plugin",
        "A plugin of upstream's that does not act; `config check` says what happens instead."
    ) {
        NotSupported("configuration", "the plugin does not act")
    }
}

/// A plugin as the file has it: its settings under `configuration`, beside `type`.
private struct Plugin<Settings: PluginSettings>: Configurable {
    var configuration = Settings()

    static var schema: Schema<Self> {
        Schema("plugin \(Settings.type.rawValue)", Settings.schema.summary) {
            Field("configuration", \.configuration, "The plugin's settings.")
        }
    }
}

extension PluginSettings {
    fileprivate static var taggedCase: ConfigType.TaggedCase { .init(type.rawValue, Plugin<Self>.self) }

    fileprivate static func decodePlugin(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> PluginConfig? {
        decoder.decode(Plugin<Self>.self, from: node).map { plugin($0.configuration) }
    }

    fileprivate var pluginNode: ConfigNode { PluginConfig.node(type: Self.type.rawValue, configuration: configNode) }
}

// MARK: - Settings

/// `system_prompt`: instructions for the model.
package struct SystemPromptSettings: PluginSettings {
    package enum Mode: String, CaseIterable, ConfigValue {
        /// Before what the client's own system prompt says.
        case insert
        /// In place of the client's own.
        case replace
    }

    package var isEnabled: Bool?
    /// Upstream's default since v0.3; v0.1 replaced.
    package var mode = Mode.insert
    package var systemPrompt = ""

    package init() {}

    package static let type = PluginType.systemPrompt
    package static func plugin(_ settings: Self) -> PluginConfig { .systemPrompt(settings) }

    package static let schema = Schema<Self>("system prompt", "Instructions for the model.") {
        Field("enabled", \.isEnabled, "Whether it acts. Default: where `system_prompt` is not empty.")
        Field("mode", \.mode, "Whether it stands before the client's own system prompt or takes its place.")
        Field("system_prompt", \.systemPrompt, "The instructions.").verbatim()
    }

    /// The instructions, if there are any to give.
    package var active: String? { isEnabled ?? true && !systemPrompt.isEmpty ? systemPrompt : nil }
}

/// `header_mutation`: headers of the request that the worker gets.
package struct HeaderMutationSettings: PluginSettings {
    package struct Header: Configurable, Equatable {
        package var name = ""
        package var value = ""

        package init() {}

        package static let schema = Schema<Self>("header", "A header field.") {
            Field("name", \.name, "Its name.").required().check(HeaderMutationSettings.nameRule) {
                HeaderMutationSettings.isAllowed($0)
            }
            Field("value", \.value, "Its value.").headerSafe()
        }
    }

    package var add: [Header] = []
    package var update: [Header] = []
    package var delete: [String] = []

    package init() {}

    package static let type = PluginType.headerMutation
    package static func plugin(_ settings: Self) -> PluginConfig { .headerMutation(settings) }

    package static let schema = Schema<Self>("header mutation", "Headers of the request that the worker gets.") {
        Field("add", \.add, "Fields to add, beside others of the same name.")
        Field("update", \.update, "Fields to set, in place of others of the same name.")
        Field("delete", \.delete, "Names of fields to take away.").check(nameRule) { $0.allSatisfy(isAllowed) }
    }

    fileprivate static let nameRule =
        "must name headers that are neither the connection's own (host, content-length, …) nor a router's (x-vsr-*, x-authz-*)"

    /// A header's name that neither frames nor addresses the message, and by which routers and trusted
    /// hops do not speak to each other.
    fileprivate static func isAllowed(_ name: String) -> Bool {
        let folded = name.lowercased()
        return HeaderField.isName(name) && folded != "host" && folded != RoutingHeaders.requestID
            && !HopByHop.includes(folded) && !RoutingHeaders.isReserved(folded)
    }
}

/// `request_params`: limits on what a client may ask for.
package struct RequestParamsSettings: PluginSettings {
    package var blockedParams: [String] = []
    package var maxTokensLimit: Int?
    package var maxN: Int?
    package var stripsUnknown = false

    package init() {}

    package static let type = PluginType.requestParams
    package static func plugin(_ settings: Self) -> PluginConfig { .requestParams(settings) }

    package static let schema = Schema<Self>("request params", "Limits on what a client may ask for.") {
        Field("blocked_params", \.blockedParams, "Top-level parameters to take away.", example: "[logprobs]")
            .check("must not hold model, messages, prompt or input") { names in
                !names.contains { ["model", "messages", "prompt", "input"].contains($0) }
            }
        Field("max_tokens_limit", \.maxTokensLimit, "The most tokens to generate that a request may name.").range(1...)
        Field("max_n", \.maxN, "The most answers that a request may ask for.").range(1...)
        Field("strip_unknown", \.stripsUnknown, "Whether parameters that the endpoint's API does not have are removed.")
    }
}

/// `tools`: which tools a model gets to see.
package struct ToolsSettings: PluginSettings {
    package enum Mode: String, CaseIterable, ConfigValue {
        case passthrough, filtered, none
    }

    package var isEnabled = false
    package var mode = Mode.passthrough
    package var selectsByMeaning: Bool?
    package var allow: [String] = []
    package var block: [String] = []
    package var stripsHistory = false

    package init() {}

    package static let type = PluginType.tools
    package static func plugin(_ settings: Self) -> PluginConfig { .tools(settings) }

    package static let schema = Schema<Self>("tools", "Which tools the model gets to see.") {
        Field("enabled", \.isEnabled, "Whether it acts.")
        Field("mode", \.mode, "All tools of the request, some by name, or none.")
        Field("semantic_selection", \.selectsByMeaning, "Whether tools are chosen by meaning.")
        Field("allow_tools", \.allow, "With `filtered`: the only tools that pass.")
        Field("block_tools", \.block, "With `filtered`: tools that do not pass, also where `allow_tools` names them.")
        Field("strip_tool_history", \.stripsHistory, "With `none`: whether former calls and their results go too.")
    }

    package func validate(_ report: inout ValidationReport) {
        if selectsByMeaning == true {
            report.notSupported("tools are filtered by name only", at: "semantic_selection")
        }
        if mode == .filtered, allow.isEmpty, block.isEmpty {
            report.error("filtered needs `allow_tools` or `block_tools`", at: "mode")
        }
        if mode != .filtered, !allow.isEmpty || !block.isEmpty {
            report.error("`allow_tools` and `block_tools` need `mode: filtered`", at: "mode")
        }
        if mode != .none, stripsHistory {
            report.error("needs `mode: none`", at: "strip_tool_history")
        }
    }
}

/// `fast_response`: an answer without asking a model.
package struct FastResponseSettings: PluginSettings {
    package var message = ""

    package init() {}

    package static let type = PluginType.fastResponse
    package static func plugin(_ settings: Self) -> PluginConfig { .fastResponse(settings) }

    package static let schema = Schema<Self>("fast response", "An answer without asking a model.") {
        Field("message", \.message, "What the client is told.").required().verbatim()
    }
}
