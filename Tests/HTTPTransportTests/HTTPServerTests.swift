import Foundation
import HTTPTransport
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@Suite("HTTP server over real sockets")
struct HTTPServerTests {
    /// Runs `body` against a server of its own and stops the server, whatever happens.
    private func withServer(
        _ service: TestService = TestService(),
        settings: HTTPServerSettings = HTTPServerSettings(),
        _ body: (HTTPServer, TestService) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await HTTPServer.start(
            host: "127.0.0.1",
            port: 0,
            settings: settings,
            group: group,
            service: service
        )
        do {
            try await body(server, service)
        } catch {
            await server.shutdown(within: .zero)
            throw error
        }
        await server.shutdown(within: .zero)
    }

    @Test(
        "Smuggling and broken framing are refused, and the connection is closed",
        arguments: [
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 3\r\n\r\nabc",
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc",
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: -3\r\n\r\nabc",
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 0x3\r\n\r\nabc",
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\nhost: a\ncontent-length: 3\n\nabc",
            "POST /echo HTTP/1.1\r\nhost: a\nx: y\r\ncontent-length: 0\r\n\r\n",
            "GET /echo HTTP/1.1\r\nhost: a\r\nx-folded: one\r\n two\r\n\r\n",
            "GET /echo HTTP/1.1\r\nhost: a\r\nbad name: x\r\n\r\n",
            "GET /echo HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
            "GET /echo HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            "GET /echo HTTP/1.1\r\n\r\n",
            "GET /echo HTTP/2.0\r\nhost: a\r\n\r\n",
            "BREW /echo HTTP/1.1\r\nhost: a\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}",
        ]
    )
    func refusesBrokenFraming(request: String) async throws {
        try await withServer { server, service in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(request + "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")
            let answer = await client.textUntilClosed()
            #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(answer)")
            #expect(answer.contains("connection: close"))
            #expect(!answer.contains("/smuggled"))
            #expect(client.isClosed)
            await client.close()
        }
    }

    @Test("Pipelined requests are answered in order on one connection")
    func pipelining() async throws {
        try await withServer { server, _ in
            let client = try await RawConnection.connect(port: server.port)
            let requests = (0..<200).map { "POST /\($0) HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab" }
            try await client.send(requests.joined())
            let answer = await client.text { $0.contains("x-uri: /199\r\n") && $0.hasSuffix("ab") }
            let uris = answer.split(separator: "\r\n").filter { $0.hasPrefix("x-uri") }.map { $0.dropFirst(7) }
            #expect(uris == (0..<200).map { "/\($0)" })
            #expect(!client.isClosed)
            await client.close()
        }
    }

    @Test("A request cut at every byte is one request")
    func everyCut() async throws {
        try await withServer { server, _ in
            let request =
                "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            let client = try await RawConnection.connect(port: server.port)
            for (count, cut) in (1..<request.utf8.count).enumerated() {
                let bytes = Array(request.utf8)
                try await client.send(String(decoding: bytes[..<cut], as: UTF8.self))
                try await client.send(String(decoding: bytes[cut...], as: UTF8.self))
                let text = await client.text { $0.components(separatedBy: "abcde").count > count + 1 }
                try #require(text.components(separatedBy: "abcde").count == count + 2, "cut at \(cut)")
            }
            await client.close()
        }
    }

