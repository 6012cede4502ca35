import ConfigKit
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import Telemetry
import TestSupport
import Testing
import Transport

/// Traces of `sextant gateway` and `sextant router` with their workers, as a collector gets them, and what becomes of
/// requests when it does not.
@Suite("Traces", .timeLimit(.minutes(2)))
struct TraceTests {
    private static let policy = """
        version: v0.3
        providers:
          defaults: {default_model: small}
          models: [{name: small}, {name: large, provider_model_id: big}]
        routing:
          signals: {keywords: [{name: proof, keywords: [prove]}]}
          decisions:
            - {name: proofs, rules: {type: keyword, name: proof}, modelRefs: [{model: large}]}
        """
    private static let path = "/v1/chat/completions"
    private static let root = "sextant-gateway: router /v1/chat/completions"

    private func chat(_ text: String, more: String = "") -> String {
        #"{"model":"auto","messages":[{"role":"user","content":"\#(text)"}]\#(more)}"#
    }

    private func withGateway(
        workers: [SimConfig] = [.instant("small", id: "s"), .instant("big", id: "b")],
        options change: (inout ServeOptions) -> Void = { _ in },
        tracing collector: TraceCollector?,
        _ body: (Stack) async throws -> Void
    ) async throws {
        let policy = try PolicyFile(Self.policy)
        defer { policy.remove() }
        try await Stack.with(
            .gateway,
            workers: workers,
            options: {
                $0.config = policy.path
                change(&$0)
            },
            tracing: collector,
            body
        )
    }

    @Test(
        "A gateway does in one process what two do behind Envoy, and records the same stages",
        arguments: [false, true]
    )
    func gateway(isStream: Bool) async throws {
        try await TraceCollector.with { collector in
            try await withGateway(tracing: collector) { stack in
                let id = "0af7651916cd43dd8448eb211c80319c"
                let answer = try await stack.post(
                    Self.path,
                    chat("prove it", more: isStream ? #","stream":true"# : ""),
                    headers: ["traceparent": "00-\(id)-b7ad6b7169203331-01"]
                )
                #expect(answer.status == .ok)
                let expected = [
                    "? > \(Self.root)",
                    "\(Self.root) > sextant-gateway: semantic_router.routing.decision",
                    "sextant-gateway: semantic_router.routing.decision > sextant-gateway: semantic_router.signal.evaluation",
                    "sextant-gateway: semantic_router.signal.evaluation > sextant-gateway: semantic_router.signal.keyword",
                    "sextant-gateway: semantic_router.routing.decision > sextant-gateway: semantic_router.decision.evaluation",
                    "sextant-gateway: semantic_router.routing.decision > sextant-gateway: semantic_router.backend.selection",
                    "\(Self.root) > sextant-gateway: router.routing",
                    "\(Self.root) > sextant-gateway: process_request",
                    "sextant-gateway: process_request > sextant-sim: llm_request",
                ]
                let trace = await collector.trace(id) { $0.count >= expected.count }
                #expect(trace.tree.sorted() == expected.sorted())
                #expect(trace.allSatisfy { $0.failure == nil && $0.end >= $0.start })
            }
        }
    }

    @Test("A request that no worker could answer is a failed trace with every attempt; answer and log name it")
    func noWorker() async throws {
        var broken = SimConfig.instant("small")
        broken.faults = [try Fault("reset")]
        try await TraceCollector.with { collector in
            try await withGateway(workers: [broken, broken, .instant("big")], tracing: collector) { stack in
                let answer = try await stack.post(Self.path, chat("hello"), headers: ["x-request-id": "rid-7"])
                #expect(answer.status == .badGateway || answer.status == .serviceUnavailable)
                let id = try #require(answer.headers["x-trace-id"].first)
                #expect(answer.headers["x-request-id"] == ["rid-7"])
                let trace = await collector.trace(id) { spans in
                    spans.filter { $0.service == "sextant-gateway" }.count >= 8
                }
                let root = try #require(trace.first { $0.title == Self.root })
                #expect(root.failure == "worker_unavailable")
                #expect(root.attributes["http.status_code"] == "\(answer.status.code)")
                let attempts = trace.filter { $0.name == "process_request" }
                #expect(attempts.map(\.failure) == ["closed_before_response", "closed_before_response"])
                let lines = stack.log.lines.filter { $0.contains("rid-7") }
                #expect(lines.count >= 3 && lines.allSatisfy { $0.contains("trace_id=\(id)") })
                // Every line about a request says which.
                #expect(
                    stack.log.lines.allSatisfy {
                        !$0.contains("worker gave no answer") || $0.contains("request_id=rid-7")
                    }
                )
            }
        }
    }

    @Test("A body that is too large is a failed trace by the request's own ids, told of in the answer")
    func tooLarge() async throws {
        try await TraceCollector.with { collector in
            try await withGateway(options: { $0.maxBodySize = ByteCount(1024) }, tracing: collector) { stack in
                let body = chat(String(repeating: "x", count: 4096))
                let answer = try await stack.post(Self.path, body, headers: ["x-request-id": "rid-9"])
                #expect(answer.status == .payloadTooLarge)
                #expect(answer.headers["x-request-id"] == ["rid-9"])
                let id = try #require(answer.headers["x-trace-id"].first)
                let trace = await collector.trace(id) { !$0.isEmpty }
                #expect(trace.map(\.failure) == ["body_too_large"])
                #expect(trace.first?.attributes["http.status_code"] == "413")
            }
        }
    }

