import ConfigKit
import NIOCore
import OpenAIWire
import SemanticRouter
import Testing

/// `/api/v1/eval`, read back.
@Suite struct EvaluateTests {
    private static let policy = """
        version: v0.3
        providers:
          defaults: {default_model: small}
          models: [{name: small}, {name: big, provider_model_id: big-served}]
        routing:
          modelCards: [{name: big, loras: [{name: adapter}]}]
          signals:
            keywords: [{name: hard, keywords: [prove, lemma]}, {name: code, keywords: [swift]}]
            structure: [{name: marks, feature: {type: count, source: {type: regex, pattern: "[?]"}}, predicate: {gte: 2}}]
            embeddings: [{name: near, threshold: 0.5, candidates: [x]}]
            metadata: [{name: tagged, key: tag, predicate: {equals: gold}}]
            conversation: [{name: tools, feature: {type: exists, source: {type: tool_definition}}}]
          projections:
            scores: [{name: s, method: weighted_sum, inputs: [{type: keyword, name: hard, weight: 1}]}]
            mappings: [{name: m, source: s, outputs: [{name: difficult, gte: 0.5}]}]
          decisions:
            - name: proof
              priority: 5
              rules:
                operator: OR
                conditions:
                  - {type: keyword, name: hard}
                  - {operator: AND, conditions: [{type: keyword, name: hard}, {type: embedding, name: near}]}
                  - {operator: NOT, conditions: [{type: projection, name: difficult}]}
              modelRefs: [{model: big, lora_name: adapter}, {model: small}]
              plugins: [{type: tools, configuration: {enabled: true, mode: none}}, {type: router_replay}]
            - {name: tagged, priority: 9, rules: {type: metadata, name: tagged}, modelRefs: [{model: big}]}
            - name: answered
              priority: 8
              rules: {type: keyword, name: code}
              plugins: [{type: fast_response, configuration: {message: No.}}]
            - {name: tools, priority: 7, rules: {type: conversation, name: tools}, modelRefs: [{model: small}]}
        entrypoints: [{model_names: [acme/other], recipe: other}]
        recipes: [{name: other}]
        """

    private func evaluate(_ body: String, _ query: String = "") throws -> JSONValue {
        let router = try PolicyTools.router(Self.policy)
        let json = try router.evaluate(body: ByteBuffer(string: body), query: query) { _ in true }
        return try JSONDocument(json.bytes).root
    }

    private func keys(_ value: JSONValue?) -> [String] {
        value.map { $0.members.compactMap { $0.key.string } } ?? []
    }

    private func texts(_ value: JSONValue?) -> [String] {
        value.map { $0.elements.compactMap(\.string) } ?? []
    }

