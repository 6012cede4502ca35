import GRPCTransport
import NIOCore
import TestSupport
import Testing

@Suite("A client's acknowledgement, given early")
struct EarlyAcknowledgementTests {
    private static let ack = HTTP2Bytes.frame(.settings, flags: HTTP2Bytes.ack)
    private static let opening = HTTP2Bytes.opening([(3, 100), (4, 70_000)])
    private static let between = HTTP2Bytes.join(
        HTTP2Bytes.open(1, TestServer.echo),
        HTTP2Bytes.frame(.data, stream: 1, [0, 0, 0, 4, 1, 0, 0, 0, 0]),
        HTTP2Bytes.frame(.settings, [0, 4, 0, 1, 0, 0]),
        HTTP2Bytes.frame(.data, stream: 1)
    )
    private static let after = HTTP2Bytes.join(HTTP2Bytes.frame(.data, stream: 1, [1]), ack)

    @Test("It follows the client's settings, and the client's own is left out, wherever the bytes are cut")
    func everyCut() throws {
        let bytes = HTTP2Bytes.join(Self.opening, Self.between, Self.ack, Self.after)
        let expected = HTTP2Bytes.join(Self.opening, Self.ack, Self.between, Self.after)
        for first in 0...bytes.readableBytes {
            for second in first...bytes.readableBytes {
                var acknowledgement = EarlyAcknowledgement()
                var passed = ByteBuffer()
                for (from, to) in [(0, first), (first, second), (second, bytes.readableBytes)] {
                    let piece = try #require(bytes.getSlice(at: from, length: to - from))
                    passed.writeImmutableBuffer(acknowledgement.pass(piece))
                }
                #expect(passed == expected, "cut at \(first) and \(second)")
                #expect(acknowledgement.isDone)
            }
        }
    }

    @Test("Without settings of the client's nothing is added")
    func noSettings() {
        var acknowledgement = EarlyAcknowledgement()
        let bytes = HTTP2Bytes.join(HTTP2Bytes.preface, Self.ack, Self.between)
        let passed = acknowledgement.pass(bytes)
        #expect(passed == bytes)
        var garbage = EarlyAcknowledgement()
        let text = ByteBuffer(string: "GET / HTTP/1.1\r\nhost: somewhere\r\n\r\n")
        let start = garbage.pass(text)
        #expect(text.readableBytesView.starts(with: start.readableBytesView))
        #expect(start.readableBytes >= 24)
    }
}

