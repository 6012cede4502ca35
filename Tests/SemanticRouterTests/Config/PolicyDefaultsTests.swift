import ConfigKit
import SemanticRouter
import Testing

@Suite struct PolicyDefaultsTests {
    private static let pii = "global.model_catalog.modules.classifier.pii.threshold"
    private static let jailbreak = "global.model_catalog.modules.prompt_guard.threshold"
    private static let cache = "global.stores.response_cache.similarity_threshold"
    private static let lifetime = "global.stores.response_cache.ttl_seconds"
    private static let budget = "global.router.latency_budget"

    private func explained(_ yaml: String) -> [String: ConfigResult<SemanticConfig>.Explained] {
        let settings = SemanticConfig.parse(yaml, name: "p.yaml").explained()
        return Dictionary(settings.map { ($0.path, $0) }) { first, _ in first }
    }

    @Test("The design's numbers hold where a file says none")
    func defaults() throws {
        let global = try SemanticConfig.parse("version: v0.3").get().global
        #expect(global.modelCatalog.modules.classifier.pii.threshold == 0.7)
        #expect(global.modelCatalog.modules.promptGuard.threshold == 0.7)
        #expect(global.stores.responseCache.similarityThreshold == 0.85)
        #expect(global.stores.responseCache.timeToLive == .seconds(2 * 3600))
        #expect(global.router.latencyBudget == .milliseconds(10))
        let explained = explained("version: v0.3")
        for (path, text) in [
            (Self.pii, "0.7"), (Self.jailbreak, "0.7"), (Self.cache, "0.85"), (Self.lifetime, "2h"),
            (Self.budget, "10ms"),
        ] {
            #expect(explained[path]?.text == text)
            #expect(explained[path]?.origin == .unset)
        }
    }

    @Test("What a file says wins, and is told with its line")
    func written() throws {
        let yaml = """
            version: v0.3
            global:
              router: {latency_budget: 25ms}
              stores:
                response_cache:
                  similarity_threshold: 0.92
                  ttl_seconds: 60
              model_catalog:
                modules:
                  prompt_guard: {threshold: 0.8}
                  classifier:
                    pii: {threshold: 0.9}
            """
        let global = try SemanticConfig.parse(yaml).get().global
        #expect(global.modelCatalog.modules.classifier.pii.threshold == 0.9)
        #expect(global.modelCatalog.modules.promptGuard.threshold == 0.8)
        #expect(global.stores.responseCache.similarityThreshold == 0.92)
        #expect(global.stores.responseCache.timeToLive == .seconds(60))
        #expect(global.router.latencyBudget == .milliseconds(25))
        let explained = explained(yaml)
        for (path, text, line) in [
            (Self.budget, "25ms", 3), (Self.cache, "0.92", 6), (Self.lifetime, "1m", 7), (Self.jailbreak, "0.8", 10),
            (Self.pii, "0.9", 12),
        ] {
            #expect(explained[path]?.text == text)
            #expect(explained[path]?.origin.source == .file("p.yaml"))
            #expect(explained[path]?.origin.line == line)
        }
    }

    @Test(
        "Thresholds are shares, and the budget is bounded",
        arguments: [
            "global: {stores: {response_cache: {similarity_threshold: 1.5}}}",
            "global: {model_catalog: {modules: {prompt_guard: {threshold: -0.1}}}}",
            "global: {router: {latency_budget: 0ms}}", "global: {router: {latency_budget: 2m}}",
            "global: {stores: {response_cache: {ttl_seconds: -1}}}",
        ]
    )
    func bounds(yaml: String) {
        #expect(SemanticConfig.parse(yaml).diagnostics.filter { $0.severity == .error }.count == 1)
    }

    @Test("Other defaults are upstream's")
    func others() throws {
        let config = try SemanticConfig.parse("version: v0.3").get()
        #expect(config.global.router.automaticNames.contains("MoM"))
        #expect(!config.global.router.listsModels)
        #expect(config.providers.defaults.defaultReasoningEffort == .medium)
        #expect(config.routing.profile.strategy == nil)
        #expect(BackendReference().effectiveWeight == 1)
        #expect(CalibrationConfig().slope == 12)
        #expect(SystemPromptSettings().mode == .insert)
    }
}
