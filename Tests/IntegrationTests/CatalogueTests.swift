import ConfigKit
import Foundation
import HTTPTransport
import Instruments
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

/// docs/observability.md is written from the catalogue; these tests fail when something exists that it does not list.
@Suite("Catalogue of metrics, spans and headers", .timeLimit(.minutes(2)))
struct CatalogueTests {
    @Test("No name is defined twice, in either format")
    func uniqueNames() {
        let names = Catalogue.metrics.map(\.name)
        // A simulated worker has vLLM's metrics, of which upstream's router shares a name.
        let doubled = Dictionary(grouping: names, by: \.self).filter { $0.value.count > 1 }.keys
        #expect(doubled.sorted() == ["vllm:num_requests_running"])
        // In OpenMetrics counters lose their ending, and the samples of histograms take others.
        for section in [Catalogue.sections.dropLast(), Catalogue.sections.suffix(1)] {
            var taken: Set<String> = []
            for definition in section.flatMap(\.metrics) {
                let base = definition.kind == .counter ? String(definition.name.dropLast(6)) : definition.name
                let samples: [String] =
                    switch definition.kind {
                    case .counter: [base, base + "_total", base + "_created"]
                    case .gauge: [base]
                    case .histogram: ["", "_bucket", "_sum", "_count", "_created"].map { base + $0 }
                    }
                for sample in samples { #expect(taken.insert(sample).inserted, "\(sample)") }
            }
        }
        let spans = Catalogue.spans.map(\.name)
        #expect(Set(spans).count == spans.count)
    }

    @Test("Every metric and span says what it means in a sentence")
    func meanings() {
        for definition in Catalogue.metrics {
            #expect(definition.help.hasSuffix(".") && definition.help.count > 8, "\(definition.name)")
        }
        for span in Catalogue.spans {
            #expect(span.help.hasSuffix("."), "\(span.name)")
            #expect(span.attributes.allSatisfy { !$0.help.isEmpty }, "\(span.name)")
        }
    }

    @Test(
        "A running gateway and router register what is listed, and nothing else",
        arguments: [
            ServeStack.Kind.router, .gateway,
        ]
    )
    func frontEnds(kind: ServeStack.Kind) async throws {
        try await Stack.with(kind) { stack in
            let body = #"{"model":"sim-model","messages":[{"role":"user","content":"Hello"}]}"#
            let answer = try await stack.post("/v1/chat/completions", body)
            let refusal = try await stack.get("/nowhere")
            #expect(answer.status == .ok)
            #expect(refusal.status == .notFound)
            expectListed(stack.registry)
            for worker in stack.workers { expectListed(worker.registry) }
        }
    }

    @Test("So does a running semantic router")
    func semantic() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString).yaml")
        try "version: v0.3\nproviders: {defaults: {default_model: sim-model}, models: [{name: sim-model}]}"
            .write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        var options = SemanticOptions()
        options.config = file.path
        options.host = "127.0.0.1"
        options.metricsHost = "127.0.0.1"
        options.port = Port(0)
        options.apiPort = Port(0)
        options.metricsPort = Port(0)
        options.threads = 1
        options.drainTimeout = .zero
        let stack = try await SemanticStack.start(options, logger: CapturedLog().logger)
        expectListed(stack.registry)
        await stack.shutdown()
    }

    private func expectListed(_ registry: MetricRegistry) {
        let listed = Set(Catalogue.metrics)
        #expect(!registry.definitions.isEmpty)
        for definition in registry.definitions {
            #expect(listed.contains(definition), "\(definition.name) is in no catalogue, or there with another meaning")
        }
    }

    // MARK: Sources

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func sources() throws -> [(name: String, text: String)] {
        let folder = Self.root.appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        let paths = files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
        return try paths.map { (name: $0.lastPathComponent, text: try String(contentsOf: $0, encoding: .utf8)) }
    }

    @Test("Every metric that the sources define is listed")
    func definedMetrics() throws {
        let listed = Set(Catalogue.metrics.map(\.name))
        var found: Set<String> = []
        for (name, text) in try sources() {
            for match in text.matches(of: /(counter|gauge|histogram)\(\s*"([a-zA-Z_:][a-zA-Z0-9_:]*)"\s*,/) {
                let metric = String(match.2)
                let exposed = match.1 == "counter" && !metric.hasSuffix("_total") ? metric + "_total" : metric
                #expect(listed.contains(exposed), "\(name) defines \(exposed), which is in no catalogue")
                found.insert(exposed)
            }
        }
        // Else the pattern has gone blind.
        #expect(found == listed)
    }

    @Test("Every span that the sources define is listed")
    func definedSpans() throws {
        let listed = Set(Catalogue.spans.map(\.name))
        for (name, text) in try sources() {
            for match in text.matches(of: /SpanDefinition\(\s*"([^"]+)"/) {
                // Of a name that is put together the beginning.
                let known = match.1.split(separator: "\\(", omittingEmptySubsequences: false)[0]
                let isListed =
                    known == match.1 ? listed.contains(String(known)) : listed.contains { $0.hasPrefix(known) }
                #expect(isListed, "\(name) defines \(match.1), which is in no catalogue")
            }
        }
    }

    @Test("Every routing header that the sources name is listed")
    func headers() throws {
        let listed = RoutingHeaders.catalogue.flatMap { $0.name.split(separator: ", ").map(String.init) }
        let prefixes = listed.filter { $0.contains("{") }.map { $0.prefix { $0 != "{" } }
        /// Passed on as they come, and set by none of ours.
        let passedOn: Set = ["x-vsr-cache-control", "x-vsr-compression-control"]
        var count = 0
        for (name, text) in try sources() {
            for match in text.matches(of: /"(x-(?:vsr|authz|selected|request)-[a-z0-9-]+[a-z0-9])"/) {
                let header = String(match.1)
                count += 1
                let isListed = listed.contains(header) || prefixes.contains { header.hasPrefix($0) }
                #expect(isListed || passedOn.contains(header), "\(name) names \(header), which is in no catalogue")
            }
        }
        #expect(count >= 20)
    }
}
