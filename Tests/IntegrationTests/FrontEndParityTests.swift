import ConfigKit
import EnvoyModel
import ExtProcServer
import Foundation
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SemanticRouter
import SimWorker
import TestSupport
import Testing
import Transport

/// One semantic core, two front ends: what the gateway does to a request in memory, Envoy does when it is told to.
///
/// Meant to differ are
/// - `x-vsr-destination-endpoint`, which tells Envoy's routes what the gateway knows;
/// - `x-authz-*`, which stay for the router behind Envoy, and end in the gateway;
/// - requests that name no model, or one that nobody serves: who serves what is known to the inference router, which is
///   part of the gateway and stands behind Envoy;
/// - the list of models, to which the gateway adds those of its workers;
/// - in Envoy's `STREAMED` mode, headers for the worker: they have gone when the body comes.
@Suite("Both front ends do the same")
struct FrontEndParityTests {
    /// What a client sends.
    struct Conversation: Sendable, CustomTestStringConvertible {
        let name: String
        let body: String
        var path = "/v1/chat/completions"
        var headers: [String: String] = [:]
        /// The gateway's status where the inference router has something to say against it; behind Envoy, it says so later.
        var refusedByInferenceRouter: Int?

        var testDescription: String { name }
    }

    private static let policy = """
        version: v0.3
        providers:
          defaults:
            default_model: small
            reasoning_families:
              qwen: {type: chat_template_kwargs, parameter: enable_thinking}
              gpt: {type: reasoning_effort, parameter: reasoning_effort}
          models:
            - {name: small, reasoning_family: gpt, backend_refs: [{endpoint: "{small}"}]}
            - {name: large, provider_model_id: big, reasoning_family: qwen, backend_refs: [{endpoint: "{big}", weight: 7}]}
        routing:
          modelCards: [{name: large, loras: [{name: big-lora}]}]
          signals:
            keywords:
              - {name: proof, keywords: [prove]}
              - {name: law, keywords: [contract]}
              - {name: stop, keywords: [forbidden]}
              - {name: tidy, keywords: [tidy]}
            role_bindings: [{name: vips, role: vip, subjects: [{kind: group, name: gold}]}]
          decisions:
            - {name: vip, priority: 9, rules: {type: authz, name: vip}, modelRefs: [{model: large}]}
            - name: proofs
              priority: 4
              rules: {type: keyword, name: proof}
              modelRefs: [{model: large, use_reasoning: true}]
              plugins:
                - {type: system_prompt, configuration: {mode: insert, system_prompt: "Be rigorous."}}
                - type: header_mutation
                  configuration:
                    add: [{name: X-Tier, value: gold}, {name: X-New, value: "a, b"}]
                    update: [{name: X-Source, value: router}]
                    delete: [X-Trace, X-Absent]
                - {type: tools, configuration: {enabled: true, mode: filtered, block_tools: [exec]}}
            - {name: law, priority: 3, rules: {type: keyword, name: law}, modelRefs: [{model: large, lora_name: big-lora}]}
            - name: tidy
              priority: 2
              rules: {type: keyword, name: tidy}
              modelRefs: [{model: small, use_reasoning: true, reasoning_effort: low}]
              plugins:
                - {type: system_prompt, configuration: {mode: replace, system_prompt: "Ümläute \\"und\\" mehr"}}
                - {type: request_params, configuration: {blocked_params: [logprobs], max_tokens_limit: 50, max_n: 1}}
            - name: refusal
              priority: 5
              rules: {type: keyword, name: stop}
              plugins: [{type: fast_response, configuration: {message: "Not  here,\\nsorry."}}]

        """

    private static func ask(_ text: String, _ model: String = "auto", more: String = "") -> String {
        #"{"model":"\#(model)","messages":[{"role":"user","content":"\#(text)"}]\#(more)}"#
    }

    private static let tools =
        #","tools":[{"type":"function","function":{"name":"exec"}}, {"type":"function","function":{"name":"find"}}]"#

