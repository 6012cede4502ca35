import ConfigKit
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

extension EnvoyTests {
    /// Envoy can show Sextant bodies in five ways, each with limits of its own; what comes of a request is the same in all
    /// where it can be.
    @Suite("Envoy's body modes")
    struct BodyModeTests {
        enum Mode: String, CaseIterable, Sendable {
            case notSent = "NONE"
            case buffered = "BUFFERED"
            case partial = "BUFFERED_PARTIAL"
            case streamed = "STREAMED"
            case duplex = "FULL_DUPLEX_STREAMED"
        }

        /// What became of a request.
        private struct Outcome: Equatable {
            var status: Int
            /// What the answer says: a model's words, or an error's code.
            var answer: String
            var decision: [String] = []
            /// Who answered, and what it was sent.
            var worker: String?
            var body: String?
            /// The values of a header that the decision adds to.
            var tier: [String] = []
        }

        private struct Request: Sendable {
            let name: String
            var method = HTTPMethod.POST
            var path = EnvoyTests.path
            var body = ""
            var headers: HTTPHeaders = ["content-type": "application/json", "x-tier": "silver"]
            var trailers: HTTPHeaders?
            /// Whether the length is told before the body.
            var hasLength = true
            /// In all modes in which Sextant sees the whole body.
            let usual: Outcome
            /// Where Sextant sees no body.
            let unseen: Outcome
            /// Where bodies come in pieces, if it is not as usual: the headers have gone by then.
            var inPieces: Outcome?

            func expected(in mode: Mode) -> Outcome {
                switch mode {
                case .notSent: unseen
                case .streamed: inPieces ?? usual
                // Envoy says then neither the length nor that this is all.
                case .partial: trailers != nil && !hasLength ? unseen : usual
                case .buffered, .duplex: usual
                }
            }
        }

        /// Three megabytes that are no text.
        private static let picture =
            #","user":""# + String(repeating: "data:image/png;base64,iVBOR ", count: 110_000) + "\""

        /// `answers` are the words with which the workers answer whatever is asked.
        private static let requests: [Request] = {
            func proven(_ more: String = "", tier: [String] = ["silver, gold"]) -> Outcome {
                Outcome(
                    status: 200,
                    answer: "prove it",
                    decision: ["proofs"],
                    worker: "b",
                    body: EnvoyTests.proven("prove it", more: more),
                    tier: tier
                )
            }
            func unseen(_ more: String = "") -> Outcome {
                Outcome(
                    status: 200,
                    answer: "prove it",
                    worker: "s",
                    body: chat("prove it", model: "small", more: more),
                    tier: ["silver"]
                )
            }
            func request(_ name: String, more: String = "", hasLength: Bool = true) -> Request {
                Request(
                    name: name,
                    body: chat("prove it", more: more),
                    hasLength: hasLength,
                    usual: proven(more),
                    unseen: unseen(more),
                    inPieces: proven(more, tier: ["silver"])
                )
            }
            var withTrailers = request("with trailers", hasLength: false)
            withTrailers.trailers = ["x-sum": "1"]
            // What has been kept back cannot be sent on in their place.
            withTrailers.inPieces = Outcome(status: 400, answer: "invalid_request")
            let kept = Outcome(
                status: 200,
                answer: "prove it",
                worker: "s",
                body: chat("prove it", model: "small"),
                tier: ["silver"]
            )
            let passed = Outcome(
                status: 404,
                answer: #"{"detail":"Not Found"}"#,
                worker: "s",
                body: chat("prove it", model: "small"),
                tier: ["silver"]
            )
            func refused(_ status: Int, _ code: String) -> Outcome { Outcome(status: status, answer: code) }
            return [
                request("with a length"),
                request("without a length", hasLength: false),
                withTrailers,
                request("large", more: picture),
                request("large, without a length", more: picture, hasLength: false),
                request("streamed answer", more: #","stream":true"#),
                Request(name: "named model", body: chat("prove it", model: "small"), usual: kept, unseen: kept),
                Request(
                    name: "fast response",
                    body: chat("forbidden"),
                    usual: Outcome(status: 200, answer: "Not  here, sorry.", decision: ["refusal"]),
                    unseen: Outcome(
                        status: 200,
                        answer: "forbidden",
                        worker: "s",
                        body: chat("forbidden", model: "small"),
                        tier: ["silver"]
                    )
                ),
                Request(
                    name: "broken",
                    body: "{",
                    usual: refused(400, "invalid_json"),
                    unseen: refused(400, "invalid_json")
                ),
                Request(
                    name: "compressed",
                    body: chat("prove it"),
                    headers: ["content-encoding": "gzip"],
                    usual: refused(415, "unsupported_media_type"),
                    unseen: refused(415, "unsupported_media_type")
                ),
                Request(
                    name: "another path",
                    path: "/v1/audio/speech",
                    body: chat("prove it"),
                    usual: passed,
                    unseen: passed
                ),
                Request(
                    name: "models",
                    method: .GET,
                    path: "/v1/models",
                    usual: Outcome(status: 200, answer: "vllm-sr/auto"),
                    unseen: Outcome(status: 200, answer: "vllm-sr/auto")
                ),
            ]
        }()

        private static let pairs = Mode.allCases.flatMap { request in
            // Envoy lets nobody change the modes when one is FULL_DUPLEX_STREAMED: a stream would wait for its end.
            Mode.allCases.filter { $0 != .partial && !(request == .duplex && $0 == .buffered) }.map { (request, $0) }
        }

        private static let workers = [("small", "s"), ("big", "b")].map { model, id in
            var config = SimConfig.instant(model, id: id)
            config.mode = .echo
            return config
        }

        private func withModes(
            _ request: Mode,
            _ response: Mode,
            options change: (inout ServeOptions) -> Void = { _ in },
            configuration changeMore: (inout EnvoyConfiguration) throws -> Void = { _ in },
            _ body: (EnvoyStack) async throws -> Void
        ) async throws {
            try await EnvoyStack.with(
                policy: policy,
                workers: Self.workers,
                options: {
                    $0.defaultModel = "small"
                    change(&$0)
                },
                change: {
                    try $0.setBodyModes(request: request.rawValue, response: response.rawValue)
                    try changeMore(&$0)
                },
                body
            )
        }

        private func outcome(of request: Request, _ chain: EnvoyStack, _ client: HTTP2Client) async throws -> Outcome {
            let before = chain.workers.map { $0.log.entries.count }
            var headers = request.headers
            let body = ByteBuffer(string: request.body)
            if request.hasLength, request.method == .POST {
                headers.add(name: "content-length", value: "\(body.readableBytes)")
            }
            let answer = try await client.send(
                request.method,
                request.path,
                headers: headers,
                body: body,
                trailers: request.trailers
            )
            var outcome = Outcome(
                status: Int(answer.status.code),
                answer: try Self.words(of: answer),
                decision: answer.headers["x-vsr-selected-decision"]
            )
            for (index, worker) in chain.workers.enumerated() where worker.log.entries.count > before[index] {
                let sent = try #require(worker.log.entries.last)
                outcome.worker = worker.id
                outcome.body = String(buffer: sent.body)
                outcome.tier = [sent.headers["x-tier"].joined(separator: ", ")].filter { !$0.isEmpty }
            }
            return outcome
        }

        private static func words(of answer: HTTP2Client.Answer) throws -> String {
            if answer.headers["content-type"].first?.hasPrefix("text/event-stream") == true {
                var decoder = SSEDecoder()
                decoder.receive(answer.body)
                var text = ""
                while let event = try decoder.next(), String(buffer: event.data) != "[DONE]" {
                    text += try JSONDocument(event.data).root["choices"]?[0]?["delta"]?["content"]?.string ?? ""
                }
                return text
            }
            let root = try JSONDocument(answer.body).root
            return root["error"]?["code"]?.string ?? root["choices"]?[0]?["message"]?["content"]?.string
                ?? root["data"]?[0]?["id"]?.string ?? String(buffer: answer.body)
        }

        @Test("What comes of a request does not depend on the modes, as far as they allow it", arguments: pairs)
        func alike(request mode: Mode, response: Mode) async throws {
            let scripted = try await ScriptedStream.start()
            try await withModes(mode, response, options: scripted.serve(as: "scripted")) { chain in
                let client = try await HTTP2Client.connect(port: chain.envoy.port)
                for request in Self.requests {
                    let expected = request.expected(in: mode)
                    let outcome = try await outcome(of: request, chain, client)
                    // What differs would be printed whole, megabytes of it.
                    let isExpected = outcome == expected
                    #expect(
                        isExpected,
                        "\(request.name): \("\(outcome)".prefix(400)); not \("\(expected)".prefix(400))"
                    )
                }
                try await inOrder(chain, scripted)
                await client.close()
                #expect(await eventually { chain.semantic[0].callCount == 0 })
            }
            await scripted.server.stop()
        }

