import HTTPTransport
import NIOCore
import NIOHTTP1
import NIOPosix
import TestSupport
import Testing
import Transport

@Suite("TLS on both sides")
struct TLSTests {
    private func withServer(
        client: TLSSettings,
        _ body: (HTTPFetch, HTTPServer) async throws -> Void
    ) async throws {
        var settings = HTTPServerSettings()
        let tls = try TLSSettings.server(
            certificateFile: TestCertificates.server,
            keyFile: TestCertificates.serverKey,
            protocols: [.http1]
        )
        settings.tls = { tls }
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await HTTPServer.start(
            host: "127.0.0.1",
            port: 0,
            settings: settings,
            group: group,
            service: TestService()
        )
        var upstream = UpstreamSettings()
        upstream.tls = client
        let clients = try await UpstreamClient.perLoop(of: group, settings: upstream)
        let result: Result<Void, any Error>
        do {
            try await body(HTTPFetch(clients: clients), server)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await clients.forEach { $0.closeIdleConnections() }
        await server.shutdown(within: .zero)
        try result.get()
    }

    @Test("A request and its answer cross TLS", arguments: ["localhost", "127.0.0.1"])
    func echo(host: String) async throws {
        try await withServer(client: .client(authorityFile: TestCertificates.authority, protocols: [.http1])) {
            fetch,
            server in
            let body = ByteBuffer(repeating: UInt8(ascii: "t"), count: 300_000)
            let request = UpstreamRequest(method: .POST, uri: "/echo", headers: [:], body: body)
            let origin = Origin(host: host, port: server.port, isTLS: true)
            for _ in 0..<2 {
                let answer = try await fetch.fetch(request, from: origin)
                #expect(answer.body == body)
            }
        }
    }

    @Test("A certificate of an unknown authority is refused")
    func unknownAuthority() async throws {
        try await withServer(client: .client(protocols: [.http1])) { fetch, server in
            let request = UpstreamRequest(method: .GET, uri: "/", headers: [:])
            let error = await #expect(throws: UpstreamError.self) {
                _ = try await fetch.fetch(request, from: Origin(host: "localhost", port: server.port, isTLS: true))
            }
            #expect(error?.kind == .tls)
        }
    }

    @Test("A plain request to a TLS port is not answered as if it were one")
    func plainToTLS() async throws {
        try await withServer(client: .client(protocols: [.http1])) { _, server in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            #expect(!(await client.textUntilClosed()).contains("HTTP/1.1 200"))
            #expect(client.isClosed)
            await client.close()
        }
    }

    @Test("A handshake that never ends is given up within the deadline for connecting")
    func silentHandshake() async throws {
        let silent = try await RawServer.start { _, _ in .hang }
        var settings = UpstreamSettings()
        settings.tls = try .client(protocols: [.http1])
        let clients = try await UpstreamClient.perLoop(of: MultiThreadedEventLoopGroup.singleton, settings: settings)
        var deadlines = UpstreamDeadlines()
        deadlines.connect = .milliseconds(200)
        let request = UpstreamRequest(method: .GET, uri: "/", headers: [:], deadlines: deadlines)
        let origin = Origin(host: "127.0.0.1", port: silent.port, isTLS: true)
        let error = await #expect(throws: UpstreamError.self) {
            _ = try await HTTPFetch(clients: clients).fetch(request, from: origin)
        }
        #expect(error?.kind == .connectTimeout)
        await silent.stop()
    }

    @Test("A file that cannot be used is named")
    func badFiles() throws {
        let key = TestCertificates.serverKey
        let missing = #expect(throws: TLSError.self) {
            _ = try TLSSettings.server(certificateFile: "/nowhere/tls.crt", keyFile: key, protocols: [.http1])
        }
        #expect(missing?.description.hasPrefix("/nowhere/tls.crt is not a readable PEM") == true)
        let swapped = #expect(throws: TLSError.self) {
            _ = try TLSSettings.server(
                certificateFile: TestCertificates.server,
                keyFile: TestCertificates.server,
                protocols: [.http1]
            )
        }
        #expect(swapped?.file.hasSuffix("server.pem") == true)
    }
}
