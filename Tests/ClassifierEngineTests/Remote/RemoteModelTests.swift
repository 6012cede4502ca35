import ClassifierEngine
import ConfigKit
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import NIOPosix
import OpenAIWire
import Resilience
import SimWorker
import TestSupport
import Testing
import Transport

@Suite("Models that a worker serves, against the simulated worker", .timeLimit(.minutes(1)))
struct RemoteModelTests {
    /// The numbers that the worker gives when it is asked for a list, and the answers' sizes in bytes.
    private func listAndSizes(
        _ bench: RemoteBench,
        _ worker: SimWorker,
        _ text: String
    ) async throws -> ([Float], list: Int, base64: Int) {
        let fetch = HTTPFetch(clients: bench.clients)
        func body(_ format: String) async throws -> ByteBuffer {
            let json: JSONFragment = [
                "model": "sim-model", "input": JSONFragment(text), "encoding_format": JSONFragment(format),
            ]
            let request = UpstreamRequest(method: .POST, uri: "/v1/embeddings", headers: [:], body: json.bytes)
            return try await fetch.fetch(request, from: Origin(host: "127.0.0.1", port: worker.port)).body
        }
        let list = try await body("float")
        let numbers = try JSONDocument(list).root["data"]?[0]?["embedding"]?.elements.compactMap(\.double) ?? []
        return (numbers.map { Float($0) }, list.readableBytes, try await body("base64").readableBytes)
    }

