import Foundation
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import NIOPosix
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing
import Transport

/// Metrics as Prometheus itself reads them: SEXTANT_PROMETHEUS and SEXTANT_PROMTOOL name Debian's programs.
@Suite("Prometheus", .timeLimit(.minutes(3)))
struct PrometheusTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let prometheus = environment["SEXTANT_PROMETHEUS"]
    private static let promtool = environment["SEXTANT_PROMTOOL"]

    /// A scripted load: what is sent is what must be counted.
    private enum Load {
        static let chats = ["alpha": 7, "beta": 4]
        static let unknown = 3
        static let malformed = 2

        static func send(to stack: Stack) async throws {
            for (model, count) in chats.sorted(by: { $0.key < $1.key }) {
                for index in 0..<count {
                    let body = """
                        {"model":"\(model)","stream":\(index % 2 == 0),"messages":[{"role":"user","content":"Hi"}]}
                        """
                    #expect(try await stack.post("/v1/chat/completions", body).status == .ok)
                }
            }
            for index in 0..<unknown {
                let body = #"{"model":"made-up-\#(index)","messages":[{"role":"user","content":"Hi"}]}"#
                #expect(try await stack.post("/v1/chat/completions", body).status == .notFound)
            }
            for _ in 0..<malformed {
                #expect(try await stack.post("/v1/chat/completions", "{").status == .badRequest)
            }
        }
    }

    @Test(
        "A real Prometheus shows what was sent",
        .enabled(if: prometheus != nil),
        arguments: [
            ServeStack.Kind.router, .gateway,
        ]
    )
    func scrape(kind: ServeStack.Kind) async throws {
        let workers: [SimConfig] = [.instant("alpha"), .instant("beta")]
        try await Stack.with(kind, workers: workers) { stack in
            let metricsPort = kind == .router ? stack.port : try #require(stack.adminPort)
            let targets = [("sextant", metricsPort)] + stack.workers.map { ("worker", $0.port) }
            try await withPrometheus(scraping: targets) { server in
                try await Load.send(to: stack)
                for (index, (model, count)) in Load.chats.sorted(by: { $0.key < $1.key }).enumerated() {
                    let url = "http://127.0.0.1:\(stack.workers[index].port)"
                    let labels = "job=\"sextant\",model=\"\(model)\""
                    try await server.expect("vllm:num_incoming_requests_total{\(labels)}", Double(count))
                    let latency = "vllm:request_latency_seconds"
                    let series = "{\(labels),server=\"\(url)\",status=\"success\""
                    try await server.expect("\(latency)_count\(series)}", Double(count))
                    try await server.expect("\(latency)_bucket\(series),le=\"+Inf\"}", Double(count))
                    // Every bound of upstream's is there, by one name.
                    try await server.expect("count(\(latency)_bucket\(series)})", 12)
                    try await server.expect("\(latency)_bucket\(series),le=\"120.0\"}", Double(count))
                    let ofModel = "{job=\"sextant\",model=\"\(model)\""
                    try await server.expect("llm_model_requests_total\(ofModel)}", Double(count))
                    for name in ["completion_latency", "ttft", "tpot"] {
                        try await server.expect("llm_model_\(name)_seconds_count\(ofModel)}", Double(count))
                    }
                    try await server.expect("llm_model_inflight_requests\(ofModel)}", 0)
                    try await server.expect("llm_model_queue_depth_estimated\(ofModel)}", 0)
                    // Streams here say no usage: tokens are known of the others alone.
                    try await server.expect("llm_completion_tokens_per_request_count\(ofModel)}", Double(count / 2))
                    // The worker's own count agrees.
                    try await server.expect(
                        "sum(vllm:request_success_total{job=\"worker\",model_name=\"\(model)\"})",
                        Double(count)
                    )
                }
                try await server.expect(
                    "vllm:num_incoming_requests_total{job=\"sextant\",model=\"unknown\"}",
                    Double(Load.unknown)
                )
                try await server.expect("sum(sextant_http_refusals_total)", Double(Load.unknown + Load.malformed))
                try await server.expect(
                    "llm_request_errors_total{job=\"sextant\",model=\"unknown\",reason=\"parse_error\"}",
                    Double(Load.malformed)
                )
                let sent = Load.chats.values.reduce(0, +)
                for (stage, count) in [("pick", sent + Load.unknown), ("first_byte", sent), ("stream", sent)] {
                    try await server.expect(
                        "sextant_stage_seconds_count{job=\"sextant\",stage=\"\(stage)\"}",
                        Double(count)
                    )
                }
                try await server.expect("sum(vllm:num_requests_running{job=\"sextant\"})", 0)
                try await server.expect("count(vllm:healthy_pods_total{job=\"sextant\"} == 1)", 2)
                try await server.expect("count(vllm:current_qps{job=\"sextant\"} > 0)", 2)
                try await server.expect("count(vllm:avg_latency{job=\"sextant\"} > 0)", 2)
                try await server.expect("sum(vllm:num_decoding_requests) + sum(vllm:num_prefill_requests)", 0)
                try await server.expect("count({__name__=~\".+\",model=~\"made-up.*\"}) or vector(0)", 0)
                try await server.expect("min(up)", 1)
                // What our registry says of itself is what Prometheus has.
                let start = try #require(stack.registry.value(of: "process_start_time_seconds"))
                try await server.expect("process_start_time_seconds{job=\"sextant\"}", start)
            }
        }
    }

    @Test("Prometheus reads exemplars, escapes and numbers as they were meant", .enabled(if: prometheus != nil))
    func format() async throws {
        try await Stack.with(.router) { stack in
            let trace = try #require(TraceID(high: 0x1234, low: 0x5678))
            let odd = "quote \" backslash \\ line\nbreak é 模"
            let family = stack.registry.counters(.counter("odd", "One \"two\" \\ three\nfour.", labels: ["text"]))
            family.with(odd).increment(by: 9_007_199_254_740_992)
            let histogram = stack.registry.histogram(.histogram("odd_seconds", "Odd.", buckets: [0.001, 1, 16_384]))
            histogram.record(0.5, exemplar: trace)
            histogram.record(20_000)
            stack.registry.gauge(.gauge("odd_tiny", "Odd.")).set(1e-300)
            stack.registry.gauge(.gauge("odd_infinite", "Odd.")).set(-.infinity)
            try await withPrometheus(scraping: [("sextant", stack.port)]) { server in
                try await server.expect("odd_total", 9_007_199_254_740_992)
                #expect(try await server.labels(of: "odd_total")["text"] == odd)
                try await server.expect("odd_seconds_bucket{le=\"1.0\"}", 1)
                try await server.expect("odd_seconds_bucket{le=\"16384.0\"}", 1)
                try await server.expect("odd_seconds_sum", 20_000.5)
                try await server.expect("odd_tiny", 1e-300)
                try await server.expect("odd_infinite", -.infinity)
                #expect(try await server.exemplarTraces(of: "odd_seconds_bucket") == [trace.text])
            }
        }
    }

    @Test("promtool finds nothing to object to in our own names", .enabled(if: promtool != nil))
    func names() async throws {
        let promtool = try #require(Self.promtool)
        let registry = MetricRegistry()
        for definition in Catalogue.metrics where !Self.isUpstreams(definition.name) {
            let values = definition.labels.map { _ in "x" }
            switch definition.kind {
            case .counter: registry.counters(definition).with(values).increment()
            case .gauge: registry.gauges(definition).with(values).set(1)
            case .histogram: registry.histograms(definition).with(values).record(1)
            }
        }
        #expect(registry.definitions.count > 20)
        let file = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString).prom")
        defer { try? FileManager.default.removeItem(at: file) }
        try registry.exposition().write(to: file, atomically: true, encoding: .utf8)
        let output = try await Subprocess.run("/bin/sh", ["-c", "'\(promtool)' check metrics < '\(file.path)'"])
        #expect(output.status == 0 && output.text.isEmpty, "\(output.text)")
    }

    /// Names that we took over as they are.
    private static func isUpstreams(_ name: String) -> Bool {
        name.hasPrefix("vllm:") || name.hasPrefix("llm_") || name.hasPrefix("router_")
    }

    // MARK: Prometheus

    /// Runs `body` with a Prometheus that scrapes each target, a job and a port on loopback, every 200 ms.
    private func withPrometheus(
        scraping targets: [(job: String, port: Int)],
        _ body: (Server) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let jobs = Dictionary(grouping: targets, by: \.job).sorted { $0.key < $1.key }
        var config = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"
        for (job, targets) in jobs {
            let addresses = targets.map { "'127.0.0.1:\($0.port)'" }.joined(separator: ", ")
            config += "- {job_name: \(job), static_configs: [{targets: [\(addresses)]}]}\n"
        }
        let file = folder.appending(path: "prometheus.yml")
        try config.write(to: file, atomically: true, encoding: .utf8)

        let clients = try await UpstreamClient.perLoop(of: MultiThreadedEventLoopGroup.singleton, settings: .init())
        let fetch = HTTPFetch(clients: clients)
        let (program, server) = try await start(config: file, data: folder.appending(path: "data"), fetch)
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(server))
        } catch {
            result = .failure(error)
        }
        await program.stop()
        try await clients.forEach { $0.closeIdleConnections() }
        try result.get()
    }

    /// Prometheus does not say which port it took, so one that was free a moment ago has to do; if somebody else has been
    /// faster, another.
    private func start(config: URL, data: URL, _ fetch: HTTPFetch) async throws -> (RunningProgram, Server) {
        for _ in 0..<5 {
            let port = try await freePort()
            let program = try await RunningProgram.start(
                try #require(Self.prometheus),
                [
                    "--config.file=\(config.path)", "--storage.tsdb.path=\(data.path)",
                    "--web.listen-address=127.0.0.1:\(port)", "--enable-feature=exemplar-storage",
                    "--log.level=error",
                ]
            )
            let server = Server(origin: Origin(host: "127.0.0.1", port: port), fetch: fetch)
            let isReady = await eventually(within: .seconds(30)) {
                (try? await server.get("/-/ready").status) == .ok || !program.isRunning
            }
            if isReady, program.isRunning { return (program, server) }
            await program.stop()
            guard program.text.contains("address already in use") else {
                throw Unexpected("Prometheus does not start: \(program.text)")
            }
        }
        throw Unexpected("Prometheus finds no port")
    }

    private func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        try await channel.close().get()
        return port
    }

    /// Prometheus's HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/).
    private struct Server {
        let origin: Origin
        let fetch: HTTPFetch

        func get(_ path: String) async throws -> FetchedResponse {
            let request = UpstreamRequest(method: .GET, uri: path, headers: [:], body: ByteBuffer())
            return try await fetch.fetch(request, from: origin, maxBytes: 16 << 20)
        }

        /// Waits until a query's only result is `value`.
        func expect(
            _ query: String,
            _ value: Double,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            var last = ""
            let isThere = try await eventually(within: .seconds(15)) {
                let results = try await results(of: query)
                last = "\(results.map(\.value))"
                return results.count == 1 && Double(results[0].value) == value
            }
            #expect(isThere, "\(query) is \(last), not \(value)", sourceLocation: sourceLocation)
        }

        func labels(of query: String) async throws -> [String: String] {
            try await results(of: query).first?.labels ?? [:]
        }

        private func results(of query: String) async throws -> [(labels: [String: String], value: String)] {
            let data = try await ask("/api/v1/query?query=", query)
            guard let data = data as? [String: Any], let results = data["result"] as? [[String: Any]] else { return [] }
            return results.compactMap { result in
                guard let value = (result["value"] as? [Any])?.last as? String else { return nil }
                return (result["metric"] as? [String: String] ?? [:], value)
            }
        }

        func exemplarTraces(of query: String) async throws -> [String] {
            let now = Date().timeIntervalSince1970
            let data = try await ask("/api/v1/query_exemplars?start=\(now - 600)&end=\(now + 600)&query=", query)
            return (data as? [[String: Any]] ?? []).flatMap { series in
                (series["exemplars"] as? [[String: Any]] ?? []).compactMap { exemplar in
                    (exemplar["labels"] as? [String: String])?["trace_id"]
                }
            }
        }

        private func ask(_ path: String, _ query: String) async throws -> Any? {
            let escaped = query.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            let answer = try await get(path + escaped)
            let json = try JSONSerialization.jsonObject(with: Data(answer.body.readableBytesView))
            return (json as? [String: Any])?["data"]
        }
    }
}
