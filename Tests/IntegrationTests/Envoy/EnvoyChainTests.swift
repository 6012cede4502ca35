import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

extension EnvoyTests {
    /// What a request and its answer are, at the client and at the worker, with the configuration as it is shipped.
    @Suite("Through Envoy")
    struct ChainTests {
        private func withChain(
            _ name: String = "sextant-router.yaml",
            workers: [SimConfig] = [.instant("small", id: "s"), .instant("big", id: "b")],
            upstream: EnvoyStack.Upstream = .router,
            change: (inout EnvoyConfiguration) throws -> Void = { _ in },
            _ body: (EnvoyStack) async throws -> Void
        ) async throws {
            try await EnvoyStack.with(
                name,
                policy: policy,
                workers: workers,
                options: { $0.defaultModel = "small" },
                upstream: upstream,
                change: change,
                body
            )
        }

        /// A worker that knows every model and stands right behind Envoy, to see what Envoy sends.
        private static let both = [SimConfig.instant("small", "big", id: "w")]

        private func code(_ answer: FetchedResponse) throws -> String? {
            try JSONDocument(answer.body).root["error"]?["code"]?.string
        }

        @Test("A decision chooses the worker and edits the request; the answer tells of it", arguments: [false, true])
        func decision(isStream: Bool) async throws {
            try await withChain { chain in
                let more = isStream ? #","stream":true"# : ""
                let headers = [
                    "x-source": "client", "x-debug-trace": "1", "x-tier": "silver", "x-request-id": "rid-1",
                ]
                let answer = try await chain.post(path, chat("prove \\u0021", more: more), headers: headers)
                #expect(answer.status == .ok)
                #expect(answer.headers["x-sim-worker"] == ["b"])
                let sent = try #require(chain.workers[1].log.entries.first)
                #expect(String(buffer: sent.body) == proven("prove \\u0021", more: more))
                #expect(sent.headers["content-length"] == ["\(sent.body.readableBytes)"])
                #expect(sent.headers["x-tier"] == ["silver", "gold"] || sent.headers["x-tier"] == ["silver,gold"])
                #expect(sent.headers["x-source"] == ["router"])
                #expect(!sent.headers.contains(name: "x-debug-trace"))
                #expect(sent.headers["x-request-id"] == ["rid-1"])
                #expect(answer.headers["x-request-id"] == ["rid-1"])
                for (name, value) in [("decision", "proofs"), ("model", "large"), ("reasoning", "on")] {
                    #expect(answer.headers["x-vsr-selected-\(name)"] == [value])
                }
                #expect(answer.headers["x-vsr-injected-system-prompt"] == ["true"])
                #expect(answer.headers["x-vsr-matched-keywords"] == ["proof"])
                if isStream {
                    #expect(answer.headers["content-type"].first?.hasPrefix("text/event-stream") == true)
                    #expect(String(buffer: answer.body).hasSuffix("data: [DONE]\n\n"))
                } else {
                    #expect(try JSONDocument(answer.body).root["model"]?.string == "big")
                }
            }
        }

        @Test("Where no decision matches the default model answers; a model that is named is kept")
        func otherModels() async throws {
            try await withChain { chain in
                let usual = try await chain.post(path, chat("hello"))
                #expect(usual.headers["x-sim-worker"] == ["s"])
                #expect(usual.headers["x-vsr-selected-model"] == ["small"])
                #expect(!usual.headers.contains(name: "x-vsr-selected-decision"))
                #expect(usual.headers.first(name: "x-request-id") != nil)
                for name in ["large", "big"] {
                    let answer = try await chain.post(path, chat("prove it", model: name))
                    #expect(answer.headers["x-sim-worker"] == ["b"])
                    let sent = try #require(chain.workers[1].log.entries.last)
                    #expect(String(buffer: sent.body) == chat("prove it", model: "big"))
                }
                let unknown = try await chain.post(path, chat("hello", model: "nobody"))
                #expect(unknown.status == .notFound)
                #expect(try code(unknown) == "model_not_found")
            }
        }