    @Test("An embedding is what the worker's list of numbers says, in a third of the bytes", arguments: [1, 2, 3, 384])
    func embeds(dimensions: Int) async throws {
        var config = SimConfig()
        config.embeddingDimensions = dimensions
        try await RemoteBench.with(config) { bench, worker in
            let embedder = bench.embedder(at: worker.port, dimensions: dimensions)
            let text = "a \"quoted\" line\nand 日本語"
            let (expected, list, base64) = try await listAndSizes(bench, worker, text)
            #expect(expected.count == dimensions && expected.contains { $0 != 0 })
            let answer = try await embedder.embed(text, by: farAway)
            #expect(answer == expected)
            if dimensions > 100 { #expect(base64 * 3 < list) }
            #expect(bench.count("answered") == 1)
            #expect(bench.shows(.closed))
        }
    }

    @Test("A model can be asked for shorter vectors")
    func shorter() async throws {
        try await RemoteBench.with(SimConfig()) { bench, worker in
            let embedder = bench.embedder(at: worker.port, dimensions: 7, asksForDimensions: true)
            let answer = try await embedder.embed("text", by: farAway)
            #expect(answer.count == 7)
            let shorter = try await embedder.embed(["text"], dimensions: 3, by: farAway)
            #expect(shorter.vectors.map(\.count) == [3])
            for dimensions in [0, 8] {
                let error = await failure { _ = try await embedder.embed(["a"], dimensions: dimensions, by: farAway) }
                #expect(error == .unsupported("the model 'test' has vectors of 1 to 7 numbers, not of \(dimensions)"))
            }
        }
    }

    @Test("Vectors of several texts come in the texts' order, though more than may be asked at once")
    func severalTexts() async throws {
        try await RemoteBench.with(SimConfig()) { bench, worker in
            let embedder = bench.embedder(at: worker.port) { $0.maxConcurrentRequests = 4 }
            let texts = (0..<20).map { "text \($0)" }
            let all = try await embedder.embed(texts, dimensions: nil, by: farAway).vectors
            #expect(all.count == 20 && Set(all).count == 20)
            let last = try await embedder.embed(texts[19], by: farAway)
            #expect(all[19] == last)
            // A model that is not known to be made for it is not asked for another length.
            let same = try await embedder.embed(["text 19"], dimensions: 64, by: farAway).vectors
            #expect(same == [last])
            let error = await failure { _ = try await embedder.embed(["a"], dimensions: 7, by: farAway) }
            #expect(error == .unsupported("the model 'test' has vectors of 64 numbers, not of 7"))
        }
    }

    @Test("Classes come with their probabilities, under the labels of the settings")
    func classifies() async throws {
        try await RemoteBench.with(SimConfig()) { bench, worker in
            let classifier = bench.classifier(at: worker.port)
            var best: Set<Int> = []
            for text in (0..<20).map({ "text \($0)" }) {
                let classes = try await classifier.classify(text, by: farAway)
                #expect(classes.labels == ["LABEL_0", "LABEL_1"])
                #expect(abs(classes.probabilities.reduce(0, +) - 1) < 1e-6)
                best.insert(classes.best)
            }
            #expect(best == [0, 1])
        }
    }

    @Test("Labels in another order than the model's are noticed")
    func wrongLabels() async throws {
        try await RemoteBench.with(SimConfig()) { bench, worker in
            let classifier = bench.classifier(at: worker.port, labels: ["LABEL_1", "LABEL_0"])
            let error = await failure { _ = try await classifier.classify("text", by: farAway) }
            #expect(error == .failed("the worker's best class is not the one that the labels name"))
        }
    }

    @Test("The key is sent as a bearer token, and shown nowhere")
    func key() async throws {
        var config = SimConfig()
        config.apiKey = "very-secret"
        try await RemoteBench.with(config) { bench, worker in
            var shown = ""
            let embedder = bench.embedder(at: worker.port) {
                $0.apiKey = Secret("very-secret")
                dump($0, to: &shown)
            }
            _ = try await embedder.embed("a private text", by: farAway)
            for key in [nil, Secret("wrong")] {
                let refused = bench.embedder(at: worker.port) { $0.apiKey = key }
                let error = await failure { _ = try await refused.embed("a private text", by: farAway) }
                #expect(error == .failed("the worker answered with status 401"))
            }
            shown += bench.registry.exposition()
            #expect(shown.contains("sim-model") && !shown.contains("very-secret") && !shown.contains("private"))
        }
    }

    @Test("A worker that never answers costs a call its deadline, and is told to stop")
    func hangs() async throws {
        var config = SimConfig()
        config.faults = [Fault(.hang, times: 1)]
        try await RemoteBench.with(config) { bench, worker in
            let embedder = bench.embedder(at: worker.port)
            let end = MonotonicTime.now() + .seconds(1)
            #expect(await failure { _ = try await embedder.embed("text", by: end) } == .deadline)
            #expect(await waited { worker.log.entries.contains { $0.outcome == .cancelled } })
            #expect(bench.count("deadline") == 1)
            _ = try await embedder.embed("text", by: farAway)
        }
    }

    @Test("A worker that is away is left alone, and asked again after a while")
    func recovers() async throws {
        try await RemoteBench.with(SimConfig()) { bench, worker in
            let embedder = bench.embedder(at: worker.port)
            _ = try await embedder.embed("text", by: farAway)
            await worker.refuse()
            for _ in 0..<2 {
                #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == .unavailable)
            }
            #expect(bench.count("unreachable") == 2 && bench.shows(.open) && !bench.shows(.closed))
            // It is back, but not asked yet.
            try await worker.accept()
            worker.log.clear()
            #expect(await failure { _ = try await embedder.embed("text", by: farAway) } == .unavailable)
            #expect(bench.count("breaker_open") == 1 && worker.log.entries.isEmpty)
            bench.clock.advance(by: .seconds(10))
            #expect(embedder.breakerState == .halfOpen && bench.shows(.halfOpen))
            _ = try await embedder.embed("text", by: farAway)
            #expect(bench.shows(.closed))
        }
    }

    @Test("The breaker of a model that is gone is shown no more")
    func gone() async throws {
        try await RemoteBench.with { bench in
            do {
                let embedder = bench.embedder(at: 1)
                #expect(embedder.breakerState == .closed && bench.shows(.closed))
            }
            #expect(!bench.shows(.closed))
        }
    }
}
