import GRPCTransport
import NIOCore
import NIOHTTP2
import TestSupport
import Testing

@Suite("gRPC calls over real sockets")
struct GRPCCallTests {
    @Test("A unary call is answered by head, message and trailers")
    func unary() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.unary)
                call.send("hello", endStream: true)
                let outcome = await call.outcome()
                #expect(outcome.status == "200")
                #expect(outcome.head["content-type"] == "application/grpc")
                #expect(outcome.messages == [ByteBuffer(string: "hello")])
                #expect(outcome.code == 0)
                #expect(outcome.message == nil)
                #expect(outcome.trailers[":status"] == nil)
                #expect(outcome.reset == nil)
            }
        }
    }

    @Test("Messages of a streaming call are answered one by one and in order")
    func streaming() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.echo)
                for number in 0..<50 {
                    call.send("\(number)")
                    #expect(await call.text() == "\(number)")
                }
                for number in 0..<200 { call.send("burst \(number)") }
                for number in 0..<200 {
                    #expect(await call.text() == "burst \(number)")
                }
                call.halfClose()
                #expect(await call.outcome().code == 0)
            }
        }
    }

    @Test("Two thousand calls at once on one connection do not mix")
    func manyCalls() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let calls = (0..<2000).map { _ in client.open(TestServer.echo) }
                for (number, call) in calls.enumerated() { call.send("one \(number)") }
                for (number, call) in calls.enumerated().reversed() { call.send("two \(number)", endStream: true) }
                for (number, call) in calls.enumerated() {
                    let outcome = await call.outcome()
                    #expect(outcome.messages.map { String(buffer: $0) } == ["one \(number)", "two \(number)"])
                    #expect(outcome.code == 0)
                }
                #expect(await eventually { server.server.callCount == 0 })
            }
        }
    }

    @Test("Many connections at once")
    func manyConnections() async throws {
        try await TestServer.run { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for connection in 0..<50 {
                    group.addTask {
                        try await server.client { client in
                            for number in 0..<20 {
                                let call = client.open(TestServer.unary)
                                call.send("\(connection) \(number)", endStream: true)
                                #expect(await call.text() == "\(connection) \(number)")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("A message is taken whole, however it is cut into frames")
    func cutFrames() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let text = String(repeating: "cut", count: 30)
                let bytes = ByteBuffer(bytes: HTTP2Bytes.message(text) + HTTP2Bytes.message("next"))
                for size in [1, 2, 3, 4, 5, 6, 7, 50, 95, 96] {
                    let call = client.open(TestServer.echo)
                    var rest = bytes
                    while rest.readableBytes > 0 {
                        let count = min(size, rest.readableBytes)
                        let piece = rest.readSlice(length: count)
                        call.sendData(try #require(piece), endStream: rest.readableBytes == 0)
                    }
                    let outcome = await call.outcome()
                    #expect(outcome.messages.map { String(buffer: $0) } == [text, "next"], "pieces of \(size)")
                    #expect(outcome.code == 0)
                }
            }
        }
    }

    @Test("Empty messages are messages")
    func emptyMessages() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.echo)
                for _ in 0..<1000 { call.send("") }
                call.halfClose()
                let outcome = await call.outcome()
                #expect(outcome.messages == Array(repeating: ByteBuffer(), count: 1000))
                #expect(outcome.code == 0)
            }
        }
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var path = TestServer.echo
        var headers: [(String, String)] = []
        var status = "200"
        var code: Int?
    }

    @Test(
        "What is no call of ours is refused as gRPC says, and the connection goes on",
        arguments: [
            Refusal(testDescription: "unknown method", path: "/test.Test/Nothing", code: 12),
            Refusal(testDescription: "unknown service", path: "/", code: 12),
            Refusal(testDescription: "GET", headers: [(":method", "GET")], status: "405"),
            Refusal(testDescription: "PUT", headers: [(":method", "PUT")], status: "405"),
            Refusal(testDescription: "JSON", headers: [("content-type", "application/json")], status: "415"),
            Refusal(testDescription: "gRPC-Web", headers: [("content-type", "application/grpc-web")], status: "415"),
            Refusal(testDescription: "longer", headers: [("content-type", "application/grpcx")], status: "415"),
        ],
        [false, true]
    )
    func refusals(refusal: Refusal, endStream: Bool) async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(refusal.path, headers: refusal.headers, endStream: endStream)
                if !endStream { call.send("what is sent to a method that is not there") }
                let outcome = await call.outcome()
                #expect(outcome.status == refusal.status)
                #expect(outcome.code == refusal.code)
                #expect(outcome.hasEnded)
                let next = client.open(TestServer.unary)
                next.send("next")
                #expect(await next.outcome().code == 0)
                #expect(server.tally.counts.begun == 1)
            }
        }
    }

    @Test("Formats and parameters of gRPC's content type are accepted", arguments: ["+proto", "; charset=utf-8"])
    func contentTypes(suffix: String) async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.unary, headers: [("content-type", "application/grpc" + suffix)])
                call.send("hello")
                #expect(await call.outcome().code == 0)
            }
        }
    }

    @Test("A client that uploads to what was refused is asked to stop")
    func uploadAfterRefusal() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open("/test.Test/Nothing")
                call.sendData(ByteBuffer(repeating: 1, count: 20 << 20))
                #expect(await call.wait { $0.reset != nil })
                let outcome = await call.now()
                #expect(outcome.code == 12)
                #expect(outcome.reset == .noError)
                #expect(await server.answers())
            }
        }
    }

    @Test(
        "A status travels with its text",
        arguments: [
            ("0", 0, nil), ("3 bad thing", 3, "bad thing"), ("8 100% ü\n", 8, "100%25 %C3%BC%0A"),
            ("14 later", 14, "later"),
        ]
    )
    func statuses(message: String, code: Int, text: String?) async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.status)
                call.send(message, endStream: true)
                let outcome = await call.outcome()
                #expect(outcome.code == code)
                if let text { #expect(outcome.message == text) }
                #expect(outcome.status == "200")
                #expect(outcome.head["content-type"] == "application/grpc")
            }
        }
    }

    @Test("An end before any message reaches the handler", arguments: ["head", "data", "trailers"])
    func halfCloseFirst(how: String) async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.echo, endStream: how == "head")
                if how == "data" { call.halfClose() }
                if how == "trailers" { call.sendTrailers() }
                let outcome = await call.outcome()
                #expect(outcome.code == 0)
                #expect(outcome.messages.isEmpty)
                #expect(server.tally.counts.halfClosed == 1)
            }
        }
    }

    @Test("A stream that ends within a message is an error", arguments: ["data", "empty data", "trailers", "prefix"])
    func endWithinMessage(how: String) async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.echo)
                let bytes: [UInt8] = how == "prefix" ? [0, 0] : [0, 0, 0, 0, 9, 1, 2]
                call.sendData(ByteBuffer(bytes: bytes), endStream: how == "data" || how == "prefix")
                if how == "empty data" { call.halfClose() }
                if how == "trailers" { call.sendTrailers() }
                let outcome = await call.outcome()
                #expect(outcome.code == 13)
                #expect(server.tally.counts.halfClosed == 0)
                #expect(server.tally.counts.messages == 0)
            }
        }
    }

    @Test("A compressed message is unimplemented, and the connection goes on", arguments: [(1, 12), (7, 13)])
    func badPrefix(flag: UInt8, code: Int) async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.echo)
                call.sendData(ByteBuffer(bytes: [flag, 0, 0, 0, 1, 1]))
                #expect(await call.outcome().code == code)
                let next = client.open(TestServer.unary)
                next.send("next")
                #expect(await next.outcome().code == 0)
            }
        }
    }

    @Test(
        "A handler may end its call wherever it is, more than once",
        arguments: [
            (TestServer.endsAtOnce, 5, 0), (TestServer.unary, 0, 1), (TestServer.later, 0, 1),
            (TestServer.twice, 0, 1), (TestServer.echo, 0, 1),
        ]
    )
    func ends(path: String, code: Int, messages: Int) async throws {
        try await TestServer.run { server in
            try await server.client { client in
                for isClosed in [false, true] {
                    let call = client.open(path)
                    call.send("message", endStream: isClosed)
                    if !isClosed, path == TestServer.echo { call.halfClose() }
                    let outcome = await call.outcome()
                    #expect(outcome.code == code)
                    #expect(outcome.messages == Array(repeating: ByteBuffer(string: "message"), count: messages))
                }
                #expect(await eventually { server.tally.counts.ended == 2 })
            }
        }
    }

    @Test("What a handler sends while it is made comes first, and at once")
    func greets() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.greets)
                #expect(await call.text() == "hello")
                #expect(await call.text() == "there")
                call.halfClose()
                #expect(await call.outcome().code == 0)
            }
        }
    }

    @Test("A call that the client resets ends at once, wherever it is", arguments: ["before", "within", "after"])
    func reset(when: String) async throws {
        try await TestServer.run { server in
            try await server.client { client in
                let call = client.open(TestServer.echo)
                if when == "within" { call.sendData(ByteBuffer(bytes: [0, 0, 0, 0, 9, 1])) }
                if when == "after" {
                    call.send("message")
                    #expect(await call.text() == "message")
                }
                #expect(await eventually { server.server.callCount == 1 })
                call.reset()
                #expect(await eventually { server.tally.counts.ended == 1 && server.server.callCount == 0 })
                let next = client.open(TestServer.unary)
                next.send("next")
                #expect(await next.outcome().code == 0)
            }
        }
    }

    @Test("A lost connection ends all its calls")
    func lostConnection() async throws {
        try await TestServer.run { server in
            let client = try await GRPCClient.connect(port: server.port)
            for number in 0..<100 { client.open(number % 2 == 0 ? TestServer.hold : TestServer.echo).send("m") }
            #expect(await eventually { server.server.callCount == 100 })
            await client.close()
            #expect(await eventually { server.tally.counts.ended == 100 && server.server.callCount == 0 })
            #expect(await eventually { server.server.connectionCount == 0 })
        }
    }

    @Test("A handler that ends its call within the message that the connection dies on")
    func laterThanTheConnection() async throws {
        try await TestServer.run { server in
            for _ in 0..<50 {
                let client = try await GRPCClient.connect(port: server.port)
                let call = client.open(TestServer.later)
                call.send("late")
                await client.close()
            }
            #expect(await eventually { server.server.connectionCount == 0 })
        }
    }

    @Test("Twenty thousand calls on one connection, each ended by the client's reset, as Envoy ends them")
    func envoyResets() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                for number in 0..<20_000 {
                    let call = client.open(number % 2 == 0 ? TestServer.unary : TestServer.echo)
                    call.send("m")
                    let answer = await call.message()
                    #expect(answer != nil)
                    if answer == nil { return }
                    // Both of Envoy's ways: with and without the stream's end before the reset.
                    if number % 3 == 0 { call.halfClose() }
                    call.reset(.internalError)
                    call.forget()
                }
                #expect(await eventually { server.server.callCount == 0 })
                #expect(await client.state().goAways.isEmpty)
                #expect(server.tally.counts.begun == 20_000)
            }
        }
    }

    @Test("Five thousand calls reset at once, again and again")
    func resetsAtOnce() async throws {
        try await TestServer.run { server in
            try await server.client { client in
                for _ in 0..<4 {
                    let calls = (0..<5000).map { _ in client.open(TestServer.hold) }
                    #expect(await eventually { server.server.callCount == 5000 })
                    for call in calls { call.reset(.internalError) }
                    #expect(await eventually { server.server.callCount == 0 })
                }
                let call = client.open(TestServer.unary)
                call.send("alive")
                #expect(await call.outcome().code == 0)
            }
        }
    }
}
