import ConfigKit
import Foundation
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import Synchronization
import TestSupport
import Testing

/// What a policy says, seen from both ends: the client's answer and what the worker was sent.
@Suite("A policy at work")
struct PolicyTests {
    /// Runs a gateway whose workers the policy names itself; `{small}` and `{big}` stand for their addresses.
    private func withPolicy(
        _ policy: String,
        workers: [SimConfig] = [.instant("small", id: "s"), .instant("big", "big-lora", id: "b")],
        options change: @escaping (inout ServeOptions) -> Void = { _ in },
        _ body: (Stack) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "policy.yaml")
        try await Stack.with(
            .gateway,
            workers: workers,
            options: { options in
                try? Self.filled(policy, options.staticBackends).write(to: file, atomically: true, encoding: .utf8)
                options.staticBackends = []
                options.staticModels = []
                options.config = file.path
                change(&options)
            },
            body
        )
    }

    /// The policy with the workers' addresses in place.
    private static func filled(_ policy: String, _ backends: [ServiceURL]) -> String {
        var addresses: [String] = []
        for backend in backends.map({ "\($0.host):\($0.port.number)" }) where addresses.last != backend {
            addresses.append(backend)
        }
        return policy.replacing("{small}", with: addresses[0]).replacing("{big}", with: addresses.last ?? "")
    }

    private static let providers = """
        version: v0.3
        providers:
          defaults:
            default_model: small
            reasoning_families: {qwen: {type: chat_template_kwargs, parameter: enable_thinking}}
          models:
            - {name: small, backend_refs: [{endpoint: "{small}"}]}
            - {name: large, provider_model_id: big, reasoning_family: qwen, backend_refs: [{endpoint: "{big}"}]}

        """

    private func ask(_ text: String, model: String = "auto", more: String = "") -> String {
        #"{"model":"\#(model)","messages":[{"role":"user","content":"\#(text)"}]\#(more)}"#
    }

    // MARK: Enrichment

    private static let enriching =
        providers + """
            routing:
              signals:
                keywords: [{name: proof, keywords: [prove]}, {name: stop, keywords: [forbidden]}]
              decisions:
                - name: proofs
                  rules: {type: keyword, name: proof}
                  modelRefs: [{model: large, use_reasoning: true}]
                  plugins:
                    - {type: system_prompt, configuration: {mode: insert, system_prompt: "Be rigorous."}}
                    - type: header_mutation
                      configuration:
                        add: [{name: X-Tier, value: gold}]
                        update: [{name: X-Source, value: router}]
                        delete: [X-Debug-Trace]
                    - {type: request_params, configuration: {blocked_params: [logprobs], max_tokens_limit: 50}}
                    - {type: tools, configuration: {enabled: true, mode: filtered, block_tools: [exec]}}
                - name: refusal
                  priority: 5
                  rules: {type: keyword, name: stop}
                  plugins: [{type: fast_response, configuration: {message: "Not  here,\\nsorry."}}]
            """

    @Test("A decision's plugins change what they name, and not a byte beside it")
    func enrichment() async throws {
        try await withPolicy(Self.enriching) { stack in
            let body =
                #"{ "max_tokens": 900,"model" :"auto", "logprobs":true,"seed":1.50, "tools":[{"type":"function","function":{"name":"exec"}}, {"type":"function", "function":{"name":"find"}}],"messages":[ {"role":"user","content":"prove \u0021"} ] }"#
            let headers = [
                "x-source": "client", "x-debug-trace": "1", "x-tier": "silver", "x-vsr-selected-model": "forged",
            ]
            let answer = try await stack.post("/v1/chat/completions", body, headers: headers)
            #expect(answer.status == .ok)
            let sent = try #require(stack.workers[1].log.entries.first)
            #expect(
                String(buffer: sent.body)
                    == #"{ "max_tokens": 50,"model" :"big","seed":1.50, "tools":[{"type":"function", "function":{"name":"find"}}],"messages":[ {"role":"system","content":"Be rigorous."},{"role":"user","content":"prove \u0021"} ],"chat_template_kwargs":{"enable_thinking":true} }"#
            )
            #expect(sent.headers["x-tier"] == ["silver", "gold"])
            #expect(sent.headers["x-source"] == ["router"])
            #expect(!sent.headers.contains(name: "x-debug-trace"))
            #expect(!sent.headers.contains(name: "x-vsr-selected-model"))
            let told = ["decision": "proofs", "model": "large", "reasoning": "on"]
            for (name, value) in told { #expect(answer.headers["x-vsr-selected-\(name)"] == [value]) }
            #expect(answer.headers["x-vsr-injected-system-prompt"] == ["true"])
            #expect(answer.headers["x-vsr-matched-keywords"] == ["proof"])
        }
    }

    @Test("A fast response answers for the model, whole and streamed, whatever model was asked for")
    func fastResponse() async throws {
        try await withPolicy(Self.enriching) { stack in
            for model in ["auto", "small", "unheard-of"] {
                let answer = try await stack.post("/v1/chat/completions", ask("forbidden", model: model))
                #expect(answer.status == .ok)
                #expect(answer.headers["x-vsr-fast-response"] == ["true"])
                #expect(answer.headers["x-vsr-selected-decision"] == ["refusal"])
                let root = try JSONDocument(answer.body).root
                #expect(root["choices"]?[0]?["message"]?["content"]?.string == "Not  here,\nsorry.")
                #expect(root["choices"]?[0]?["finish_reason"]?.string == "stop")
            }
            let stream = try await stack.post(
                "/v1/chat/completions",
                ask("forbidden", more: #","stream":true"#)
            )
            #expect(stream.headers["content-type"] == ["text/event-stream"])
            var text = ""
            var isDone = false
            var decoder = SSEDecoder()
            decoder.receive(stream.body)
            while let event = try decoder.next() {
                if String(buffer: event.data) == "[DONE]" {
                    isDone = true
                } else {
                    let delta = try JSONDocument(event.data).root["choices"]?[0]?["delta"]
                    text += delta?["content"]?.string ?? ""
                }
            }
            #expect(text == "Not  here,\nsorry." && isDone)
            #expect(stack.workers.allSatisfy { $0.log.entries.isEmpty })
        }
    }

    @Test("A request that names its model keeps it: only limits and tools of a matching decision act")
    func explicitModel() async throws {
        try await withPolicy(Self.enriching) { stack in
            let body = ask("prove it", model: "small", more: #","max_tokens":900,"logprobs":true"#)
            _ = try await stack.post("/v1/chat/completions", body)
            let sent = try #require(stack.workers[0].log.entries.first)
            #expect(String(buffer: sent.body) == ask("prove it", model: "small", more: #","max_tokens":50"#))
            #expect(!sent.headers.contains(name: "x-tier"))
            // The name of the policy, and the one that the worker knows.
            for name in ["large", "big"] {
                let answer = try await stack.post("/v1/chat/completions", ask("hello", model: name))
                #expect(answer.headers["x-sim-worker"] == ["b"])
                let last = try #require(stack.workers[1].log.entries.last)
                #expect(String(buffer: last.body) == ask("hello", model: "big"))
            }
        }
    }

    // MARK: Names

    private static let recipes =
        providers + """
            routing:
              modelCards: [{name: large, loras: [{name: big-lora}]}]
              decisions: [{name: usual, rules: {}, modelRefs: [{model: small}]}]
            entrypoints:
              - {model_names: [acme/careful, acme/slow], recipe: careful}
              - {model_names: [acme/usual], recipe: default}
            recipes:
              - name: careful
                routing:
                  decisions:
                    - {name: careful, modelRefs: [{model: large, lora_name: big-lora, use_reasoning: true}]}
            global: {router: {include_config_models_in_list: true, header_contract: v0.4, header_aliases: true}}
            """

    @Test("Entrypoints ask recipes, and adapters are asked for by their own names")
    func entrypoints() async throws {
        try await withPolicy(Self.recipes) { stack in
            for (name, worker, decision, recipe) in [
                ("acme/careful", "b", "careful", "careful"), ("acme/slow", "b", "careful", "careful"),
                ("acme/usual", "s", "usual", "default"), ("auto", "s", "usual", "default"),
            ] {
                let answer = try await stack.post("/v1/chat/completions", ask("hello", model: name))
                #expect(answer.headers["x-sim-worker"] == [worker], "\(name)")
                #expect(answer.headers["x-vsr-selected-decision"] == [decision])
                #expect(answer.headers["x-vsr-selected-recipe"] == [recipe])
            }
            let sent = try #require(stack.workers[1].log.entries.first)
            let root = try JSONDocument(sent.body).root
            #expect(root["model"]?.string == "big-lora")
            #expect(root["chat_template_kwargs"]?["enable_thinking"]?.bool == true)
            let list = try ModelList(parsing: try await stack.get("/v1/models").body).entries.map(\.id)
            #expect(
                list.prefix(8) == [
                    "vllm-sr/auto", "auto", "MoM", "acme/careful", "acme/slow", "acme/usual", "small", "large",
                ]
            )
            #expect(Set(list).isSuperset(of: ["big", "big-lora"]))
        }
    }

    @Test("The v0.4 contract tells little, and more to who asks; aliases repeat it under other names")
    func headerContract() async throws {
        try await withPolicy(Self.recipes) { stack in
            let path = "/v1/chat/completions"
            let brief = try await stack.post(path, ask("hello", model: "acme/careful"))
            #expect(brief.headers["x-vsr-schema-version"] == ["2"])
            #expect(brief.headers["x-vsr-response-path"] == ["upstream"])
            #expect(brief.headers["x-vsr-selected-confidence"] == ["0.0000"])
            #expect(brief.headers["x-vsr-selected-algorithm"] == ["single"])
            #expect(brief.headers["x-vsr-selected-model"] == ["big-lora"])
            #expect(!brief.headers.contains(name: "x-vsr-selected-reasoning"))
            #expect(brief.headers["X-VSR-Model"] == ["big-lora"] && brief.headers["X-VSR-Reasoning"] == ["on"])
            let full = try await stack.post(
                path,
                ask("hello", model: "acme/careful"),
                headers: ["X-VSR-Debug": " TRUE "]
            )
            #expect(full.headers["x-vsr-selected-reasoning"] == ["on"])
            #expect(full.headers["x-vsr-injected-system-prompt"] == ["false"])
            #expect(full.headers["x-vsr-context-token-count"] == ["6"])
            #expect(full.headers["x-vsr-selected-model"] == ["big-lora"])
            // Errors are told as such: how the request was routed is for answers.
            let failed = try await stack.post(path, #"{"model":"auto","messages":7}"#)
            #expect(failed.status.code >= 400)
            #expect(failed.headers["x-vsr-response-path"] == ["upstream"])
            #expect(!failed.headers.contains(name: "x-vsr-selected-decision"))
        }
    }

    @Test("Roles come from who is known, not from what a client says")
    func roles() async throws {
        let policy =
            Self.providers + """
                routing:
                  signals:
                    role_bindings: [{name: vips, role: vip, subjects: [{kind: group, name: gold}]}]
                  decisions: [{name: vip, rules: {type: authz, name: vip}, modelRefs: [{model: large}]}]
                """
        for (network, worker) in [("127.0.0.0/8", "b"), ("10.0.0.0/8", "s")] {
            try await withPolicy(policy, options: { $0.trustedHops = [try? CIDRBlock(network)].compactMap { $0 } }) {
                stack in
                let headers = ["x-authz-user-id": "ann", "x-authz-user-groups": "silver, gold"]
                let answer = try await stack.post("/v1/chat/completions", ask("hello"), headers: headers)
                #expect(answer.headers["x-sim-worker"] == [worker])
            }
        }
    }

    // MARK: Bounds

    @Test("No expression of a policy can hold up a request, whatever the prompt")
    func hostilePatterns() async throws {
        let patterns = [
            "(a+)+$", "(a|aa)*b", "(x+x+)+y", "(.*)*z", "(?i)((a{0,20}){0,20}b){0,2}$", "(?:a?){50}a{50}",
            "(a|b)*a(a|b){14}c", "\\\\b(\\\\w+\\\\s?)+\\\\d$",
        ]
        var lines = ["routing:", "  signals:", "    structure:"]
        for (index, pattern) in patterns.enumerated() {
            lines.append("      - name: p\(index)")
            lines.append("        feature: {type: count, source: {type: regex, pattern: \"\(pattern)\"}}")
        }
        lines.append("    keywords: [{name: k, method: regex, keywords: [\"(a+)+$\", \"(a|b)*a(a|b){14}c\"]}]")
        lines.append("  decisions:")
        for index in patterns.indices {
            lines.append(
                "    - {name: d\(index), priority: \(index), rules: {type: structure, name: p\(index)}, modelRefs: [{model: large}]}"
            )
        }
        try await withPolicy(Self.providers + lines.joined(separator: "\n")) { stack in
            for text in ["a", "ab", "x", "aaab", "a b "] {
                let prompt = String(repeating: text, count: 70_000 / text.count) + "!"
                let answer = try await stack.post("/v1/chat/completions", ask(prompt))
                #expect(answer.status == .ok || answer.status == .badRequest, "\(text)")
            }
        }
    }

    // MARK: Workers and reloads

    @Test("Backends get their shares of a model's requests")
    func weights() async throws {
        let policy = """
            version: v0.3
            providers:
              defaults: {default_model: m}
              models:
                - name: m
                  backend_refs: [{endpoint: "{small}", weight: 80}, {base_url: "http://{big}/v1", weight: 20}]
            """
        let workers = [SimConfig.instant("m", id: "1"), .instant("m", id: "2")]
        try await withPolicy(policy, workers: workers) { stack in
            for _ in 0..<100 { _ = try await stack.post("/v1/chat/completions", ask("x")) }
            #expect(stack.workers.map { $0.log.entries.count } == [80, 20])
        }
    }

    /// A policy that says its number in four places. Odd ones choose one worker, even ones the other, which only they
    /// name.
    private static func generation(_ number: Int, _ backends: [ServiceURL]) -> String {
        let isOdd = number % 2 == 1
        let policy = """
            version: v0.3
            providers:
              defaults: {default_model: \(isOdd ? "big" : "small")}
              models: [{name: \(isOdd ? "big" : "small"), backend_refs: [{endpoint: "\(isOdd ? "{big}" : "{small}")"}]}]
            routing:
              decisions:
                - name: g\(number)
                  modelRefs: [{model: \(isOdd ? "big" : "small")}]
                  plugins:
                    - {type: system_prompt, configuration: {system_prompt: "generation \(number)."}}
                    - {type: header_mutation, configuration: {update: [{name: x-generation, value: "\(number)"}]}}
            """
        return filled(policy, backends)
    }

    @Test("A thousand reloads under load: no request fails, none sees two policies")
    func reloads() async throws {
        var workers = [SimConfig.instant("small", id: "s"), .instant("big", id: "b")]
        for index in workers.indices { workers[index].requestLogSize = 1 << 20 }
        try await withPolicy(Self.providers, workers: workers) { stack in
            let urls = try stack.workers.map {
                try ServiceURL.parse("http://127.0.0.1:\($0.port)", traits: FieldTraits())
            }
            _ = await stack.apply(policy: Self.generation(0, urls), transition: .milliseconds(1))
            let answers = try await withThrowingTaskGroup(of: [String: String].self) { group in
                let isDone = Flag()
                for client in 0..<4 {
                    group.addTask {
                        var decisions: [String: String] = [:]
                        var count = 0
                        while !isDone.isSet || count < 10 {
                            let id = "c\(client)-\(count)"
                            count += 1
                            let answer = try await stack.post(
                                "/v1/chat/completions",
                                ask("hello"),
                                headers: ["x-request-id": id]
                            )
                            #expect(answer.status == .ok)
                            decisions[id] = answer.headers.first(name: "x-vsr-selected-decision") ?? ""
                        }
                        return decisions
                    }
                }
                for number in 1...1000 {
                    let wrong = await stack.apply(
                        policy: Self.generation(number, urls),
                        transition: .microseconds(100)
                    )
                    #expect(wrong.isEmpty)
                }
                isDone.set()
                return try await group.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
            }
            let sent = stack.workers.enumerated().flatMap { index, worker in
                worker.log.entries.map { (worker: index, entry: $0) }
            }
            #expect(sent.count == answers.count)
            var generations: Set<String> = []
            for (worker, entry) in sent {
                let id = try #require(entry.headers.first(name: "x-request-id"))
                let number = try #require(entry.headers.first(name: "x-generation").flatMap { Int($0) })
                generations.insert("\(number)")
                #expect(answers[id] == "g\(number)")
                #expect(String(buffer: entry.body).contains("generation \(number)."))
                #expect(worker == number % 2)
                #expect(entry.headers["x-selected-model"] == [worker == 0 ? "small" : "big"])
            }
            #expect(generations.count > 20)
        }
    }

    // MARK: Evaluation

    @Test("The management port says what would be decided, without asking a model")
    func evaluation() async throws {
        try await withPolicy(Self.enriching) { stack in
            let port = try #require(stack.adminPort)
            let body = #"{"text":"prove it","options":{"trace":true}}"#
            let client = try await RawConnection.connect(port: port)
            try await client.send(
                "POST /api/v1/eval HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            )
            let text = await client.textUntilClosed()
            await client.close()
            let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
            #expect(parts.first?.hasPrefix("HTTP/1.1 200") == true)
            let root = try JSONDocument(ByteBuffer(string: String(parts.last ?? ""))).root
            #expect(root["routing_decision"]?.string == "proofs")
            #expect(root["selected_model"]?.string == "large")
            #expect(root["decision_result"]?["matched_signals"]?["keywords"]?[0]?.string == "proof")
            #expect(root["eval_trace"]?.elements.map { $0["decision_name"]?.string } == ["proofs", "refusal"])
            #expect(stack.workers.allSatisfy { $0.log.entries.isEmpty })
            // Nothing was routed.
            #expect(stack.registry.value(of: "llm_decision_evaluation_total") == 0)
            let wrong = try await RawConnection.connect(port: port)
            try await wrong.send(
                "POST /api/v1/eval HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
            )
            let refusal = await wrong.textUntilClosed()
            await wrong.close()
            #expect(refusal.hasPrefix("HTTP/1.1 400") && refusal.contains(#""code":"INVALID_INPUT""#))
        }
    }
}

/// A flag that one task sets and others read.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
