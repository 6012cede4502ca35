import ConfigKit
import Glibc
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import NIOPosix
import OpenAIWire
import RouterApp
import Synchronization
import TestSupport
import Testing

@Suite("Metrics pages", .timeLimit(.minutes(2)))
struct MetricsPageTests {
    /// Holds the writing of pages up until it is opened.
    private final class Gate: Sendable {
        private let state = Mutex((isOpen: false, arrivals: 0, onLoop: 0))

        var arrivals: Int { state.withLock(\.arrivals) }
        /// How often a page was written on an event loop.
        var onLoop: Int { state.withLock(\.onLoop) }

        func open() { state.withLock { $0.isOpen = true } }

        /// Called at every scrape, on whatever thread that is.
        func pass() {
            state.withLock {
                $0.arrivals += 1
                if MultiThreadedEventLoopGroup.currentEventLoop != nil { $0.onLoop += 1 }
            }
            while !state.withLock(\.isOpen) { _ = sched_yield() }
        }
    }

    /// 10,000 series with a label each.
    private func fill(_ registry: MetricRegistry) {
        let family = registry.counters(.counter("filler", "Filler.", labels: ["i"], seriesLimit: 10_000))
        for index in 0..<10_000 { family.with("\(index)").increment(by: index) }
    }

    @Test(
        "While a page of 10,000 series is written, every event loop answers other requests",
        arguments: [
            ServeStack.Kind.router, .gateway,
        ]
    )
    func loopsStayFree(kind: ServeStack.Kind) async throws {
        try await Stack.with(kind) { stack in
            let gate = Gate()
            fill(stack.registry)
            stack.registry.onScrape { gate.pass() }
            let page = Task {
                kind == .router ? try await stack.get("/metrics") : try await stack.manage(.GET, "/metrics")
            }
            defer { gate.open() }
            #expect(await eventually { gate.arrivals == 1 })
            // More connections than loops, so that each has some.
            for _ in 0..<8 {
                #expect(try await stack.get("/health", headers: ["connection": "close"]).status == .ok)
            }
            #expect(gate.arrivals == 1)
            gate.open()
            let answer = try await page.value
            #expect(answer.status == .ok)
            let lines = String(buffer: answer.body).split(separator: "\n")
            #expect(lines.count { $0.hasPrefix("filler_total{") } == 10_000)
            #expect(lines.contains("filler_total{i=\"9999\"} 9999"))
            #expect(gate.onLoop == 0)
        }
    }

    @Test("Those who ask while a page is written share the next one, of each format")
    func sharing() async throws {
        let registry = MetricRegistry()
        let gate = Gate()
        registry.onScrape { gate.pass() }
        let scrapes = registry.counter(.counter("scrapes", "Scrapes."))
        registry.onScrape { scrapes.increment() }
        let page = MetricsPage(registry)
        try await withThrowingTaskGroup(of: LocalResponse.self) { group in
            group.addTask { await page.response(accept: nil) }
            #expect(await eventually { gate.arrivals == 1 })
            for index in 0..<20 {
                group.addTask { await page.response(accept: index < 15 ? nil : "application/openmetrics-text") }
            }
            #expect(await eventually { page.waitingCount == 20 })
            gate.open()
            var bodies: [String: Int] = [:]
            for try await response in group {
                guard case .whole(let body) = response.body else { continue }
                bodies[String(buffer: body), default: 0] += 1
            }
            // The first alone, then fifteen with text and five with OpenMetrics.
            #expect(bodies.values.sorted() == [1, 5, 15])
        }
        #expect(scrapes.value == 3)
        // And it starts anew.
        _ = await page.response(accept: nil)
        #expect(scrapes.value == 4)
    }

    @Test("What is answered is what was asked for")
    func negotiation() async throws {
        try await Stack.with { stack in
            let text = try await stack.get("/metrics")
            #expect(text.headers["content-type"] == ["text/plain; version=0.0.4; charset=utf-8"])
            #expect(!String(buffer: text.body).contains("# EOF"))
            let open = try await stack.get(
                "/metrics",
                headers: ["accept": "application/openmetrics-text;version=1.0.0"]
            )
            #expect(open.headers["content-type"] == ["application/openmetrics-text; version=1.0.0; charset=utf-8"])
            #expect(String(buffer: open.body).hasSuffix("\n# EOF\n"))
        }
    }

    @Test("An event loop that is held up shows by how much")
    func eventLoopDelay() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let registry = MetricRegistry()
        EventLoopMonitor(registry: registry, interval: .milliseconds(1)).watch(group)
        let loop = try #require(group.makeIterator().first { _ in true })
        try await loop.submit {
            let begin = NIODeadline.now()
            while NIODeadline.now() - begin < .milliseconds(30) {}
        }.get()
        func delay(_ loop: String) -> HistogramSnapshot? {
            registry.histogram(of: "sextant_event_loop_delay_seconds", labels: ["loop": loop])
        }
        // Its task was due 1 ms after the one before and could not run.
        #expect(await eventually { (delay("0")?.sum ?? 0) > 0.028 })
        #expect(await eventually { (delay("1")?.count ?? 0) > 3 })
        try await group.shutdownGracefully()
    }

    @Test("Requests of a worker are told apart by whether it has begun to answer, however they end")
    func underWay() async throws {
        let worker = try await RawServer.start { _, _ in .hang }
        let url = "http://127.0.0.1:\(worker.port)"
        let backend = try ServiceURL.parse(url, traits: FieldTraits())
        try await Stack.with(
            workers: [],
            options: { options in
                options.staticBackends = [backend]
                options.staticModels = ["m"]
            }
        ) { stack in
            func shows(prefilling: Double, decoding: Double) async -> Bool {
                await eventually {
                    stack.registry.value(of: "vllm:num_prefill_requests", labels: ["server": url]) == prefilling
                        && stack.registry.value(of: "vllm:num_decoding_requests", labels: ["server": url]) == decoding
                }
            }
            func ask() async throws -> RawConnection {
                let client = try await RawConnection.connect(port: stack.port)
                let body = #"{"model":"m","prompt":"x"}"#
                try await client.send(
                    "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
                )
                return client
            }
            // What is pushed goes to the worker's connections: they must be there.
            func hasAsked(_ times: Int) async -> Bool { await eventually { worker.requests.count == times } }
            let first = try await ask()
            #expect(await hasAsked(1))
            #expect(await shows(prefilling: 1, decoding: 0))
            try await worker.push("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na")
            #expect(await shows(prefilling: 0, decoding: 1))
            let second = try await ask()
            #expect(await hasAsked(2))
            #expect(await shows(prefilling: 1, decoding: 1))
            // The first ends as it should, the client of the second goes away.
            await second.close()
            #expect(await shows(prefilling: 0, decoding: 1))
            try await worker.push("bc")
            #expect(await shows(prefilling: 0, decoding: 0))
            #expect(await first.text { $0.hasSuffix("abc") }.hasPrefix("HTTP/1.1 200 "))
            let third = try await ask()
            #expect(await hasAsked(3))
            #expect(await shows(prefilling: 1, decoding: 0))
            try await worker.push("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na")
            #expect(await shows(prefilling: 0, decoding: 1))
            await worker.closeConnections()
            #expect(await shows(prefilling: 0, decoding: 0))
            await third.close()
            // The client that went away says nothing of the worker's speed.
            #expect(stack.registry.value(of: "vllm:current_qps", labels: ["server": url]).map { $0 > 0 } == true)
            #expect(stack.registry.value(of: "vllm:avg_latency", labels: ["server": url]).map { $0 > 0 } == true)
        }
        await worker.stop()
    }
}