    @Test("HTTP/1.0 closes after its answer; with keep-alive asked for it does not")
    func oldClients() async throws {
        try await withServer { server, _ in
            let closing = try await RawConnection.connect(port: server.port)
            try await closing.send("GET /echo HTTP/1.0\r\n\r\n")
            #expect(await closing.textUntilClosed().contains("200 OK"))
            #expect(closing.isClosed)
            let keeping = try await RawConnection.connect(port: server.port)
            try await keeping.send("GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            #expect(await keeping.text { $0.contains("x-uri: /a") }.contains("connection: keep-alive"))
            try await keeping.send("GET /b HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            #expect(await keeping.text { $0.contains("x-uri: /b") }.contains("x-uri: /b"))
            await keeping.close()
        }
    }

    @Test("100-continue is said once the head is accepted, and not for a refused one")
    func expectContinue() async throws {
        try await withServer { server, _ in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
            #expect(await client.text { $0.contains("\r\n\r\n") } == "HTTP/1.1 100 Continue\r\n\r\n")
            try await client.send("hello")
            #expect(await client.text { $0.hasSuffix("hello") }.contains("200 OK"))
            await client.close()

            let refused = try await RawConnection.connect(port: server.port)
            try await refused.send(
                "POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n"
            )
            let answer = await refused.textUntilClosed()
            #expect(answer.hasPrefix("HTTP/1.1 401 "))
            #expect(!answer.contains("100 Continue"))
            await refused.close()
        }
    }

    @Test("An answer before the body keeps the connection when the body is short, and closes it when it is long")
    func earlyAnswers() async throws {
        try await withServer { server, _ in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(
                "POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\nhost: a\r\n\r\n"
            )
            let answer = await client.text { $0.contains("x-uri: /next") }
            #expect(answer.contains("401") && answer.contains("x-uri: /next"))
            await client.close()

            let long = try await RawConnection.connect(port: server.port)
            try await long.send("POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")
            try await long.send(ByteBuffer(repeating: 0, count: 1 << 20))
            let refusal = await long.textUntilClosed()
            #expect(refusal.hasPrefix("HTTP/1.1 401 ") && refusal.contains("connection: close"))
            await long.close()
        }
    }

    @Test("Bodies over the limit are refused, by their length or as they come", arguments: [true, false])
    func bodyLimit(chunked: Bool) async throws {
        try await withServer(TestService(maxBodyBytes: 1000)) { server, service in
            let client = try await RawConnection.connect(port: server.port)
            let head = "POST /echo HTTP/1.1\r\nhost: a\r\n"
            if chunked {
                try await client.send(head + "transfer-encoding: chunked\r\n\r\n")
                let chunk = "190\r\n" + String(repeating: "x", count: 400) + "\r\n"
                try await client.send(chunk + chunk + chunk)
            } else {
                try await client.send(head + "content-length: 1001\r\n\r\n")
            }
            #expect(await client.textUntilClosed().hasPrefix("HTTP/1.1 413 "))
            #expect(service.bodyBytes.load(ordering: .relaxed) == 0)
            await client.close()
        }
    }

    @Test("Heads over the limit are refused")
    func headLimit() async throws {
        var settings = HTTPServerSettings()
        settings.maxHeadBytes = 1024
        try await withServer(settings: settings) { server, _ in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send("GET / HTTP/1.1\r\nhost: a\r\nx: \(String(repeating: "y", count: 2000))\r\n\r\n")
            #expect(await client.textUntilClosed().hasPrefix("HTTP/1.1 431 "))
            await client.close()
        }
    }

    @Test("Bodies under way share one memory limit")
    func bufferedBytes() async throws {
        var settings = HTTPServerSettings()
        settings.maxBufferedBodyBytes = 1500
        try await withServer(settings: settings) { server, _ in
            let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n"
            let first = try await RawConnection.connect(port: server.port)
            try await first.send(head)
            #expect(server.bufferedBodyBytes == 0, "what is announced is not there yet")
            try await first.send(String(repeating: "x", count: 1000))
            #expect(await eventually { server.bufferedBodyBytes == 1000 })
            let second = try await RawConnection.connect(port: server.port)
            try await second.send(head + String(repeating: "x", count: 1000))
            #expect(await second.textUntilClosed().hasPrefix("HTTP/1.1 503 "))
            await first.close()
            #expect(await eventually { server.bufferedBodyBytes == 0 })
            await second.close()
        }
    }

    @Test(
        "A client that stops half-way is answered 408 and let go",
        arguments: ["GET / HT", "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf"]
    )
    func halfRequests(part: String) async throws {
        var settings = HTTPServerSettings()
        settings.headTimeout = .seconds(1)
        settings.bodyIdleTimeout = .seconds(1)
        try await withServer(settings: settings) { server, _ in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(part)
            #expect(await client.textUntilClosed().hasPrefix("HTTP/1.1 408 "))
            await client.close()
        }
    }

    @Test("A connection that says nothing is closed without a word")
    func silence() async throws {
        var settings = HTTPServerSettings()
        settings.headTimeout = .seconds(1)
        settings.keepAliveTimeout = .seconds(1)
        try await withServer(settings: settings) { server, _ in
            let silent = try await RawConnection.connect(port: server.port)
            #expect(await silent.textUntilClosed() == "")
            let idle = try await RawConnection.connect(port: server.port)
            try await idle.send("GET /echo HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(await idle.textUntilClosed().hasPrefix("HTTP/1.1 200 "))
            #expect(idle.isClosed)
        }
    }

    @Test("A client that goes away cancels its request")
    func disconnect() async throws {
        try await withServer { server, service in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send("GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(await eventually { service.heldCount == 1 })
            await client.close()
            #expect(await eventually { service.cancelled.load(ordering: .relaxed) == 1 })
            service.release()  // a late answer meets a closed exchange and does nothing
            #expect(await eventually { server.connectionCount == 0 })
        }
    }

    @Test("A client that does not read holds the source back instead of filling memory")
    func slowClient() async throws {
        try await withServer { server, service in
            let client = try await RawConnection.connect(port: server.port, reads: false)
            try await client.send("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
            // The source stops by itself once the sockets are full.
            let written = await settled { service.written.load(ordering: .relaxed) }
            // The kernel's buffers on loopback hold a few megabytes; 16 MiB of 256 is far from all.
            #expect(try #require(written) < 16 << 20)
            try await client.startReading()
            let before = service.written.load(ordering: .relaxed)
            #expect(await eventually { service.written.load(ordering: .relaxed) > before })
            await client.close()
            #expect(await eventually { service.cancelled.load(ordering: .relaxed) == 1 })
        }
    }

    @Test("A client that pipelines without reading its answers is held back, and let go")
    func unreadPipeline() async throws {
        var settings = HTTPServerSettings()
        settings.writeTimeout = .milliseconds(500)
        try await withServer(settings: settings) { server, service in
            let client = try await RawConnection.connect(port: server.port, reads: false)
            let body = String(repeating: "x", count: 100_000)
            let request = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n\(body)"
            // Far more than the sockets hold; the server stops taking it long before the end.
            let sending = Task { for _ in 0..<2000 { try await client.send(request) } }
            #expect(await eventually { server.connectionCount == 0 })
            #expect(service.bodyBytes.load(ordering: .relaxed) < 50_000_000)
            sending.cancel()
            await client.close()
            _ = await sending.result
        }
    }

    @Test(
        "After an upgrade or CONNECT nothing more is taken in",
        arguments: [
            "POST /hold HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 0\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
        ]
    )
    func upgrades(request: String) async throws {
        try await withServer { server, service in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(request)
            try await client.send("GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")
            if request.hasPrefix("POST") {
                #expect(await eventually { service.heldCount == 1 })
                service.release()
            }
            let answer = await client.textUntilClosed()
            #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.contains("connection: close"))
            #expect(!answer.contains("/smuggled"))
            await client.close()
        }
    }

    @Test("A client that never reads is let go after the write timeout")
    func stalledClient() async throws {
        var settings = HTTPServerSettings()
        settings.writeTimeout = .milliseconds(300)
        try await withServer(settings: settings) { server, service in
            let client = try await RawConnection.connect(port: server.port, reads: false)
            try await client.send("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(await eventually { service.cancelled.load(ordering: .relaxed) == 1 })
            await client.close()
        }
    }

    @Test("Draining lets answers under way complete, closes idle connections and accepts no new ones")
    func draining() async throws {
        try await withServer { server, service in
            let idle = try await RawConnection.connect(port: server.port)
            try await idle.send("GET /echo HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(await idle.text { $0.contains("200 OK") }.contains("200 OK"))
            let busy = try await RawConnection.connect(port: server.port)
            try await busy.send("GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(await eventually { service.heldCount == 1 })
            async let cut = server.shutdown(within: .seconds(10))
            #expect(await eventually { idle.isClosed })
            await #expect(throws: (any Error).self) { _ = try await RawConnection.connect(port: server.port) }
            service.release()
            let answer = await busy.textUntilClosed()
            #expect(answer.contains("connection: close") && answer.hasSuffix("released"))
            #expect(await cut == 0)
        }
    }

    @Test("More connections than allowed are told so")
    func connectionLimit() async throws {
        var settings = HTTPServerSettings()
        settings.maxConnections = 1
        try await withServer(settings: settings) { server, _ in
            let first = try await RawConnection.connect(port: server.port)
            #expect(await eventually { server.connectionCount == 1 })
            let second = try await RawConnection.connect(port: server.port)
            #expect(await second.textUntilClosed().hasPrefix("HTTP/1.1 503 "))
            try await first.send("GET /echo HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(await first.text { $0.contains("200 OK") }.contains("200 OK"))
            await first.close()
        }
    }

    @Test("Chunks leave as they are flushed, and a HEAD gets none")
    func streams() async throws {
        try await withServer { server, _ in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send("GET /chunks HTTP/1.1\r\nhost: a\r\n\r\n")
            let answer = await client.text { $0.hasSuffix("0\r\n\r\n") }
            #expect(answer.hasSuffix("0003\r\none\r\n0003\r\ntwo\r\n0005\r\nthree\r\n0\r\n\r\n"))
            await client.close()
            let head = try await RawConnection.connect(port: server.port)
            try await head.send("HEAD /chunks HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            let headAnswer = await head.textUntilClosed()
            #expect(headAnswer.hasPrefix("HTTP/1.1 200 OK") && !headAnswer.contains("one"))
            await head.close()
        }
    }
}
