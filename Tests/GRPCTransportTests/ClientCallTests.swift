import GRPCTransport
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing
import Transport

/// A method of our own server, whose answer is a closure's.
private struct Method: GRPCMethod {
    let path = "/test.Service/Do"
    /// Nil for no answer yet.
    let answer: @Sendable (ByteBuffer) -> Result<ByteBuffer, GRPCStatus>?
    var ended: @Sendable () -> Void = {}
    /// Is handed what answers a call that had no answer yet.
    var hold: @Sendable (@escaping @Sendable () -> Void) -> Void = { _ in }

    func begin(_ call: GRPCServerCall) -> any GRPCCallHandler { Handler(call: call, method: self) }

    private final class Handler: GRPCCallHandler {
        private let call: GRPCServerCall
        private let method: Method
        private var message: ByteBuffer?

        init(call: GRPCServerCall, method: Method) {
            self.call = call
            self.method = method
        }

        func receive(_ message: ByteBuffer) { self.message = message }

        func receiveEnd() {
            guard let message, let loop = call.eventLoop else { return }
            switch method.answer(message) {
            case .success(let answer):
                call.send { $0.writeImmutableBuffer(answer) }
                call.finish(.ok)
            case .failure(let status):
                call.finish(status)
            case nil:
                let bound = NIOLoopBound(call, eventLoop: loop)
                method.hold {
                    loop.execute {
                        bound.value.send { $0.writeString("held") }
                        bound.value.finish(.ok)
                    }
                }
            }
        }

        func ended() { method.ended() }
        func serverIsClosing() {}
    }
}

@Suite("gRPC client and our own server")
struct ClientCallTests {
    private static let group = MultiThreadedEventLoopGroup.singleton
    private static let path = "/test.Service/Do"
    private let text = ByteBuffer(string: "x")
    private let empty = ByteBuffer()

    private func start(_ method: Method, port: Int = 0, _ settings: GRPCServerSettings = GRPCServerSettings())
        async throws -> GRPCServer
    {
        try await GRPCServer.start(
            host: "127.0.0.1",
            port: port,
            settings: settings,
            group: Self.group,
            methods: [method]
        )
    }

    private func withServer(
        _ method: Method = Method { .success($0) },
        _ settings: GRPCServerSettings = GRPCServerSettings(),
        client: GRPCChannelSettings = GRPCChannelSettings(),
        host: String = "127.0.0.1",
        _ body: (GRPCChannel, GRPCServer) async throws -> Void
    ) async throws {
        let server = try await start(method, settings)
        let channel = GRPCChannel(host: host, port: server.port, settings: client, group: Self.group)
        let result: Result<Void, any Error>
        do {
            try await body(channel, server)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await channel.close()
        await server.shutdown(within: .zero)
        try result.get()
    }

    private func outcome(
        _ channel: GRPCChannel,
        _ message: ByteBuffer,
        path: String = path,
        within timeout: Duration = .seconds(20)
    ) async -> GRPCStatus {
        do throws(GRPCStatus) {
            _ = try await channel.call(path, message, within: timeout)
            return .ok
        } catch {
            return error
        }
    }

    @Test("A message and its answer cross, of any size", arguments: [0, 1, 16_384, 65_535, 65_536, 3_500_000])
    func echo(bytes: Int) async throws {
        try await withServer { channel, server in
            let message = ByteBuffer(repeating: 7, count: bytes)
            for _ in 0..<3 {
                let answer = try await channel.call(Self.path, message, within: .seconds(20))
                #expect(answer == message)
            }
            #expect(server.connectionCount == 1)
        }
    }

    @Test("Calls at once share one connection and get their own answers")
    func concurrency() async throws {
        try await withServer { channel, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<200 {
                    group.addTask {
                        let message = ByteBuffer(integer: index)
                        let answer = try await channel.call(Self.path, message, within: .seconds(20))
                        #expect(answer == message)
                    }
                }
                try await group.waitForAll()
            }
            #expect(server.connectionCount == 1)
        }
    }

