package import ConfigKit

/// The semantic policy: vLLM Semantic Router's canonical v0.3 file.
///
/// Key names, nesting and defaults are upstream's. What a file may say without an effect here is declared as such, so
/// that it is told by line and not passed over.
package struct SemanticConfig: Configurable {
    package var version = "v0.3"
    package var providers = ProvidersConfig()
    package var routing = RoutingConfig()
    package var entrypoints: [EntrypointConfig] = []
    package var recipes: [RecipeConfig] = []
    package var global = GlobalConfig()

    package init() {}

    package static let schema = Schema<Self>(
        "semantic policy",
        "What is routed where, and why: vLLM Semantic Router's canonical v0.3 layout."
    ) {
        Field("version", \.version, "The layout of this file.", example: "v0.3")
            .check("must be v0.3") { $0 == "v0.3" }
        NotSupported("listeners", "the address to listen on is given by --host and --port")
        Field("providers", \.providers, "The models that can be chosen, and where they are served.")
        Field("routing", \.routing, "Signals and the decisions made from them.")
        Field("entrypoints", \.entrypoints, "Virtual model names, each with the recipe that answers it.")
        Field("recipes", \.recipes, "Routing profiles beside `routing`, isolated from it and from each other.")
        Field("global", \.global, "Settings of the router itself.")
        for (key, place) in formerKeys { Removed(key, place) }
    }

    /// Top-level keys of the flat layouts up to v0.2, and where their meaning went.
    private static let formerKeys: [(String, String)] = [
        ("bert_model", "the file is in the flat layout of v0.1; see `global.model_catalog.embeddings`"),
        ("vllm_endpoints", "write `providers.models[].backend_refs`"),
        ("model_config", "write `providers.models` and `routing.modelCards`"),
        ("default_model", "write `providers.defaults.default_model`"),
        ("default_reasoning_effort", "write `providers.defaults.default_reasoning_effort`"),
        ("reasoning_families", "write `providers.defaults.reasoning_families`"),
        ("keyword_rules", "write `routing.signals.keywords`"),
        ("embedding_rules", "write `routing.signals.embeddings`"),
        ("categories", "write `routing.signals.domains` and `routing.decisions`"),
        ("decisions", "write `routing.decisions`"),
        ("signals", "write `routing.signals`"),
        ("strategy", "write `routing.strategy`"),
        ("classifier", "write `global.model_catalog.modules.classifier`"),
        ("prompt_guard", "write `global.model_catalog.modules.prompt_guard`"),
        ("semantic_cache", "write `global.stores.response_cache`"),
        ("tools", "write `global.integrations.tools`"),
        ("observability", "write `global.services.observability`"),
        ("auto_model_name", "write `global.router.auto_model_name`"),
    ]

    package func validate(_ report: inout ValidationReport) {
        PolicyReferences(self).check(&report)
    }
}
