import ConfigKit
import EnvoyModel
import ExtProcServer
import GRPCTransport
import Instruments
import NIOCore
import OpenAIWire
import SemanticRouter
import Testing
import Transport

/// The policy at work behind Envoy, from its first message to the client's answer.
@Suite("The semantic core behind Envoy")
struct ExtProcServiceTests {
    /// A service with a policy, and what it counted.
    private struct Front {
        let service: ExtProcService
        let registry = MetricRegistry()

        init(_ policy: String = ExtProcServiceTests.policy, settings: ExtProcSettings = ExtProcSettings()) throws {
            let router = SemanticRouter(
                try SemanticConfig.parse(policy).get(),
                metrics: SemanticMetrics(registry: registry, models: ModelMetrics(registry: registry)),
                unixTime: { 1_700_000_000 }
            )
            service = ExtProcService(
                semantic: Live(router),
                settings: settings,
                metrics: ExtProcMetrics(registry: registry, models: ModelMetrics(registry: registry)),
                budget: ByteBudget(limit: 1 << 30)
            )
        }

        func exchange(
            _ request: EnvoyModel.Message,
            _ mode: BodyMode = .buffered,
            answer: EnvoyModel.Message = Sample.answer
        ) -> EnvoyModel.Outcome {
            var processor = StreamProcessor(service.stream()) { service.verdict($0) }
            let outcome = EnvoyModel.exchange(
                request,
                under: .init(requestBody: mode),
                with: { processor.receive($0) },
                upstream: { _ in answer }
            )
            #expect(outcome.complaints.isEmpty)
            return outcome
        }
    }

    private static let policy = """
        version: v0.3
        providers:
          defaults: {default_model: small}
          models:
            - {name: small}
            - {name: large, provider_model_id: big, backend_refs: [{endpoint: "10.0.0.1:8000", weight: 1}, {endpoint: "10.0.0.2:8000", weight: 9}]}
        routing:
          signals:
            keywords: [{name: proof, keywords: [prove]}, {name: stop, keywords: [forbidden]}]
            role_bindings: [{name: vips, role: vip, subjects: [{kind: group, name: gold}]}]
          decisions:
            - name: proofs
              rules: {type: keyword, name: proof}
              modelRefs: [{model: large}]
              plugins:
                - {type: system_prompt, configuration: {mode: insert, system_prompt: "Be rigorous."}}
                - {type: header_mutation, configuration: {add: [{name: X-Tier, value: gold}], update: [{name: X-Source, value: router}], delete: [X-Trace]}}
            - name: refusal
              priority: 5
              rules: {type: keyword, name: stop}
              plugins: [{type: fast_response, configuration: {message: "Not here."}}]
            - {name: vip, priority: 9, rules: {type: authz, name: vip}, modelRefs: [{model: large}]}
        """

