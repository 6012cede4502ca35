import ConfigKit
import Instruments
import NIOCore
import OpenAIWire
import SemanticRouter
import Testing

@Suite("Routing by policy")
struct SemanticRouterTests {
    private func router(_ yaml: String) throws -> SemanticRouter {
        SemanticRouter(try SemanticConfig.parse(yaml).get(), metrics: SemanticMetrics())
    }

    private func request(_ json: String) throws -> InboundRequest {
        InboundRequest(try TextRequest(endpoint: .chatCompletions, body: ByteBuffer(string: json)))
    }

    private func ask(_ text: String, model: String = "auto") throws -> InboundRequest {
        try request(#"{"model":"\#(model)","messages":[{"role":"user","content":"\#(text)"}]}"#)
    }

    private func chosen(_ outcome: RoutingOutcome) -> String? {
        guard case .forward(let routed) = outcome else { return nil }
        return routed.model
    }

    private static let policy = """
        version: v0.3
        providers:
          defaults: {default_model: small}
          models: [{name: small}, {name: big, provider_model_id: big-served}, {name: spare}]
        routing:
          signals:
            keywords: [{name: hard, keywords: [prove]}]
          decisions:
            - {name: hard, rules: {type: keyword, name: hard}, modelRefs: [{model: big}, {model: spare}]}
        global: {router: {auto_model_name: choose}}
        """

    @Test("The decision's first model is chosen by the name that workers know; else the default")
    func choice() throws {
        let router = try router(Self.policy)
        #expect(chosen(router.routeNow(try ask("prove it")) { _ in true }) == "big-served")
        #expect(chosen(router.routeNow(try ask("hello")) { _ in true }) == "small")
        #expect(chosen(router.routeNow(try ask("hello", model: "choose")) { _ in true }) == "small")
    }

    @Test("What nobody serves is passed over: the next model, then the default, and the first if all else fails")
    func unserved() throws {
        let router = try router(Self.policy)
        let hard = try ask("prove it")
        #expect(chosen(router.routeNow(hard) { $0 != "big-served" }) == "spare")
        #expect(chosen(router.routeNow(hard) { $0 == "small" }) == "small")
        #expect(chosen(router.routeNow(hard) { _ in false }) == "big-served")
    }

    @Test("A model that is named is left alone, and so is a request that names none")
    func explicit() throws {
        let router = try router(Self.policy)
        for request in [try ask("prove it", model: "small"), try ask("prove it", model: "other"), try request("{}")] {
            guard case .bypass(.explicitModel) = router.routeNow(request, isServed: { _ in true }) else {
                Issue.record("not bypassed")
                continue
            }
        }
    }

    @Test("Text that cannot be read goes to the default model")
    func unreadable() throws {
        let router = try router(Self.policy)
        let odd = try request(#"{"model":"auto","messages":[{"role":"user","content":7}]}"#)
        #expect(chosen(router.routeNow(odd) { _ in true }) == "small")
    }

    @Test("Without a default and without a match there is nothing to choose")
    func nothing() throws {
        let router = try router("version: v0.3\nproviders: {models: [{name: m}]}")
        guard case .bypass(.nothingToChoose) = router.routeNow(try ask("x"), isServed: { _ in true }) else {
            Issue.record("something was chosen")
            return
        }
    }

    @Test("A long prompt is read at both ends, and no longer than that")
    func window() throws {
        let router = try router(Self.policy)
        let filler = String(repeating: "word ", count: 100_000)
        for text in ["prove \(filler)", "\(filler) prove"] {
            #expect(chosen(router.routeNow(try ask(text)) { _ in true }) == "big-served")
        }
        let prompt = try Prompt(try ask(filler).text)
        // Cut between words.
        #expect((0...10).contains(2 * Prompt.windowBytes + 1 - prompt.text.count))
        #expect((0...10).contains(2 * Prompt.closeBytes + 1 - prompt.closeText.count))
    }

    @Test("A rule that is neither a condition nor a combination, and a name with a line break, are mistakes")
    func mistakes() {
        let yaml = """
            version: v0.3
            providers: {models: [{name: "a\\nb"}]}
            routing:
              signals: {keywords: [{name: k, keywords: [x]}]}
              decisions:
                - {name: one, rules: {type: keyword}, modelRefs: [{model: "a\\nb"}]}
                - {name: two, rules: {type: keyword, name: k, conditions: [{type: keyword, name: k}]}, modelRefs: [{model: "a\\nb"}]}
            """
        let lines = SemanticConfig.parse(yaml, name: "p.yaml").diagnostics.map { "\($0)" }
        #expect(lines.contains { $0.hasPrefix("p.yaml:2:") && $0.contains("control characters") })
        #expect(lines.contains { $0.hasPrefix("p.yaml:6:") && $0.contains("add `name`") })
        #expect(lines.contains { $0.hasPrefix("p.yaml:7:") && $0.contains("not both") })
    }
}
