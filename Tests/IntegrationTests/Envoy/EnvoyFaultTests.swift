import Foundation
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
    /// Sextant, a process of its own, fails in every way: what clients see of it, with the files that fail open and closed.
    @Suite("When Sextant fails")
    struct FaultTests {
        /// Sextant chooses `big`; a request that it has not seen is answered by `small`.
        private static let policy = """
            version: v0.3
            providers:
              defaults: {default_model: large}
              models: [{name: small}, {name: large, provider_model_id: big}]
            """

        private static let workers = [("small", "s"), ("big", "b")].map { model, id in
            var config = SimConfig.instant(model, id: id)
            config.mode = .echo
            return config
        }

        enum File: String, CaseIterable, Sendable {
            case failsOpen = "sextant-router.yaml"
            case failsClosed = "sextant-router-fail-closed.yaml"

            /// What becomes of a request while Sextant is away.
            var fate: EnvoyLoad.Fate { self == .failsOpen ? .passed : .refused }
        }

        private func withChain(
            _ file: File,
            semantic ports: Int...,
            options change: (inout ServeOptions) -> Void = { _ in },
            envoy: (inout EnvoyConfiguration) throws -> Void = { _ in },
            _ body: (EnvoyStack) async throws -> Void
        ) async throws {
            try await EnvoyStack.with(
                file.rawValue,
                policy: Self.policy,
                semantic: .ports(ports),
                workers: Self.workers,
                options: {
                    $0.defaultModel = "small"
                    change(&$0)
                },
                workerThreads: 2,
                change: envoy,
                body
            )
        }

        /// Nothing that Sextant should have seen reached a worker without it.
        private func expectNothingPassed(_ chain: EnvoyStack, sourceLocation: SourceLocation = #_sourceLocation) {
            let passed = chain.workers.first { $0.id == "s" }?.log.entries.count
            #expect(passed == 0, sourceLocation: sourceLocation)
        }

        // MARK: Away

        @Test("Sextant was never started", arguments: File.allCases)
        func neverStarted(file: File) async throws {
            try await withChain(file, semantic: try await RawServer.freePort()) { chain in
                try await EnvoyLoad.run(on: chain) { await $0.wait(for: 100, file.fate) }
                let named = try await chain.post(path, chat("hello", model: "big"))
                #expect(named.status == (file == .failsOpen ? .ok : .serviceUnavailable))
                #expect(try await chain.get("/ready").status == (file == .failsOpen ? .ok : .serviceUnavailable))
                #expect(try await chain.get("/health").status == .ok)
                if file == .failsClosed { expectNothingPassed(chain) }
            }
        }

        @Test("Sextant crashes under load, comes back, is stopped, and comes back", arguments: File.allCases)
        func crash(file: File) async throws {
            try await SemanticProgram.with(policy: Self.policy) { semantic in
                try await withChain(file, semantic: semantic.port) { chain in
                    try await EnvoyLoad.run(on: chain) { load in
                        await load.wait(for: 100, .routed)
                        await semantic.kill()
                        await load.wait(for: 50, file.fate)
                        try await semantic.restart()
                        await load.wait(for: 100, .routed)
                        #expect(await semantic.terminate())
                        #expect(semantic.current.status == 0)
                        await load.wait(for: 50, file.fate)
                        try await semantic.restart()
                        await load.wait(for: 100, .routed)
                        #expect(load.count(.passed) == 0 || file == .failsOpen)
                        #expect(load.count(.refused) == 0 || file == .failsClosed)
                    }
                    if file == .failsClosed { expectNothingPassed(chain) }
                }
            }
        }

        @Test(
            "Sextant hangs: requests wait for a second at most; when it goes on, it decides again",
            arguments: File.allCases
        )
        func hang(file: File) async throws {
            try await SemanticProgram.with(policy: Self.policy) { semantic in
                try await withChain(file, semantic: semantic.port) { chain in
                    try await EnvoyLoad.run(on: chain) { load in
                        await load.wait(for: 50, .routed)
                        semantic.suspend()
                        // Each of these has waited for a reply that did not come.
                        await load.wait(for: 4, file.fate)
                        #expect(try await chain.envoy.statistic("http.gateway.ext_proc.message_timeouts") > 0)
                        let isOut = try await eventually(within: .seconds(20)) {
                            try await chain.envoy.healthySemanticCount == 0
                        }
                        #expect(isOut)
                        await load.wait(for: 100, file.fate)
                        semantic.resume()
                        await load.wait(for: 100, .routed)
                    }
                    if file == .failsClosed { expectNothingPassed(chain) }
                }
            }
        }

        @Test("Sextant crashes while answers are streamed: each comes to its end", arguments: File.allCases)
        func crashWithinStreams(file: File) async throws {
            let worker = try await ScriptedStream.start()
            let add: (inout ServeOptions) -> Void = worker.serve(as: "scripted")
            try await SemanticProgram.with(policy: Self.policy) { semantic in
                try await withChain(file, semantic: semantic.port, options: add) { chain in
                    var clients: [RawConnection] = []
                    for _ in 0..<8 {
                        let client = try await RawConnection.connect(port: chain.envoy.port)
                        let json = chat("hello", model: "scripted", more: #","stream":true"#)
                        try await client.send(HTTPText.post(path, json))
                        clients.append(client)
                    }
                    for client in clients {
                        #expect(await client.text { $0.contains(ScriptedStream.event(0)) }.hasPrefix("HTTP/1.1 200"))
                    }
                    await semantic.kill()
                    let isNoticed = try await eventually {
                        try await chain.envoy.statistic("cluster.semantic.upstream_cx_active") == 0
                    }
                    #expect(isNoticed)
                    try await worker.send(1)
                    for client in clients {
                        #expect(await client.text { $0.contains(ScriptedStream.event(1)) }.contains("word 1"))
                    }
                    try await worker.end()
                    for client in clients {
                        #expect(await client.text { $0.hasSuffix("0\r\n\r\n") }.contains("data: [DONE]"))
                        await client.close()
                    }
                }
            }
            await worker.server.stop()
        }

        // MARK: Mistaken

        @Test(
            "Whatever a processor answers, clients get an answer, or where guards matter none",
            arguments: StubProcessor.Mistake.allCases
        )
        func mistakes(mistake: StubProcessor.Mistake) async throws {
            for file in File.allCases {
                let stub = try await StubProcessor.start(mistake)
                try await withChain(file, semantic: stub.port) { chain in
                    // A header that Envoy refuses to set is the one mistake that does not fail open.
                    let fate = mistake == .invalidHeader ? .refused : file.fate
                    try await EnvoyLoad.run(on: chain) { await $0.wait(for: 8, fate) }
                    if file == .failsClosed { expectNothingPassed(chain) }
                }
                await stub.stop()
            }
        }

        // MARK: Attacked

        /// The beginning of a TLS connection: a record with a ClientHello of version 1.2, without extensions.
        private static let clientHello =
            [0x16, 0x03, 0x01, 0x00, 0x2D, 0x01, 0x00, 0x00, 0x29, 0x03, 0x03] + [UInt8](repeating: 7, count: 32)
            + [0x00, 0x00, 0x02, 0x13, 0x01, 0x01, 0x00]

        private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        private static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]

        /// What strangers say to the port on which Envoy is expected.
        private static let attacks: [(name: String, bytes: [UInt8])] = [
            ("a TLS hello", clientHello),
            ("a request of HTTP/1.1", Array("GET / HTTP/1.1\r\nhost: a\r\n\r\n".utf8)),
            ("zeros", [UInt8](repeating: 0, count: 4096)),
            ("half a preface", Array(preface.prefix(12))),
            ("a preface and no settings", preface + [0, 0, 4, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41]),
            ("a frame over every limit", preface + settings + [0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1]),
            (
                "headers that cannot be decoded",
                preface + settings + [0, 0, 4, 1, 5, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]
            ),
            ("data on a stream that is not open", preface + settings + [0, 0, 1, 0, 1, 0, 0, 0, 9, 0]),
            ("frames of no known kind", preface + settings + [0, 0, 0, 0xEE, 0xFF, 0, 0, 0, 0]),
        ]

        @Test("Strangers on Sextant's port disturb nobody, and nothing stays of them")
        func strangers() async throws {
            try await SemanticProgram.with(policy: Self.policy) { semantic in
                try await withChain(.failsClosed, semantic: semantic.port) { chain in
                    var strangers: [RawConnection] = []
                    try await EnvoyLoad.run(on: chain) { load in
                        await load.wait(for: 50, .routed)
                        for _ in 0..<20 {
                            for attack in Self.attacks {
                                let stranger = try await RawConnection.connect(port: semantic.port)
                                // It may have been shown the door before it has said all.
                                try? await stranger.send(ByteBuffer(bytes: attack.bytes))
                                strangers.append(stranger)
                            }
                        }
                        await load.wait(for: 200, .routed)
                        #expect(load.count(.refused) == 0)
                    }
                    for stranger in strangers { await stranger.close() }
                    try await expectNothingLeft(of: semantic, chain)
                }
            }
        }

        /// Waits until no call and no body is left, and no connection but Envoy's: of two threads and the health check.
        private func expectNothingLeft(of semantic: SemanticProgram, _ chain: EnvoyStack) async throws {
            for (name, most) in [("calls", 0.0), ("buffered_bytes", 0), ("connections", 3)] {
                var value: Double?
                let isLeft = try await !eventually {
                    value = try await semantic.metric("sextant_extproc_\(name)", by: chain.stack.fetcher)
                    return value.map { $0 <= most } ?? false
                }
                #expect(!isLeft, "\(name): \(value ?? -1)")
            }
        }

        @Test("A thousand clients that vanish within their requests leave nothing behind")
        func vanishingClients() async throws {
            try await SemanticProgram.with(policy: Self.policy) { semantic in
                // A thousand at once may keep a busy machine for longer than a second.
                func patient(_ envoy: inout EnvoyConfiguration) throws {
                    try envoy.replace("message_timeout: 1s", with: "message_timeout: 9s")
                }
                try await withChain(.failsOpen, semantic: semantic.port, envoy: patient) { chain in
                    var sizes: [Int] = []
                    for _ in 0..<4 {
                        let clients = try await withThrowingTaskGroup(returning: [RawConnection].self) { group in
                            for _ in 0..<1000 {
                                group.addTask {
                                    let client = try await RawConnection.connect(port: chain.envoy.port)
                                    // Sextant is told of the head, and Envoy waits for the rest of the body.
                                    try await client.send(
                                        "POST \(path) HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"model\":"
                                    )
                                    return client
                                }
                            }
                            return try await group.reduce(into: []) { $0.append($1) }
                        }
                        let areThere = try await eventually(within: .seconds(30)) {
                            try await semantic.metric("sextant_extproc_calls", by: chain.stack.fetcher) == 1000
                        }
                        #expect(areThere)
                        await withTaskGroup { group in
                            for client in clients { group.addTask { await client.close() } }
                        }
                        try await expectNothingLeft(of: semantic, chain)
                        sizes.append(try #require(semantic.current.residentBytes))
                    }
                    #expect(try await chain.post(path, chat("hello")).headers["x-sim-worker"] == ["b"])
                    // The first thousand make the process as large as it gets: 8 MiB is less than a thousand calls take.
                    #expect(sizes[3] - sizes[0] < 8 << 20, "\(sizes)")
                }
            }
        }

        @Test("Tens of thousands of requests over one connection of Envoy's leave nothing behind")
        func manyRequests() async throws {
            // The soak of `make soak-envoy` sends more.
            let count = ProcessInfo.processInfo.environment["SEXTANT_ENVOY_REQUESTS"].flatMap { Int($0) } ?? 20_000
            let policy = """
                version: v0.3
                providers: {defaults: {default_model: small}, models: [{name: small}]}
                routing:
                  decisions: [{name: all, rules: {}, plugins: [{type: fast_response, configuration: {message: Hello.}}]}]
                """
            try await SemanticProgram.with(policy: policy) { semantic in
                try await EnvoyStack.with(
                    File.failsClosed.rawValue,
                    policy: policy,
                    semantic: .ports([semantic.port]),
                    workers: [],
                    workerThreads: 1
                ) { chain in
                    func send(_ count: Int) async throws {
                        try await withThrowingTaskGroup { group in
                            for client in 0..<8 {
                                group.addTask {
                                    for _ in stride(from: client, to: count, by: 8) {
                                        let answer = try await chain.post(path, chat("hello"))
                                        guard answer.status == .ok else { throw Unexpected("\(answer.status)") }
                                    }
                                }
                            }
                            try await group.waitForAll()
                        }
                    }
                    try await send(2000)
                    let warm = try #require(semantic.current.residentBytes)
                    try await send(count)
                    try await expectNothingLeft(of: semantic, chain)
                    let size = try #require(semantic.current.residentBytes)
                    #expect(size - warm < 8 << 20, "\(warm) bytes after 2000 requests, \(size) after \(count) more")
                    #expect(try await chain.envoy.statistic("cluster.semantic.upstream_cx_total") == 1)
                }
            }
        }

        // MARK: Changed

        @Test("A new policy takes over between requests; none fails")
        func reload() async throws {
            // A name of its own for the same model: which policy decided is told by the answer.
            func policy(_ number: Int) -> String { Self.policy.replacing("large", with: "large-\(number)") }
            try await SemanticProgram.with(policy: policy(0)) { semantic in
                try await withChain(.failsClosed, semantic: semantic.port) { chain in
                    try await EnvoyLoad.run(on: chain) { load in
                        for number in 0..<6 {
                            if number > 0 { try semantic.policy.write(policy(number)) }
                            let isInForce = try await eventually {
                                let answer = try await chain.post(path, chat("hello"))
                                return answer.headers["x-vsr-selected-model"] == ["large-\(number)"]
                            }
                            #expect(isInForce)
                            await load.wait(for: 20, .routed)
                        }
                        // One with a mistake changes nothing.
                        try semantic.policy.write("version: v0.3\nproviders: 7")
                        #expect(await eventually { semantic.current.text.contains("file rejected") })
                        await load.wait(for: 20, .routed)
                        #expect(load.count(.refused) == 0)
                    }
                }
            }
        }

        // MARK: Several

        @Test(
            "Of two Sextants each is stopped and started again in turn: no request fails, though the file fails closed"
        )
        func rollingRestart() async throws {
            let worker = try await ScriptedStream.start()
            let add: (inout ServeOptions) -> Void = worker.serve(as: "scripted")
            try await SemanticProgram.with(policy: Self.policy) { first in
                try await SemanticProgram.with(policy: Self.policy) { second in
                    try await withChain(.failsClosed, semantic: first.port, second.port, options: add) { chain in
                        let stream = try await RawConnection.connect(port: chain.envoy.port)
                        let json = chat("hello", model: "scripted", more: #","stream":true"#)
                        try await stream.send(HTTPText.post(path, json))
                        #expect(await stream.text { $0.contains(ScriptedStream.event(0)) }.contains("word 0"))
                        try await EnvoyLoad.run(on: chain, clients: 8) { load in
                            for semantic in [first, second] {
                                await load.wait(for: 200, .routed)
                                #expect(await semantic.terminate())
                                #expect(semantic.current.status == 0, "\(semantic.current.text)")
                                await load.wait(for: 200, .routed)
                                try await semantic.restart()
                                // Only when it decides again may the other one go.
                                let forwarded = #"sextant_extproc_requests_total{outcome="forward"}"#
                                let isBack = try await eventually {
                                    try await semantic.metric(forwarded, by: chain.stack.fetcher) ?? 0 > 0
                                }
                                #expect(isBack)
                            }
                            await load.wait(for: 100, .routed)
                            #expect(load.count(.refused) == 0, "\(chain.envoy.refusals)")
                        }
                        try await worker.end()
                        #expect(await stream.text { $0.hasSuffix("0\r\n\r\n") }.contains("data: [DONE]"))
                        await stream.close()
                        expectNothingPassed(chain)
                    }
                }
            }
            await worker.server.stop()
        }

        @Test("A request whose body is on its way when Sextant is told to stop is decided all the same")
        func stopWithinRequest() async throws {
            try await SemanticProgram.with(policy: Self.policy) { semantic in
                try await withChain(.failsClosed, semantic: semantic.port) { chain in
                    let client = try await RawConnection.connect(port: chain.envoy.port)
                    let request = HTTPText.post(path, chat("hello"))
                    try await client.send(String(request.dropLast(10)))
                    let isThere = try await eventually {
                        try await semantic.metric("sextant_extproc_calls", by: chain.stack.fetcher) == 1
                    }
                    #expect(isThere)
                    semantic.current.signal(SIGTERM)
                    #expect(await eventually { semantic.current.text.contains("draining") })
                    try await client.send(String(request.suffix(10)))
                    let text = await client.text { $0.contains("\"usage\"") }
                    #expect(text.hasPrefix("HTTP/1.1 200 OK") && text.contains("x-sim-worker: b"))
                    #expect(await semantic.current.ended())
                    #expect(semantic.current.status == 0)
                    await client.close()
                }
            }
        }

        @Test("Of two Sextants one crashes: what it had at that moment is refused, and nothing after that")
        func crashOfOne() async throws {
            try await SemanticProgram.with(policy: Self.policy) { first in
                try await SemanticProgram.with(policy: Self.policy) { second in
                    try await withChain(.failsClosed, semantic: first.port, second.port) { chain in
                        try await EnvoyLoad.run(on: chain, clients: 4) { load in
                            await load.wait(for: 100, .routed)
                            await first.kill()
                            await load.wait(for: 200, .routed)
                            #expect(
                                load.count(.refused) <= 4,
                                "of 4 clients that ask one thing at a time \(chain.envoy.refusals)"
                            )
                        }
                        expectNothingPassed(chain)
                    }
                }
            }
        }
    }
}
