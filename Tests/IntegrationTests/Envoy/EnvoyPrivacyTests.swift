import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing
import Transport

extension EnvoyTests {
    /// What a request says, and what opens doors, is in nothing that we write down: no log line at any level, no metric
    /// of either format, no span.
    @Suite("Privacy")
    struct PrivacyTests {
        /// Words that stand for secrets. Each is planted in one place, so that a find tells where from.
        private enum Secret: String, CaseIterable {
            case prompt = "canaryprompt"
            case system = "canarysystem"
            case toolResult = "canarytoolresult"
            case toolArguments = "canarytoolarguments"
            case user = "canaryuser"
            case metadata = "canarymetadata"
            case model = "canarymodel"
            case key = "canarykey"
            case cookie = "canarycookie"
            case header = "canaryheader"
            case identity = "canaryidentity"
            case query = "canaryquery"
            case broken = "canarybroken"
            case form = "canaryform"
            case email = "jane.canary@example.org"
            case path = "canarypath"
        }

        private static func body(model: String, isStream: Bool) -> String {
            """
            {"model":"\(model)","stream":\(isStream),"user":"\(Secret.user.rawValue)",
             "metadata":{"tag":"\(Secret.metadata.rawValue)"},
             "messages":[{"role":"system","content":"\(Secret.system.rawValue)"},
              {"role":"user","content":"look it up"},
              {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",
               "function":{"name":"find","arguments":"{\\"q\\":\\"\(Secret.toolArguments.rawValue)\\"}"}}]},
              {"role":"tool","tool_call_id":"c1","content":"\(Secret.toolResult.rawValue)"},
              {"role":"user","content":"prove \(Secret.prompt.rawValue) \(Secret.email.rawValue)"}]}
            """
        }

        private static let headers = [
            "authorization": "Bearer \(Secret.key.rawValue)", "cookie": "session=\(Secret.cookie.rawValue)",
            "x-custom": Secret.header.rawValue, "x-authz-user-id": Secret.identity.rawValue,
            "x-api-key": Secret.key.rawValue,
        ]

        /// Requests of every kind: routed, streamed, answered, refused, failed.
        private func sendAll(
            _ post: (_ path: String, _ body: String, _ headers: [String: String]) async throws -> FetchedResponse
        ) async throws {
            for isStream in [false, true] {
                for model in ["auto", "small", Secret.model.rawValue] {
                    _ = try await post(path, Self.body(model: model, isStream: isStream), Self.headers)
                }
            }
            _ = try await post(path, chat("forbidden \(Secret.prompt.rawValue)"), Self.headers)
            _ = try await post(path, "{\"model\":\"auto\",\"messages\":\"\(Secret.broken.rawValue)", Self.headers)
            _ = try await post(path, "{\"model\":\"auto\",\"messages\":[\(Secret.broken.rawValue)]}", Self.headers)
            _ = try await post(
                "/v1/responses",
                "{\"model\":\"auto\",\"input\":\"\(Secret.prompt.rawValue)\"}",
                Self.headers
            )
            _ = try await post(
                "/v1/messages",
                "{\"model\":\"auto\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"\(Secret.prompt.rawValue)\"}]}",
                Self.headers
            )
            _ = try await post(
                "/v1/embeddings",
                "{\"model\":\"small\",\"input\":\"\(Secret.prompt.rawValue)\"}",
                Self.headers
            )
            let form = """
                --b\r\ncontent-disposition: form-data; name="model"\r\n\r\nsmall\r\n--b\r\ncontent-disposition: \
                form-data; name="prompt"\r\n\r\n\(Secret.form.rawValue)\r\n--b--\r\n
                """
            _ = try await post(
                "/v1/audio/transcriptions",
                form,
                Self.headers.merging(["content-type": "multipart/form-data; boundary=b"]) { $1 }
            )
        }

        private func expectNothing(in texts: [(place: String, text: String)]) {
            for (place, text) in texts {
                let lowered = text.lowercased()
                for secret in Secret.allCases {
                    // Not the texts themselves, which fill pages.
                    let isFound = lowered.contains(secret.rawValue)
                    #expect(!isFound, "\(secret) is in \(place)")
                }
            }
        }

        private func pages(_ registry: MetricRegistry, _ name: String) -> [(place: String, text: String)] {
            Exposition.Format.allCases.map { format in
                ("\(name)'s metrics", String(decoding: registry.expositionBytes(format), as: UTF8.self))
            }
        }

        private func text(of messages: [[UInt8]]) -> String {
            messages.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
        }

        @Test("Through Envoy and both routers")
        func chain() async throws {
            var failing = SimConfig.instant("big", id: "b")
            failing.faults = [try Fault("status=500;rate=0.2"), try Fault("reset;rate=0.2")]
            try await TraceCollector.with { collector in
                try await EnvoyStack.with(
                    policy: policy,
                    workers: [.instant("small", id: "s"), failing],
                    options: { $0.defaultModel = "small" },
                    tracing: collector
                ) { chain in
                    try await sendAll { path, body, headers in
                        try await chain.post(path, body, headers: headers)
                    }
                    // Else there is nothing to look through.
                    let isTraced = await eventually {
                        collector.spans.filter { $0.service == "sextant-router" }.count >= 20
                    }
                    #expect(isTraced)
                    #expect(chain.stack.log.lines.count >= 6)
                    #expect(
                        chain.workers[0].log.entries.contains {
                            String(buffer: $0.body).contains(Secret.prompt.rawValue)
                        }
                    )
                    var texts = [("the log", chain.stack.log.lines.joined(separator: "\n"))]
                    texts.append(("spans", text(of: collector.messages)))
                    texts += pages(chain.stack.registry, "router")
                    for semantic in chain.semantic { texts += pages(semantic.registry, "semantic") }
                    for worker in chain.workers { texts += pages(worker.registry, "sim") }
                    expectNothing(in: texts)
                }
            }
        }

        @Test("Through the gateway, with its management API")
        func gateway() async throws {
            let file = try PolicyFile(policy)
            defer { file.remove() }
            var failing = SimConfig.instant("big", id: "b")
            failing.faults = [try Fault("status=500;rate=0.2"), try Fault("reset;rate=0.2")]
            try await TraceCollector.with { collector in
                try await Stack.with(
                    .gateway,
                    workers: [.instant("small", id: "s"), failing],
                    options: { $0.config = file.path },
                    tracing: collector
                ) { stack in
                    try await sendAll { path, body, headers in
                        try await stack.post(path + "?token=\(Secret.query.rawValue)", body, headers: headers)
                    }
                    _ = try await stack.get("/v1/\(Secret.path.rawValue)", headers: Self.headers)
                    _ = try await stack.get("/v1/models/\(Secret.model.rawValue)", headers: Self.headers)
                    _ = try await stack.manage(
                        .POST,
                        "/api/v1/eval",
                        body: "{\"text\":\"prove \(Secret.prompt.rawValue)\"}",
                        headers: Self.headers
                    )
                    let isTraced = await eventually {
                        collector.spans.filter { $0.name == "process_request" }.count >= 8
                    }
                    #expect(isTraced)
                    var texts = [("the log", stack.log.lines.joined(separator: "\n"))]
                    texts.append(("spans", text(of: collector.messages)))
                    texts += pages(stack.registry, "gateway")
                    for worker in stack.workers { texts += pages(worker.registry, "sim") }
                    expectNothing(in: texts)
                }
            }
        }
    }
}
