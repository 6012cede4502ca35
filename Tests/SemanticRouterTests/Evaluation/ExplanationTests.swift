import ConfigKit
import NIOCore
import OpenAIWire
import SemanticRouter
import Testing

@Suite struct ExplanationTests {
    private static let policy = """
        version: v0.3
        providers:
          defaults: {default_model: small, reasoning_families: {q: {type: chat_template_kwargs, parameter: think}}}
          models:
            - {name: small}
            - {name: big, provider_model_id: big-served, reasoning_family: q, backend_refs: [{endpoint: "10.0.0.1:8000"}]}
        routing:
          signals:
            keywords: [{name: hard, keywords: [prove, Lemma]}, {name: code, keywords: [swift]}]
            embeddings: [{name: near, threshold: 0.5, candidates: [x]}]
          projections:
            scores: [{name: effort, method: weighted_sum, inputs: [{type: keyword, name: hard, weight: 0.75}]}]
            mappings: [{name: m, source: effort, outputs: [{name: difficult, gte: 0.5}]}]
          decisions:
            - name: proof
              priority: 5
              tier: 1
              rules:
                operator: AND
                conditions:
                  - {type: keyword, name: hard}
                  - {operator: NOT, conditions: [{type: keyword, name: code}]}
                  - {type: projection, name: difficult, predicate: {gte: 0.5}}
              modelRefs: [{model: big, use_reasoning: true}]
              plugins:
                - {type: header_mutation, configuration: {update: [{name: x-team, value: math}], delete: [x-old]}}
                - {type: request_params, configuration: {max_tokens_limit: 5, blocked_params: [logprobs]}}
            - {name: near, priority: 9, tier: 2, rules: {type: embedding, name: near}, modelRefs: [{model: small}]}
            - {name: refused, priority: 1, tier: 3, rules: {type: keyword, name: code}, plugins: [{type: fast_response, configuration: {message: No.}}]}
        """

    private func text(_ request: InboundRequest, _ router: SemanticRouter) -> String {
        ExplanationText(router.explain(request) { _ in true }).text(of: request)
    }

