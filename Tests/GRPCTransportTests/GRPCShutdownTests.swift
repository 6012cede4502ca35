import GRPCTransport
import NIOCore
import NIOHTTP2
import TestSupport
import Testing

@Suite("gRPC: closing")
struct GRPCShutdownTests {
    @Test("Calls under way finish, a client is told to go away, and the connection is closed")
    func drains() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.echo)
                call.send("before")
                #expect(await call.text() == "before")
                async let cut = server.server.shutdown(within: .seconds(20))
                #expect(await client.wait { !$0.goAways.isEmpty })
                let first = await client.state().goAways.first
                #expect(first == .init(lastStream: Int(Int32.max), code: .noError))
                call.send("after")
                #expect(await call.text() == "after")
                call.halfClose()
                #expect(await call.outcome().code == 0)
                #expect(await cut == 0)
                #expect(await client.waitUntilClosed())
                let last = await client.state().goAways.last
                #expect(last == .init(lastStream: 1, code: .noError))
                #expect(server.tally.counts.closing == 0)
            }
        }
    }

    @Test("A call whose answer is under way from elsewhere is answered whole")
    func answersFromElsewhere() async throws {
        for _ in 0..<20 {
            try await TestServer.run { server in
                try await server.client { client in
                    let held = client.open(TestServer.hold)
                    let calls = (0..<20).map { _ in client.open(TestServer.later) }
                    #expect(await eventually { server.server.callCount == 21 })
                    async let cut = server.server.shutdown(within: .seconds(20))
                    #expect(await client.wait { !$0.goAways.isEmpty })
                    held.reset()
                    for call in calls { call.send("answer me", endStream: true) }
                    for call in calls {
                        let outcome = await call.outcome()
                        #expect(outcome.messages == [ByteBuffer(string: "answer me")])
                        #expect(outcome.code == 0)
                    }
                    #expect(await cut == 0)
                }
            }
        }
    }

    @Test("An answer that the client takes slowly is given whole")
    func slowAnswer() async throws {
        try await TestServer.run { server in
            var settings = GRPCClient.Settings()
            settings.takesAtOnce = false
            try await server.client(settings) { client in
                let call = client.open(TestServer.sized)
                call.send("1000000", endStream: true)
                #expect(await call.wait { $0.receivedBytes == 65_535 })
                async let cut = server.server.shutdown(within: .seconds(20))
                #expect(await client.wait { !$0.goAways.isEmpty })
                call.take(1_000_000)
                let outcome = await call.outcome()
                #expect(outcome.messages.map(\.readableBytes) == [1_000_000])
                #expect(outcome.code == 0)
                #expect(await cut == 0)
            }
        }
    }

    @Test("Calls that the client opened before it could know are served")
    func crossing() async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(HTTP2Bytes.join(HTTP2Bytes.opening(), HTTP2Bytes.open(1, TestServer.echo)))
            #expect(await eventually { server.server.callCount == 1 })
            func frames() -> [ReceivedFrame] { ReceivedFrame.all(in: client.bytes) }
            async let cut = server.server.shutdown(within: .seconds(20))
            #expect(await eventually { frames().contains { $0.kind == 7 } })
            // As if both had crossed: a call with its message, before the ping's answer.
            let message = HTTP2Bytes.message("crossing")
            try await client.send(
                HTTP2Bytes.join(
                    HTTP2Bytes.open(3, TestServer.echo),
                    HTTP2Bytes.frame(.data, flags: HTTP2Bytes.endStream, stream: 3, message)
                )
            )
            #expect(await eventually { frames().filter { $0.stream == 3 }.count == 3 })
            #expect(frames().contains { $0.kind == 0 && $0.stream == 3 && $0.payload == message })
            let ping = try #require(frames().last { $0.kind == 6 && $0.flags == 0 })
            // After it, none is taken any more, and those that were go on.
            try await client.send(
                HTTP2Bytes.join(
                    HTTP2Bytes.frame(.ping, flags: HTTP2Bytes.ack, ping.payload),
                    HTTP2Bytes.open(5, TestServer.echo)
                )
            )
            #expect(await eventually { frames().contains { $0.stream == 5 } })
            #expect(frames().filter { $0.stream == 5 }.map { [$0.kind, $0.payload.last] } == [[3, 7]])
            try await client.send(HTTP2Bytes.frame(.data, flags: HTTP2Bytes.endStream, stream: 1, message))
            #expect(await eventually { client.isClosed })
            #expect(frames().filter { $0.stream == 1 }.map(\.kind) == [1, 0, 1])
            #expect(await cut == 0)
            await client.close()
        }
    }

    @Test("A client that does not answer the announcement is not waited for")
    func mute() async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(HTTP2Bytes.opening())
            #expect(await eventually { client.byteCount > 0 })
            #expect(await server.server.shutdown(within: .seconds(20)) == 0)
            #expect(await eventually { client.isClosed })
            await client.close()
        }
    }

    @Test("Calls that do not end in time are ended, each handler being asked first")
    func cut() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let polite = (0..<3).map { _ in client.open(TestServer.hold) }
                let stubborn = client.open(TestServer.ignore)
                #expect(await eventually { server.server.callCount == 4 })
                #expect(await server.server.shutdown(within: .milliseconds(50)) == 4)
                for call in polite {
                    let outcome = await call.outcome()
                    #expect(outcome.code == 14)
                    #expect(outcome.message == "closing")
                }
                let outcome = await stubborn.outcome()
                #expect(outcome.isConnectionClosed)
                #expect(outcome.code == nil)
                #expect(server.tally.counts.closing == 4)
                #expect(server.tally.counts.ended == 4)
            }
        }
    }

    @Test("After the shutdown nobody is let in, and a second one is harmless")
    func refusesConnections() async throws {
        try await TestServer.run { server in
            await server.server.shutdown(within: .seconds(1))
            await #expect(throws: (any Error).self) { try await RawConnection.connect(port: server.port) }
            #expect(await server.server.shutdown(within: .seconds(1)) == 0)
        }
    }
}
