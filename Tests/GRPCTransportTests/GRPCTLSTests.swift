import GRPCTransport
import NIOCore
import Synchronization
import TestSupport
import Testing
import Transport

@Suite("gRPC over TLS")
struct GRPCTLSTests {
    private static func server(_ certificate: String, _ key: String) throws -> TLSSettings {
        try TLSSettings.server(certificateFile: certificate, keyFile: key, protocols: [.http2])
    }

    private static func client(trusting authority: String) throws -> GRPCClient.Settings {
        var settings = GRPCClient.Settings()
        settings.tls = try TLSSettings.client(authorityFile: authority, protocols: [.http2])
        return settings
    }

    private static func settings() throws -> GRPCServerSettings {
        let tls = try server(TestCertificates.server, TestCertificates.serverKey)
        var settings = GRPCServerSettings()
        settings.tls = { tls }
        return settings
    }

    @Test("Calls cross TLS, large messages too")
    func calls() async throws {
        try await TestServer.run(Self.settings()) { server in
            try await server.client(Self.client(trusting: TestCertificates.authority)) { client in
                let large = ByteBuffer(repeating: UInt8(ascii: "L"), count: 3 << 20)
                let call = client.open(TestServer.echo)
                call.send("small")
                call.send(large, endStream: true)
                let outcome = await call.outcome()
                #expect(outcome.messages == [ByteBuffer(string: "small"), large])
                #expect(outcome.code == 0)
            }
        }
    }

    @Test("A connection in clear to a TLS port is closed, and the server lives")
    func clearToTLS() async throws {
        try await TestServer.run(Self.settings()) { server in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(HTTP2Bytes.join(HTTP2Bytes.opening(), HTTP2Bytes.open(1, TestServer.echo)))
            #expect(await eventually { client.isClosed })
            #expect(server.tally.counts.begun == 0)
            let trusting = try Self.client(trusting: TestCertificates.authority)
            #expect(await server.answers(trusting.tls))
            await client.close()
        }
    }

    @Test("A TLS client on a port in clear is closed, and the server lives")
    func tlsToClear() async throws {
        try await TestServer.run { server in
            try await server.client(Self.client(trusting: TestCertificates.authority)) { client in
                #expect(await client.waitUntilClosed())
            }
            #expect(await server.answers())
        }
    }

    @Test("A handshake that never ends is given up")
    func silence() async throws {
        var settings = try Self.settings()
        settings.handshakeTimeout = .milliseconds(200)
        try await TestServer.run(settings) { server in
            let client = try await RawConnection.connect(port: server.port)
            #expect(await eventually { client.isClosed })
            await client.close()
        }
    }

    @Test("A new certificate serves new connections, old ones go on")
    func replacement() async throws {
        let source = Source(try Self.server(TestCertificates.server, TestCertificates.serverKey))
        var settings = GRPCServerSettings()
        settings.tls = { source.current.withLock { $0 } }
        try await TestServer.run(settings) { server in
            try await server.client(Self.client(trusting: TestCertificates.authority)) { old in
                let call = old.open(TestServer.echo)
                call.send("old")
                #expect(await call.text() == "old")
                let replacement = try Self.server(TestCertificates.replacement, TestCertificates.replacementKey)
                source.current.withLock { $0 = replacement }
                let trusting = try Self.client(trusting: TestCertificates.replacement)
                #expect(await server.answers(trusting.tls))
                try await server.client(Self.client(trusting: TestCertificates.authority)) { refused in
                    #expect(await refused.waitUntilClosed())
                    let state = await refused.state()
                    #expect(!state.hasSettings)
                }
                call.send("still old", endStream: true)
                #expect(await call.text() == "still old")
            }
        }
    }

    private final class Source: Sendable {
        let current: Mutex<TLSSettings>
        init(_ first: TLSSettings) { current = Mutex(first) }
    }

    @Test("Calls under way finish, then a connection under TLS is closed")
    func drains() async throws {
        try await TestServer.run(Self.settings()) { server in
            try await server.client(Self.client(trusting: TestCertificates.authority)) { client in
                let call = client.open(TestServer.echo)
                #expect(await eventually { server.server.callCount == 1 })
                async let cut = server.server.shutdown(within: .seconds(20))
                #expect(await client.wait { !$0.goAways.isEmpty })
                call.send("last", endStream: true)
                let outcome = await call.outcome()
                #expect(outcome.messages == [ByteBuffer(string: "last")])
                #expect(outcome.code == 0)
                #expect(await cut == 0)
                #expect(await client.waitUntilClosed())
            }
        }
    }
}
