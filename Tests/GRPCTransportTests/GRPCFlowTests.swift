import GRPCTransport
import NIOCore
import NIOHTTP2
import TestSupport
import Testing
import Transport

@Suite("gRPC: windows, limits and memory")
struct GRPCFlowTests {
    private static let large = ByteBuffer(repeating: UInt8(ascii: "L"), count: 5 << 20)

    @Test("Messages larger than every window go up and come down")
    func largeMessages() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let calls = (0..<4).map { _ in client.open(TestServer.echo) }
                for call in calls {
                    call.send(Self.large)
                    call.send("small")
                    call.send(Self.large, endStream: true)
                }
                for call in calls {
                    let outcome = await call.outcome(within: .seconds(60))
                    #expect(outcome.messages == [Self.large, ByteBuffer(string: "small"), Self.large])
                    #expect(outcome.code == 0)
                }
                #expect(await eventually { server.budget.used == 0 })
            }
        }
    }

    @Test("The server lets a client send again by what it has taken, no more")
    func windowUpdates() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                #expect(await client.wait { $0.hasSettings && !$0.connectionUpdates.isEmpty })
                let total = 40 << 20
                let call = client.open(TestServer.ignore)
                call.sendData(ByteBuffer(bytes: [0] + HTTP2Bytes.big(UInt32(total))))
                call.sendData(ByteBuffer(repeating: 1, count: total))
                #expect(await eventually(within: .seconds(60)) { server.tally.counts.messages == 1 })
                call.halfClose()
                #expect(await eventually { server.tally.counts.halfClosed == 1 })
                call.reset()
                let state = await client.state()
                // HTTP/2's first connection window, and 16 MiB of it at a time.
                #expect(65_535 + state.connectionUpdates.reduce(0, +) <= total + 5 + (16 << 20))
                #expect(state.connectionUpdates.count < 10)
                #expect(state.streamUpdates.reduce(0, +) <= total + 5 + (1 << 20))
                #expect(state.streamUpdates.count <= 2 * (total >> 20) + 1)
            }
        }
    }

    @Test("A client that takes its time gets everything")
    func slowReader() async throws {
        try await TestServer.run { server in
            var settings = GRPCClient.Settings()
            settings.takesAtOnce = false
            try await server.client(settings) { client in
                let call = client.open(TestServer.sized)
                call.send("2000000", endStream: true)
                var taken = 65_535
                while taken < 2_000_005 {
                    let limit = taken
                    #expect(await call.wait { $0.receivedBytes == limit })
                    call.take(50_000)
                    taken += 50_000
                }
                let outcome = await call.outcome()
                #expect(outcome.messages.map(\.readableBytes) == [2_000_000])
                #expect(outcome.code == 0)
            }
        }
    }

    @Test("Answers that a client leaves are counted until it takes them", arguments: [false, true])
    func unreadAnswers(takes: Bool) async throws {
        try await TestServer.run { server in
            var settings = GRPCClient.Settings()
            settings.takesAtOnce = false
            try await server.client(settings) { client in
                let call = client.open(TestServer.sized)
                call.send("3000000", endStream: true)
                #expect(await eventually { server.budget.used >= 3_000_000 - 65_535 })
                #expect(server.budget.used <= 3_000_005 + 64 * 1024)
                // The call is over for the server, the answer is not.
                #expect(await eventually { server.server.callCount == 0 })
                if takes {
                    call.take(3_000_000)
                    #expect(await call.outcome().code == 0)
                } else {
                    call.reset()
                }
                #expect(await eventually { server.budget.used == 0 })
            }
        }
    }

    @Test("A client that leaves answers unread may not send on for ever")
    func unreadStream() async throws {
        try await TestServer.run { server in
            var settings = GRPCClient.Settings()
            settings.takesAtOnce = false
            try await server.client(settings) { client in
                let call = client.open(TestServer.echo)
                let message = ByteBuffer(repeating: 1, count: 60_000)
                for _ in 0..<200 { call.send(message) }
                let reached = try #require(await settled { server.tally.counts.messages })
                #expect(reached < 60, "the window, and a window of unread answers")
                // Once it takes them, it may.
                for _ in 0..<200 { call.take(100_000) }
                call.halfClose()
                #expect(await call.outcome().code == 0)
                #expect(server.tally.counts.messages == 200)
            }
        }
    }

    @Test("A client that does not read its socket is not read from")
    func unreadSocket() async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port, reads: false, receiveBytes: 1 << 18)
            // Windows of the client's are not in the way: only the socket is.
            let largest = UInt32(Int32.max)
            let opening = HTTP2Bytes.join(
                HTTP2Bytes.opening([(4, largest)]),
                HTTP2Bytes.frame(.windowUpdate, HTTP2Bytes.big(largest - 65_535))
            )
            let message = HTTP2Bytes.message("20000")
            let calls = (0..<5000).map { number in
                let stream = UInt32(2 * number + 1)
                return HTTP2Bytes.join(
                    HTTP2Bytes.open(stream, TestServer.sized),
                    HTTP2Bytes.frame(.data, flags: HTTP2Bytes.endStream, stream: stream, message)
                )
            }
            async let sent: Void = client.send(HTTP2Bytes.join([opening] + calls))
            let begun = try #require(await settled { server.tally.counts.begun })
            #expect(begun < 4000, "what the sockets hold, and one read")
            try await client.startReading()
            try await sent
            #expect(await eventually(within: .seconds(30)) { server.tally.counts.begun == 5000 })
            #expect(await eventually(within: .seconds(30)) { client.byteCount >= 5000 * 20_000 })
            await client.close()
        }
    }

    @Test("A message over the limit exhausts the call alone")
    func messageLimit() async throws {
        var settings = GRPCServerSettings()
        settings.maxMessageBytes = 100_000
        try await TestServer.run(settings) { server in
            try await server.client { client in
                let other = client.open(TestServer.echo)
                let call = client.open(TestServer.echo)
                call.send(ByteBuffer(repeating: 1, count: 100_000))
                #expect(await call.message()?.readableBytes == 100_000)
                call.send(ByteBuffer(repeating: 1, count: 100_001))
                let outcome = await call.outcome()
                #expect(outcome.code == 8)
                #expect(outcome.message?.contains("100001") == true)
                other.send("other", endStream: true)
                #expect(await other.outcome().messages == [ByteBuffer(string: "other")])
            }
        }
    }

    @Test("Unfinished messages that exhaust the budget end their calls, others go on")
    func budget() async throws {
        var settings = GRPCServerSettings()
        settings.maxBufferedBytes = 1 << 20
        try await TestServer.run(settings) { server in
            try await server.client { client in
                var unfinished = ByteBuffer(bytes: [0] + HTTP2Bytes.big(UInt32(10 << 20)))
                unfinished.writeRepeatingByte(1, count: 400_000)
                let calls = (0..<4).map { _ in client.open(TestServer.echo) }
                for call in calls { call.sendData(unfinished) }
                // 400,000 bytes fit twice.
                var codes: [Int] = []
                #expect(
                    await eventually {
                        codes = []
                        for call in calls {
                            if let code = await call.now().code { codes.append(code) }
                        }
                        return codes.count == 2 && server.budget.used > 800_000
                    }
                )
                #expect(codes == [8, 8])
                #expect(server.budget.used <= 1 << 20)
                let small = client.open(TestServer.unary)
                small.send("small")
                #expect(await small.outcome().code == 0)
                for call in calls { call.reset() }
                #expect(await eventually { server.budget.used == 0 })
            }
        }
    }

    @Test("The budget is whole again however a half-sent message ends", arguments: ["reset", "connection", "handler"])
    func budgetReturns(how: String) async throws {
        try await TestServer.run { server in
            let client = try await GRPCClient.connect(port: server.port)
            let call = client.open(how == "handler" ? TestServer.unary : TestServer.echo)
            var bytes = ByteBuffer()
            if how == "handler" { bytes.writeBytes(HTTP2Bytes.message("ends the call")) }
            bytes.writeBytes([0] + HTTP2Bytes.big(UInt32(10 << 20)))
            bytes.writeRepeatingByte(1, count: 900_000)
            call.sendData(bytes)
            if how != "handler" { #expect(await eventually { server.budget.used >= 900_000 }) }
            if how == "reset" { call.reset() }
            if how == "connection" { await client.close() }
            #expect(await eventually { server.tally.counts.ended == 1 && server.budget.used == 0 })
            await client.close()
        }
    }

    @Test("Answers beyond the budget are reset for a client that leaves them unread")
    func budgetOutward() async throws {
        var settings = GRPCServerSettings()
        settings.maxBufferedBytes = 1 << 20
        try await TestServer.run(settings) { server in
            var clientSettings = GRPCClient.Settings()
            clientSettings.takesAtOnce = false
            try await server.client(clientSettings) { client in
                let call = client.open(TestServer.sized)
                for _ in 0..<5 { call.send("400000") }
                #expect(await call.outcome().reset == .enhanceYourCalm)
                #expect(await eventually { server.budget.used == 0 })
                // One answer, however large, is given.
                let single = client.open(TestServer.sized)
                single.send("3000000", endStream: true)
                single.take(3_100_000)
                #expect(await single.outcome().code == 0)
            }
        }
    }
}