        /// No mode keeps a stream back.
        private func inOrder(_ chain: EnvoyStack, _ worker: ScriptedStream) async throws {
            let client = try await RawConnection.connect(port: chain.envoy.port)
            try await client.send(HTTPText.post(path, chat("hello", model: "scripted", more: #","stream":true"#)))
            for number in 0..<2 {
                if number > 0 { try await worker.send(number) }
                let text = await client.text { $0.contains(ScriptedStream.event(number)) }
                #expect(text.contains(ScriptedStream.event(number)))
            }
            try await worker.end()
            #expect(await client.text { $0.hasSuffix("0\r\n\r\n") }.contains("data: [DONE]"))
            await client.close()
        }

        @Test("A body over the limit of BUFFERED_PARTIAL goes on unrouted, and whole")
        func overLimit() async throws {
            let change: (inout EnvoyConfiguration) throws -> Void = {
                try $0.replace("request_body_buffer_limit: 52428800", with: "request_body_buffer_limit: 32768")
            }
            try await withModes(.partial, .notSent, configuration: change) { chain in
                let client = try await HTTP2Client.connect(port: chain.envoy.port)
                for request in Self.requests.prefix(5) {
                    let expected =
                        request.body.utf8.count > 32768 ? request.unseen : request.expected(in: .partial)
                    let outcome = try await outcome(of: request, chain, client)
                    let isExpected = outcome == expected
                    #expect(
                        isExpected,
                        "\(request.name): \("\(outcome)".prefix(400)); not \("\(expected)".prefix(400))"
                    )
                }
                await client.close()
            }
        }
    }
}

extension EnvoyConfiguration {
    fileprivate mutating func setBodyModes(request: String, response: String) throws {
        try replace(
            "request_body_mode: BUFFERED  # Sextant sees all of it before anything goes on",
            with: "request_body_mode: \(request)"
        )
        try replace("response_body_mode: NONE", with: "response_body_mode: \(response)")
        // Envoy asks for it with FULL_DUPLEX_STREAMED. With STREAMED nothing else tells Sextant that the body has ended.
        for (name, mode) in [("request", request), ("response", response)] where mode.hasSuffix("STREAMED") {
            try replace("\(name)_trailer_mode: SKIP", with: "\(name)_trailer_mode: SEND")
        }
        // Envoy 1.40 sends a body before trailers twice where the route has retries.
        if request == "FULL_DUPLEX_STREAMED" {
            try replace("retry_on: connect-failure,refused-stream\n", with: "retry_on: \"\"\n")
        }
    }
}
