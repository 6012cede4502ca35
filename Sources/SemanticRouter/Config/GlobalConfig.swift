package import ConfigKit

/// `global`.
package struct GlobalConfig: Configurable {
    package var router = RouterConfig()
    package var services = ServicesConfig()
    package var stores = StoresConfig()
    package var modelCatalog = ModelCatalogConfig()

    package init() {}

    package static let schema = Schema<Self>("global", "Settings of the router itself.") {
        Field("router", \.router, "How requests are taken.")
        Field("services", \.services, "What runs beside routing.")
        Field("stores", \.stores, "What is kept between requests.")
        NotSupported("integrations", "tools are not selected by meaning, and one model answers each request")
        Field("model_catalog", \.modelCatalog, "The classifiers.")
        Removed("modules", "write `global.model_catalog.modules`")
    }
}

/// `global.router`.
package struct RouterConfig: Configurable {
    /// The header contracts that clients may rely on.
    package enum HeaderContract: String, CaseIterable, ConfigValue {
        /// Every `x-vsr-selected-*` and `x-vsr-matched-*` header on every successful answer.
        case full = "v0.1"
        /// Few headers, on every answer; the others only where the request has `x-vsr-debug: true`.
        case keystones = "v0.4"
    }

    package var strategy: ProfileConfig.Strategy?
    package var autoModelName: String?
    package var autoModelNames: [String] = []
    package var listsModels = false
    package var clearsRouteCache = true
    package var headerContract = HeaderContract.full
    package var headerAliases = false
    package var reasoningSpelling = ReasoningGeneration.v0_3
    package var latencyBudget = Duration.milliseconds(10)
    package var explicitModelPlugins: Set<PluginType> = [.fastResponse, .tools, .requestParams]

    package init() {}

    package static let schema = Schema<Self>("router", "How requests are taken.") {
        Field("strategy", \.strategy, "The strategy of `routing` where that says none.")
        Field("auto_model_name", \.autoModelName, "A model name that asks for a choice, beside `auto`. Default: `MoM`.")
            .check("must not be empty") { $0 != "" }
        Field("auto_model_names", \.autoModelNames, "All model names that ask for a choice, in place of the others.")
            .check("must not hold an empty name") { !$0.contains(where: \.isEmpty) }
        Field("include_config_models_in_list", \.listsModels, "Whether `/v1/models` lists `providers.models` too.")
        Field("header_contract", \.headerContract, "Which `x-vsr-*` headers answers have.").addition()
        Field(
            "header_aliases",
            \.headerAliases,
            "Whether answers also have `X-VSR-Category`, `-Model`, `-Reasoning` and `-Model-Used`."
        )
        .addition()
        Field(
            "reasoning_spelling",
            \.reasoningSpelling,
            "How a family of type `reasoning_effort` is told on vLLM: at the request's top level (`v0.1`), or in "
                + "`chat_template_kwargs` (`v0.3`)."
        )
        .addition()
        Field(
            "latency_budget",
            \.latencyBudget,
            "The most time that the expressions of a kind of signal may take on a request; what they would say by then "
                + "counts as unknown."
        )
        .range(.milliseconds(1)...(.seconds(60))).addition()
        Field(
            "explicit_model_plugins",
            \.explicitModelPlugins,
            "The plugins of a matching decision that also act on requests which name a model."
        )
        .addition()
        Field(
            "clear_route_cache",
            \.clearsRouteCache,
            "Whether Envoy looks for the route anew when the model has been chosen: needed where routes ask for "
                + "`x-selected-model`."
        )
        NotSupported("config_source", "the policy is this file", type: .text)
        NotSupported("streamed_body", "bodies are read whole, within --max-body-size")
        NotSupported("skip_processing", "no request passes by the policy")
        NotSupported("model_selection", "the first of `modelRefs` that is served is chosen")
        NotSupported("learning", "the choice is not adapted to feedback")
    }

    /// The model names that ask for a choice, each once.
    package var automaticNames: [String] {
        var seen: Set<String> = []
        let names = autoModelNames.isEmpty ? ["vllm-sr/auto", "auto", autoModelName ?? "MoM"] : autoModelNames
        return names.filter { seen.insert($0).inserted }
    }

    /// One of them, for a request of our own that leaves the choice to `routing`.
    package var automaticName: String { automaticNames[0] }
}

/// `global.services`.
package struct ServicesConfig: Configurable {
    package var authz = AuthzConfig()
    package var observability = ObservabilityConfig()

    package init() {}

    package static let schema = Schema<Self>("services", "What runs beside routing.") {
        Field("authz", \.authz, "Whose request it is.")
        NotSupported("api", "requests are not classified in batches")
        NotSupported("response_api", "`/v1/responses` is the worker's")
        Field("observability", \.observability, "What can be seen of requests.")
        NotSupported("ratelimit", "the rate of requests is not limited")
        NotSupported("management_api", "its address is given by --admin-host and --admin-port")
        NotSupported("startup_status", "the admin port's /ready says it")
        NotSupported("router_replay", "routing decisions are not recorded")
    }
}

/// `global.services.observability`. Read when the process starts.
package struct ObservabilityConfig: Configurable {
    package var tracing = TracingConfig()

    package init() {}

    package static let schema = Schema<Self>("observability", "What can be seen of requests.") {
        Field("tracing", \.tracing, "Traces, sent to an OpenTelemetry collector. A change takes a restart.")
        NotSupported("metrics", "all figures are at /metrics, also those by window; see --record-metrics")
    }
}

/// `global.services.authz`.
package struct AuthzConfig: Configurable {
    package init() {}

    package static let schema = Schema<Self>("authz", "Whose request it is.") {
        NotSupported("fail_open", "a request of nobody known has no role, and is served", type: .scalar(.boolean))
        NotSupported("identity", "users and groups come from API keys, or from a trusted hop's x-authz-* headers")
        NotSupported("providers", "no headers are injected; see the `header_mutation` plugin")
    }
}