    @Test("A text is judged, and everything about it told")
    func shape() throws {
        let root = try evaluate(#"{"text":"prove it"}"#)
        #expect(
            keys(root) == [
                "original_text", "recipe", "decision_result", "recommended_models", "selected_model",
                "selection_status", "selection_method", "routing_decision", "metrics", "signal_confidences",
                "signal_values", "signals_not_evaluated",
            ]
        )
        #expect(root["original_text"]?.string == "prove it")
        #expect(root["recipe"]?.string == "default")
        let result = try #require(root["decision_result"])
        #expect(result["decision_name"]?.string == "proof")
        #expect(result["algorithm"]?.string == "static")
        #expect(texts(result["plugins"]) == ["tools", "router_replay"])
        #expect(result["confidence"]?.double == 0.75)
        // In the order of the tree, each once.
        #expect(keys(result["used_signals"]) == ["keywords", "embeddings", "projection"])
        #expect(texts(result["used_signals"]?["keywords"]) == ["hard"])
        #expect(texts(result["used_signals"]?["embeddings"]) == ["near"])
        #expect(keys(result["matched_signals"]) == ["keywords", "projection"])
        #expect(texts(result["matched_signals"]?["projection"]) == ["difficult"])
        #expect(
            keys(result["unmatched_signals"]) == ["keywords", "embeddings", "structure", "conversation", "metadata"]
        )
        #expect(texts(result["unmatched_signals"]?["keywords"]) == ["code"])
        // Models are recommended by the names of their bases; the adapter is chosen.
        #expect(texts(root["recommended_models"]) == ["big", "small"])
        #expect(root["selected_model"]?.string == "adapter")
        #expect(root["selection_status"]?.string == "selected")
        #expect(root["selection_method"]?.string == "static")
        #expect(root["routing_decision"]?.string == "proof")
        #expect(keys(root["metrics"]) == ["keywords", "structure", "conversation", "metadata"])
        for key in keys(root["metrics"]) {
            #expect(keys(root["metrics"]?[key]) == ["execution_time_ms", "confidence"])
            #expect(try #require(root["metrics"]?[key]?["execution_time_ms"]?.double) >= 0)
        }
        #expect(root["metrics"]?["keywords"]?["confidence"]?.double == 0.75)
        #expect(keys(root["signal_confidences"]) == ["keyword:hard", "projection:difficult"])
        #expect(root["signal_confidences"]?["keyword:hard"]?.double == 0.75)
        #expect(keys(root["signal_values"]).contains("structure:marks"))
        #expect(texts(root["signals_not_evaluated"]) == ["embedding:near"])
    }

    @Test("Where nothing matches there is no decision and no choice")
    func nothing() throws {
        let root = try evaluate(#"{"text":"hello","model":"acme/other"}"#)
        #expect(
            keys(root) == [
                "original_text", "requested_model", "recipe", "decision_result", "metrics", "signal_confidences",
                "signal_values",
            ]
        )
        #expect(root["requested_model"]?.string == "acme/other")
        #expect(root["recipe"]?.string == "other")
        #expect(root["decision_result"]?["decision_name"]?.string == "")
        #expect(root["decision_result"]?["algorithm"]?.string == "")
        #expect(keys(root["decision_result"]?["used_signals"]) == [])
        #expect(root["decision_result"]?["used_signals"]?.isObject == true)
        #expect(root["decision_result"]?["confidence"]?.double == 0)
    }

    @Test("A decision that answers itself recommends no model")
    func answered() throws {
        let root = try evaluate(#"{"text":"in swift"}"#)
        #expect(root["decision_result"]?["decision_name"]?.string == "answered")
        for key in ["recommended_models", "selected_model", "selection_status", "routing_decision"] {
            #expect(root[key] == nil)
        }
    }

    @Test("One model is chosen as the only one")
    func single() throws {
        let root = try evaluate(#"{"metadata":{"tag":"gold"}}"#)
        #expect(root["original_text"]?.string == "")
        #expect(root["routing_decision"]?.string == "tagged")
        #expect(root["selection_method"]?.string == "single")
        #expect(root["selected_model"]?.string == "big")
    }

    @Test("Messages, tools and metadata are judged as a request's are")
    func request() throws {
        let messages =
            #"{"messages":[{"role":"user","content":"first"},{"role":"assistant","content":"yes"},"#
            + #"{"role":"user","content":[{"type":"text","text":"prove"}]}],"text":"unread"}"#
        let root = try evaluate(messages)
        #expect(root["original_text"]?.string == "prove")
        #expect(root["routing_decision"]?.string == "proof")
        let tools = try evaluate(#"{"text":"hi","tools":[{"type":"function","function":{"name":"f"}}]}"#)
        #expect(tools["routing_decision"]?.string == "tools")
        // No message is no message: the text counts.
        #expect(try evaluate(#"{"messages":[],"text":"prove"}"#)["original_text"]?.string == "prove")
    }

    @Test("A text is told as it came, whatever is in it")
    func escapes() throws {
        let text = "prove \"it\" \\ \n\t\u{1} é 日本 👩‍👩‍👧"
        let body = JSONFragment.object([("text", JSONFragment(text))])
        #expect(try evaluate(String(buffer: body.bytes))["original_text"]?.string == text)
    }

    // MARK: Traces

    @Test(
        "The decisions' trees are told where they are asked for",
        arguments: [
            (#"{"text":"prove"}"#, "trace=true", true), (#"{"text":"prove"}"#, "a=b&trace=1", true),
            (#"{"text":"prove","options":{"trace":true}}"#, "", true), (#"{"text":"prove"}"#, "", false),
            (#"{"text":"prove"}"#, "trace=false", false), (#"{"text":"prove","options":{"trace":false}}"#, "", false),
        ]
    )
    func traceWanted(body: String, query: String, isThere: Bool) throws {
        #expect((try evaluate(body, query)["eval_trace"] != nil) == isThere)
    }

    @Test("A trace has a tree for every decision, in the order of the file")
    func trace() throws {
        let trace = try #require(evaluate(#"{"text":"prove it"}"#, "trace=true")["eval_trace"])
        #expect(
            trace.elements.map { $0["decision_name"]?.string } == ["proof", "tagged", "answered", "tools"]
        )
        #expect(trace.elements.map { $0["matched"]?.bool } == [true, false, false, false])
        let proof = try #require(trace[0])
        #expect(keys(proof) == ["decision_name", "matched", "confidence", "root_trace"])
        #expect(proof["confidence"]?.double == 0.75)
        let root = try #require(proof["root_trace"])
        #expect(root["node_type"]?.string == "OR")
        let children = try #require(root["children"]).elements.map { $0 }
        #expect(children.map { $0["node_type"]?.string } == ["leaf", "AND", "NOT"])
        #expect(children.map { $0["matched"]?.bool } == [true, false, false])
        #expect(keys(children[0]) == ["node_type", "signal_type", "signal_name", "matched", "confidence"])
        #expect(children[0]["signal_type"]?.string == "keyword")
        #expect(children[0]["signal_name"]?.string == "hard")
        #expect(children[1]["children"]?[0]?["matched"]?.bool == true)
        #expect(children[2]["children"]?[0]?["signal_name"]?.string == "difficult")
        #expect(children[2]["confidence"]?.double == 0)
    }

    @Test("A decision without rules is traced as a fallback")
    func fallback() throws {
        let router = try PolicyTools.router(
            """
            version: v0.3
            providers: {models: [{name: m}]}
            routing: {decisions: [{name: rest, modelRefs: [{model: m}]}, {name: all, rules: {operator: AND}, modelRefs: [{model: m}]}]}
            """
        )
        let json = try router.evaluate(body: ByteBuffer(string: #"{"text":"x"}"#), query: "trace=true") { _ in true }
        let trace = try #require(JSONDocument(json.bytes).root["eval_trace"])
        #expect(trace.elements.map { $0["root_trace"]?["node_type"]?.string } == ["fallback", "AND"])
        #expect(trace.elements.map { $0["matched"]?.bool } == [true, true])
    }

    // MARK: Mistakes

    @Test(
        "What cannot be judged is refused",
        arguments: [
            ("{}", RouterError.Code.invalidRequest, "text"), (#"{"text":""}"#, .invalidRequest, "text"),
            (#"{"text":7}"#, .invalidRequest, "text"), (#"{"messages":[]}"#, .invalidRequest, "text"),
            (#"{"messages":"x"}"#, .invalidRequest, "text"),
            (#"{"text":"x","model":"small"}"#, .invalidRequest, "model"),
            (#"{"text":"x","model":"unheard"}"#, .invalidRequest, "model"),
            (#"{"text":"x""#, .invalidJSON, nil), ("", .invalidJSON, nil), ("[]", nil, nil), ("7", nil, nil),
        ] as [(String, RouterError.Code?, String?)]
    )
    func mistakes(body: String, code: RouterError.Code?, parameter: String?) throws {
        let error = try #require(throws: RouterError.self) { _ = try evaluate(body) }
        #expect(error.origin == .client)
        if let code { #expect(error.code == code) }
        if let parameter { #expect(error.parameter == parameter) }
    }

    @Test("Messages of the wrong form are judged as unreadable, and nothing is decided")
    func unreadable() throws {
        let root = try evaluate(#"{"messages":[{"role":"user","content":7}]}"#, "trace=true")
        #expect(root["original_text"]?.string == "")
        #expect(root["decision_result"]?["decision_name"]?.string == "")
        #expect(root["eval_trace"]?.isArray == true)
    }
}
