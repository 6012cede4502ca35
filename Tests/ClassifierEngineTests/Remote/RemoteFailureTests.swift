import ClassifierEngine
import HTTPTransport
import NIOCore
import NIOPosix
import Resilience
import Synchronization
import TestSupport
import Testing
import Transport

@Suite("Models that a worker serves, against workers that misbehave", .timeLimit(.minutes(1)))
struct RemoteFailureTests {
    private static let good = httpAnswer(200, #"{"data":[{"index":0,"embedding":[1,0.5]}]}"#)

    @Test("A status that says the worker is unwell opens the breaker", arguments: [429, 500, 502, 503, 529])
    func unwell(status: Int) async throws {
        try await RemoteBench.with(script: { _, _ in .send(httpAnswer(status, "{}")) }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            for _ in 0..<2 {
                let error = await failure { _ = try await embedder.embed("text", by: farAway) }
                #expect(error == (status == 429 ? .overloaded : .failed("the worker answered with status \(status)")))
            }
            #expect(bench.count(status == 429 ? "throttled" : "server_error") == 2)
            #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == .unavailable)
            // Read to their ends, the answers leave a connection that is used again.
            #expect(server.requests.count == 2 && server.openedConnections == 1)
        }
    }

    @Test("A status that says the request is wrong opens nothing", arguments: [204, 302, 400, 401, 404, 422])
    func rejected(status: Int) async throws {
        try await RemoteBench.with(script: { _, _ in .send(httpAnswer(status, "")) }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            for _ in 0..<5 {
                let error = await failure { _ = try await embedder.embed("text", by: farAway) }
                #expect(error == .failed("the worker answered with status \(status)"))
            }
            #expect(bench.count("rejected") == 5 && bench.shows(.closed))
        }
    }

    @Test(
        "An embedding that is not what was asked for is an error, and the worker's failure",
        arguments: [
            "", "no JSON", "{}", "[]", #"{"data":{}}"#, #"{"data":[]}"#, #"{"data":[1]}"#, #"{"data":[{}]}"#,
            #"{"data":[{"embedding":[1,2]},{"embedding":[1,2]}]}"#, #"{"data":[{"embedding":null}]}"#,
            #"{"data":[{"embedding":[1]}]}"#, #"{"data":[{"embedding":[1,2,3]}]}"#, #"{"data":[{"embedding":[]}]}"#,
            #"{"data":[{"embedding":[1,"2"]}]}"#, #"{"data":[{"embedding":[1,NaN]}]}"#,
            #"{"data":[{"embedding":[1,1e39]}]}"#, #"{"data":[{"embedding":[1,-1e400]}]}"#,
            // One number, three, a number and a half, NaN, an infinity, no base64, a digit too few.
            #"{"data":[{"embedding":"AACAPw=="}]}"#, #"{"data":[{"embedding":"AACAPwAAgD8AAIA/"}]}"#,
            #"{"data":[{"embedding":"AACAPwAA"}]}"#, #"{"data":[{"embedding":"AACAPwAAwH8="}]}"#,
            #"{"data":[{"embedding":"AACAPwAAgP8="}]}"#, #"{"data":[{"embedding":"AACAPwAA!D8="}]}"#,
            #"{"data":[{"embedding":"AACAPwAAgD8"}]}"#, #"{"data":[{"embedding":"===="}]}"#,
        ]
    )
    func wrongEmbedding(body: String) async throws {
        try await RemoteBench.with(script: { _, _ in .send(httpAnswer(200, body)) }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            for _ in 0..<2 {
                let error = await failure { _ = try await embedder.embed("text", by: farAway) }
                guard case .failed = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
            }
            #expect(bench.count("malformed") == 2 && bench.shows(.open))
        }
    }

    @Test(
        "An embedding is read from numbers and from base64",
        arguments: [
            (#"{"data":[{"embedding":[1,-0.5]}]}"#, [1, -0.5]),
            (#"{"data":[{"embedding":"AACAPwAAAL8="}]}"#, [1, -0.5]),
            (#"{"data":[{"embedding":"AACAPwAAAL8\u003d"}]}"#, [1, -0.5]),
            (#"{"data":[{"embedding":[1e-60,3.4028234e38]}]}"#, [0, Float.greatestFiniteMagnitude]),
        ]
    )
    func embedding(body: String, vector: [Float]) async throws {
        try await RemoteBench.with(script: { _, _ in .send(httpAnswer(200, body)) }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            let answer = try await embedder.embed("text", by: farAway)
            #expect(answer == vector)
        }
    }

    @Test(
        "Classes that are not what was asked for are an error, and the worker's failure",
        arguments: [
            #"{"data":[{"label":"A"}]}"#, #"{"data":[{"label":"A","probs":0.5}]}"#,
            #"{"data":[{"label":"A","probs":[1]}]}"#,
            #"{"data":[{"label":"A","probs":[0.6,0.2,0.2]}]}"#, #"{"data":[{"label":"A","probs":[1.5,-0.5]}]}"#,
            #"{"data":[{"label":"A","probs":[0.9,null]}]}"#, #"{"data":[{"label":"A","probs":[1e400,0]}]}"#,
            #"{"data":[{"label":"B","probs":[0.9,0.1]}]}"#, #"{"data":[{"label":"C","probs":[0.9,0.1]}]}"#,
            #"{"data":[{"label":7,"probs":[0.9,0.1]}]}"#,
        ]
    )
    func wrongClasses(body: String) async throws {
        try await RemoteBench.with(script: { _, _ in .send(httpAnswer(200, body)) }) { bench, server in
            let classifier = bench.classifier(at: server.port, labels: ["A", "B"])
            guard case .failed = await failure({ _ = try await classifier.classify("text", by: farAway) }) else {
                Issue.record("taken")
                return
            }
            #expect(bench.count("malformed") == 1)
        }
    }

    @Test(
        "Classes may have no names, and probabilities that do not add up to 1",
        arguments: [
            #"{"data":[{"label":null,"probs":[0.9,0.1]}]}"#, #"{"data":[{"probs":[0.9,0.1]}]}"#,
            #"{"data":[{"label":"A","probs":[0.9,0.1]}]}"#,
        ]
    )
    func classes(body: String) async throws {
        try await RemoteBench.with(script: { _, _ in .send(httpAnswer(200, body)) }) { bench, server in
            let classes = try await bench.classifier(at: server.port, labels: ["A", "B"]).classify("text", by: farAway)
            #expect(classes.labels == ["A", "B"] && classes.probabilities == [0.9, 0.1])
        }
    }

    @Test(
        "Answers that are broken off or are no HTTP are failures",
        arguments: [
            ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", ComputeError.unavailable, "unreachable"),
            ("", .unavailable, "unreachable"),
            ("SSH-2.0-OpenSSH_9.2\r\n\r\n", .failed("the answer is not HTTP"), "malformed"),
        ]
    )
    func broken(bytes: String, expected: ComputeError, outcome: String) async throws {
        try await RemoteBench.with(script: { _, _ in .sendAndClose(bytes) }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == expected)
            #expect(bench.count(outcome) == 1)
        }
    }

    @Test("An answer larger than allowed is not read to its end", arguments: [200, 500])
    func tooLarge(status: Int) async throws {
        let endless =
            "HTTP/1.1 \(status) OK\r\ntransfer-encoding: chunked\r\n\r\n80\r\n\(String(repeating: " ", count: 128))\r\n"
        try await RemoteBench.with(script: { _, _ in .send(endless) }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2) { $0.maxAnswerBytes = 100 }
            let error = await failure { _ = try await embedder.embed("text", by: farAway) }
            let expected =
                status == 200 ? "the worker's answer is larger than 100 bytes" : "the worker answered with status 500"
            #expect(error == .failed(expected))
            #expect(await eventually { server.closedConnections == 1 })
        }
    }

    @Test("A text that is too long, a deadline that is over, and a cancelled task send nothing")
    func nothingSent() async throws {
        try await RemoteBench.with(script: { _, _ in .send(Self.good) }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2) { $0.maxTextBytes = 4 }
            #expect(await failure { _ = try await embedder.embed("ééé", by: farAway) } == .tooLong)
            #expect(await failure { _ = try await embedder.embed("éé", by: .now()) } == .deadline)
            let cancelled = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await failure { _ = try await embedder.embed("éé", by: farAway) }
            }
            #expect(await cancelled.value == .cancelled)
            #expect(server.openedConnections == 0 && bench.shows(.closed))
            let answer = try await embedder.embed("éé", by: farAway)
            #expect(answer == [1, 0.5])
        }
    }

    @Test("Further calls than may be under way are refused at once, and places come back")
    func bound() async throws {
        let script: @Sendable (Int, Int) -> RawServer.Step = { connection, _ in
            connection < 3 ? .hang : .send(Self.good)
        }
        try await RemoteBench.with(script: script) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2) { $0.maxConcurrentRequests = 3 }
            let waiting = (0..<3).map { _ in
                Task { await failure { _ = try await embedder.embed("text", by: farAway) } }
            }
            #expect(await eventually { server.requests.count == 3 })
            for _ in 0..<5 {
                #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == .overloaded)
            }
            #expect(server.requests.count == 3 && bench.count("busy") == 5)
            for task in waiting { task.cancel() }
            for task in waiting { #expect(await task.value == .cancelled) }
            #expect(await eventually { server.closedConnections == 3 })
            #expect(bench.shows(.closed) && bench.count("cancelled") == 3)
            let answer = try await embedder.embed("text", by: farAway)
            #expect(answer == [1, 0.5])
        }
    }