    @Test("A stream whose client leaves ends its trace as cancelled")
    func cancelled() async throws {
        var slow = SimConfig.instant("small")
        slow.zeroLatency = false
        slow.interTokenLatency = .milliseconds(20)
        slow.outputTokens = 10_000
        slow.maxModelTokens = 100_000
        try await TraceCollector.with { collector in
            try await withGateway(workers: [slow, .instant("big")], tracing: collector) { stack in
                let body = chat("hello", more: #","stream":true,"max_tokens":10000,"ignore_eos":true"#)
                let client = try await RawConnection.connect(port: stack.port)
                try await client.send(
                    "POST \(Self.path) HTTP/1.1\r\nhost: h\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
                )
                let hasBegun = await eventually { client.text.contains("data: ") }
                #expect(hasBegun)
                await client.close()
                let isThere = await eventually { collector.spans.contains { $0.title == Self.root } }
                #expect(isThere)
                let attempt = try #require(collector.spans.first { $0.name == "process_request" })
                #expect(attempt.failure == "cancelled")
                let labels = ["model": "small", "reason": "cancellation"]
                let cancellations = stack.registry.value(of: "llm_request_errors_total", labels: labels)
                #expect(cancellations == 1)
            }
        }
    }

    @Test("What is not chosen is not exported, and the worker is told so")
    func unsampled() async throws {
        try await TraceCollector.with { collector in
            let policy =
                Self.policy + """

                    global:
                      services:
                        observability:
                          tracing:
                            enabled: true
                            exporter: {endpoint: "127.0.0.1:\(collector.port)", insecure: true}
                            sampling: {type: always_off, keep_errors: true}
                    """
            let file = try PolicyFile(policy)
            defer { file.remove() }
            try await Stack.with(
                .gateway,
                workers: [.instant("small", id: "s"), .instant("big", id: "b")],
                options: { $0.config = file.path }
            ) { stack in
                _ = try await stack.post(Self.path, chat("hello"))
                let sent = try #require(stack.workers[0].log.entries.first)
                let parent = try #require(TraceContext(traceparent: sent.headers["traceparent"].first ?? ""))
                #expect(!parent.isSampled)
                #expect(collector.spans.isEmpty)
                // What fails is kept all the same, also by a worker's own word.
                stack.workers[0].engine.setFaults([try Fault("status=500")])
                let failed = try await stack.post(Self.path, chat("hello"))
                #expect(failed.status == .internalServerError)
                let isKept = await eventually(within: .seconds(20)) {
                    collector.spans.contains { $0.title == Self.root && $0.failure == "500" }
                }
                #expect(isKept)
                collector.forget()
                stack.workers[0].engine.setFaults([try Fault("reset")])
                let answer = try await stack.post(Self.path, chat("hello"))
                #expect(answer.status.code >= 500)
                #expect(await eventually(within: .seconds(20)) { collector.spans.contains { $0.failure != nil } })
                #expect(Set(collector.spans.map(\.traceID)).count == 1)
            }
        }
    }

    // MARK: A collector in trouble

    enum Trouble: String, CaseIterable, Sendable {
        case gone, silent, deaf, refusing
    }

    @Test(
        "Whatever becomes of the collector, every request is answered and memory stays bounded",
        arguments: Trouble.allCases
    )
    func trouble(_ trouble: Trouble) async throws {
        let server = try await ScriptedGRPCServer.start(manner: trouble == .silent ? .mute : .usual) { _ in
            trouble == .refusing ? .status(7, "no") : [.hold]
        }
        let port = server.port
        if trouble == .gone { await server.stop() }
        try await withGateway(
            options: {
                $0.tracing.endpoint = "127.0.0.1:\(port)"
            },
            tracing: nil
        ) { stack in
            // More than the queue holds.
            await withTaskGroup { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<100 {
                            let answer = try? await stack.post(Self.path, chat("prove it"))
                            #expect(answer?.status == .ok)
                        }
                    }
                }
            }
            func value(_ name: String, _ labels: [String: String] = [:]) -> Double {
                stack.registry.value(of: name, labels: labels) ?? -1
            }
            let recorded = 800.0 * 8
            // What does not wait has been dropped, and counted.
            let isAccounted = await eventually {
                let reasons = TracingDrops.allReasons
                let dropped = reasons.map { value("sextant_traces_dropped_spans_total", ["reason": $0]) }.reduce(0, +)
                return value("sextant_traces_queued_spans") + dropped == recorded
            }
            #expect(isAccounted)
            #expect(value("sextant_traces_queued_spans") <= 2048 + 512)
            #expect(value("sextant_traces_exported_spans_total") == 0)
            #expect(value("llm_model_inflight_requests", ["model": "large"]) == 0)
        }
        if trouble != .gone { await server.stop() }
    }

    private enum TracingDrops {
        static let allReasons = ["queue_full", "rejected", "failed", "too_large", "shutdown"]
    }
}
