import AdminAPI
import ConfigKit
import Credentials
import Foundation
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import NIOPosix
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

/// The management port, asked over real sockets.
@Suite("Management API")
struct ManagementTests {
    private static let policy = """
        version: v0.3
        providers:
          defaults: {default_model: small}
          models: [{name: small}, {name: coder}]
        routing:
          signals:
            keywords: [{name: code_words, keywords: [python]}]
            language: [{name: en}]
          decisions:
            - {name: code, rules: {type: keyword, name: code_words}, modelRefs: [{model: coder}]}
        """

    /// `printf %s TOKEN | sha256sum` of `tok-viewer` and `tok-admin`.
    private static let viewer = "fb29d1e1a6ef02aa40e1130f0f7909ead137992db3c6c095d447c48c50f8fc37"
    private static let admin = "df6adb0b23fa33235f4aee6a0d62c118b00d71c07c81be87067b4f5892e66dbc"

    private static func tokens(_ entries: (name: String, sha256: String, role: String)...) -> String {
        "api_tokens:\n"
            + entries.map { "  - {name: \($0.name), sha256: \($0.sha256), role: \($0.role)}\n" }.joined()
    }

    private func withGateway(
        tokens: String? = nil,
        options change: @escaping (inout ServeOptions) -> Void = { _ in },
        _ body: (Stack, URL) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let policy = folder.appending(path: "policy.yaml")
        try Self.policy.write(to: policy, atomically: true, encoding: .utf8)
        let file = folder.appending(path: "tokens.yaml")
        try tokens?.write(to: file, atomically: true, encoding: .utf8)
        try await Stack.with(
            .gateway,
            workers: [SimConfig.instant("small"), .instant("coder")],
            options: { options in
                options.config = policy.path
                if tokens != nil { options.management.tokensFile = file.path }
                change(&options)
            }
        ) { stack in try await body(stack, folder) }
    }

    private func json(_ response: FetchedResponse) throws -> JSONValue { try JSONDocument(response.body).root }

    // MARK: Routes

    @Test("Every endpoint of the index answers, and answers HEAD without a body")
    func everyEndpoint() async throws {
        try await withGateway { stack, _ in
            let index = try json(try await stack.manage(.GET, "/api/v1"))
            #expect(index["service"]?.string == "sextant-gateway")
            let endpoints = try #require(index["endpoints"]).elements.map { $0 }
            #expect(endpoints.count == ManagementRoute.catalogue.count)
            for endpoint in endpoints {
                let path = try #require(endpoint["path"]?.string)
                guard endpoint["method"]?.string == "GET" else { continue }
                let response = try await stack.manage(.GET, path)
                #expect(response.status == .ok, "\(path)")
                #expect(response.body.readableBytes > 0)
                let head = try await stack.manage(.HEAD, path)
                #expect(head.status == .ok && head.body.readableBytes == 0, "\(path)")
            }
        }
    }

    @Test(
        "What is not there, or not asked that way, is told in upstream's shape",
        arguments: [
            (HTTPMethod.GET, "/nowhere", HTTPResponseStatus.notFound, "NOT_FOUND", nil),
            (.GET, "/v1/chat/completions", .notFound, "NOT_FOUND", nil),
            (.GET, "/", .notFound, "NOT_FOUND", nil),
            (.POST, "/health", .methodNotAllowed, "METHOD_NOT_ALLOWED", "GET"),
            (.DELETE, "/config/hash", .methodNotAllowed, "METHOD_NOT_ALLOWED", "GET"),
            (.GET, "/api/v1/eval", .methodNotAllowed, "METHOD_NOT_ALLOWED", "POST"),
            (.POST, "/api/v1/eval", .badRequest, "INVALID_INPUT", nil),
            (.POST, "/config/router/validate", .badRequest, "INVALID_INPUT", nil),
        ] as [(HTTPMethod, String, HTTPResponseStatus, String, String?)]
    )
    func refusals(
        method: HTTPMethod,
        path: String,
        status: HTTPResponseStatus,
        code: String,
        allow: String?
    ) async throws {
        try await withGateway { stack, _ in
            let response = try await stack.manage(method, path)
            #expect(response.status == status)
            let error = try #require(try json(response)["error"])
            #expect(error["code"]?.string == code)
            #expect(error["message"]?.string?.isEmpty == false)
            // RFC 3339 in UTC.
            #expect(error["timestamp"]?.string?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
            #expect(response.headers.first(name: "allow") == allow)
        }
    }

