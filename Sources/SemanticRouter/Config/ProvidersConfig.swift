package import ConfigKit

/// `providers`.
package struct ProvidersConfig: Configurable {
    package var defaults = ProviderDefaults()
    package var models: [ProviderModel] = []

    package init() {}

    package static let schema = Schema<Self>("providers", "The models that can be chosen, and where they are served.") {
        Field("defaults", \.defaults, "What holds when nothing else says otherwise.")
        Field("models", \.models, "The models by the names that decisions use.")
        Removed("default_model", "write `providers.defaults.default_model`")
        Removed("default_reasoning_effort", "write `providers.defaults.default_reasoning_effort`")
        Removed("reasoning_families", "write `providers.defaults.reasoning_families`")
        Removed("model_targets", "write `providers.models[].backend_refs`")
        Removed("backends", "write `providers.models[].backend_refs`")
        Removed("auth_profiles", "write `providers.models[].backend_refs[].auth_header`")
    }
}

package struct ProviderDefaults: Configurable {
    package var defaultModel: String?
    package var defaultReasoningEffort = ReasoningEffort.medium
    package var reasoningFamilies: [String: ReasoningFamily] = [:]

    package init() {}

    package static let schema = Schema<Self>("provider defaults", "What holds when nothing else says otherwise.") {
        Field("default_model", \.defaultModel, "The model that answers when no decision matches.", example: "small")
            .headerSafe()
        Field(
            "default_reasoning_effort",
            \.defaultReasoningEffort,
            "How much a model reasons where a decision turns reasoning on and says no effort."
        )
        Field("reasoning_families", \.reasoningFamilies, "How kinds of models are told to reason, by a name of yours.")
    }
}

/// How a kind of model is told to reason.
package struct ReasoningFamily: Configurable, Equatable {
    package enum Kind: String, CaseIterable, ConfigValue {
        case chatTemplateKwargs = "chat_template_kwargs"
        case reasoningEffort = "reasoning_effort"
        case topLevelReasoningEffort = "top_level_reasoning_effort"
    }

    package var type = Kind.chatTemplateKwargs
    package var parameter = ""

    package init() {}

    package init(type: Kind, parameter: String) {
        self.type = type
        self.parameter = parameter
    }

    package static let schema = Schema<Self>("reasoning family", "How a kind of model is told to reason.") {
        Field("type", \.type, "Where the request says it.").required()
        Field("parameter", \.parameter, "The parameter's name.", example: "enable_thinking").required().notEmpty()
    }

    /// What a request is about: no parameter of reasoning may take its place.
    private static let taken: Set<String> = [
        "model", "messages", "prompt", "input", "instructions", "system", "stream", "stream_options", "tools",
        "tool_choice", "chat_template_kwargs",
    ]

    package func validate(_ report: inout ValidationReport) {
        if Self.taken.contains(parameter) {
            report.error("\"\(parameter)\" is another part of the request", at: "parameter")
        }
        if type == .topLevelReasoningEffort, parameter != "reasoning_effort", !parameter.isEmpty {
            report.error("must be reasoning_effort for this type", at: "parameter")
        }
    }
}

/// How much a model reasons, in the field's usual words; others are handed on as they are written.
package struct ReasoningEffort: Hashable, Sendable, ScalarConfigValue {
    package let rawValue: String

    package static let low = ReasoningEffort(rawValue: "low")
    package static let medium = ReasoningEffort(rawValue: "medium")
    package static let high = ReasoningEffort(rawValue: "high")

    package static let kind = ConfigType.ScalarKind("effort", expected: "an effort such as low, medium or high")

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> ReasoningEffort {
        guard !text.isEmpty, text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F }) else {
            throw ScalarMistake()
        }
        return ReasoningEffort(rawValue: text)
    }

    package var configText: String { rawValue }
}

/// One of `providers.models`.
package struct ProviderModel: Configurable {
    package enum APIFormat: String, CaseIterable, ConfigValue {
        case openai, anthropic
    }

    package var name = ""
    package var reasoningFamily: String?
    package var providerModelID: String?
    package var apiFormat = APIFormat.openai
    package var pricing = Pricing()
    package var backends: [BackendReference] = []

    package init() {}

    package static let schema = Schema<Self>("provider model", "A model that can be chosen.") {
        Field("name", \.name, "The name that decisions use.", example: "qwen3-8b").required().notEmpty().headerSafe()
        Field("reasoning_family", \.reasoningFamily, "One of `providers.defaults.reasoning_families`.")
        Field("provider_model_id", \.providerModelID, "The name that workers serve it by. Default: `name`.")
            .headerSafe()
        Field("api_format", \.apiFormat, "The API that its backends speak.")
        Field("pricing", \.pricing, "What its tokens cost.")
        Field("backend_refs", \.backends, "Where it is served. `sextant gateway` takes its workers from here.")
        NotSupported("reliability", "breakers and retries are the inference router's, set by its flags")
        NotSupported("external_model_ids", "models are told apart by `name` and `provider_model_id`")
        Removed("access_key", "write `providers.models[].backend_refs[].api_key_env`")
        Removed("endpoints", "write `providers.models[].backend_refs`")
        Removed("access", "write `providers.models[].backend_refs`")
        Removed("param_size", "write `routing.modelCards[].param_size`")
    }

    /// The name that workers serve it by.
    package var servedName: String { providerModelID ?? name }

    package func validate(_ report: inout ValidationReport) {
        if apiFormat == .anthropic {
            report.notSupported("the request goes out in the API that the client used", at: "api_format")
        }
    }
}