    @Test("Deadlines that pass open the breaker; then one probe at a time is let through")
    func probe() async throws {
        let hangs = Atomic<Bool>(true)
        let script: @Sendable (Int, Int) -> RawServer.Step = { _, _ in
            hangs.load(ordering: .relaxed) ? .hang : .send(Self.good)
        }
        try await RemoteBench.with(script: script) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            // Some may end before they are sent, on a busy machine.
            for _ in 0..<20 where !bench.shows(.open) {
                let error = await failure { _ = try await embedder.embed("text", by: .now() + .milliseconds(200)) }
                #expect(error == .deadline)
            }
            #expect(bench.shows(.open))
            bench.clock.advance(by: .seconds(10))
            let probe = Task { await failure { _ = try await embedder.embed("the probe", by: farAway) } }
            #expect(await eventually { server.requests.contains { $0.contains("the probe") } })
            #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == .unavailable)
            // A probe whose caller had enough tells nothing: the next call is the probe.
            probe.cancel()
            #expect(await probe.value == .cancelled)
            #expect(bench.shows(.halfOpen))
            hangs.store(false, ordering: .relaxed)
            let answer = try await embedder.embed("text", by: farAway)
            #expect(answer == [1, 0.5])
            #expect(bench.shows(.closed))
        }
    }

    @Test("A call from before the breaker opened makes no room for a second probe when it is cancelled")
    func lateCancellation() async throws {
        try await RemoteBench.with(script: { _, _ in .hang }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            func start(_ text: String) async -> Task<ComputeError?, Never> {
                let task = Task { await failure { _ = try await embedder.embed(text, by: farAway) } }
                #expect(await eventually { server.requests.contains { $0.contains(text) } })
                return task
            }
            let early = await start("early")
            for _ in 0..<20 where !bench.shows(.open) {
                _ = await failure { _ = try await embedder.embed("text", by: .now() + .milliseconds(200)) }
            }
            bench.clock.advance(by: .seconds(10))
            let probe = await start("the probe")
            early.cancel()
            #expect(await early.value == .cancelled)
            #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == .unavailable)
            probe.cancel()
            #expect(await probe.value == .cancelled)
        }
    }

    @Test("Callers with less time than a worker needs do not have it left alone")
    func shortDeadlines() async throws {
        try await RemoteBench.with(script: { _, _ in .hang }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2) { $0.enoughPatience = .seconds(60) }
            for _ in 0..<4 {
                let error = await failure { _ = try await embedder.embed("text", by: .now() + .milliseconds(200)) }
                #expect(error == .deadline)
            }
            #expect(bench.count("deadline") == 4 && bench.shows(.closed))
        }
    }

    @Test("An event loop of ours that is held up says nothing of the worker")
    func slowLoop() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        try await RemoteBench.with(script: { _, _ in .send(Self.good) }) { bench, server in
            let clients = try await UpstreamClient.perLoop(of: group, settings: UpstreamSettings())
            let embedder = bench.with(clients).embedder(at: server.port, dimensions: 2) { $0.enoughPatience = .zero }
            for _ in 0..<4 {
                let gate = Gate()
                group.next().execute { gate.pass() }
                let end = MonotonicTime.now() + .milliseconds(200)
                let call = Task { await failure { _ = try await embedder.embed("text", by: end) } }
                #expect(await waited { gate.arrivals == 1 && MonotonicTime.now() > end })
                gate.open()
                #expect(await call.value == .deadline)
            }
            #expect(bench.shows(.closed))
            let answer = try await embedder.embed("text", by: farAway)
            #expect(answer == [1, 0.5])
        }
        try await group.shutdownGracefully()
    }

    @Test("On an event loop that has been shut down a call ends")
    func loopGone() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        try await RemoteBench.with { bench in
            let clients = try await UpstreamClient.perLoop(of: group, settings: UpstreamSettings())
            let embedder = bench.with(clients).embedder(at: 1)
            try await group.shutdownGracefully()
            #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == .shutdown)
            #expect(bench.count("stopped") == 1 && bench.shows(.closed))
        }
    }

    @Test("When one of several texts fails, the others are given up")
    func oneFails() async throws {
        let script: @Sendable (Int, Int) -> RawServer.Step = { connection, _ in
            connection == 0 ? .send(httpAnswer(400, "")) : .hang
        }
        try await RemoteBench.with(script: script) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            let error = await failure {
                _ = try await embedder.embed(["a", "b", "c"], dimensions: nil, by: farAway)
            }
            #expect(error == .failed("the worker answered with status 400"))
            #expect(bench.count("rejected") == 1 && bench.count("cancelled") == 2)
        }
    }

    @Test("A worker that refuses a probe's request is there: the breaker closes")
    func refusedProbe() async throws {
        let script: @Sendable (Int, Int) -> RawServer.Step = { _, request in
            .send(httpAnswer(request < 2 ? 503 : 400, ""))
        }
        try await RemoteBench.with(script: script) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            for _ in 0..<2 { _ = await failure { _ = try await embedder.embed("text", by: farAway) } }
            bench.clock.advance(by: .seconds(10))
            let error = await failure { _ = try await embedder.embed("text", by: farAway) }
            #expect(error == .failed("the worker answered with status 400"))
            #expect(bench.shows(.closed))
        }
    }

    @Test("A probe that fails leaves the worker alone for twice as long")
    func failedProbe() async throws {
        try await RemoteBench.with(script: { _, _ in .send(httpAnswer(503, "")) }) { bench, server in
            let embedder = bench.embedder(at: server.port, dimensions: 2)
            for _ in 0..<2 { _ = await failure { _ = try await embedder.embed("text", by: farAway) } }
            bench.clock.advance(by: .seconds(10))
            let error = await failure { _ = try await embedder.embed("text", by: farAway) }
            #expect(error == .failed("the worker answered with status 503"))
            bench.clock.advance(by: .seconds(19))
            #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == .unavailable)
            bench.clock.advance(by: .seconds(1))
            #expect(embedder.breakerState == .halfOpen)
            #expect(server.requests.count == 3)
        }
    }
}