@Suite("gRPC: hostile and broken connections")
struct GRPCConnectionTests {
    struct Opening: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: ByteBuffer
    }

    @Test(
        "What is no HTTP/2 is closed, and the server lives",
        arguments: [
            Opening(testDescription: "HTTP/1.1", bytes: ByteBuffer(string: "GET / HTTP/1.1\r\nhost: a\r\n\r\n")),
            Opening(testDescription: "garbage", bytes: ByteBuffer(bytes: (0..<200).map { UInt8($0) })),
            Opening(
                testDescription: "a TLS handshake",
                bytes: ByteBuffer(bytes: [0x16, 3, 1, 0, 0x2F, 1, 0, 0, 0x2B, 3, 3] + [UInt8](repeating: 1, count: 40))
            ),
            Opening(
                testDescription: "no settings after the preface",
                bytes: HTTP2Bytes.join(HTTP2Bytes.preface, HTTP2Bytes.frame(.ping, [UInt8](repeating: 0, count: 8)))
            ),
            Opening(
                testDescription: "a frame larger than allowed",
                bytes: HTTP2Bytes.join(
                    HTTP2Bytes.opening(),
                    HTTP2Bytes.frame(.data, stream: 1, [UInt8](repeating: 0, count: 16_385))
                )
            ),
            Opening(
                testDescription: "data on a stream that is not open",
                bytes: HTTP2Bytes.join(HTTP2Bytes.opening(), HTTP2Bytes.frame(.data, stream: 1, [1]))
            ),
            Opening(
                testDescription: "a head on an even stream",
                bytes: HTTP2Bytes.join(HTTP2Bytes.opening(), HTTP2Bytes.open(2, TestServer.echo))
            ),
            Opening(
                testDescription: "HPACK that cannot be read",
                bytes: HTTP2Bytes.join(
                    HTTP2Bytes.opening(),
                    HTTP2Bytes.frame(.headers, flags: HTTP2Bytes.endHeaders, stream: 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
                )
            ),
            Opening(
                testDescription: "a window that overflows",
                bytes: HTTP2Bytes.join(
                    HTTP2Bytes.opening(),
                    HTTP2Bytes.frame(.windowUpdate, HTTP2Bytes.big(UInt32(0x7FFF_FFFF)))
                )
            ),
            Opening(
                testDescription: "settings of a wrong size",
                bytes: HTTP2Bytes.join(HTTP2Bytes.opening(), HTTP2Bytes.frame(.settings, [0, 1, 2]))
            ),
        ]
    )
    func notHTTP2(opening: Opening) async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port)
            try? await client.send(opening.bytes)
            _ = await client.textUntilClosed()
            #expect(client.isClosed)
            #expect(await server.answers())
            await client.close()
        }
    }

    @Test(
        "A frame that breaks the protocol ends the connection with its calls",
        arguments: [
            Opening(
                testDescription: "a head list over the limit",
                bytes: HTTP2Bytes.frame(
                    .headers,
                    flags: HTTP2Bytes.endHeaders,
                    stream: 3,
                    HTTP2Bytes.head(TestServer.echo, more: [("x-large", String(repeating: "x", count: 16_200))])
                )
            ),
            Opening(
                testDescription: "continuations without end",
                bytes: HTTP2Bytes.join(
                    HTTP2Bytes.frame(.headers, stream: 3, HTTP2Bytes.head(TestServer.echo)),
                    HTTP2Bytes.times(1000, HTTP2Bytes.frame(.continuation, stream: 3, [0, 1, 0x78, 1, 0x78]))
                )
            ),
            Opening(
                testDescription: "pings without end",
                bytes: HTTP2Bytes.times(50_000, HTTP2Bytes.frame(.ping, [UInt8](repeating: 0, count: 8)))
            ),
            Opening(
                testDescription: "settings without end",
                bytes: HTTP2Bytes.times(50_000, HTTP2Bytes.frame(.settings))
            ),
            Opening(
                testDescription: "empty data without end",
                bytes: HTTP2Bytes.times(1000, HTTP2Bytes.frame(.data, stream: 1))
            ),
            Opening(
                testDescription: "more data than the window",
                bytes: HTTP2Bytes.join(
                    HTTP2Bytes.times(
                        1100,
                        HTTP2Bytes.frame(.data, stream: 3, [UInt8](repeating: 0, count: 16_384))
                    )
                )
            ),
            Opening(
                testDescription: "padding longer than the frame",
                bytes: HTTP2Bytes.frame(.data, flags: HTTP2Bytes.padded, stream: 1, [200, 1, 2])
            ),
        ]
    )
    func breaksProtocol(frames: Opening) async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(HTTP2Bytes.opening())
            try await client.send(HTTP2Bytes.open(1, TestServer.hold))
            #expect(await eventually { server.server.callCount == 1 })
            try? await client.send(frames.bytes)
            #expect(await eventually { client.isClosed })
            #expect(await eventually { server.server.callCount == 0 && server.server.connectionCount == 0 })
            #expect(await server.answers())
            await client.close()
        }
    }

    @Test("Padding, continuations and a few empty frames change nothing")
    func unusualButRight() async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port)
            let head = HTTP2Bytes.head(TestServer.echo)
            let message = HTTP2Bytes.message("padded")
            try await client.send(
                HTTP2Bytes.join(
                    HTTP2Bytes.opening(),
                    HTTP2Bytes.frame(.headers, flags: HTTP2Bytes.padded, stream: 1, [3] + head[..<20] + [0, 0, 0]),
                    HTTP2Bytes.frame(.continuation, stream: 1, Array(head[20..<21])),
                    HTTP2Bytes.frame(.continuation, flags: HTTP2Bytes.endHeaders, stream: 1, Array(head[21...])),
                    HTTP2Bytes.times(10, HTTP2Bytes.frame(.data, stream: 1)),
                    HTTP2Bytes.frame(
                        .data,
                        flags: HTTP2Bytes.padded,
                        stream: 1,
                        [5] + message[..<7] + [0, 0, 0, 0, 0]
                    ),
                    HTTP2Bytes.frame(.data, flags: HTTP2Bytes.padded, stream: 1, [0] + message[7...]),
                    HTTP2Bytes.times(10, HTTP2Bytes.frame(.data, stream: 1)),
                    HTTP2Bytes.frame(.data, flags: HTTP2Bytes.endStream, stream: 1)
                )
            )
            func answer() -> [ReceivedFrame] {
                ReceivedFrame.all(in: client.bytes).filter { $0.stream == 1 && $0.kind != 8 }
            }
            #expect(await eventually { answer().count == 3 })
            #expect(answer().map(\.kind) == [1, 0, 1])
            #expect(answer().dropFirst().first?.payload == message)
            await client.close()
        }
    }

    @Test("Padding is given back to the window")
    func paddingWindow() async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(HTTP2Bytes.join(HTTP2Bytes.opening(), HTTP2Bytes.open(1, TestServer.ignore)))
            // 30 MB in frames of a byte each, more than all windows: empty messages.
            let padding = [255] + [0] + [UInt8](repeating: 0, count: 255)
            let frames = HTTP2Bytes.times(100, HTTP2Bytes.frame(.data, flags: HTTP2Bytes.padded, stream: 1, padding))
            // The window that the server's settings give.
            let window = 1 << 20
            var allowed = window
            var sent = 0
            while sent < 30_000_000 {
                let need = sent + 100 * 257
                #expect(
                    await eventually {
                        allowed = ReceivedFrame.all(in: client.bytes)
                            .filter { $0.kind == 8 && $0.stream == 1 }
                            .reduce(window) { sum, frame in
                                sum + frame.payload.reduce(0) { $0 << 8 | Int($1) }
                            }
                        return allowed >= need
                    }
                )
                guard allowed >= need else { break }
                try await client.send(frames)
                sent = need
            }
            #expect(server.server.connectionCount == 1)
            await client.close()
        }
    }

    @Test("Silence is closed after the time for the handshake", arguments: ["nothing", "half a preface"])
    func silence(how: String) async throws {
        var settings = GRPCServerSettings()
        settings.handshakeTimeout = .milliseconds(200)
        try await TestServer.run(settings) { server in
            let client = try await RawConnection.connect(port: server.port)
            if how == "half a preface" { try await client.send("PRI * HTTP/2.0\r\n") }
            #expect(await eventually { client.isClosed })
            #expect(await eventually { server.server.connectionCount == 0 })
            await client.close()
        }
    }

    @Test("A peer that has died is found by a ping, one that lives is kept")
    func pings() async throws {
        var settings = GRPCServerSettings()
        settings.pingInterval = .milliseconds(100)
        settings.pingTimeout = .seconds(3)
        try await TestServer.run(settings) { server in
            let alive = try await GRPCClient.connect(port: server.port)
            let held = alive.open(TestServer.echo)
            let dead = try await RawConnection.connect(port: server.port)
            try await dead.send(HTTP2Bytes.join(HTTP2Bytes.opening(), HTTP2Bytes.open(1, TestServer.hold)))
            #expect(await eventually { dead.isClosed })
            let pings = ReceivedFrame.all(in: dead.bytes).filter { $0.kind == 6 && $0.flags == 0 }
            #expect(pings.count == 1)
            held.send("still here", endStream: true)
            #expect(await held.outcome().code == 0)
            await alive.close()
            await dead.close()
        }
    }

    @Test("A client waits when it has as many calls as it may")
    func manyCallsWait() async throws {
        var settings = GRPCServerSettings()
        settings.maxCallsPerConnection = 2
        try await TestServer.run(settings) { server in
            try await server.client { client in
                #expect(await client.wait { $0.hasSettings })
                let held = (0..<2).map { _ in client.open(TestServer.echo) }
                #expect(await eventually { server.server.callCount == 2 })
                let third = client.open(TestServer.unary)
                third.send("third")
                held[0].halfClose()
                #expect(await third.outcome().code == 0)
                #expect(server.tally.counts.begun == 3)
            }
        }
    }

    @Test("A client that opens more calls than it may loses its connection")
    func tooManyCalls() async throws {
        var settings = GRPCServerSettings()
        settings.maxCallsPerConnection = 2
        try await TestServer.run(settings) { server in
            let client = try await RawConnection.connect(port: server.port)
            try await client.send(HTTP2Bytes.opening())
            for stream in [1, 3, 5] as [UInt32] {
                try? await client.send(HTTP2Bytes.open(stream, TestServer.hold))
            }
            #expect(await eventually { client.isClosed })
            #expect(server.tally.counts.begun <= 2)
            #expect(await server.answers())
            await client.close()
        }
    }

    @Test("A client may open many calls with its first bytes, before it knows of any limit")
    func burst() async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port)
            let message = HTTP2Bytes.message("waited")
            let calls = (0..<1024).map { number in
                let stream = UInt32(2 * number + 1)
                return HTTP2Bytes.join(
                    HTTP2Bytes.open(stream, TestServer.echo),
                    HTTP2Bytes.frame(.data, stream: stream, message)
                )
            }
            try await client.send(HTTP2Bytes.join([HTTP2Bytes.opening()] + calls))
            #expect(await eventually { server.tally.counts.messages == 1024 })
            // Its acknowledgement comes in its own time, and changes nothing.
            try await client.send(HTTP2Bytes.frame(.settings, flags: HTTP2Bytes.ack))
            try await client.send(HTTP2Bytes.frame(.data, flags: HTTP2Bytes.endStream, stream: 1, message))
            #expect(await eventually { server.tally.counts.halfClosed == 1 })
            #expect(server.server.callCount == 1023)
            await client.close()
        }
    }

    @Test("An acknowledgement of nothing ends the connection")
    func secondAcknowledgement() async throws {
        try await TestServer.run { server in
            let client = try await RawConnection.connect(port: server.port)
            let ack = HTTP2Bytes.frame(.settings, flags: HTTP2Bytes.ack)
            try await client.send(HTTP2Bytes.join(HTTP2Bytes.opening(), ack, ack))
            #expect(await eventually { client.isClosed })
            await client.close()
        }
    }

    @Test("Connections beyond the limit are closed, those before it are not")
    func tooManyConnections() async throws {
        var settings = GRPCServerSettings()
        settings.maxConnections = 2
        try await TestServer.run(settings) { server in
            let first = try await GRPCClient.connect(port: server.port)
            let second = try await GRPCClient.connect(port: server.port)
            for client in [first, second] { #expect(await client.wait { $0.hasSettings }) }
            let third = try await RawConnection.connect(port: server.port)
            #expect(await eventually { third.isClosed })
            for client in [first, second] {
                let call = client.open(TestServer.unary)
                call.send("mine")
                #expect(await call.outcome().code == 0)
            }
            await first.close()
            #expect(await eventually { server.server.connectionCount == 1 })
            #expect(await server.answers())
            await second.close()
            await third.close()
        }
    }

    @Test("Data after the server's end of a call is let go of")
    func dataAfterEnd() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.unary)
                call.send("first")
                #expect(await call.outcome().code == 0)
                for _ in 0..<100 { call.send(ByteBuffer(repeating: 1, count: 5000)) }
                call.halfClose()
                let next = client.open(TestServer.unary)
                next.send("next")
                #expect(await next.outcome().code == 0)
                #expect(server.tally.counts.messages == 2)
            }
        }
    }
}
