import ConfigKit
import Foundation
import HTTPTransport
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

@Suite("Through the gateway")
struct GatewayTests {
    private static let policy = """
        version: v0.3
        providers:
          defaults: {default_model: small}
          models:
            - {name: small}
            - {name: coder, provider_model_id: coder-served}
        routing:
          signals:
            keywords:
              - {name: code_words, keywords: [python, 代码, "stack trace"]}
          decisions:
            - name: code
              priority: 10
              rules: {type: keyword, name: code_words}
              modelRefs: [{model: coder}]
        """

    /// A folder of the test's own, removed afterwards.
    private func withFolder(_ body: (URL) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder)
    }

    private func withGateway(
        policy: String = policy,
        options change: @escaping (inout ServeOptions, URL) throws -> Void = { _, _ in },
        _ body: (Stack, URL) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let file = folder.appending(path: "policy.yaml")
            try policy.write(to: file, atomically: true, encoding: .utf8)
            var changed = ServeOptions()
            try change(&changed, folder)
            let workers = [SimConfig.instant("small", id: "s"), .instant("coder-served", id: "c")]
            try await Stack.with(
                .gateway,
                workers: workers,
                options: {
                    changed.staticBackends = $0.staticBackends
                    changed.staticModels = $0.staticModels
                    changed.host = $0.host
                    changed.port = $0.port
                    changed.adminPort = $0.adminPort
                    changed.drainTimeout = $0.drainTimeout
                    changed.config = file.path
                    $0 = changed
                }
            ) { stack in try await body(stack, folder) }
        }
    }

    private func ask(_ text: String, model: String = "auto") -> String {
        #"{"model":"\#(model)","messages":[{"role":"user","content":"\#(text)"}]}"#
    }

    @Test(
        "`auto` goes where the rule says, and the answer says why",
        arguments: [
            ("Write Python for me", "c", "coder", "code"), ("请写代码", "c", "coder", "code"),
            ("Hello there", "s", "small", nil), ("pythonic", "s", "small", nil),
        ] as [(String, String, String, String?)]
    )
    func automatic(text: String, worker: String, model: String, decision: String?) async throws {
        try await withGateway { stack, _ in
            for name in ["auto", "MoM"] {
                let answer = try await stack.post("/v1/chat/completions", ask(text, model: name))
                #expect(answer.status == .ok)
                #expect(answer.headers["x-sim-worker"] == [worker])
                #expect(answer.headers["x-vsr-selected-model"] == [model])
                #expect(answer.headers.first(name: "x-vsr-selected-decision") == decision)
            }
        }
    }

    @Test("Only the model's name changes in the body")
    func oneEdit() async throws {
        try await withGateway { stack, _ in
            let body = #"{ "messages":[ {"role":"user","content":"python \u0021"} ],"model" :"auto" , "seed":1.50 }"#
            _ = try await stack.post("/v1/chat/completions", body)
            let sent = try #require(stack.workers[1].log.entries.first)
            #expect(String(buffer: sent.body) == body.replacing("\"auto\"", with: "\"coder-served\""))
            #expect(sent.headers["x-selected-model"] == ["coder-served"])
        }
    }

    @Test("A request that names its model goes there unaltered, without routing headers")
    func explicit() async throws {
        try await withGateway { stack, _ in
            let body = ask("python", model: "small")
            let answer = try await stack.post("/v1/chat/completions", body)
            #expect(answer.headers["x-sim-worker"] == ["s"])
            #expect(!answer.headers.contains { $0.name.hasPrefix("x-vsr-") })
            #expect(stack.workers[0].log.entries.first.map { String(buffer: $0.body) } == body)
        }
    }

    @Test("What cannot be read or is not served goes to the default model")
    func defaults() async throws {
        let policy = Self.policy.replacing("provider_model_id: coder-served", with: "provider_model_id: not-served")
        try await withGateway(policy: policy) { stack, _ in
            let bodies = [ask("python"), #"{"model":"auto","messages":[{"role":"user","content":[7]}]}"#]
            for body in bodies {
                let answer = try await stack.post("/v1/chat/completions", body)
                #expect(answer.headers["x-sim-worker"] == ["s"], "\(body)")
            }
            #expect(stack.log.lines.contains { $0.contains("no worker serves") && $0.contains("not-served") })
        }
    }

    @Test("Of several model fields every one is replaced")
    func duplicateModels() async throws {
        try await withGateway { stack, _ in
            let body = #"{"model":"coder-served","model":"auto","messages":[{"role":"user","content":"hi"}]}"#
            _ = try await stack.post("/v1/chat/completions", body)
            let sent = try #require(stack.workers[0].log.entries.first)
            #expect(!String(buffer: sent.body).contains("coder-served"))
        }
    }

    @Test("Only a trusted hop may say who somebody is")
    func trustedHop() async throws {
        for (network, status) in [("127.0.0.0/8", HTTPResponseStatus.badRequest), ("10.0.0.0/8", .forbidden)] {
            try await withGateway(options: { options, _ in options.trustedHops = [try CIDRBlock(network)] }) {
                stack,
                _ in
                let headers = ["x-authz-user-id": "ann", "x-authz-user-groups": "admin"]
                let answer = try await stack.send(.POST, "/sleep?id=none", body: ByteBuffer(), headers: headers)
                // An administrator gets as far as the worker's id; everybody else does not.
                #expect(answer.status == status)
            }
        }
    }

    @Test("Models that can be chosen are listed before those that serve")
    func models() async throws {
        try await withGateway { stack, _ in
            let list = try ModelList(parsing: try await stack.get("/v1/models").body)
            #expect(list.entries.prefix(3).map(\.id) == ["vllm-sr/auto", "auto", "MoM"])
            #expect(Set(list.entries.dropFirst(3).map(\.id)) == ["coder-served", "small"])
        }
    }

    @Test("Metrics have a port of their own")
    func metricsPort() async throws {
        try await withGateway { stack, _ in
            _ = try await stack.post("/v1/chat/completions", ask("python"))
            #expect(try await stack.get("/metrics").status == .notFound)
            let port = try #require(stack.adminPort)
            let client = try await RawConnection.connect(port: port)
            try await client.send("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            let page = await client.textUntilClosed()
            #expect(page.contains(#"llm_decision_match_total{decision_name="code"} 1"#))
            await client.close()
        }
    }

    @Test("A changed policy takes effect; a broken one does not, and says why")
    func reload() async throws {
        try await withGateway { stack, folder in
            let file = folder.appending(path: "policy.yaml")
            func worker() async throws -> [String] {
                try await stack.post("/v1/chat/completions", ask("rust")).headers["x-sim-worker"]
            }
            #expect(try await worker() == ["s"])
            try Self.policy.replacing("python", with: "rust").write(to: file, atomically: true, encoding: .utf8)
            #expect(try await eventually { try await worker() == ["c"] })
            try Self.policy.replacing("model: coder", with: "model: codr").write(
                to: file,
                atomically: true,
                encoding: .utf8
            )
            #expect(await eventually { stack.log.lines.contains { $0.contains("file rejected") } })
            #expect(stack.log.lines.contains { $0.contains("\"codr\"") && $0.contains("did you mean \"coder\"") })
            #expect(try await worker() == ["c"])
        }
    }

    @Test("API keys: who shows one is served, everybody else is not, and the key stays here")
    func apiKeys() async throws {
        // `printf %s sk-alpha | sha256sum`
        let keys = """
            api_keys:
              - name: team-a
                sha256: 2179e632e89277f18aa600491b68ad55121fd6caa045e047fdeb426088a5a5f1
            """
        try await withGateway(options: { options, folder in
            let file = folder.appending(path: "keys.yaml")
            try keys.write(to: file, atomically: true, encoding: .utf8)
            options.apiKeysFile = file.path
            options.workerAPIKey = Secret("worker-key")
        }) { stack, _ in
            let none = try await stack.post("/v1/chat/completions", ask("x"))
            #expect(none.status == .unauthorized && none.headers["www-authenticate"] == ["Bearer"])
            let wrong = try await stack.post(
                "/v1/chat/completions",
                ask("x"),
                headers: ["authorization": "Bearer sk-b"]
            )
            #expect(wrong.status == .unauthorized)
            #expect(stack.workers.allSatisfy { $0.log.entries.isEmpty })
            #expect(try await stack.get("/v1/models").status == .unauthorized)
            #expect(try await stack.get("/health").status == .ok)
            let known = ["authorization": "Bearer sk-alpha"]
            #expect(try await stack.post("/v1/chat/completions", ask("x"), headers: known).status == .ok)
            #expect(stack.workers[0].log.entries.first?.headers["authorization"] == ["Bearer worker-key"])
            // Changing a worker's state takes more than a key.
            #expect(try await stack.send(.POST, "/sleep?id=x", body: ByteBuffer(), headers: known).status == .forbidden)
        }
    }

    @Test("Mistakes in every file are all reported before anything starts")
    func brokenAtStart() async throws {
        try await withFolder { folder in
            let policy = folder.appending(path: "policy.yaml")
            try "version: v0.3\nprovidrs: {}\nrouting: {decisions: [{name: x}]}".write(
                to: policy,
                atomically: true,
                encoding: .utf8
            )
            let keys = folder.appending(path: "keys.yaml")
            try "api_keys: [{name: a, sha256: zz}]".write(to: keys, atomically: true, encoding: .utf8)
            let error = await #expect(throws: ConfigError.self) {
                try await Stack.with(
                    .gateway,
                    workers: [.instant()],
                    options: {
                        $0.config = policy.path
                        $0.isStrict = true
                        $0.apiKeysFile = keys.path
                    }
                ) { _ in }
            }
            let lines = error.map { "\($0)" } ?? ""
            #expect(lines.contains("policy.yaml:2:1: providrs: ") && lines.contains("did you mean \"providers\""))
            #expect(lines.contains("policy.yaml:3:") && lines.contains("modelRefs"))
            #expect(lines.contains("keys.yaml:1:") && lines.contains("sha256"))
        }
    }
}
