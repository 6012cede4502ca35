import HTTPTransport
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import TestSupport
import Testing
import Transport

@Suite("Upstream client over real sockets")
struct UpstreamClientTests {
    private static let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    /// One loop, so that calls share a pool.
    private func withClient(
        _ settings: UpstreamSettings = UpstreamSettings(),
        script: @escaping @Sendable (_ connection: Int, _ request: Int) -> RawServer.Step,
        _ body: (HTTPFetch, Origin, RawServer, LoopLocal<UpstreamClient>) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try await RawServer.start(script: script)
        let clients = try await UpstreamClient.perLoop(of: group, settings: settings)
        let origin = Origin(host: "127.0.0.1", port: server.port)
        let result: Result<Void, any Error>
        do {
            try await body(HTTPFetch(clients: clients), origin, server, clients)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await clients.forEach { $0.closeIdleConnections() }
        await server.stop()
        try await group.shutdownGracefully()
        try result.get()
    }

    private func get(_ uri: String = "/", deadlines: UpstreamDeadlines = UpstreamDeadlines()) -> UpstreamRequest {
        UpstreamRequest(method: .GET, uri: uri, headers: [:], deadlines: deadlines)
    }

    private func kind(_ body: () async throws -> Void) async -> UpstreamError.Kind? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? UpstreamError)?.kind
        }
    }

    @Test("A connection is used again")
    func reuse() async throws {
        try await withClient(script: { _, _ in .send(Self.whole) }) { fetch, origin, server, _ in
            for _ in 0..<5 {
                let answer = try await fetch.fetch(get(), from: origin)
                #expect(answer.status == .ok && String(buffer: answer.body) == "ok")
            }
            #expect(server.openedConnections == 1)
        }
    }

    @Test("A connection whose answer says close is not used again")
    func closeHeader() async throws {
        let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
        try await withClient(script: { _, _ in .send(closing) }) { fetch, origin, server, _ in
            for _ in 0..<2 { _ = try await fetch.fetch(get(), from: origin) }
            #expect(server.openedConnections == 2)
            #expect(await eventually { server.closedConnections == 2 })
        }
    }

    @Test("A reused connection that the server closes without an answer is replaced, once")
    func retryOfReused() async throws {
        let script: @Sendable (Int, Int) -> RawServer.Step = { connection, request in
            connection == 0 && request == 1 ? .close : .send(Self.whole)
        }
        try await withClient(script: script) { fetch, origin, server, _ in
            _ = try await fetch.fetch(get("/first"), from: origin)
            _ = try await fetch.fetch(get("/second"), from: origin)
            #expect(server.openedConnections == 2)
            #expect(server.requests.map { $0.prefix(12) } == ["GET /first H", "GET /second ", "GET /second "])
        }
    }

    @Test("A replaced connection that fails too is not tried a third time")
    func retryOnlyOnce() async throws {
        let script: @Sendable (Int, Int) -> RawServer.Step = { connection, request in
            connection == 0 && request == 0 ? .send(Self.whole) : .close
        }
        try await withClient(script: script) { fetch, origin, server, _ in
            _ = try await fetch.fetch(get(), from: origin)
            #expect(await kind { _ = try await fetch.fetch(get(), from: origin) } == .closedBeforeResponse)
            #expect(server.openedConnections == 2)
        }
    }

    @Test("A fresh connection that closes without an answer is an error at once")
    func noRetryOfFresh() async throws {
        try await withClient(script: { _, _ in .close }) { fetch, origin, server, _ in
            #expect(await kind { _ = try await fetch.fetch(get(), from: origin) } == .closedBeforeResponse)
            #expect(server.openedConnections == 1)
        }
    }

    @Test("A reused connection that breaks off within the answer is not retried")
    func noRetryWithinAnswer() async throws {
        let script: @Sendable (Int, Int) -> RawServer.Step = { _, request in
            request == 0 ? .send(Self.whole) : .sendAndClose("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        }
        try await withClient(script: script) { fetch, origin, server, _ in
            _ = try await fetch.fetch(get(), from: origin)
            #expect(await kind { _ = try await fetch.fetch(get(), from: origin) } == .closedWithinResponse)
            #expect(server.openedConnections == 1)
        }
    }

    @Test("A connection closed while idle leaves the pool")
    func closedWhileIdle() async throws {
        try await withClient(script: { _, _ in .send(Self.whole) }) { fetch, origin, server, clients in
            _ = try await fetch.fetch(get(), from: origin)
            await server.closeConnections()
            let loop = clients.anyLoop()
            #expect(
                try await eventually { try await loop.submit { clients[loop].connectionCount }.get() == 0 }
            )
            _ = try await fetch.fetch(get(), from: origin)
            #expect(server.requests.count == 2)
        }
    }

    @Test("Idle connections expire")
    func idleTimeout() async throws {
        var settings = UpstreamSettings()
        settings.idleTimeout = .milliseconds(150)
        try await withClient(settings, script: { _, _ in .send(Self.whole) }) { fetch, origin, server, _ in
            _ = try await fetch.fetch(get(), from: origin)
            #expect(await eventually { server.closedConnections == 1 })
        }
    }

    @Test("Chunked answers and answers that end with the connection arrive whole")
    func framings() async throws {
        let answers = [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nabcde",
        ]
        let script: @Sendable (Int, Int) -> RawServer.Step = { _, request in
            request == 0 ? .send(answers[0]) : .sendAndClose(answers[1])
        }
        try await withClient(script: script) { fetch, origin, _, _ in
            for _ in 0..<2 {
                let answer = try await fetch.fetch(get(), from: origin)
                #expect(String(buffer: answer.body) == "abcde")
            }
        }
    }

    @Test("Silence before the head and within the body each have their deadline")
    func deadlines() async throws {
        var deadlines = UpstreamDeadlines()
        deadlines.head = .milliseconds(150)
        deadlines.idle = .milliseconds(150)
        let script: @Sendable (Int, Int) -> RawServer.Step = { connection, _ in
            connection == 0 ? .hang : .send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        }
        try await withClient(script: script) { fetch, origin, server, _ in
            #expect(
                await kind { _ = try await fetch.fetch(get(deadlines: deadlines), from: origin) } == .headTimeout
            )
            #expect(
                await kind { _ = try await fetch.fetch(get(deadlines: deadlines), from: origin) } == .idleTimeout
            )
            #expect(await eventually { server.closedConnections == 2 })
        }
    }

    @Test(
        "What is not HTTP is said to be so",
        arguments: [
            "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        ]
    )
    func malformed(answer: String) async throws {
        try await withClient(script: { _, _ in .send(answer) }) { fetch, origin, _, _ in
            #expect(await kind { _ = try await fetch.fetch(get(), from: origin) } == .malformedResponse)
        }
    }

    @Test("A refused connection and an unknown name are connection errors")
    func unreachable() async throws {
        try await withClient(script: { _, _ in .close }) { fetch, origin, server, _ in
            let port = server.port
            await server.stop()
            #expect(
                await kind { _ = try await fetch.fetch(get(), from: Origin(host: "127.0.0.1", port: port)) } == .connect
            )
            #expect(
                await kind { _ = try await fetch.fetch(get(), from: Origin(host: "no-such-host.invalid", port: 1)) }
                    == .connect
            )
        }
    }

    @Test("A cancelled call closes its connection, so that the worker stops")
    func cancellation() async throws {
        try await withClient(script: { _, _ in .hang }) { fetch, origin, server, _ in
            let task = Task { try await fetch.fetch(get(), from: origin) }
            #expect(await eventually { server.requests.count == 1 })
            task.cancel()
            await #expect(throws: CancellationError.self) { _ = try await task.value }
            #expect(await eventually { server.closedConnections == 1 })
        }
    }

    @Test("An answer larger than asked for is given up")
    func tooLarge() async throws {
        try await withClient(script: { _, _ in .send(Self.whole) }) { fetch, origin, _, _ in
            await #expect(throws: FetchTooLarge.self) { _ = try await fetch.fetch(get(), from: origin, maxBytes: 1) }
        }
    }

    @Test("Connections to one worker are bounded")
    func connectionBound() async throws {
        var settings = UpstreamSettings()
        settings.maxConnectionsPerOrigin = 1
        try await withClient(settings, script: { _, _ in .hang }) { fetch, origin, server, _ in
            let first = Task { try await fetch.fetch(get(), from: origin) }
            #expect(await eventually { server.requests.count == 1 })
            #expect(await kind { _ = try await fetch.fetch(get(), from: origin) } == .tooManyConnections)
            first.cancel()
            _ = await first.result
        }
    }

    @Test("A receiver that pauses holds the server back")
    func backPressure() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let service = TestService()
        let server = try await HTTPServer.start(host: "127.0.0.1", port: 0, group: group, service: service)
        let clients = try await UpstreamClient.perLoop(
            of: MultiThreadedEventLoopGroup.singleton,
            settings: UpstreamSettings()
        )
        let loop = clients.anyLoop()
        let origin = Origin(host: "127.0.0.1", port: server.port)
        let request = UpstreamRequest(method: .GET, uri: "/stream", headers: ["host": origin.authority])
        let pausing = try await loop.submit {
            let receiver = PausingReceiver()
            receiver.call = clients[loop].send(request, to: origin, receiver: receiver)
            return NIOLoopBound(receiver, eventLoop: loop)
        }.get()
        let written = await settled { service.written.load(ordering: .relaxed) }
        // The kernel's buffers on loopback hold a few megabytes; 16 MiB of 256 is far from all.
        #expect(try #require(written) < 16 << 20)
        let before = service.written.load(ordering: .relaxed)
        try await loop.submit { pausing.value.call?.resumeReading() }.get()
        #expect(await eventually { service.written.load(ordering: .relaxed) > before })
        try await loop.submit { pausing.value.call?.cancel() }.get()
        await server.shutdown(within: .zero)
        try await group.shutdownGracefully()
    }

    /// Pauses at the first burst; after that reads on.
    private final class PausingReceiver: UpstreamReceiver {
        var call: UpstreamCall?
        private var hasPaused = false

        func receivedHead(_ head: HTTPResponseHead) {}
        func receivedBody(_ piece: ByteBuffer) {}
        func receivedBurst() {
            guard !hasPaused else { return }
            hasPaused = true
            call?.pauseReading()
        }
        func receivedEnd() {}
        func failed(_ error: UpstreamError) {}
    }

    @Test(
        "Origins from URLs",
        arguments: [
            ("http://vllm:8000", Origin(host: "vllm", port: 8000), "vllm:8000"),
            ("http://svc.ns/", Origin(host: "svc.ns", port: 80), "svc.ns"),
            ("https://[::1]:8443", Origin(host: "::1", port: 8443, isTLS: true), "[::1]:8443"),
            ("https://a", Origin(host: "a", port: 443, isTLS: true), "a"),
        ]
    )
    func origins(url: String, origin: Origin, authority: String) {
        #expect(Origin(url: url) == origin)
        #expect(origin.authority == authority)
    }

    @Test(
        "What is no origin is refused",
        arguments: ["vllm:8000", "http://", "http://a:0", "http://a:99999", "http://a/b", "http://u@a", "http://[::1"]
    )
    func notOrigins(url: String) {
        #expect(Origin(url: url) == nil)
    }
}