    private static let conversations: [Conversation] = [
        // Choices
        .init(name: "the default", body: ask("hello")),
        .init(name: "a decision", body: ask("prove it")),
        .init(name: "an adapter", body: ask("a contract")),
        .init(name: "a stream", body: ask("prove it", more: #","stream":true"#)),
        .init(
            name: "a stream with usage",
            body: ask("x", more: #","stream":true,"stream_options":{"include_usage":true}"#)
        ),
        .init(name: "limits", body: ask("tidy up", more: #","max_tokens":900,"logprobs":true,"n":4"#)),
        .init(name: "limits within", body: ask("tidy up", more: #", "max_tokens" : 9"#)),
        .init(name: "an effort that the client wants", body: ask("tidy up", more: #","reasoning_effort":"high""#)),
        .init(
            name: "template arguments of the client's",
            body: ask("prove", more: #","chat_template_kwargs":{"a":1}"#)
        ),
        .init(name: "tools", body: ask("prove it", more: tools)),
        .init(name: "tools of another decision", body: ask("hello", more: tools)),
        .init(
            name: "a history of tools",
            body:
                #"{"model":"auto","messages":[{"role":"user","content":"prove"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"find","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"found"}]}"#
        ),
        .init(
            name: "a system prompt",
            body:
                #"{"model":"auto","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"prove"}]}"#
        ),
        .init(
            name: "a system prompt that is replaced",
            body:
                #"{"model":"auto","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"tidy"}]}"#
        ),
        .init(
            name: "content in parts",
            body: #"{"model":"auto","messages":[{"role":"user","content":[{"type":"text","text":"prove it"}]}]}"#
        ),
        .init(
            name: "its own spelling",
            body:
                "{ \"seed\":1.50,\n\t\"model\" :\"auto\" , \"messages\":[ {\"role\":\"user\",\"content\":\"prove \\u0021\"} ] }"
        ),
        .init(name: "other scripts", body: ask("prove 世界 🙂 \\ud83d\\ude42 é")),
        .init(name: "an emptiness", body: #"{"model":"auto","messages":[]}"#),
        .init(name: "a large body", body: ask(String(repeating: "Lorem ipsum, ", count: 30_000) + "prove")),
        .init(
            name: "many messages",
            body:
                #"{"model":"auto","messages":["#
                + (0..<200).map { #"{"role":"\#($0 % 2 == 0 ? "user" : "assistant")","content":"turn \#($0)"}"# }
                .joined(separator: ",") + "]}"
        ),
        // Names
        .init(name: "another name for a choice", body: ask("prove it", "MoM")),
        .init(name: "a name with white space", body: ask("prove it", " auto ")),
        .init(name: "a model", body: ask("prove it", "small")),
        .init(name: "a model by its policy's name", body: ask("hello", "large")),
        .init(name: "a model by its worker's name", body: ask("hello", "big")),
        .init(name: "an adapter by its name", body: ask("hello", "big-lora")),
        .init(name: "limits on a named model", body: ask("tidy", "small", more: #","max_tokens":900"#)),
        .init(name: "tools of a named model", body: ask("prove", "small", more: tools)),
        .init(name: "two models", body: #"{"model":"small","messages":[],"model":"big"}"#),
        .init(name: "two choices", body: #"{"model":"auto","model":"auto","messages":[]}"#),
        .init(name: "no model", body: #"{"messages":[]}"#, refusedByInferenceRouter: 400),
        .init(name: "no model, but null", body: #"{"model":null,"messages":[]}"#, refusedByInferenceRouter: 400),
        .init(name: "a model of nobody's", body: ask("hello", "unheard-of"), refusedByInferenceRouter: 404),
        // Answers of our own
        .init(name: "a fast response", body: ask("forbidden")),
        .init(name: "a fast response as a stream", body: ask("forbidden", more: #","stream":true"#)),
        .init(name: "a fast response to a named model", body: ask("forbidden", "unheard-of")),
        .init(
            name: "a fast response to a completion",
            body: #"{"model":"auto","prompt":"forbidden"}"#,
            path: "/v1/completions"
        ),
        .init(
            name: "a fast response to Anthropic's API",
            body: #"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"forbidden"}]}"#,
            path: "/v1/messages"
        ),
        .init(
            name: "a fast response to responses",
            body: #"{"model":"auto","input":"forbidden"}"#,
            path: "/v1/responses"
        ),
        // What is wrong
        .init(name: "no JSON", body: "{\"model\":"),
        .init(name: "nothing", body: ""),
        .init(name: "a list", body: "[]"),
        .init(name: "text behind", body: #"{"model":"auto"} x"#),
        .init(name: "a model that is a number", body: #"{"model":7,"messages":[]}"#),
        .init(name: "a text that cannot be read", body: #"{"model":"auto","messages":[{"role":"user","content":7}]}"#),
        .init(name: "messages that are none", body: #"{"model":"auto","messages":7}"#),
        .init(name: "a deep nest", body: String(repeating: "[", count: 2000)),
        .init(name: "broken UTF-8 by escapes", body: ask("prove \\ud800")),
        .init(name: "a compressed body", body: ask("x"), headers: ["content-encoding": "gzip"]),
        // Endpoints
        .init(name: "a completion", body: #"{"model":"auto","prompt":["prove","it"]}"#, path: "/v1/completions"),
        .init(name: "token ids", body: #"{"model":"auto","prompt":[1,2,3]}"#, path: "/v1/completions"),
        .init(name: "responses", body: #"{"model":"auto","input":"prove it"}"#, path: "/v1/responses"),
        .init(
            name: "Anthropic's API",
            body: #"{"model":"auto","max_tokens":9,"system":"Hm.","messages":[{"role":"user","content":"prove"}]}"#,
            path: "/v1/messages"
        ),
        .init(name: "embeddings", body: #"{"model":"auto","input":"prove it"}"#, path: "/v1/embeddings"),
        .init(name: "a ranking", body: #"{"model":"auto","query":"prove","documents":["a"]}"#, path: "/v2/rerank"),
        .init(name: "a score", body: #"{"model":"auto","text_1":"prove","text_2":"a"}"#, path: "/score"),
        .init(name: "tokens", body: #"{"model":"auto","prompt":"prove"}"#, path: "/tokenize"),
        .init(name: "tokens back", body: #"{"model":"auto","tokens":[1]}"#, path: "/detokenize"),
        .init(name: "classes", body: #"{"model":"auto","input":"prove"}"#, path: "/classify"),
        .init(name: "a query in the path", body: ask("prove it"), path: "/v1/chat/completions?a=b"),
        // Headers
        .init(
            name: "headers that the decision changes",
            body: ask("prove it"),
            headers: ["x-tier": "silver", "X-Source": "client", "x-trace": "1", "x-other": "kept"]
        ),
        .init(
            name: "forged headers",
            body: ask("hello"),
            headers: ["x-vsr-selected-model": "f", "x-selected-model": "f", "x-vsr-destination-endpoint": "f:1"]
        ),
        .init(
            name: "who asks",
            body: ask("hello"),
            headers: ["x-authz-user-id": "ann", "x-authz-user-groups": "gold"]
        ),
        .init(
            name: "debugging",
            body: ask("prove it"),
            headers: ["x-vsr-debug": "true", "accept": "text/event-stream"]
        ),
        .init(name: "credentials", body: ask("hello"), headers: ["authorization": "Bearer s3cret"]),
    ]

    /// Where Envoy lets headers and bodies be changed, in as many pieces as it likes.
    private static let modes: [BodyMode] = [.buffered, .bufferedPartial, .fullDuplexStreamed]

    @Test(
        "The same edits, answers and headers",
        arguments: ["", "global: {router: {header_contract: v0.4, header_aliases: true}}"]
    )
    func parity(global: String) async throws {
        try await withFrontEnds(Self.policy + global) { stack, service in
            var compared = (forwarded: 0, answered: 0)
            for conversation in Self.conversations {
                for worker in stack.workers { worker.log.clear() }
                let answer = try await stack.send(
                    .POST,
                    conversation.path,
                    body: ByteBuffer(string: conversation.body),
                    headers: conversation.headers.merging(["x-request-id": "parity-1"]) { $1 }
                )
                let sent = stack.workers.flatMap(\.log.entries)
                #expect(sent.count <= 1)
                for mode in Self.modes {
                    let outcome = behindEnvoy(conversation, mode, service, answer: answer)
                    let place: Comment = "\(conversation.name), \(mode)"
                    #expect(outcome.complaints.isEmpty, place)
                    if let status = conversation.refusedByInferenceRouter {
                        #expect(Int(answer.status.code) == status && sent.isEmpty, place)
                        #expect(outcome.upstream?.body == ByteBuffer(string: conversation.body), place)
                    } else if let entry = sent.first {
                        compared.forwarded += 1
                        #expect(!outcome.isImmediate, place)
                        #expect(outcome.upstream?.body == entry.body, place)
                        #expect(outcome.upstream?.headers[":path"] == [entry.uri], place)
                        #expect(outcome.upstream.map { told(to: $0) } == told(to: entry), place)
                        #expect(told(by: outcome.client) == told(by: answer), place)
                    } else {
                        compared.answered += 1
                        #expect(outcome.isImmediate, place)
                        #expect(outcome.client.status == Int(answer.status.code), place)
                        #expect(timeless(outcome.client.body) == timeless(answer.body), place)
                        #expect(told(by: outcome.client) == told(by: answer), place)
                    }
                }
                let streamed = behindEnvoy(conversation, .streamed, service, answer: answer)
                #expect(streamed.complaints.isEmpty)
                if let entry = sent.first { #expect(streamed.upstream?.body == entry.body, "\(conversation.name)") }
            }
            // A comparison of nothing with nothing holds, too.
            #expect(compared.forwarded > 100 && compared.answered > 30)
        }
    }

    @Test("Envoy is told of the chosen model's backend, and lets the next router know who asks")
    func meantToDiffer() async throws {
        try await withFrontEnds(Self.policy) { stack, service in
            let large = "127.0.0.1:\(stack.workers[1].port)"
            let small = "127.0.0.1:\(stack.workers[0].port)"
            for (text, backend) in [("prove it", large), ("a contract", large), ("hello", small)] {
                let conversation = Conversation(
                    name: text,
                    body: Self.ask(text),
                    headers: ["x-authz-user-id": "ann", "x-authz-user-groups": "silver"]
                )
                let answer = try await stack.post(conversation.path, conversation.body, headers: conversation.headers)
                let outcome = behindEnvoy(conversation, .buffered, service, answer: answer)
                #expect(outcome.upstream?.headers["x-vsr-destination-endpoint"] == [backend])
                #expect(outcome.upstream?.headers["x-authz-user-id"] == ["ann"])
                let entry = try #require(stack.workers.flatMap(\.log.entries).last)
                #expect(
                    !entry.headers.contains { $0.name.hasPrefix("x-authz-") || $0.name == "x-vsr-destination-endpoint" }
                )
            }
        }
    }

    @Test("The models to choose from come first in both lists")
    func models() async throws {
        try await withFrontEnds(Self.policy) { stack, service in
            let request = EnvoyModel.Message(
                headers: HeaderList([(":method", "GET"), (":path", "/v1/models"), ("x-request-id", "1")])
            )
            var processor = StreamProcessor(service.stream()) { service.verdict($0) }
            let outcome = EnvoyModel.exchange(request, under: .init(), with: { processor.receive($0) }) { _ in request }
            let ours = try ModelList(parsing: outcome.client.body).entries
            let gateway = try ModelList(parsing: try await stack.get("/v1/models").body).entries
            #expect(!ours.isEmpty && Array(gateway.prefix(ours.count)) == ours && gateway.count > ours.count)
        }
    }

    // MARK: Both ends

    /// Runs a gateway and a service of Envoy's with one policy; `{small}` and `{big}` stand for the workers' addresses.
    private func withFrontEnds(_ policy: String, _ body: (Stack, ExtProcService) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "policy.yaml")
        let hops = [try CIDRBlock("127.0.0.0/8")]
        try await Stack.with(
            .gateway,
            workers: [.instant("small"), .instant("big", "big-lora")],
            options: { options in
                let addresses = options.staticBackends.map { "\($0.host):\($0.port.number)" }
                let filled = policy.replacing("{small}", with: addresses[0]).replacing("{big}", with: addresses[1])
                try? filled.write(to: file, atomically: true, encoding: .utf8)
                options.staticBackends = []
                options.staticModels = []
                options.config = file.path
                options.trustedHops = hops
            },
            { stack in
                let registry = MetricRegistry()
                let text = try String(contentsOf: file, encoding: .utf8)
                let service = ExtProcService(
                    semantic: Live(
                        SemanticRouter(
                            try SemanticConfig.parse(text).get(),
                            metrics: SemanticMetrics(registry: registry, models: ModelMetrics(registry: registry))
                        )
                    ),
                    settings: ExtProcSettings(),
                    metrics: ExtProcMetrics(registry: registry, models: ModelMetrics(registry: registry)),
                    budget: ByteBudget(limit: 1 << 30)
                )
                try await body(stack, service)
            }
        )
    }

    /// What becomes of a conversation behind Envoy, where the upstream answers as the gateway did.
    private func behindEnvoy(
        _ conversation: Conversation,
        _ mode: BodyMode,
        _ service: ExtProcService,
        answer: FetchedResponse
    ) -> EnvoyModel.Outcome {
        var fields = [(name: ":path", value: conversation.path), (name: ":method", value: "POST")]
        fields += conversation.headers.map { (name: $0.key, value: $0.value) }
        fields += [(name: "x-request-id", value: "parity-1"), (name: "x-forwarded-proto", value: "http")]
        var pieces: [ByteBuffer] = []
        var rest = ByteBuffer(string: conversation.body)
        while let piece = rest.readSlice(length: min(max(rest.readableBytes / 3, 1), rest.readableBytes)),
            piece.readableBytes > 0
        {
            pieces.append(piece)
        }
        if conversation.headers["content-type"] == nil, !pieces.isEmpty {
            fields.append((name: "content-type", value: "application/json"))
        }
        fields.append((name: "content-length", value: String(pieces.joined.readableBytes)))
        let request = EnvoyModel.Message(headers: HeaderList(fields), pieces: pieces.isEmpty ? nil : pieces)
        let headers = answer.headers.filter { !Self.isTold($0.name.lowercased()) || $0.name == "content-type" }
        let worker = EnvoyModel.Message(
            headers: HeaderList(
                [(":status", String(answer.status.code))] + headers.map { (name: $0.name, value: $0.value) }
            ),
            pieces: [answer.body]
        )
        var processor = StreamProcessor(service.stream()) { service.verdict($0) }
        var configuration = EnvoyModel.Configuration(requestBody: mode, responseBody: .notSent)
        configuration.bufferLimit = 1 << 30
        return EnvoyModel.exchange(request, under: configuration, with: { processor.receive($0) }) { _ in worker }
    }

    // MARK: What is compared

    /// One hop's own, or meant to differ.
    private static let ownToOneHop: Set<String> = [
        ":path", ":method", "host", "connection", "content-length", "transfer-encoding", "x-forwarded-proto",
        "x-vsr-destination-endpoint", "x-authz-user-id", "x-authz-user-groups",
    ]

    private func told(to upstream: EnvoyModel.Received) -> [String] {
        upstream.headers.sorted(without: Self.ownToOneHop)
    }

    private func told(to entry: RequestLog.Entry) -> [String] {
        HeaderList(entry.headers.map { (name: $0.name, value: $0.value) }).sorted(without: Self.ownToOneHop)
    }

    /// Of an answer: what it is, and what routers say about it.
    private static func isTold(_ name: String) -> Bool {
        name.hasPrefix("x-vsr-")
            || ["content-type", "x-request-id", "www-authenticate", "retry-after"].contains(name)
    }

    private func told(by client: EnvoyModel.Received) -> [String] {
        HeaderList(client.headers.tuples.filter { Self.isTold($0.name) }).sorted()
    }

    private func told(by answer: FetchedResponse) -> [String] {
        HeaderList(answer.headers.map { (name: $0.name.lowercased(), value: $0.value) }.filter { Self.isTold($0.name) })
            .sorted()
    }

    /// A body without the second at which it was made.
    private func timeless(_ body: ByteBuffer) -> String {
        String(buffer: body).replacing(/[0-9]{9,}/, with: "#")
    }
}
