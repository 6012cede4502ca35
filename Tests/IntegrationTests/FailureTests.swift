import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

@Suite("When workers and clients fail")
struct FailureTests {
    private static let chat = #"{"model":"sim-model","messages":[{"role":"user","content":"hello"}]}"#
    private static let stream = #"{"model":"sim-model","stream":true,"messages":[{"role":"user","content":"hello"}]}"#

    private func code(_ answer: FetchedResponse) throws -> String? {
        try JSONDocument(answer.body).root["error"]?["code"]?.string
    }

    @Test("A worker that is gone before the first byte is replaced by another", arguments: ["refuse", "reset"])
    func failOver(fault: String) async throws {
        var broken = SimConfig.instant(id: "broken")
        if fault == "reset" { broken.faults = [try Fault("reset")] }
        try await Stack.with(workers: [broken, .instant(id: "good")]) { stack in
            if fault == "refuse" { await stack.workers[0].refuse() }
            for _ in 0..<20 {
                let answer = try await stack.post("/v1/chat/completions", Self.chat)
                #expect(answer.status == .ok)
                #expect(answer.headers["x-sim-worker"] == ["good"])
            }
            let server = "http://127.0.0.1:\(stack.workers[0].port)"
            #expect(stack.registry.value(of: "sextant_worker_failovers_total", labels: ["server": server]) ?? 0 >= 1)
        }
    }

    @Test(
        "A worker that keeps failing is left alone, and asked again after a while",
        arguments: ["refuse", "status=503"]
    )
    func passiveHealth(fault: String) async throws {
        try await Stack.with(workers: [.instant(id: "a"), .instant(id: "b")]) { stack in
            func answerer() async throws -> String? {
                try await stack.post("/v1/chat/completions", Self.chat).headers.first(name: "x-sim-worker")
            }
            if fault == "refuse" {
                await stack.workers[0].refuse()
            } else {
                stack.workers[0].engine.setFaults([try Fault(fault)])
            }
            let before = stack.workers[0].log.entries.count
            for _ in 0..<100 { _ = try await stack.post("/v1/chat/completions", Self.chat) }
            // Five failures eject it; after that only probes, a second and more apart, may have reached it.
            let server = "http://127.0.0.1:\(stack.workers[0].port)"
            let failovers = stack.registry.value(of: "sextant_worker_failovers_total", labels: ["server": server]) ?? 0
            let seen = Double(stack.workers[0].log.entries.count - before)
            #expect(failovers + seen < 20)
            if fault == "refuse" {
                try await stack.workers[0].accept()
            } else {
                stack.workers[0].engine.setFaults([])
            }
            #expect(try await eventually(within: .seconds(60)) { try await answerer() == "a" })
        }
    }

    @Test("When all workers are down the answer is 503 and says so; when they are back they serve")
    func allDown() async throws {
        try await Stack.with { stack in
            for worker in stack.workers { await worker.refuse() }
            for _ in 0..<10 {
                let answer = try await stack.post("/v1/chat/completions", Self.chat)
                #expect(answer.status == .serviceUnavailable)
                #expect(try code(answer) == "no_worker")
                #expect(answer.headers["retry-after"] == ["1"])
            }
            for worker in stack.workers { try await worker.accept() }
            // Ejected or not, they are tried when nobody else is left.
            #expect(try await stack.post("/v1/chat/completions", Self.chat).status == .ok)
        }
    }

    @Test(
        "An error status of a worker is the client's to see, and no reason to ask another",
        arguments: [400, 429, 500, 503]
    )
    func statusPassesThrough(status: Int) async throws {
        var config = SimConfig.instant()
        config.faults = [try Fault("status=\(status)")]
        try await Stack.with(workers: [config, config]) { stack in
            let answer = try await stack.post("/v1/chat/completions", Self.chat)
            #expect(answer.status.code == UInt(status))
            #expect(stack.workers.map { $0.log.entries.count }.reduce(0, +) == 1)
        }
    }

    @Test("A worker that breaks off within a stream: what came arrives, then an error event, then no clean end")
    func brokenStream() async throws {
        var config = SimConfig.instant()
        config.outputTokens = 10
        config.faults = [try Fault("reset-mid-stream=3")]
        try await Stack.with(workers: [config, config]) { stack in
            let client = try await RawConnection.connect(port: stack.port)
            let request =
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: \(Self.stream.utf8.count)\r\n\r\n\(Self.stream)"
            try await client.send(request)
            let text = await client.textUntilClosed()
            #expect(text.hasPrefix("HTTP/1.1 200 OK"))
            #expect(text.contains("data: {\"id\""))
            #expect(text.contains(#"data: {"error":{"message":"The worker broke off"#))
            #expect(!text.contains("[DONE]") && !text.hasSuffix("0\r\n\r\n"))
            let requests = stack.workers.map { $0.log.entries.count }.reduce(0, +)
            #expect(requests == 1, "what has begun is not begun again elsewhere")
            await client.close()
        }
    }