    @Test(
        "A status comes with its code and its sentence",
        arguments: [
            GRPCStatus(.invalidArgument, "no"), GRPCStatus(.unavailable, "100 % \"voll\", für heute"),
            GRPCStatus(.resourceExhausted), GRPCStatus(.unauthenticated, "who?"),
        ]
    )
    func statuses(status: GRPCStatus) async throws {
        try await withServer(Method { _ in .failure(status) }) { channel, _ in
            #expect(await outcome(channel, text) == status)
        }
    }

    @Test("A method that is not there is unimplemented")
    func noMethod() async throws {
        try await withServer { channel, _ in
            #expect(await outcome(channel, text, path: "/test.Service/Other").code == .unimplemented)
        }
    }

    /// Answers what is not empty; counts calls that are over.
    private func patientMethod(_ ended: Counter) -> Method {
        Method(answer: { $0.readableBytes == 0 ? nil : .success($0) }, ended: { ended.increment() })
    }

    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)
        var count: Int { value.load(ordering: .relaxed) }
        func increment() { value.add(1, ordering: .relaxed) }
    }

    @Test("A call whose deadline passes ends, the server hears of it, and the connection stays")
    func deadline() async throws {
        let ended = Counter()
        try await withServer(patientMethod(ended)) { channel, server in
            #expect(await outcome(channel, text) == .ok)
            #expect(await outcome(channel, empty, within: .milliseconds(50)).code == .deadlineExceeded)
            #expect(await eventually { ended.count == 2 && server.callCount == 0 })
            #expect(await outcome(channel, text) == .ok)
            #expect(server.connectionCount == 1)
        }
    }

    @Test("A call whose task is cancelled ends, and the server hears of it")
    func cancellation() async throws {
        let ended = Counter()
        try await withServer(patientMethod(ended)) { channel, server in
            let call = Task { await outcome(channel, empty, within: .seconds(600)) }
            #expect(await eventually { server.callCount == 1 })
            call.cancel()
            #expect(await call.value.code == .cancelled)
            #expect(await eventually { ended.count == 1 && server.callCount == 0 })
            #expect(await outcome(channel, text) == .ok)
        }
    }

    @Test("A call of a task that was cancelled before ends")
    func cancelledBefore() async throws {
        try await withServer(patientMethod(Counter())) { channel, _ in
            let call = Task {
                while !Task.isCancelled { await Task.yield() }
                return await outcome(channel, empty, within: .seconds(600))
            }
            call.cancel()
            #expect(await call.value.code == .cancelled)
        }
    }

    @Test("Calls over the bound are refused, and taken again when others are over")
    func bound() async throws {
        var settings = GRPCChannelSettings()
        settings.maxCalls = 2
        try await withServer(patientMethod(Counter()), client: settings) { channel, server in
            let waiting = (0..<2).map { _ in Task { await outcome(channel, empty, within: .seconds(600)) } }
            #expect(await eventually { server.callCount == 2 })
            #expect(await outcome(channel, text).code == .resourceExhausted)
            waiting[0].cancel()
            #expect(await waiting[0].value.code == .cancelled)
            #expect(await outcome(channel, text) == .ok)
            waiting[1].cancel()
            #expect(await waiting[1].value.code == .cancelled)
        }
    }

    @Test("An answer over the limit is not kept")
    func tooLarge() async throws {
        var settings = GRPCChannelSettings()
        settings.maxMessageBytes = 1000
        try await withServer(client: settings) { channel, server in
            #expect(await outcome(channel, ByteBuffer(repeating: 1, count: 1000)) == .ok)
            #expect(await outcome(channel, ByteBuffer(repeating: 1, count: 1001)).code == .resourceExhausted)
            #expect(await outcome(channel, ByteBuffer(repeating: 1, count: 1000)) == .ok)
            #expect(server.connectionCount == 1)
        }
    }

    @Test("A server that shuts down answers the call under way; the next call has another connection")
    func shutdown() async throws {
        let held = Mutex<[@Sendable () -> Void]>([])
        let first = try await start(
            Method(answer: { _ in nil }, hold: { answer in held.withLock { $0.append(answer) } })
        )
        let channel = GRPCChannel(host: "127.0.0.1", port: first.port, group: Self.group)
        let call = Task { try await channel.call(Self.path, text, within: .seconds(600)) }
        #expect(await eventually { held.withLock { $0.count } == 1 })
        let stopping = Task { await first.shutdown(within: .seconds(60)) }
        // The port is free as soon as the server has stopped to accept.
        var found: GRPCServer?
        _ = await eventually {
            found = try? await start(Method { .success($0) }, port: first.port)
            return found != nil
        }
        let second = try #require(found)
        for answer in held.withLock({ $0 }) { answer() }
        let answer = try await call.value
        #expect(String(buffer: answer) == "held")
        #expect(await stopping.value == 0)
        #expect(await outcome(channel, text) == .ok)
        #expect(second.connectionCount == 1)
        await channel.close()
        await second.shutdown(within: .zero)
    }

    @Test("After close, calls fail, and those under way have failed")
    func close() async throws {
        try await withServer(patientMethod(Counter())) { channel, server in
            let call = Task { await outcome(channel, empty, within: .seconds(600)) }
            #expect(await eventually { server.callCount == 1 })
            await channel.close()
            #expect(await call.value.code == .unavailable)
            #expect(await outcome(channel, text).code == .unavailable)
            #expect(await eventually { server.connectionCount == 0 })
        }
    }

    // MARK: TLS

    private func tlsServer() throws -> GRPCServerSettings {
        var settings = GRPCServerSettings()
        let tls = try TLSSettings.server(
            certificateFile: TestCertificates.server,
            keyFile: TestCertificates.serverKey,
            protocols: [.http2]
        )
        settings.tls = { tls }
        return settings
    }

    private func tlsClient(
        authority: String?,
        _ protocols: [TLSSettings.ApplicationProtocol] = [.http2]
    ) throws -> GRPCChannelSettings {
        var settings = GRPCChannelSettings()
        let tls = try TLSSettings.client(authorityFile: authority, protocols: protocols)
        settings.tls = { tls }
        return settings
    }

    @Test("Calls cross TLS, by name and by address", arguments: ["localhost", "127.0.0.1"])
    func tls(host: String) async throws {
        let client = try tlsClient(authority: TestCertificates.authority)
        try await withServer(Method { .success($0) }, tlsServer(), client: client, host: host) { channel, server in
            let message = ByteBuffer(repeating: 3, count: 200_000)
            for _ in 0..<3 {
                let answer = try await channel.call(Self.path, message, within: .seconds(20))
                #expect(answer == message)
            }
            #expect(server.connectionCount == 1)
        }
    }

    @Test("A certificate of an unknown authority is refused, and the reason is said")
    func unknownAuthority() async throws {
        let client = try tlsClient(authority: nil)
        try await withServer(Method { .success($0) }, tlsServer(), client: client, host: "localhost") { channel, _ in
            let status = await outcome(channel, text)
            #expect(status.code == .unavailable)
            #expect(status.message.contains("CERTIFICATE_VERIFY_FAILED"), "\(status.message)")
        }
    }

    @Test("A server that agrees on no HTTP/2 is refused")
    func noHTTP2() async throws {
        let client = try tlsClient(authority: TestCertificates.authority, [])
        try await withServer(Method { .success($0) }, tlsServer(), client: client, host: "localhost") { channel, _ in
            let status = await outcome(channel, text)
            #expect(status.code == .unavailable)
            #expect(status.message.contains("does not speak HTTP/2"), "\(status.message)")
        }
    }
}
