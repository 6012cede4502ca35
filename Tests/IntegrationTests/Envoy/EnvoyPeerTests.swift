import Foundation
import HTTPTransport
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

extension EnvoyTests {
    private static let vllmRouter = ProcessInfo.processInfo.environment["SEXTANT_VLLM_ROUTER"]

    /// Another inference router in the place of ours, unmodified and unaware: `sextant semantic` decides all the same.
    /// `make test-peers` names its program in SEXTANT_VLLM_ROUTER.
    @Suite("vllm-router behind Envoy", .enabled(if: vllmRouter != nil, "`make test-peers` runs it"))
    struct PeerTests {
        /// It takes workers to be alike: each serves all models.
        private static let workers = ["w1", "w2"].map { id in
            var config = SimConfig.instant("small", "big", id: id)
            config.mode = .echo
            config.maxModelTokens = 4_000_000
            config.blockCount = 1_000_000
            return config
        }

        /// Runs `body` with the chain, the port of vllm-router, and its workers.
        private func withChain(
            _ name: String = "vllm-router.yaml",
            semantic: EnvoyStack.Semantic = .own(1),
            policy: String = EnvoyTests.policy,
            workers configs: [SimConfig] = Self.workers,
            further: [Int] = [],
            _ body: (EnvoyStack, [SimWorker]) async throws -> Void
        ) async throws {
            try await Stack.with(workers: configs) { stack in
                let port = try await RawServer.freePort()
                let urls = (stack.workers.map(\.port) + further).map { "http://127.0.0.1:\($0)" }
                let router = try await RunningProgram.start(
                    try #require(vllmRouter),
                    ["--host", "127.0.0.1", "--port", "\(port)", "--worker-urls"] + urls + [
                        "--policy", "round_robin", "--prometheus-host", "127.0.0.1", "--prometheus-port",
                        "\(try await RawServer.freePort())", "--log-level", "warning",
                    ]
                )
                var result: Result<Void, any Error> = .success(())
                do {
                    let origin = Origin(host: "127.0.0.1", port: port)
                    let isUp = await eventually(within: .seconds(60)) {
                        let answer = try? await stack.send(.GET, "/v1/models", body: ByteBuffer(), to: origin)
                        return answer?.status == .ok || !router.isRunning
                    }
                    guard isUp, router.isRunning else { throw Unexpected("vllm-router did not start: \(router.text)") }
                    try await EnvoyStack.with(
                        name,
                        policy: policy,
                        semantic: semantic,
                        workers: [],
                        upstream: .port(port)
                    ) { chain in
                        try await body(chain, stack.workers)
                    }
                } catch {
                    result = .failure(error)
                }
                await router.stop()
                try result.get()
            }
        }

        /// The last request at any worker.
        private func last(at workers: [SimWorker], since counts: [Int]) throws -> RequestLog.Entry {
            let worker = zip(workers, counts).first { $0.log.entries.count > $1 }?.0
            return try #require(worker?.log.entries.last)
        }

        @Test("Requests are routed, whole and streamed; what Sextant answers itself it never sees")
        func routed() async throws {
            try await withChain { chain, workers in
                for more in ["", #","stream":true"#] {
                    let counts = workers.map { $0.log.entries.count }
                    let answer = try await chain.post(path, chat("prove it", more: more), headers: ["x-tier": "silver"])
                    #expect(answer.status == .ok)
                    #expect(answer.headers["x-vsr-selected-decision"] == ["proofs"])
                    #expect(String(buffer: answer.body).hasSuffix("data: [DONE]\n\n") == !more.isEmpty)
                    let sent = try last(at: workers, since: counts)
                    // It writes bodies anew, so that only what they say can be compared.
                    let root = try JSONDocument(sent.body).root
                    #expect(root["model"]?.string == "big")
                    #expect(root["messages"]?[0]?["content"]?.string == "Be rigorous.")
                    #expect(root["messages"]?[1]?["content"]?.string == "prove it")
                    #expect(root["chat_template_kwargs"]?["enable_thinking"]?.bool == true)
                }
                let usual = try await chain.post(path, chat("hello"))
                #expect(usual.headers["x-vsr-selected-model"] == ["small"])
                let counts = workers.map { $0.log.entries.count }
                let fast = try await chain.post(path, chat("forbidden"))
                #expect(fast.headers["x-vsr-fast-response"] == ["true"])
                #expect(workers.map { $0.log.entries.count } == counts)
                let large = String(repeating: "All happy families are alike. ", count: 35_000) + "prove it"
                #expect(try await chain.post(path, chat(large)).headers["x-vsr-selected-decision"] == ["proofs"])
            }
        }

        @Test("The official client is served through it")
        func officialClient() async throws {
            let workers = OpenAIChecks.workers.map { config in
                var config = config
                config.servedModelNames = ["sim-model", "other-model"]
                return config
            }
            try await withChain(policy: OpenAIChecks.policy, workers: workers) { chain, _ in
                try await OpenAIChecks.run(
                    port: chain.envoy.port,
                    only: [
                        "models", "chat", "chat-auto", "streaming", "streaming-no-usage", "large-prompt", "tools",
                        "tools-named", "embeddings", "error-json",
                    ]
                )
            }
        }

        @Test("Chunks reach the client before the worker has made the next, also when Sextant has crashed meanwhile")
        func order() async throws {
            let worker = try await ScriptedStream.start()
            try await SemanticProgram.with(policy: EnvoyTests.policy) { semantic in
                try await withChain(semantic: .ports([semantic.port]), workers: [], further: [worker.server.port]) {
                    chain,
                    _ in
                    let client = try await RawConnection.connect(port: chain.envoy.port)
                    try await client.send(HTTPText.post(path, chat("hello", more: #","stream":true"#)))
                    #expect(await client.text { $0.contains(ScriptedStream.event(0)) }.contains("word 0"))
                    await semantic.kill()
                    try await worker.send(1)
                    #expect(await client.text { $0.contains(ScriptedStream.event(1)) }.contains("word 1"))
                    try await worker.end()
                    #expect(await client.text { $0.hasSuffix("0\r\n\r\n") }.contains("data: [DONE]"))
                    await client.close()
                }
            }
            await worker.server.stop()
        }

        @Test(
            "Without Sextant requests pass as they are, or get a 503",
            arguments: ["vllm-router.yaml", "vllm-router-fail-closed.yaml"]
        )
        func away(file: String) async throws {
            try await SemanticProgram.with(policy: EnvoyTests.policy) { semantic in
                try await withChain(file, semantic: .ports([semantic.port])) { chain, workers in
                    #expect(try await chain.post(path, chat("hello")).status == .ok)
                    await semantic.kill()
                    let counts = workers.map { $0.log.entries.count }
                    let isOpen = file == "vllm-router.yaml"
                    for _ in 0..<20 {
                        let named = try await chain.post(path, chat("prove it", model: "small"))
                        #expect(named.status == (isOpen ? .ok : .serviceUnavailable))
                    }
                    if isOpen {
                        let sent = try JSONDocument(last(at: workers, since: counts).body).root
                        #expect(sent["model"]?.string == "small" && sent["messages"]?[1] == nil)
                        // It knows no such model, and no default.
                        #expect(try await chain.post(path, chat("hello")).status == .notFound)
                    } else {
                        #expect(workers.map { $0.log.entries.count } == counts)
                    }
                    try await semantic.restart()
                    #expect(await eventually { (try? await chain.post(path, chat("hello")).status) == .ok })
                }
            }
        }
    }
}
