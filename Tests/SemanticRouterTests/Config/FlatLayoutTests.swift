import ConfigKit
import SemanticRouter
import Testing

@Suite struct FlatLayoutTests {
    private func errors(_ yaml: String) -> [String] {
        SemanticConfig.parse(yaml, name: "p.yaml").diagnostics.filter { $0.severity == .error }.map { "\($0)" }
    }

    @Test("A file in the flat layout is refused, and each key is told its new place")
    func refused() {
        let yaml = """
            bert_model: {model_id: x, threshold: 0.6}
            vllm_endpoints: [{name: e, address: 127.0.0.1, port: 8000}]
            model_config: {m: {preferred_endpoints: [e]}}
            default_model: m
            default_reasoning_effort: high
            reasoning_families: {qwen3: {type: chat_template_kwargs, parameter: enable_thinking}}
            keyword_rules: [{name: k, operator: OR, keywords: [x]}]
            embedding_rules: []
            categories: [{name: math}]
            decisions: []
            strategy: priority
            classifier: {category_model: {model_id: x}}
            prompt_guard: {enabled: true}
            semantic_cache: {enabled: true}
            tools: {enabled: false}
            observability: {}
            auto_model_name: auto
            signals: {}
            """
        let places = [
            ("bert_model", "flat layout of v0.1"), ("vllm_endpoints", "providers.models[].backend_refs"),
            ("model_config", "routing.modelCards"), ("default_model", "providers.defaults.default_model"),
            ("default_reasoning_effort", "providers.defaults.default_reasoning_effort"),
            ("reasoning_families", "providers.defaults.reasoning_families"),
            ("keyword_rules", "routing.signals.keywords"), ("embedding_rules", "routing.signals.embeddings"),
            ("categories", "routing.signals.domains"), ("decisions", "routing.decisions"),
            ("strategy", "routing.strategy"), ("classifier", "global.model_catalog.modules.classifier"),
            ("prompt_guard", "global.model_catalog.modules.prompt_guard"),
            ("semantic_cache", "global.stores.response_cache"), ("tools", "global.integrations.tools"),
            ("observability", "global.services.observability"), ("auto_model_name", "global.router.auto_model_name"),
            ("signals", "routing.signals"),
        ]
        let errors = errors(yaml)
        #expect(errors.count == places.count)
        for (index, place) in places.enumerated() {
            #expect(
                errors.contains {
                    $0.hasPrefix("p.yaml:\(index + 1):") && $0.contains(place.0) && $0.contains(place.1)
                },
                "\(place) in \(errors)"
            )
        }
    }

    @Test(
        "Keys that moved inside the file are told their new place",
        arguments: [
            ("providers: {default_model: m}", "providers.defaults.default_model"),
            ("providers: {backends: []}", "backend_refs"),
            ("providers: {models: [{name: m, access_key: k}]}", "api_key_env"),
            ("providers: {models: [{name: m, param_size: 8B}]}", "routing.modelCards"),
            ("routing: {models: []}", "routing.modelCards"),
            ("routing: {signals: {category_kb: []}}", "routing.signals.kb"),
            ("routing: {decisions: [{name: d, tool_scope: x}]}", "`tools` plugin"),
            ("routing: {decisions: [{name: d, modelSelectionAlgorithm: x}]}", "`algorithm`"),
            ("global: {modules: {}}", "global.model_catalog.modules"),
        ]
    )
    func moved(yaml: String, place: String) {
        #expect(errors("version: v0.3\n" + yaml).contains { $0.hasPrefix("p.yaml:2:") && $0.contains(place) })
    }

    @Test("Only v0.3 is read")
    func version() {
        #expect(errors("version: v0.2").contains { $0.contains("must be v0.3") })
        #expect(errors("version: v0.3") == [])
    }

    @Test("The cache's former name is still read")
    func formerName() throws {
        let config = try SemanticConfig.parse("global: {stores: {semantic_cache: {max_entries: 7}}}").get()
        #expect(config.global.stores.responseCache.maxEntries == 7)
    }
}