    @Test("An explanation shows signals, trees, the choice and the edits")
    func shape() throws {
        let router = try PolicyTools.router(Self.policy)
        let request = try PolicyTools.request(
            #"{"model":"auto","messages":[{"role":"user","content":"prove the lemma"}],"max_tokens":9,"logprobs":true}"#
        )
        let text = text(request, router)
        // All but what evaluation took, which is another number each time.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines.count { $0.hasPrefix("  cost: keyword 2 rules ") && $0.hasSuffix(" µs") } == 1)
        #expect(
            lines.filter { !$0.hasPrefix("  cost:") } == [
                "model auto, decided by default",
                "about 8 tokens; signals read 15 bytes of text",
                "",
                "Signals",
                "  + keyword:hard  confidence 1  found: prove, Lemma",
                "  + projection:difficult  confidence 0.9526  value 0.75",
                "  - absent: keyword:code",
                "  ? not evaluated, taken as absent: embedding:near",
                "",
                "Scores",
                "  effort = 0.75",
                "",
                "Decisions",
                "=> proof  priority 5  tier 1  matches with confidence 1",
                "     + AND  1",
                "       + keyword:hard  1",
                "       + NOT  1",
                "         - keyword:code",
                "       + projection:difficult >= 0.5  1",
                " - near  priority 9  tier 2  does not match; open without embedding:near",
                "     ? embedding:near",
                " - refused  priority 1  tier 3  does not match",
                "     - keyword:code",
                "",
                "Choice",
                "  decision proof",
                "  model big (single), asked for as big-served",
                "  preferred backend 10.0.0.1:8000",
                "  reasoning on",
                "",
                "Edits",
                "  - logprobs: true",
                "  ~ max_tokens: 9 -> 5",
                #"  + chat_template_kwargs: {"think":true}"#,
                #"  ~ model: "auto" -> "big-served""#,
                "  = header x-selected-model: big-served",
                "  = header x-team: math",
                "  - header x-old",
                "Answer",
                "  x-vsr-selected-decision: proof",
                "  x-vsr-selected-reasoning: on",
                "  x-vsr-selected-model: big",
                "  x-vsr-injected-system-prompt: false",
                "  x-vsr-matched-keywords: hard",
                "  x-vsr-matched-projections: difficult",
                "  x-vsr-context-token-count: 8",
            ]
        )
    }

    @Test("An explanation tells a decision that the signals at hand cannot rule out")
    func open() throws {
        let router = try PolicyTools.router(Self.policy)
        let request = try PolicyTools.ask("hello")
        let explanation = router.explain(request) { _ in true }
        #expect(explanation.decisions.map(\.certainty) == [.fails, .open, .fails])
        #expect(!explanation.isSettled)
        #expect(explanation.openSignals(of: 1) == [SignalID(.embedding, "near")])
        #expect(explanation.openSignals(of: 0) == [])
        #expect(explanation.winner == nil)
        #expect(explanation.selection?.name == "small")
        #expect(
            text(request, router).contains(
                " - near  priority 9  tier 2  does not match; open without embedding:near\n     ? embedding:near"
            )
        )
    }

    @Test("An explanation of an answer without a model shows the answer's head")
    func answered() throws {
        let text = text(try PolicyTools.ask("swift"), try PolicyTools.router(Self.policy))
        #expect(text.contains("=> refused"))
        #expect(text.contains("answered without a model: status 200"))
        #expect(text.contains("x-vsr-fast-response: true"))
    }

    @Test("An explanation goes the way that routing goes", arguments: ["auto", "small", "big", "unheard-of"])
    func sameOutcome(model: String) throws {
        let router = try PolicyTools.router(Self.policy)
        for words in ["prove it", "swift", "hello"] {
            let request = try PolicyTools.ask(words, model: model)
            #expect(router.explain(request) { _ in true }.outcome.summary == router.routeAll(request).summary)
        }
    }

    @Test(
        "Whatever cannot be read is explained as well",
        arguments: [
            "{}", #"{"model":"auto"}"#, #"{"model":"auto","messages":7}"#, #"{"model":"auto","messages":[7]}"#,
            #"{"model":"auto","messages":[{"role":"user","content":7}]}"#, #"{"model":"auto","messages":[]}"#,
            #"{"model":"auto","messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            #"{"model":"auto","messages":[{"content":"x"}],"tools":7,"max_tokens":"many"}"#,
            #"{"model":"big","messages":{}}"#, #"{"model":"","messages":[{"role":"user","content":"prove"}]}"#,
        ]
    )
    func unreadable(body: String) throws {
        for policy in [Self.policy, "version: v0.3", "version: v0.3\nproviders: {models: [{name: m}]}"] {
            let router = try PolicyTools.router(policy)
            let request: InboundRequest
            do {
                request = try PolicyTools.request(body)
            } catch {
                // What the front end refuses never comes so far.
                continue
            }
            let text = text(request, router)
            #expect(text.hasPrefix("model "))
            #expect(text.contains("Signals\n"))
            #expect(text.contains("Choice\n"))
        }
    }

    @Test("Unreadable text is told, and no decision is made")
    func unreadableText() throws {
        let router = try PolicyTools.router(Self.policy)
        let request = try PolicyTools.request(#"{"model":"auto","messages":[{"role":"user","content":7}]}"#)
        let explanation = router.explain(request) { _ in true }
        #expect(explanation.prompt == nil)
        #expect(explanation.match == nil)
        #expect(explanation.decisions.isEmpty)
        #expect(explanation.outcome.summary == "small")
        #expect(text(request, router).contains("the request's text cannot be read: no decision is made"))
    }

    @Test("Upstream's probes are explained without a fault", arguments: ["privacy", "balance"])
    func upstream(recipe: String) throws {
        let router = PolicyTools.router(try PolicyTools.upstreamPolicy("\(recipe)/config.yaml"))
        let file = try ProbeFile.load(PolicyTools.upstream("\(recipe)/probes.yaml")).get()
        for query in file.decisions.flatMap(\.variants).compactMap(\.query) {
            let request = try PolicyTools.ask(query)
            let explanation = router.explain(request) { _ in true }
            let text = ExplanationText(explanation).text(of: request)
            #expect(text.contains("\nDecisions\n"))
            #expect(text.contains("\nScores\n"))
            #expect(explanation.decisions.count { $0.trace.holds } == 0 || text.contains("\n=> "))
            // What holds without missing signals is certain to hold or open, and never certain to fail.
            for decision in explanation.decisions {
                #expect(decision.certainty != (decision.trace.holds ? .fails : .holds))
            }
        }
    }
}
