import GRPCTransport
import NIOCore
import NIOHTTP2
import NIOPosix
import Resilience
import TestSupport
import Testing
import Transport

@Suite("gRPC client and servers that behave badly")
struct ClientConnectionTests {
    private static let path = "/test.Service/Do"
    private let message = ByteBuffer(string: "question")

    private func channel(_ port: Int, _ settings: GRPCChannelSettings = GRPCChannelSettings()) -> GRPCChannel {
        GRPCChannel(host: "127.0.0.1", port: port, settings: settings, group: MultiThreadedEventLoopGroup.singleton)
    }

    private func withServer(
        _ manner: ScriptedGRPCServer.Manner = .usual,
        settings: GRPCChannelSettings = GRPCChannelSettings(),
        script: @escaping ScriptedGRPCServer.Script = { _ in [.hold] },
        _ body: (GRPCChannel, ScriptedGRPCServer) async throws -> Void
    ) async throws {
        let server = try await ScriptedGRPCServer.start(manner: manner, script: script)
        let channel = channel(server.port, settings)
        let result: Result<Void, any Error>
        do {
            try await body(channel, server)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await channel.close()
        await server.stop()
        try result.get()
    }

    private func status(
        _ channel: GRPCChannel,
        headers: [(name: String, value: String)] = [],
        within timeout: Duration = .seconds(20)
    ) async -> GRPCStatus {
        do throws(GRPCStatus) {
            _ = try await channel.call(Self.path, message, headers: headers, within: timeout)
            return .ok
        } catch {
            return error
        }
    }

    // MARK: Heads and answers

    @Test("A call's head is gRPC's, with the deadline and the caller's headers")
    func head() async throws {
        try await withServer(script: { .answer($0.message) }) { channel, server in
            #expect(await status(channel, headers: [("authorization", "Bearer x")], within: .seconds(30)) == .ok)
            let request = try #require(server.requests.first)
            #expect(request.path == Self.path)
            #expect(request.message == message)
            let headers = request.headers
            #expect(headers[":method"] == "POST" && headers[":scheme"] == "http")
            #expect(headers[":authority"] == "127.0.0.1:\(server.port)")
            #expect(headers["te"] == "trailers" && headers["content-type"] == "application/grpc")
            #expect(headers["user-agent"] == "sextant" && headers["authorization"] == "Bearer x")
            let timeout = try #require(headers["grpc-timeout"])
            #expect(timeout.hasSuffix("m"))
            let milliseconds = try #require(Int(timeout.dropLast()))
            #expect((1...30_000).contains(milliseconds))
        }
    }

    @Test("A long deadline is told in seconds")
    func longDeadline() async throws {
        try await withServer(script: { .answer($0.message) }) { channel, server in
            #expect(await status(channel, within: .seconds(1_000_000)) == .ok)
            #expect(server.requests.first?.headers["grpc-timeout"]?.hasSuffix("S") == true)
        }
    }

    private struct Answer: Sendable {
        let name: String
        let steps: [ScriptedGRPCServer.Step]
        let code: GRPCStatus.Code

        init(_ name: String, _ steps: [ScriptedGRPCServer.Step], _ code: GRPCStatus.Code) {
            self.name = name
            self.steps = steps
            self.code = code
        }

        static func proxy(_ status: String, _ code: GRPCStatus.Code) -> Answer {
            Answer("of a proxy, \(status)", [.headers([(":status", status)], endStream: true)], code)
        }
    }

    private static let headStep = ScriptedGRPCServer.Step.headers([
        (":status", "200"), ("content-type", "application/grpc"),
    ])
    private static let okStep = ScriptedGRPCServer.Step.headers([("grpc-status", "0")], endStream: true)
    private static let textStep = ScriptedGRPCServer.Step.message(ByteBuffer(string: "answer"))

    private static let answers = [
        Answer("whole", [headStep, textStep, okStep], .ok),
        Answer("with an interim head", [.headers([(":status", "103")]), headStep, textStep, okStep], .ok),
        Answer(
            "in another content type of gRPC's",
            [.headers([(":status", "200"), ("content-type", "application/grpc+proto")]), textStep, okStep],
            .ok
        ),
        Answer("without a message", [headStep, okStep], .internal),
        Answer("of two messages", [headStep, textStep, textStep, okStep], .internal),
        Answer("with half a message", [headStep, .data(ByteBuffer(bytes: [0, 0, 0, 0, 9, 1])), okStep], .internal),
        Answer(
            "with a compressed message",
            [headStep, .data(ByteBuffer(bytes: [1, 0, 0, 0, 1, 1])), okStep],
            .unimplemented
        ),
        Answer(
            "with a message that is too long",
            [headStep, .data(ByteBuffer(bytes: [0, 0xFF, 0xFF, 0xFF, 0xFF])), okStep],
            .resourceExhausted
        ),
        Answer("without a status", [headStep, textStep, .headers([("x", "y")], endStream: true)], .unknown),
        Answer("that ends with data", [headStep, textStep, .data(ByteBuffer(), endStream: true)], .unknown),
        Answer("with a code that nobody knows", .status(99), .unknown),
        Answer(
            "with a code that is no number",
            [
                .headers(
                    [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "x")],
                    endStream: true
                )
            ],
            .unknown
        ),
        Answer(
            "of a message and an error",
            [headStep, textStep, .headers([("grpc-status", "8")], endStream: true)],
            .resourceExhausted
        ),
        Answer(
            "of a proxy, with a page",
            [
                .headers([(":status", "502"), ("content-type", "text/html")]),
                .data(ByteBuffer(string: "<html>"), endStream: true),
            ],
            .unavailable
        ),
        .proxy("400", .internal), .proxy("401", .unauthenticated), .proxy("403", .permissionDenied),
        .proxy("404", .unimplemented), .proxy("429", .unavailable), .proxy("503", .unavailable),
        .proxy("418", .unknown), .proxy("200", .unknown),
        Answer("reset as cancelled", [.reset(.cancel)], .cancelled),
        Answer("reset for too many calls", [.reset(.enhanceYourCalm)], .resourceExhausted),
        Answer("reset for bad TLS", [.reset(.inadequateSecurity)], .permissionDenied),
        Answer("reset within", [headStep, textStep, .reset(.internalError)], .internal),
    ]