/// Prices, for choosing by cost and for reporting it.
package struct Pricing: Configurable, Equatable {
    package var currency = "USD"
    package var promptPerMillion = 0.0
    package var cachedInputPerMillion = 0.0
    package var cacheWritePerMillion = 0.0
    package var completionPerMillion = 0.0

    package init() {}

    package static let schema = Schema<Self>("pricing", "What a model's tokens cost.") {
        Field("currency", \.currency, "The currency's code.").notEmpty()
        Field("prompt_per_1m", \.promptPerMillion, "A million prompt tokens.").range(0...)
        Field("cached_input_per_1m", \.cachedInputPerMillion, "A million prompt tokens that the model had cached.")
            .range(0...)
        Field("cache_write_per_1m", \.cacheWritePerMillion, "A million prompt tokens written to the model's cache.")
            .range(0...)
        Field("completion_per_1m", \.completionPerMillion, "A million completion tokens.").range(0...)
    }
}

/// One of `providers.models[].backend_refs`: an address that serves a model.
package struct BackendReference: Configurable {
    package enum Scheme: String, CaseIterable, ConfigValue {
        case http, https
    }

    package var name: String?
    package var endpoint: BackendAddress?
    package var baseURL: ServiceURL?
    package var scheme = Scheme.http
    /// Upstream's default: an unset or zero weight counts as 1.
    package var weight = 1.0
    package var provider: String?

    package init() {}

    package static let schema = Schema<Self>("backend", "An address that serves a model.") {
        Field("name", \.name, "The backend's name, in explanations.").headerSafe()
        Field("endpoint", \.endpoint, "Its host and port.", example: "10.0.0.7:8000")
        Field("base_url", \.baseURL, "Its URL, in place of `endpoint`.", example: "http://vllm:8000/v1")
        Field("protocol", \.scheme, "The scheme of an `endpoint`.")
        Field("weight", \.weight, "Its share among the model's backends; the heaviest is named as destination.")
            .range(0...)
        Field(
            "provider",
            \.provider,
            "Whose API it is: `openai` and its like take reasoning parameters at the top level, `deepseek` as an object."
        )
        NotSupported("type", "every backend is asked by the path that the client asked")
        NotSupported("auth_header", "the client's credentials or --worker-api-key reach the backend")
        NotSupported("auth_prefix", "the client's credentials or --worker-api-key reach the backend")
        NotSupported("extra_headers", "use the `header_mutation` plugin of a decision")
        NotSupported("api_version", "the path is the client's")
        NotSupported("chat_path", "the path is the client's")
        NotSupported("api_key", "the client's credentials or --worker-api-key reach the backend")
        NotSupported("api_key_env", "the client's credentials or --worker-api-key reach the backend")
    }

    package func validate(_ report: inout ValidationReport) {
        if endpoint == nil, baseURL == nil, report.isSound("endpoint"), report.isSound("base_url") {
            report.error("needs an `endpoint` or a `base_url`", atPath: [])
        }
        if let path = baseURL?.path, !["", "/", "/v1", "/v1/"].contains(path) {
            report.notSupported("requests go to the path that the client asked, not below \(path)", at: "base_url")
        }
    }

    /// Where it listens; nil only in a backend that is a mistake.
    package var url: ServiceURL? {
        baseURL ?? endpoint.flatMap { $0.url(scheme: scheme.rawValue) }
    }
}

/// `host:port`, or a host whose port follows from the scheme.
package struct BackendAddress: Hashable, Sendable, ScalarConfigValue {
    package let text: String

    package static let kind = ConfigType.ScalarKind("address", expected: "a host and port such as 10.0.0.7:8000")

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> BackendAddress {
        guard !text.contains("/") else { throw ScalarMistake("a URL belongs in `base_url`") }
        _ = try ServiceURL.parse("http://\(text)", traits: traits)
        return BackendAddress(text: text)
    }

    package var configText: String { text }

    func url(scheme: String) -> ServiceURL? {
        try? ServiceURL.parse("\(scheme)://\(text)", traits: FieldTraits())
    }
}
