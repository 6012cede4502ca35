import GRPCTransport
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing
import Transport

/// What the handlers of a server have lived through.
final class Tally: Sendable {
    private let values = Mutex(Counts())

    struct Counts {
        var begun = 0
        var ended = 0
        var closing = 0
        var messages = 0
        var halfClosed = 0
        /// Handlers that exist.
        var alive = 0
    }

    var counts: Counts { values.withLock { $0 } }
    func note(_ change: (inout Counts) -> Void) { values.withLock { change(&$0) } }
}

/// A method whose handlers do what closures say.
struct TestMethod: GRPCMethod {
    let path: String
    let tally: Tally
    let script: @Sendable () -> Script

    /// What a handler does, beside counting.
    struct Script {
        var begin: (GRPCServerCall) -> Void = { _ in }
        var message: (GRPCServerCall, ByteBuffer) -> Void = { _, _ in }
        var end: (GRPCServerCall) -> Void = { $0.finish(.ok) }
        var closing: (GRPCServerCall) -> Void = { _ in }
    }

    func begin(_ call: GRPCServerCall) -> any GRPCCallHandler {
        let handler = Handler(call: call, tally: tally, script: script())
        handler.begin()
        return handler
    }

    private final class Handler: GRPCCallHandler {
        private let call: GRPCServerCall
        private let tally: Tally
        private let script: Script

        init(call: GRPCServerCall, tally: Tally, script: Script) {
            self.call = call
            self.tally = tally
            self.script = script
            tally.note {
                $0.begun += 1
                $0.alive += 1
            }
        }

        deinit { tally.note { $0.alive -= 1 } }

        func begin() { script.begin(call) }

        func receive(_ message: ByteBuffer) {
            tally.note { $0.messages += 1 }
            script.message(call, message)
        }

        func receiveEnd() {
            tally.note { $0.halfClosed += 1 }
            script.end(call)
        }

        func ended() {
            tally.note { $0.ended += 1 }
            #expect(!call.isOpen)
            // What comes too late is let go of.
            call.send { $0.writeString("too late") }
            call.finish(GRPCStatus(.internal, "too late"))
        }

        func serverIsClosing() {
            tally.note { $0.closing += 1 }
            script.closing(call)
        }
    }
}

extension GRPCServerCall {
    func send(_ message: ByteBuffer) {
        send { $0.writeImmutableBuffer(message) }
    }

    func send(_ text: String) {
        send { $0.writeString(text) }
    }

    /// Runs `body` in a later turn of the call's event loop, from another thread.
    func later(_ body: @escaping (GRPCServerCall) -> Void) {
        guard let eventLoop else { return }
        let bound = NIOLoopBound((call: self, body: body), eventLoop: eventLoop)
        Task { eventLoop.execute { bound.value.body(bound.value.call) } }
    }
}

/// A server with the methods that the tests call.
struct TestServer {
    let server: GRPCServer
    let tally: Tally
    let budget: ByteBudget

    var port: Int { server.port }

    /// Every message comes back; the client's end ends the call.
    static let echo = "/test.Test/Echo"
    /// Answers its first message with it, and ends.
    static let unary = "/test.Test/Unary"
    /// Says nothing until the server closes; then ends as unavailable.
    static let hold = "/test.Test/Hold"
    /// Says nothing, whatever comes.
    static let ignore = "/test.Test/Ignore"
    /// As `unary`, but from a later turn of the loop.
    static let later = "/test.Test/Later"
    /// Answers "n" with a message of n bytes.
    static let sized = "/test.Test/Sized"
    /// Ends with the status that the message names, and the rest of the message as its text.
    static let status = "/test.Test/Status"
    /// Ends while it is made.
    static let endsAtOnce = "/test.Test/EndsAtOnce"
    /// Sends two messages while it is made.
    static let greets = "/test.Test/Greets"
    /// Ends twice, sends after the end.
    static let twice = "/test.Test/Twice"