    @Test("A body over the limit is refused in the same shape")
    func largeBody() async throws {
        try await withGateway { stack, _ in
            for path in ["/api/v1/eval", "/config/router/validate"] {
                let body = String(repeating: " ", count: (1 << 20) + 1)
                let response = try await stack.manage(.POST, path, body: body)
                #expect(response.status == .payloadTooLarge)
                #expect(try json(response)["error"]?["code"]?.string == "BODY_TOO_LARGE")
            }
        }
    }

    @Test("Without a policy there is nothing to evaluate or validate")
    func routerWithoutPolicy() async throws {
        try await Stack.with(.router, workers: [.instant("m")], options: { $0.adminPort = Port(0) }) { stack in
            for (method, path) in [
                (HTTPMethod.POST, "/api/v1/eval"), (.POST, "/config/router/validate"), (.GET, "/config/hash"),
            ] {
                #expect(try await stack.manage(method, path, body: "{}").status == .notFound, "\(path)")
            }
            let index = try json(try await stack.manage(.GET, "/api/v1"))
            #expect(index["service"]?.string == "sextant-router")
            let paths = try #require(index["endpoints"]).elements.map { $0["path"]?.string }
            #expect(
                paths == [
                    "/health", "/ready", "/startup-status", "/api/v1", "/api/v1/embeddings",
                    "/api/v1/embeddings/models", "/api/v1/similarity", "/api/v1/similarity/batch", "/info/models",
                    "/v1/models", "/metrics",
                ]
            )
            let models = try await stack.manage(.GET, "/v1/models")
            #expect(models.body == (try await stack.get("/v1/models").body))
        }
    }

    @Test("Models: the list is the clients', the language detector runs when rules ask for it")
    func models() async throws {
        try await withGateway { stack, _ in
            let own = try await stack.manage(.GET, "/v1/models")
            #expect(own.body == (try await stack.get("/v1/models").body))
            #expect(String(buffer: own.body).contains(#""id":"MoM""#))
            let info = try json(try await stack.manage(.GET, "/info/models"))
            #expect(info["models"]?[0]?["type"]?.string == "language_detection")
            #expect(info["models"]?[0]?["loaded"]?.bool == true)
            #expect(info["system"]?["memory_usage"]?.string?.hasSuffix(" MB") == true)
            let plain = Self.policy.replacing("    language: [{name: en}]\n", with: "")
            #expect(await stack.apply(policy: plain, transition: .zero).isEmpty)
            let after = try json(try await stack.manage(.GET, "/info/models"))
            #expect(after["models"]?[0]?["loaded"]?.bool == false)
        }
    }

    @Test("An evaluation says what would be decided")
    func evaluation() async throws {
        try await withGateway { stack, _ in
            let response = try await stack.manage(.POST, "/api/v1/eval?trace=true", body: #"{"text":"python"}"#)
            let root = try json(response)
            #expect(response.status == .ok && root["routing_decision"]?.string == "code")
            #expect(root["eval_trace"]?.isArray == true)
        }
    }

    // MARK: Configuration

    @Test("A policy is judged with every mistake by line, and nothing is applied")
    func validation() async throws {
        try await withGateway { stack, _ in
            let before = try await stack.manage(.GET, "/config/hash").body
            let bad = Self.policy.replacing("model: coder", with: "model: codr").replacing(
                "{name: en}",
                with: "{name: xx}"
            )
            let response = try await stack.manage(.POST, "/config/router/validate", body: bad)
            #expect(response.status == .unprocessableEntity)
            let root = try json(response)
            #expect(root["valid"]?.bool == false && root["error"]?["code"]?.string == "CONFIG_VALIDATION_ERROR")
            let errors = try #require(root["errors"]).elements.map { $0 }
            #expect(errors.compactMap { $0["line"]?.int } == [8, 10])
            #expect(errors.last?["key"]?.string == "routing.decisions[0].modelRefs[0].model")
            #expect(errors.last?["column"]?.int == 82)
            #expect(errors.last?["message"]?.string?.contains("did you mean \"coder\"") == true)
            #expect(errors.last?["severity"]?.string == "error")
            // The same decides as did before.
            let evaluated = try json(try await stack.manage(.POST, "/api/v1/eval", body: #"{"text":"python"}"#))
            #expect(evaluated["selected_model"]?.string == "coder")
            #expect(try await stack.manage(.GET, "/config/hash").body == before)
        }
    }

    @Test("A good policy is valid, as YAML, as JSON and wrapped; what it says without an effect is a warning")
    func goodPolicies() async throws {
        try await withGateway { stack, _ in
            let wrapped = JSONFragment.object([("yaml", JSONFragment(Self.policy))])
            let document = #"{"version": "v0.3", "providers": {"models": [{"name": "small"}]}, "listeners": []}"#
            for (body, warnings) in [(Self.policy, 0), (String(buffer: wrapped.bytes), 0), (document, 1)] {
                let response = try await stack.manage(.POST, "/config/router/validate", body: body)
                let root = try json(response)
                #expect(response.status == .ok && root["valid"]?.bool == true)
                #expect(try #require(root["warnings"]).elements.map { $0 }.count == warnings)
                // What was normalized is a policy that says the same.
                let normalized = try #require(root["normalized_yaml"]?.string)
                let again = try await stack.manage(.POST, "/config/router/validate", body: normalized)
                #expect(try json(again)["normalized_yaml"]?.string == normalized)
            }
            let broken = try await stack.manage(.POST, "/config/router/validate", body: "a: [")
            #expect(broken.status == .badRequest)
            #expect(try json(broken)["error"]?["code"]?.string == "YAML_PARSE_ERROR")
            #expect(try json(broken)["errors"]?[0]?["line"]?.int != nil)
        }
    }

    @Test("Judging a policy reads neither the environment nor files of this machine")
    func unprivileged() async throws {
        try await withGateway { stack, folder in
            // HOME and the tokens' folder exist here: a policy that could read them would tell.
            let secret = folder.appending(path: "secret.txt")
            try "hidden-7f3a".write(to: secret, atomically: true, encoding: .utf8)
            let home = try #require(ProcessInfo.processInfo.environment["HOME"])
            let policy = """
                version: v0.3
                providers:
                  defaults: {default_model: "${HOME}"}
                  models:
                    - {name: "${NO_SUCH_VARIABLE:-small}", backend_refs: [{endpoint: "h:1", api_key: {file: \(secret.path)}}]}
                    - {name: other, backend_refs: [{endpoint: "h:2", api_key: {file: /no/such/file}}]}
                    - {name: third, backend_refs: [{endpoint: "h:3", api_key: {env: HOME}}]}
                """
            let response = try await stack.manage(.POST, "/config/router/validate", body: policy)
            let text = String(buffer: response.body)
            let errors = try #require(try json(response)["errors"]).elements.map { $0["message"]?.string ?? "" }
            #expect(errors.count == 1 && errors.first?.hasPrefix("\"${HOME}\" is not one of") == true)
            #expect(!text.contains("hidden-7f3a") && !text.contains(home))
        }
    }

    @Test("The hash follows the file: what was read last, and what is in force")
    func hashes() async throws {
        try await withGateway { stack, folder in
            func hash() async throws -> [String] {
                let root = try json(try await stack.manage(.GET, "/config/hash"))
                #expect(root["runtime_hash"]?.string == root["hash"]?.string)
                return ["hash", "active_hash", "status"].map { root[$0]?.string ?? "" }
            }
            let first = try await hash()
            #expect(first[0].wholeMatch(of: /[0-9a-f]{64}/) != nil)
            #expect(first[0] == first[1] && first[2] == "active")
            let file = folder.appending(path: "policy.yaml")
            let line = try await Subprocess.run("/usr/bin/sha256sum", [file.path]).text
            #expect(line.hasPrefix(first[0]))

            try (Self.policy + "x").write(to: file, atomically: true, encoding: .utf8)
            #expect(try await eventually { try await hash()[2] == "failed" })
            let second = try await hash()
            #expect(second[0] != first[0] && second[1] == first[1])

            try (Self.policy + "\n# changed\n").write(to: file, atomically: true, encoding: .utf8)
            #expect(try await eventually { try await hash()[2] == "active" })
            let third = try await hash()
            #expect(third[0] == third[1] && third[0] != first[0] && third[0] != second[0])
        }
    }

    // MARK: Readiness

    @Test("On its way out the process is healthy and not ready")
    func draining() async throws {
        let (stacks, stackFound) = AsyncStream.makeStream(of: Stack.self)
        let running = Task {
            // The process ends as soon as the body has; it then waits until the task is cancelled.
            try await withGateway(options: { $0.drainDelay = .seconds(600) }) { stack, _ in
                stackFound.yield(stack)
            }
        }
        var iterator = stacks.makeAsyncIterator()
        let stack = try #require(await iterator.next())
        #expect(try await eventually { try await stack.manage(.GET, "/ready").status == .serviceUnavailable })
        let ready = try json(try await stack.manage(.GET, "/ready"))
        #expect(ready["status"]?.string == "draining" && ready["ready"]?.bool == false)
        let startup = try await stack.manage(.GET, "/startup-status")
        #expect(startup.status == .serviceUnavailable)
        #expect(try json(startup)["phase"]?.string == "draining")
        #expect(try await stack.manage(.GET, "/health").status == .ok)
        running.cancel()
        try await running.value
    }

    // MARK: Who may ask

    @Test("Without tokens this machine's programs are answered, its browsers' pages are not")
    func browsers() async throws {
        try await withGateway { stack, _ in
            for path in ["/metrics", "/config/hash", "/nowhere"] {
                let rebound = try await stack.manage(.GET, path, headers: ["host": "evil.example:8081"])
                #expect(rebound.status == .forbidden, "\(path)")
                #expect(try json(rebound)["error"]?["code"]?.string == "FORBIDDEN")
            }
            let text = #"{"text":"python"}"#
            let page = try await stack.manage(
                .POST,
                "/api/v1/eval",
                body: text,
                headers: ["origin": "https://evil.example"]
            )
            #expect(page.status == .forbidden)
            for path in ["/health", "/ready"] {
                #expect(try await stack.manage(.GET, path, headers: ["host": "10.1.2.3"]).status == .ok)
            }
        }
    }

    @Test("With tokens only probes are answered without one, and nothing tells what there is")
    func tokens() async throws {
        let tokens = Self.tokens(("ann", Self.viewer, "viewer"), ("root", Self.admin, "admin"))
        try await withGateway(tokens: tokens) { stack, _ in
            for route in ManagementRoute.catalogue {
                let isOpen = ["/health", "/ready", "/startup-status"].contains(route.path)
                for headers in [[:], ["authorization": "Bearer tok-wrong"]] as [[String: String]] {
                    let response = try await stack.manage(route.method, route.path, headers: headers)
                    #expect(response.status == (isOpen ? .ok : .unauthorized), "\(route.path)")
                    guard !isOpen else { continue }
                    #expect(response.headers["www-authenticate"] == ["Bearer"])
                    #expect(try json(response)["error"]?["code"]?.string == "UNAUTHORIZED")
                }
                for token in ["tok-viewer", "tok-admin"] {
                    // A proxy may call us by another name: a page cannot know the token.
                    let headers = ["authorization": "Bearer \(token)", "host": "sextant.example"]
                    let response = try await stack.manage(route.method, route.path, headers: headers)
                    #expect(response.status == (route.method == .GET ? .ok : .badRequest), "\(route.path)")
                }
            }
            #expect(try await stack.manage(.GET, "/nowhere").status == .unauthorized)
            let known = try await stack.manage(.GET, "/nowhere", headers: ["authorization": "Bearer tok-viewer"])
            #expect(known.status == .notFound)
            #expect(!stack.log.lines.contains { $0.contains("tok-") || $0.contains(Self.viewer) })
        }
    }

    @Test("A role that lacks the permission is refused")
    func roles() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let process = ManagedProcess(
            service: "test",
            version: "1",
            timestamp: { "now" },
            readiness: { Readiness(phase: .ready, message: "", since: "") }
        )
        let write = ManagementRoute(.PUT, "/write", needs: .writeConfiguration, "Writes.") { _ in
            .immediate { _ in .json(ByteBuffer(string: "{}")) }
        }
        let entries = [("viewer", Self.viewer, Role.viewer), ("admin", Self.admin, .admin)]
        let store = CredentialStore(
            try entries.map { name, hash, role in try #require(Credential(name: name, sha256: hash, owner: role)) }
        )
        let server = try await HTTPServer.start(
            host: "127.0.0.1",
            port: 0,
            group: group,
            service: ManagementService(process, routes: [write]) { .tokens(store) }
        )
        for (token, status) in [("tok-viewer", 403), ("tok-admin", 200), ("tok-none", 401)] {
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(
                "PUT /write HTTP/1.1\r\nhost: a\r\nauthorization: Bearer \(token)\r\nconnection: close\r\n\r\n"
            )
            let text = await client.textUntilClosed()
            #expect(text.hasPrefix("HTTP/1.1 \(status) "))
            #expect((status == 403) == text.contains(#"{"error":{"code":"FORBIDDEN","message":"The role 'viewer' "#))
            await client.close()
        }
        await server.shutdown(within: .zero)
    }

    @Test("Changed tokens take effect; a file with a mistake changes nothing")
    func tokenReload() async throws {
        try await withGateway(tokens: Self.tokens(("root", Self.admin, "admin"))) { stack, folder in
            let file = folder.appending(path: "tokens.yaml")
            func status(_ token: String) async throws -> HTTPResponseStatus {
                try await stack.manage(.GET, "/config/hash", headers: ["authorization": "Bearer \(token)"]).status
            }
            #expect(try await status("tok-admin") == .ok)
            #expect(try await status("tok-viewer") == .unauthorized)
            try Self.tokens(("ann", Self.viewer, "viewer")).write(to: file, atomically: true, encoding: .utf8)
            #expect(try await eventually { try await status("tok-viewer") == .ok })
            #expect(try await status("tok-admin") == .unauthorized)
            try Self.tokens(("root", Self.admin, "owner")).write(to: file, atomically: true, encoding: .utf8)
            #expect(await eventually { stack.log.lines.contains { $0.contains("file rejected") } })
            #expect(stack.log.lines.contains { $0.contains("api_tokens[0].role") && $0.contains("\"owner\"") })
            #expect(try await status("tok-viewer") == .ok)
            #expect(try await status("tok-admin") == .unauthorized)
            let reloads = stack.registry.exposition()
            #expect(reloads.contains("sextant_config_reloads_total{file=\"\(file.path)\",outcome=\"applied\"} 1"))
        }
    }

    @Test(
        "An address that others reach needs tokens, or the word that they may",
        arguments: [
            ("0.0.0.0", false, false, nil, false), ("::", false, false, nil, false),
            ("10.9.8.7", false, false, nil, false),
            ("0.0.0.0", false, true, nil, false), ("0.0.0.0", false, false, .disabled, false),
            ("0.0.0.0", false, true, .disabled, true), ("0.0.0.0", true, false, nil, true),
            ("127.0.0.1", false, false, .disabled, true),
        ] as [(String, Bool, Bool, ManagementOptions.AuthMode?, Bool)]
    )
    func exposure(
        host: String,
        hasTokens: Bool,
        accepts: Bool,
        mode: ManagementOptions.AuthMode?,
        starts: Bool
    ) async throws {
        let tokens = hasTokens ? Self.tokens(("root", Self.admin, "admin")) : nil
        let run: () async throws -> Void = {
            try await withGateway(
                tokens: tokens,
                options: { options in
                    options.adminHost = host
                    options.management.acceptsRemoteExposure = accepts
                    options.management.authMode = mode
                }
            ) { stack, _ in
                #expect(try await stack.manage(.GET, "/health").status == .ok)
                let status = try await stack.manage(.GET, "/metrics", headers: ["host": "sextant.example"]).status
                #expect(status == (hasTokens ? .unauthorized : host == "127.0.0.1" ? .forbidden : .ok))
            }
        }
        if starts {
            try await run()
        } else {
            let error = await #expect(throws: ConfigError.self) { try await run() }
            #expect(error?.description.contains("--admin-host: other machines would reach") == true)
            #expect(error?.description.contains("--api-tokens-file") == true)
        }
    }

    @Test("A tokens file with mistakes is told by line, and nothing starts")
    func badTokens() async throws {
        let twice = Self.tokens(("a", Self.viewer, "viewer"), ("b", Self.viewer.uppercased(), "admin"))
        for (text, mistake) in [
            ("api_tokens: []", "tokens.yaml:1:13: api_tokens: must have at least 1"),
            (
                Self.tokens(("a", "abc", "viewer")),
                "tokens.yaml:2:23: api_tokens[0].sha256: must be 64 hexadecimal digits"
            ),
            (Self.tokens(("a", Self.admin, "root")), "api_tokens[0].role: "),
            ("api_tokens: [{name: a, sha256: \(Self.admin)}]", "api_tokens[0].role: is required but missing"),
            (twice, "api_tokens[1].sha256: is the token of \"a\" too"),
        ] {
            let error = await #expect(throws: ConfigError.self) {
                try await withGateway(tokens: text) { _, _ in }
            }
            #expect(error?.description.contains(mistake) == true, "\(error?.description ?? "")")
        }
    }

    @Test(
        "Flags that contradict each other are told",
        arguments: [
            (["--management-auth-mode", "bearer"], "needs the tokens: give --api-tokens-file"),
            (
                ["--management-auth-mode", "disabled", "--api-tokens-file", "t.yaml"],
                "contradicts --api-tokens-file, which asks for tokens"
            ),
            (["--management-auth-mode", "basic"], "\"basic\""),
        ]
    )
    func contradictions(flags: [String], mistake: String) {
        let reader = CommandLineReader<ServeOptions>(command: "sextant gateway", version: "1", environmentPrefix: "X_")
        let arguments = ["--static-backends", "http://h:1", "--static-models", "m"]
        let result = reader.read(arguments + flags, options: DecodingOptions(environment: [:])).settings
        #expect(result?.value == nil && result?.diagnostics.count == 1)
        #expect(result?.diagnostics.first.map { $0.description.contains(mistake) } == true)
        #expect(result?.diagnostics.first?.position.description == "--management-auth-mode")
    }
}