/// `global.stores`.
package struct StoresConfig: Configurable {
    package var responseCache = ResponseCacheConfig()

    package init() {}

    package static let schema = Schema<Self>("stores", "What is kept between requests.") {
        Field("response_cache", \.responseCache, "Answers for later requests that ask the same.")
            .formerly("semantic_cache")
        NotSupported("memory", "nothing is remembered of users")
        NotSupported("vector_store", "no documents are stored")
    }
}

/// `global.stores.response_cache`.
package struct ResponseCacheConfig: Configurable {
    package enum Backend: String, CaseIterable, ConfigValue {
        case memory, milvus, redis, hybrid, qdrant, valkey
    }

    package enum Eviction: String, CaseIterable, ConfigValue {
        case fifo, lru, lfu
    }

    package var isEnabled = false
    package var backend = Backend.memory
    /// The design's default.
    package var similarityThreshold: Ratio = 0.85
    package var maxEntries = 1000
    /// The design's default.
    package var timeToLive = Duration.seconds(7200)
    package var eviction = Eviction.fifo

    package init() {}

    package static let schema = Schema<Self>("response cache", "Answers for later requests that ask the same.") {
        Field("enabled", \.isEnabled, "Whether answers are cached.")
        Field("backend_type", \.backend, "Where they are kept.")
        Field("similarity_threshold", \.similarityThreshold, "How alike two requests must be.")
        Field("max_entries", \.maxEntries, "How many answers are kept.").range(0...)
        Field("ttl_seconds", \.timeToLive, "How long an answer is kept.").range(.zero...)
        Field("eviction_policy", \.eviction, "Which answer goes first when there are too many.")
        for key in ["embedding_model", "milvus", "redis", "qdrant", "valkey", "hybrid", "hnsw", "backend_config_path"] {
            NotSupported(key, "answers are not cached")
        }
    }

    package func validate(_ report: inout ValidationReport) {
        if isEnabled { report.notSupported("answers are not cached", at: "enabled") }
    }
}

/// `global.model_catalog`.
package struct ModelCatalogConfig: Configurable {
    package var modules = ModulesConfig()

    package init() {}

    package static let schema = Schema<Self>("model catalog", "The classifiers.") {
        Field("modules", \.modules, "Settings of each classifier.")
        NotSupported("embeddings", "no embedding model is loaded")
        NotSupported("system", "no classifier is loaded")
        NotSupported("external", "no external classifier is asked")
        NotSupported("kbs", "no knowledge base is loaded")
    }
}

/// `global.model_catalog.modules`.
package struct ModulesConfig: Configurable {
    package var promptGuard = PromptGuardConfig()
    package var classifier = ClassifierConfig()

    package init() {}

    package static let schema = Schema<Self>("modules", "Settings of each classifier.") {
        Field("prompt_guard", \.promptGuard, "Finds attempts to get round a model's instructions.")
        Field("classifier", \.classifier, "Finds personal data and the subject.")
        NotSupported("prompt_compression", "signals read the prompt itself")
        NotSupported("complexity", "no classifier is loaded")
        NotSupported("hallucination_mitigation", "answers are not checked")
        NotSupported("feedback_detector", "no classifier is loaded")
        NotSupported("modality_detector", "no classifier is loaded")
    }
}

/// `global.model_catalog.modules.prompt_guard`.
package struct PromptGuardConfig: Configurable {
    package enum OnError: String, CaseIterable, ConfigValue {
        case allow, block
    }

    package var isEnabled = true
    /// The design's default, and upstream's.
    package var threshold: Ratio = 0.7
    package var onError = OnError.allow

    package init() {}

    package static let schema = Schema<Self>("prompt guard", "Finds attempts to get round a model's instructions.") {
        Field("enabled", \.isEnabled, "Whether it runs.").notSupported("no classifier is loaded")
        Field("threshold", \.threshold, "How sure it must be.").notSupported("no classifier is loaded")
        Field("on_error", \.onError, "Whether a request passes that could not be judged.")
            .notSupported("no classifier is loaded")
        for key in [
            "model_ref", "model_id", "use_cpu", "variant", "jailbreak_mapping_path", "positive_labels",
            "use_modernbert", "use_mmbert_32k", "use_vllm",
        ] {
            NotSupported(key, "no classifier is loaded")
        }
    }
}

/// `global.model_catalog.modules.classifier`.
package struct ClassifierConfig: Configurable {
    package var pii = PIIClassifierConfig()

    package init() {}

    package static let schema = Schema<Self>("classifier", "Finds personal data and the subject.") {
        Field("pii", \.pii, "Finds personal data.")
        NotSupported("domain", "no classifier is loaded")
        NotSupported("mcp", "no classifier is asked")
        NotSupported("preference", "no classifier is loaded")
    }
}

/// `global.model_catalog.modules.classifier.pii`.
package struct PIIClassifierConfig: Configurable {
    package var isEnabled = true
    /// The design's default; upstream's is 0.9 since v0.3.
    package var threshold: Ratio = 0.7

    package init() {}

    package static let schema = Schema<Self>("PII classifier", "Finds personal data.") {
        Field("enabled", \.isEnabled, "Whether it runs.").notSupported("no classifier is loaded")
        Field("threshold", \.threshold, "How sure it must be.").notSupported("no classifier is loaded")
        for key in ["model_ref", "model_id", "use_cpu", "use_modernbert", "use_mmbert_32k", "pii_mapping_path"] {
            NotSupported(key, "no classifier is loaded")
        }
    }
}