    private static func methods(_ tally: Tally) -> [TestMethod] {
        func method(_ path: String, _ script: @escaping @Sendable () -> TestMethod.Script) -> TestMethod {
            TestMethod(path: path, tally: tally, script: script)
        }
        return [
            method(echo) { .init(message: { $0.send($1) }) },
            method(unary) {
                .init(message: { call, message in
                    call.send(message)
                    call.finish(.ok)
                })
            },
            method(hold) { .init(closing: { $0.finish(GRPCStatus(.unavailable, "closing")) }) },
            method(ignore) { .init(end: { _ in }) },
            method(later) {
                .init(
                    message: { call, message in
                        call.later {
                            $0.send(message)
                            $0.finish(.ok)
                        }
                    },
                    end: { _ in }
                )
            },
            method(sized) {
                .init(message: { call, message in
                    let count = Int(String(buffer: message)) ?? 0
                    call.send { $0.writeRepeatingByte(UInt8(ascii: "s"), count: count) }
                })
            },
            method(status) {
                .init(message: { call, message in
                    let parts = String(buffer: message).split(separator: " ", maxSplits: 1)
                    let code = parts.first.flatMap { Int($0) }.flatMap(GRPCStatus.Code.init(rawValue:))
                    call.finish(GRPCStatus(code ?? .unknown, String(parts.last ?? "")))
                })
            },
            method(endsAtOnce) { .init(begin: { $0.finish(GRPCStatus(.notFound, "at once")) }) },
            method(greets) {
                .init(begin: { call in
                    call.send("hello")
                    call.send("there")
                })
            },
            method(twice) {
                .init(message: { call, message in
                    call.send(message)
                    call.finish(.ok)
                    call.send("more")
                    call.finish(GRPCStatus(.internal, "again"))
                })
            },
        ]
    }

    /// Runs `body` against a server of its own, then sees that nothing is left of it: every call that began has ended
    /// once, no handler is alive, no memory is held, no connection is open.
    static func run(
        _ settings: GRPCServerSettings = GRPCServerSettings(),
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let tally = Tally()
        let budget = ByteBudget(limit: settings.maxBufferedBytes)
        let server = try await GRPCServer.start(
            host: "127.0.0.1",
            port: 0,
            settings: settings,
            budget: budget,
            group: MultiThreadedEventLoopGroup.singleton,
            methods: methods(tally)
        )
        let result: Result<Void, any Error>
        do {
            try await body(TestServer(server: server, tally: tally, budget: budget))
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.shutdown(within: .zero)
        _ = await eventually {
            server.connectionCount == 0 && server.callCount == 0 && tally.counts.alive == 0 && budget.used == 0
        }
        #expect(server.connectionCount == 0, sourceLocation: sourceLocation)
        #expect(server.callCount == 0, sourceLocation: sourceLocation)
        #expect(budget.used == 0, sourceLocation: sourceLocation)
        let counts = tally.counts
        #expect(counts.alive == 0, sourceLocation: sourceLocation)
        #expect(counts.ended == counts.begun, sourceLocation: sourceLocation)
        try result.get()
    }

    /// Whether the server still answers, on a connection of its own.
    func answers(_ tls: TLSSettings? = nil) async -> Bool {
        var settings = GRPCClient.Settings()
        settings.tls = tls
        guard let client = try? await GRPCClient.connect(port: port, settings: settings) else { return false }
        let call = client.open(Self.unary)
        call.send("alive")
        let outcome = await call.outcome()
        await client.close()
        return outcome.code == 0 && outcome.messages == [ByteBuffer(string: "alive")]
    }

    /// Runs `body` with a client, and closes the client.
    func client(
        _ settings: GRPCClient.Settings = GRPCClient.Settings(),
        _ body: (GRPCClient) async throws -> Void
    ) async throws {
        let client = try await GRPCClient.connect(port: port, settings: settings)
        do {
            try await body(client)
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }
}