        @Test("A fast response answers for the model, whole and streamed; no worker hears of it")
        func fastResponse() async throws {
            try await withChain { chain in
                let whole = try await chain.post(path, chat("forbidden"))
                #expect(whole.status == .ok)
                #expect(whole.headers["x-vsr-fast-response"] == ["true"])
                #expect(whole.headers["x-vsr-selected-decision"] == ["refusal"])
                #expect(whole.headers["content-type"] == ["application/json"])
                let message = try JSONDocument(whole.body).root["choices"]?[0]?["message"]
                #expect(message?["content"]?.string == "Not  here, sorry.")
                let stream = try await chain.post(path, chat("forbidden", more: #","stream":true"#))
                #expect(stream.headers["content-type"] == ["text/event-stream"])
                var decoder = SSEDecoder()
                decoder.receive(stream.body)
                var text = ""
                var events: [String] = []
                while let event = try decoder.next() {
                    events.append(String(buffer: event.data))
                    guard events.last != "[DONE]" else { continue }
                    text += try JSONDocument(event.data).root["choices"]?[0]?["delta"]?["content"]?.string ?? ""
                }
                #expect(text == "Not  here, sorry." && events.last == "[DONE]")
                #expect(chain.workers.allSatisfy { $0.log.entries.isEmpty })
            }
        }

        @Test("What is wrong with a request is said in the form of the OpenAI API")
        func errors() async throws {
            try await withChain { chain in
                let broken = try await chain.post(path, #"{"model":"auto","messages":["#)
                #expect(broken.status == .badRequest)
                #expect(try code(broken) == "invalid_json")
                #expect(broken.headers["content-type"] == ["application/json"])
                #expect(broken.headers.first(name: "x-request-id") != nil)
                let empty = try await chain.send(.POST, path, body: ByteBuffer())
                #expect(empty.status == .badRequest)
                let compressed = try await chain.post(path, chat("hello"), headers: ["content-encoding": "gzip"])
                #expect(compressed.status == .unsupportedMediaType)
                let route = try await chain.post("/v1/no/such/path", "{}")
                #expect(route.status == .notFound)
                #expect(try code(route) == "route_not_found")
                // Neither are the router's metrics for clients, nor can Envoy be steered by them.
                #expect(try await chain.get("/metrics").status == .notFound)
                #expect(chain.workers.allSatisfy { $0.log.entries.isEmpty })
            }
        }

        @Test("The list of models is Sextant's; a model that it does not know is a worker's to tell of")
        func models() async throws {
            try await withChain { chain in
                let list = try await chain.get("/v1/models")
                #expect(list.status == .ok)
                let names = try JSONDocument(list.body).root["data"]?.elements.map { $0["id"]?.string }
                #expect(names?.contains("auto") == true)
                #expect(try await chain.get("/v1/models/auto").status == .ok)
                #expect(try await chain.get("/health").status == .ok)
                #expect(try await chain.get("/ready").status == .ok)
            }
        }

        @Test("A path that is none of Sextant's passes as it is, with its body and what it carries")
        func passing() async throws {
            try await withChain(workers: Self.both, upstream: .firstWorker) { chain in
                let body = #"{ "model":"auto", "prompt" : "prove" }"#
                _ = try await chain.post("/v1/audio/speech?x=1", body, headers: ["x-mine": "kept"])
                let sent = try #require(chain.workers[0].log.entries.first)
                #expect(sent.uri == "/v1/audio/speech?x=1")
                #expect(String(buffer: sent.body) == body)
                #expect(sent.headers["x-mine"] == ["kept"])
            }
        }

        @Test("What only routers say is not believed from a client, and goes no further")
        func forgedHeaders() async throws {
            try await withChain(workers: Self.both, upstream: .firstWorker) { chain in
                let forged = [
                    "x-vsr-selected-model", "x-vsr-selected-decision", "X-VSR-Anything", "x-vsr-destination-endpoint",
                    "x-authz-user-id", "X-Authz-User-Groups", "x-authz-tenant-id", "x_authz_user_groups",
                    "x-envoy-retry-on", "x-aside-1",
                ]
                for target in [path, "/v1/audio/speech"] {
                    var headers = Dictionary(uniqueKeysWithValues: forged.map { ($0, "gold") })
                    headers["x-selected-model"] = "forged"
                    headers["x-vsr-debug"] = "true"
                    let answer = try await chain.post(target, chat("hello"), headers: headers)
                    let sent = try #require(chain.workers[0].log.entries.last)
                    for name in forged { #expect(!sent.headers.contains(name: name), "\(name) at \(target)") }
                    #expect(sent.headers["x-vsr-debug"] == ["true"])
                    guard target == path else {
                        #expect(!sent.headers.contains(name: "x-selected-model"))
                        continue
                    }
                    #expect(sent.headers["x-selected-model"] == ["small"])
                    #expect(answer.headers["x-vsr-selected-model"] == ["small"])
                    #expect(!answer.headers.contains(name: "x-vsr-selected-decision"))
                }
            }
        }

        @Test("Who asks is believed from a filter between the client and Sextant")
        func identity() async throws {
            let filter = """
                                  - name: envoy.filters.http.header_mutation
                                    typed_config:
                                      "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
                                      mutations:
                                        request_mutations:
                                          - append: {header: {key: x-authz-user-id, value: ann}}
                                          - append: {header: {key: x-authz-user-groups, value: "silver, gold"}}

                """
            let change: (inout EnvoyConfiguration) throws -> Void = {
                try $0.insert(filter, before: "                  - name: envoy.filters.http.ext_proc\n")
            }
            try await withChain(workers: Self.both, upstream: .firstWorker, change: change) { chain in
                let answer = try await chain.post(path, chat("hello"), headers: ["x-authz-user-groups": "none"])
                #expect(answer.headers["x-vsr-selected-decision"] == ["vip"])
                let sent = try #require(chain.workers[0].log.entries.first)
                #expect(
                    String(buffer: sent.body)
                        == chat("hello", model: "big", more: #","chat_template_kwargs":{"enable_thinking":false}"#)
                )
                #expect(sent.headers["x-authz-user-groups"] == ["silver, gold"])
            }
        }

        @Test("destination.yaml sends a request to the worker that the policy names, others to the first")
        func destination() async throws {
            let policy = """
                version: v0.3
                providers:
                  defaults: {default_model: small}
                  models: [{name: small}, {name: large, provider_model_id: big, backend_refs: [{endpoint: "{big}"}]}]
                routing:
                  signals: {keywords: [{name: proof, keywords: [prove]}]}
                  decisions: [{name: proofs, rules: {type: keyword, name: proof}, modelRefs: [{model: large}]}]
                """
            try await EnvoyStack.with(
                "destination.yaml",
                policy: policy,
                workers: [.instant("small", id: "s"), .instant("big", id: "b")],
                upstream: .firstWorker
            ) { chain in
                let forged = ["x-vsr-destination-endpoint": "127.0.0.1:\(chain.workers[1].port)"]
                for (text, worker) in [("prove it", "b"), ("hello", "s"), ("prove it", "b")] {
                    let answer = try await chain.post(path, chat(text), headers: forged)
                    #expect(answer.status == .ok)
                    #expect(answer.headers["x-sim-worker"] == [worker])
                }
                #expect(
                    chain.workers[1].log.entries.first?.headers["x-vsr-destination-endpoint"]
                        == ["127.0.0.1:\(chain.workers[1].port)"]
                )
            }
        }

        @Test("Two Sextants behind one Envoy decide alike")
        func replicas() async throws {
            try await EnvoyStack.with(
                policy: policy,
                semantic: .own(2),
                workers: [.instant("small", id: "s"), .instant("big", id: "b")],
                options: { $0.defaultModel = "small" }
            ) { chain in
                for _ in 0..<20 {
                    let answer = try await chain.post(path, chat("prove it"))
                    #expect(answer.headers["x-vsr-selected-decision"] == ["proofs"])
                }
                #expect(
                    chain.workers[1].log.entries.map { String(buffer: $0.body) }.allSatisfy { $0 == proven("prove it") }
                )
                let asked = chain.semantic.map {
                    $0.registry.value(of: "sextant_extproc_requests_total", labels: ["outcome": "forward"]) ?? 0
                }
                #expect(asked.reduce(0, +) == 20 && !asked.contains(0), "\(asked)")
            }
        }
    }
}