    @Test("An answer is judged as gRPC's protocol says", arguments: answers.indices)
    func judged(index: Int) async throws {
        let answer = Self.answers[index]
        try await withServer(script: { $0.number == 0 ? answer.steps : .answer($0.message) }) { channel, server in
            let status = await status(channel)
            #expect(status.code == answer.code, "an answer \(answer.name): \(status)")
            // The connection serves on.
            #expect(await self.status(channel) == .ok)
            #expect(server.openedConnections == 1)
        }
    }

    @Test("A status' sentence and details are decoded")
    func details() async throws {
        let script: ScriptedGRPCServer.Script = { _ in .status(8, "zu%20viel%2c %C3%BC%zz%4", details: "CAgSAmhp") }
        try await withServer(script: script) { channel, _ in
            let status = await status(channel)
            #expect(status.message == "zu viel, ü%zz%4")
            #expect(status.details == [8, 8, 18, 2, 104, 105])
        }
    }

    // MARK: Connections

    @Test("Where nobody listens calls fail, and go on when somebody does")
    func unreachable() async throws {
        let placeholder = try await ScriptedGRPCServer.start()
        let port = placeholder.port
        await placeholder.stop()
        var settings = GRPCChannelSettings()
        settings.backoff = Backoff(base: .milliseconds(1), cap: .milliseconds(5))
        let channel = channel(port, settings)
        for _ in 0..<20 { #expect(await status(channel).code == .unavailable) }
        let server = try await ScriptedGRPCServer.start(port: port, script: { .answer($0.message) })
        #expect(await eventually { await status(channel) == .ok })
        #expect(server.openedConnections == 1)
        await channel.close()
        await server.stop()
    }

    @Test("While connecting is not tried anew, no connection is opened")
    func backoff() async throws {
        var settings = GRPCChannelSettings()
        // Full jitter: any wait up to a day, less than this test takes once in many thousand times.
        settings.backoff = Backoff(base: .seconds(86_400), cap: .seconds(86_400))
        settings.connectTimeout = .milliseconds(50)
        try await withServer(.mute, settings: settings) { channel, server in
            for _ in 0..<10 { #expect(await status(channel).code == .unavailable) }
            #expect(server.openedConnections == 1)
        }
    }

    @Test("A server that says nothing is given up after a while, and calls may give up before")
    func mute() async throws {
        var settings = GRPCChannelSettings()
        settings.connectTimeout = .milliseconds(200)
        try await withServer(.mute, settings: settings) { channel, server in
            async let hasty = status(channel, within: .milliseconds(20))
            async let patient = status(channel)
            #expect(await hasty.code == .deadlineExceeded)
            let status = await patient
            #expect(status.code == .unavailable && status.message.contains("too long"), "\(status)")
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("A server that speaks no HTTP/2 fails calls")
    func garbage() async throws {
        let server = try await RawServer.start { _, _ in .send("HTTP/1.1 400 Bad Request\r\n\r\n") }
        let channel = channel(server.port)
        #expect(await status(channel).code == .unavailable)
        await channel.close()
        await server.stop()
    }

    @Test("A name that cannot be resolved fails calls")
    func noName() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = GRPCChannel(host: "no-such-host.invalid", port: 1, group: group)
        let status = await status(channel)
        #expect(status.code == .unavailable && status.message.contains("cannot be resolved"), "\(status)")
        await channel.close()
    }

    @Test("A connection that goes takes its calls with it; the next call has another")
    func lost() async throws {
        try await withServer(script: { $0.number < 2 ? [.hold] : .answer($0.message) }) { channel, server in
            async let first = status(channel)
            async let second = status(channel)
            #expect(await eventually { server.requests.count == 2 })
            await server.closeConnections()
            #expect(await first.code == .unavailable)
            #expect(await second.code == .unavailable)
            #expect(await status(channel) == .ok)
            #expect(server.openedConnections == 2)
        }
    }

    @Test("A call that the server has not looked at is sent again, once", arguments: [false, true])
    func refused(always: Bool) async throws {
        let script: ScriptedGRPCServer.Script = { request in
            always || request.number == 0 ? [.reset(.refusedStream)] : .answer(request.message)
        }
        try await withServer(script: script) { channel, server in
            #expect(await status(channel).code == (always ? .unavailable : .ok))
            #expect(server.requests.count == 2 && server.openedConnections == 1)
        }
    }

    @Test("A call past the last that a closing server looks at is sent again on another connection")
    func goneAway() async throws {
        let script: ScriptedGRPCServer.Script = { request in
            request.number == 0 ? [.goAway(includesThis: false)] : .answer(request.message)
        }
        try await withServer(script: script) { channel, server in
            #expect(await status(channel) == .ok)
            #expect(server.requests.map(\.connection) == [0, 1])
            #expect(await eventually { server.openConnections == 1 })
        }
    }

    @Test("A closing server answers what it has looked at; further calls have another connection")
    func drained() async throws {
        let script: ScriptedGRPCServer.Script = { request in
            switch request.number {
            case 0: [.hold]
            case 1: [.goAway(includesThis: true)] + .answer(request.message)
            default: .answer(request.message)
            }
        }
        try await withServer(script: script) { channel, server in
            async let first = status(channel)
            #expect(await eventually { server.requests.count == 1 })
            #expect(await status(channel) == .ok)
            #expect(server.openedConnections == 1)
            #expect(await status(channel) == .ok)
            #expect(server.openedConnections == 2)
            server.release(.answer(message))
            #expect(await first == .ok)
            #expect(await eventually { server.openConnections == 1 })
        }
    }

    // MARK: Signs of life

    @Test("A server that lets a deadline pass without a sign of life is left")
    func deafAtDeadline() async throws {
        var settings = GRPCChannelSettings()
        settings.pingTimeout = .milliseconds(50)
        try await withServer(.deaf, settings: settings) { channel, server in
            #expect(await status(channel, within: .seconds(1)).code == .deadlineExceeded)
            #expect(await eventually { server.openConnections == 0 })
            #expect(server.openedConnections == 1)
        }
    }

    @Test("A server that is silent while a call waits is asked, and left when it does not answer")
    func deaf() async throws {
        var settings = GRPCChannelSettings()
        settings.pingInterval = .milliseconds(50)
        settings.pingTimeout = .milliseconds(50)
        try await withServer(.deaf, settings: settings) { channel, _ in
            let status = await status(channel, within: .seconds(60))
            #expect(status.code == .unavailable && status.message.contains("no sign of life"), "\(status)")
        }
    }

    @Test("A server that is slow but alive is waited for")
    func slow() async throws {
        var settings = GRPCChannelSettings()
        settings.pingInterval = .milliseconds(5)
        try await withServer(settings: settings) { channel, server in
            async let answer = status(channel, within: .seconds(60))
            #expect(await eventually { server.pings >= 3 })
            server.release(.answer(message))
            #expect(await answer == .ok)
            #expect(server.openedConnections == 1)
        }
    }

    @Test("A connection without calls is closed after a while, and not asked for signs of life before")
    func idle() async throws {
        var settings = GRPCChannelSettings()
        settings.idleTimeout = .milliseconds(100)
        settings.pingInterval = .milliseconds(5000)
        try await withServer(settings: settings, script: { .answer($0.message) }) { channel, server in
            #expect(await status(channel) == .ok)
            #expect(await eventually { server.openConnections == 0 })
            #expect(server.pings == 0)
            #expect(await status(channel) == .ok)
            #expect(server.openedConnections == 2)
        }
    }
}