    private func ask(
        _ text: String,
        model: String = "auto",
        _ headers: [(name: String, value: String)] = [],
        path: String = Sample.chatPath,
        more: String = ""
    ) -> EnvoyModel.Message {
        Sample.request(
            [#"{"model":"\#(model)","#, #""messages":[{"role":"user","content":"\#(text)"}]\#(more)}"#],
            headers,
            path: path
        )
    }

    // MARK: Requests

    @Test("The chosen model, its backend, the decision's prompt and headers reach the upstream")
    func forwarded() throws {
        let front = try Front()
        let sent = [("x-tier", "silver"), ("x-source", "client"), ("x-source", "twice"), ("x-trace", "1")]
        let outcome = front.exchange(ask("prove it", sent.map { (name: $0, value: $1) }))
        let upstream = try #require(outcome.upstream)
        #expect(
            String(buffer: upstream.body)
                == #"{"model":"big","messages":[{"role":"system","content":"Be rigorous."},{"role":"user","content":"prove it"}]}"#
        )
        #expect(upstream.headers["x-selected-model"] == ["big"])
        #expect(upstream.headers["x-vsr-destination-endpoint"] == ["10.0.0.2:8000"])
        #expect(upstream.headers["content-length"] == [String(upstream.body.readableBytes)])
        #expect(upstream.headers["x-tier"] == ["silver", "gold"] && upstream.headers["x-source"] == ["router"])
        #expect(upstream.headers["x-trace"] == [] && outcome.hasClearedRouteCache)
        let told = ["decision": "proofs", "model": "large", "reasoning": "off"]
        for (name, value) in told { #expect(outcome.client.headers["x-vsr-selected-\(name)"] == [value]) }
        #expect(outcome.client.headers["x-vsr-injected-system-prompt"] == ["true"])
        #expect(outcome.client.headers["x-vsr-matched-keywords"] == ["proof"])
        #expect(outcome.client.headers["x-request-id"] == ["id-1"])
        let failed = front.exchange(ask("prove it"), answer: Sample.failure(500))
        #expect(failed.client.headers["x-vsr-selected-model"] == [])
    }

    @Test("Where routes do not ask for our headers, Envoy need not look for them anew")
    func routeCache() throws {
        let front = try Front(Self.policy + "\nglobal: {router: {clear_route_cache: false}}")
        #expect(!front.exchange(ask("prove it")).hasClearedRouteCache)
    }

    @Test("A request that names its model passes byte for byte, but names it once")
    func explicitModel() throws {
        let front = try Front()
        let named = front.exchange(ask("hello", model: "small"))
        #expect(named.upstream?.body == ask("hello", model: "small").pieces?.joined)
        #expect(named.upstream?.headers["x-selected-model"] == [] && !named.hasClearedRouteCache)
        let twice = front.exchange(Sample.request([#"{"model":"a","messages":[],"model":"b"}"#]))
        let root = try JSONDocument(try #require(twice.upstream).body).root
        #expect(Set(root.members.filter { $0.key.string == "model" }.map { $0.value.string }).count == 1)
        // None at all is for the inference router to judge.
        let none = front.exchange(Sample.request([#"{"messages":[]}"#]))
        #expect(none.upstream?.body == ByteBuffer(string: #"{"messages":[]}"#))
        let served = front.exchange(ask("hello", model: "large"))
        #expect(served.upstream?.body == ask("hello", model: "big").pieces?.joined)
    }

    @Test("What there is nothing to choose from asks the inference router for its default")
    func nothingToChoose() throws {
        let front = try Front(
            "version: v0.3\nproviders: {models: [{name: m}]}\nglobal: {router: {auto_model_name: choose}}"
        )
        let outcome = front.exchange(ask("x", model: "choose"))
        #expect(outcome.upstream?.body == ask("x", model: "auto").pieces?.joined)
    }

    @Test("Every text endpoint is read, and another method or path is not", arguments: TextEndpoint.allCases)
    func endpoints(endpoint: TextEndpoint) throws {
        let front = try Front()
        let request = ask("hello", path: endpoint.rawValue)
        #expect(front.exchange(request).upstream?.headers["x-selected-model"] == ["small"])
        var put = request
        put.headers = Sample.head("PUT", endpoint.rawValue)
        let passed = front.exchange(put)
        #expect(passed.upstream?.body == request.pieces?.joined && passed.told == ["requestHeaders"])
    }

    // MARK: Answers of our own

    @Test("A body that is no JSON object is refused with 400, whatever mode it comes in")
    func badBodies() throws {
        let front = try Front()
        for body in ["", "{", "[]", "null", #"{"model":7}"#, "\u{FEFF}{}", #"{"model":"a"} x"#] {
            for mode in [BodyMode.buffered, .bufferedPartial, .streamed, .fullDuplexStreamed] {
                let outcome = front.exchange(Sample.request(body.isEmpty ? [] : [body]), mode)
                #expect(outcome.isImmediate && outcome.client.status == 400, "\(body) \(mode.word)")
                #expect(outcome.client.headers["content-type"] == ["application/json"])
                let error = try JSONDocument(outcome.client.body).root["error"]
                #expect(error?["type"]?.string == "invalid_request_error")
            }
        }
    }

    @Test("A decision's own answer comes at once, whole or as events, with what is told of it")
    func fastResponse() throws {
        let front = try Front()
        let whole = front.exchange(ask("forbidden"))
        #expect(whole.isImmediate && whole.client.status == 200)
        #expect(whole.client.headers["content-type"] == ["application/json"])
        #expect(whole.client.headers["x-vsr-fast-response"] == ["true"])
        #expect(whole.client.headers["x-vsr-selected-decision"] == ["refusal"])
        #expect(whole.client.headers["x-request-id"] == ["id-1"])
        let content = try JSONDocument(whole.client.body).root["choices"]?[0]?["message"]?["content"]?.string
        #expect(content == "Not here.")
        let events = front.exchange(ask("forbidden", more: #","stream":true"#))
        #expect(events.client.headers["content-type"] == ["text/event-stream"])
        #expect(String(buffer: events.client.body).hasSuffix("data: [DONE]\n\n"))
    }

    @Test("The list of models is answered, one of them too; a name that is none of ours may be a worker's")
    func models() throws {
        let front = try Front(Self.policy + "\nglobal: {router: {include_config_models_in_list: true}}")
        let list = front.exchange(Sample.get("/v1/models?limit=1"))
        #expect(list.isImmediate && list.client.headers["x-request-id"] == ["id-1"])
        let names = try ModelList(parsing: list.client.body).entries.map(\.id)
        #expect(names.contains("auto") && names.suffix(2) == ["small", "large"])
        for name in ["large", "vllm-sr/auto", "vllm-sr%2Fauto"] {
            let one = front.exchange(Sample.get("/v1/models/\(name)"))
            #expect(one.isImmediate, "\(name)")
            #expect(try JSONDocument(one.client.body).root["object"]?.string == "model")
        }
        let head = front.exchange(Sample.get("/v1/models", "HEAD"))
        #expect(head.isImmediate && head.client.status == 200 && head.client.body.readableBytes == 0)
        for path in ["/v1/models/other", "/v1/models/", "/v1/modelsx", "/v1/models/large/more"] {
            let passed = front.exchange(Sample.get(path))
            #expect(!passed.isImmediate && passed.upstream != nil, "\(path)")
        }
        #expect(!front.exchange(EnvoyModel.Message(headers: Sample.head("POST", "/v1/models"))).isImmediate)
    }

    // MARK: Who asks

    @Test("Who asks is believed of a trusted hop, and nobody else")
    func identity() throws {
        let headers = [("x-authz-user-id", "ann"), ("x-authz-user-groups", "silver, gold")].map {
            (name: $0, value: $1)
        }
        for trusts in [true, false] {
            var settings = ExtProcSettings()
            settings.trustsIdentityHeaders = trusts
            let outcome = try Front(settings: settings).exchange(ask("hello", headers))
            #expect(outcome.upstream?.headers["x-selected-model"] == [trusts ? "big" : "small"])
            #expect(outcome.upstream?.headers["x-authz-user-id"] == (trusts ? ["ann"] : []))
        }
    }

    @Test("A client's claim that was passed on beside the hop's is refused, where hops are believed")
    func twoIdentities() throws {
        let headers = [("x-authz-user-id", "ann"), ("x-authz-user-id", "bob")].map { (name: $0, value: $1) }
        let refused = try Front().exchange(ask("hello", headers))
        #expect(refused.client.status == 401 && refused.client.headers["www-authenticate"] == ["Bearer"])
        var settings = ExtProcSettings()
        settings.trustsIdentityHeaders = false
        #expect(try Front(settings: settings).exchange(ask("hello", headers)).client.status == 200)
    }

    // MARK: Contracts

    @Test("The v0.4 contract marks every answer, and tells more to who asks")
    func keystones() throws {
        let front = try Front(Self.policy + "\nglobal: {router: {header_contract: v0.4}}")
        for (request, path) in [
            (ask("prove it"), "upstream"), (ask("x", model: "small"), "upstream"), (ask("forbidden"), "fast_response"),
        ] {
            let outcome = front.exchange(request)
            #expect(outcome.client.headers["x-vsr-schema-version"] == ["2"])
            #expect(outcome.client.headers["x-vsr-response-path"] == [path])
        }
        let brief = front.exchange(ask("prove it"))
        #expect(brief.client.headers["x-vsr-selected-algorithm"] == ["single"])
        #expect(brief.client.headers["x-vsr-selected-reasoning"] == [])
        let full = front.exchange(ask("prove it", [("x-vsr-debug", " TRUE ")]))
        #expect(full.client.headers["x-vsr-selected-reasoning"] == ["off"])
        let failed = front.exchange(ask("prove it"), answer: Sample.failure(404))
        #expect(failed.client.headers["x-vsr-response-path"] == ["upstream"])
        #expect(failed.client.headers["x-vsr-selected-model"] == [])
    }

    // MARK: Measures

    @Test("Each request is counted once, by what became of it")
    func metrics() throws {
        let front = try Front()
        let requests = [
            ask("prove it"), ask("forbidden"), ask("x", model: "small"), Sample.request(["{"]),
            Sample.get("/v1/models"), Sample.get("/v1/models/other"),
        ]
        for request in requests { _ = front.exchange(request) }
        let text = front.registry.exposition()
        for (outcome, count) in [("forward", 1), ("respond", 2), ("bypass", 1), ("refuse", 1), ("pass", 1)] {
            #expect(text.contains("sextant_extproc_requests_total{outcome=\"\(outcome)\"} \(count)"), "\(text)")
        }
        #expect(text.contains("sextant_extproc_refusals_total{code=\"invalid_json\"} 1"))
        #expect(text.contains("sextant_extproc_decision_seconds_count 4"))
    }
}