    @Test("A request that breaks each worker it meets is sent again once, not to all of them")
    func queryOfDeath() async throws {
        var config = SimConfig.instant()
        config.faults = [try Fault("reset")]
        try await Stack.with(workers: [config, config, config, config]) { stack in
            let answer = try await stack.post("/v1/chat/completions", Self.chat)
            #expect(answer.status == .badGateway)
            #expect(try code(answer) == "worker_unavailable")
            #expect(stack.workers.map { $0.log.entries.count }.reduce(0, +) == 2)
        }
    }

    @Test("Workers that cannot be reached are passed over, however many they are")
    func mostAreDown() async throws {
        try await Stack.with(workers: [.instant(id: "1"), .instant(id: "2"), .instant(id: "3"), .instant(id: "4")]) {
            stack in
            for worker in stack.workers.dropFirst() { await worker.refuse() }
            for _ in 0..<4 {
                let answer = try await stack.post("/v1/chat/completions", Self.chat)
                #expect(answer.headers["x-sim-worker"] == ["1"])
            }
        }
    }

    @Test("A worker that says nothing is given up at the deadline")
    func hang() async throws {
        var config = SimConfig.instant()
        config.faults = [try Fault("hang")]
        let options: (inout ServeOptions) -> Void = { $0.responseTimeout = .milliseconds(300) }
        try await Stack.with(workers: [config], options: options) { stack in
            let answer = try await stack.post("/v1/chat/completions", Self.chat)
            #expect(answer.status == .gatewayTimeout)
            #expect(try code(answer) == "worker_timeout")
            #expect(await eventually { stack.workers[0].log.entries.first?.outcome == .cancelled })
        }
    }

    @Test("A client that goes away stops its worker, and nothing stays behind", arguments: [chat, stream])
    func clientGone(body: String) async throws {
        var config = SimConfig()
        config.interTokenLatency = .seconds(3600)
        try await Stack.with(workers: [config]) { stack in
            let client = try await RawConnection.connect(port: stack.port)
            try await client.send(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            )
            #expect(await eventually { stack.workers[0].log.entries.count == 1 })
            await client.close()
            #expect(await eventually { stack.workers[0].log.entries.first?.outcome == .cancelled })
            let server = "http://127.0.0.1:\(stack.workers[0].port)"
            #expect(
                await eventually {
                    stack.registry.value(of: "vllm:num_requests_running", labels: ["server": server]) == 0
                }
            )
        }
    }

    @Test("A client that reads slowly holds its worker back; others are served meanwhile")
    func slowClient() async throws {
        var config = SimConfig.instant()
        config.maxModelTokens = 10_000_000
        config.blockCount = 1_000_000
        try await Stack.with(workers: [config]) { stack in
            let client = try await RawConnection.connect(port: stack.port, reads: false)
            let body =
                #"{"model":"sim-model","stream":true,"max_tokens":400000,"messages":[{"role":"user","content":"x"}]}"#
            try await client.send(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
            )
            #expect(await eventually { stack.workers[0].log.entries.count == 1 })
            for _ in 0..<10 {
                #expect(try await stack.post("/v1/chat/completions", Self.chat).status == .ok)
            }
            // The router has not read the answer to its end: it holds no more of it than the sockets do.
            let server = "http://127.0.0.1:\(stack.workers[0].port)"
            #expect(
                await eventually {
                    stack.registry.value(of: "vllm:num_requests_running", labels: ["server": server]) == 1
                }
            )
            try await client.startReading()
            let text = await client.text(within: .seconds(60)) { $0.hasSuffix("0\r\n\r\n") }
            #expect(text.hasSuffix("0\r\n\r\n") && text.contains("[DONE]"))
            await client.close()
        }
    }

    @Test("Draining lets a stream complete")
    func draining() async throws {
        var config = SimConfig()
        config.interTokenLatency = .milliseconds(20)
        config.outputTokens = 20
        let client = Box<RawConnection?>(nil)
        try await Stack.with(workers: [config], options: { $0.drainTimeout = .seconds(20) }) { stack in
            let connection = try await RawConnection.connect(port: stack.port)
            try await connection.send(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: \(Self.stream.utf8.count)\r\n\r\n\(Self.stream)"
            )
            #expect(await connection.text { $0.contains("data: ") }.contains("data: "))
            client.value = connection
        }
        // The stack has been shut down by now, and waited for the answer.
        let connection = try #require(client.value)
        #expect(await connection.text { $0.hasSuffix("0\r\n\r\n") }.contains("[DONE]"))
        await connection.close()
    }

    private final class Box<Value> {
        var value: Value
        init(_ value: Value) { self.value = value }
    }
}
