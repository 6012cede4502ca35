import ConfigKit
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

extension EnvoyTests {
    /// Bodies of every size and framing, and answers while they are on their way.
    @Suite("Bodies through Envoy")
    struct BodyTests {
        /// Workers that take prompts of any length.
        private static let workers = [("small", "s"), ("big", "b")].map { model, id in
            var config = SimConfig.instant(model, id: id)
            config.maxModelTokens = 50_000_000
            config.blockCount = 4_000_000
            return config
        }

        private func withChain(
            workers: [SimConfig] = Self.workers,
            options change: (inout ServeOptions) -> Void = { _ in },
            _ body: (EnvoyStack) async throws -> Void
        ) async throws {
            try await EnvoyStack.with(
                policy: policy,
                workers: workers,
                options: {
                    $0.defaultModel = "small"
                    change(&$0)
                },
                body
            )
        }

        /// The sizes of a body in chunks as they go over the wire.
        private static func chunked(_ body: String, chunk: Int) -> String {
            var text = ""
            var rest = body[...]
            while !rest.isEmpty {
                let piece = rest.prefix(chunk)
                rest = rest.dropFirst(chunk)
                text += "\(String(piece.utf8.count, radix: 16))\r\n\(piece)\r\n"
            }
            return text
        }

        @Test("A prompt of a megabyte is read to its end, and arrives but for its edits as it was sent")
        func megabyte() async throws {
            try await withChain { chain in
                let prompt = String(repeating: "All happy families are alike. ", count: 35_000)
                let answer = try await chain.post(path, chat(prompt + "Now prove it."))
                #expect(answer.status == .ok)
                #expect(answer.headers["x-vsr-selected-decision"] == ["proofs"])
                let sent = try #require(chain.workers[1].log.entries.first)
                #expect(String(buffer: sent.body) == proven(prompt + "Now prove it."))
            }
        }

        @Test("An image of twenty megabytes passes, one over the limit gets a 413; neither stays in memory")
        func large() async throws {
            try await withChain { chain in
                func picture(_ bytes: Int, model: String) -> ByteBuffer {
                    let url = "data:image/png;base64," + String(repeating: "iVBO", count: bytes / 4)
                    return ByteBuffer(
                        string: #"{"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},"#
                            + #"{"type":"image_url","image_url":{"url":"\#(url)"}}]}],"model":"\#(model)"}"#
                    )
                }
                let answer = try await chain.send(.POST, path, body: picture(20 << 20, model: "auto"))
                #expect(answer.status == .ok)
                #expect(answer.headers["x-vsr-selected-model"] == ["small"])
                let sent = try #require(chain.workers[0].log.entries.first)
                // Without #expect: what differs would be printed whole.
                let isSame = sent.body == picture(20 << 20, model: "small")
                #expect(isSame, "\(sent.body.readableBytes) bytes came")
                let refused = try await chain.send(.POST, path, body: picture(51 << 20, model: "auto"))
                #expect(refused.status == .payloadTooLarge)
                #expect(try JSONDocument(refused.body).root["error"]?["type"]?.string == "gateway_error")
                #expect(chain.workers[0].log.entries.count == 1)
                let semantic = chain.semantic[0]
                #expect(await eventually { semantic.callCount == 0 })
                #expect(await eventually { semantic.registry.value(of: "sextant_extproc_buffered_bytes") == 0 })
            }
        }

        @Test("An upload in chunks arrives as one in a piece does, with trailers too", arguments: [false, true])
        func chunkedUpload(hasTrailers: Bool) async throws {
            try await withChain { chain in
                let prompt = String(repeating: "To be or not to be. ", count: 20_000) + "prove it"
                let client = try await RawConnection.connect(port: chain.envoy.port)
                try await client.send(
                    "POST \(path) HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
                        + "transfer-encoding: chunked\r\n\(hasTrailers ? "trailer: x-sum\r\n" : "")\r\n"
                )
                try await client.send(Self.chunked(chat(prompt), chunk: 10_000))
                try await client.send(hasTrailers ? "0\r\nx-sum: 1\r\n\r\n" : "0\r\n\r\n")
                let text = await client.text { $0.contains("\"usage\"") }
                #expect(text.hasPrefix("HTTP/1.1 200 OK"))
                #expect(text.contains("x-vsr-selected-decision: proofs"))
                let sent = try #require(chain.workers[1].log.entries.first)
                #expect(String(buffer: sent.body) == proven(prompt))
                #expect(sent.headers["content-length"] == ["\(sent.body.readableBytes)"])
                await client.close()
            }
        }

        @Test("A client of HTTP/2 is served as one of HTTP/1.1 is, many requests at a time")
        func http2() async throws {
            try await withChain { chain in
                let client = try await HTTP2Client.connect(port: chain.envoy.port)
                let headers: HTTPHeaders = ["content-type": "application/json", "x-vsr-selected-model": "forged"]
                try await withThrowingTaskGroup { group in
                    for number in 0..<50 {
                        group.addTask {
                            try await client.send(
                                .POST,
                                path,
                                headers: headers,
                                body: ByteBuffer(string: chat("prove \(number)")),
                                trailers: number % 2 == 0 ? ["x-sum": "1"] : nil
                            )
                        }
                    }
                    for try await answer in group {
                        #expect(answer.status == .ok)
                        #expect(answer.headers["x-vsr-selected-model"] == ["large"])
                    }
                }
                let bodies = Set(chain.workers[1].log.entries.map { String(buffer: $0.body) })
                #expect(bodies == Set((0..<50).map { proven("prove \($0)") }))
                await client.close()
            }
        }

        // MARK: Streams

        @Test("Chunks of a stream reach the client before the worker has made the next; Sextant has gone by then")
        func order() async throws {
            let worker = try await ScriptedStream.start()
            try await withChain(workers: [], options: worker.serve(as: "small")) { chain in
                let client = try await RawConnection.connect(port: chain.envoy.port)
                try await client.send(HTTPText.post(path, chat("hello", more: #","stream":true"#)))
                for number in 0..<3 {
                    if number > 0 { try await worker.send(number) }
                    // The worker says nothing more until this has come.
                    let text = await client.text { $0.contains(ScriptedStream.event(number)) }
                    #expect(text.contains(ScriptedStream.event(number)))
                    #expect(!text.contains(ScriptedStream.event(number + 1)))
                    #expect(text.contains("x-vsr-selected-model: small"))
                }
                #expect(await eventually { chain.semantic[0].callCount == 0 })
                try await worker.end()
                #expect(await client.text { $0.hasSuffix("0\r\n\r\n") }.contains("data: [DONE]"))
                await client.close()
            }
            await worker.server.stop()
        }

        @Test("A client that goes away stops its worker", arguments: [true, false])
        func clientGone(isStream: Bool) async throws {
            var config = SimConfig()
            config.servedModelNames = ["small"]
            config.interTokenLatency = .seconds(3600)
            try await withChain(workers: [config]) { chain in
                let client = try await RawConnection.connect(port: chain.envoy.port)
                try await client.send(HTTPText.post(path, chat("hello", more: isStream ? #","stream":true"# : "")))
                #expect(await eventually { chain.workers[0].log.entries.count == 1 })
                if isStream { #expect(await client.text { $0.contains("data: ") }.contains("data: ")) }
                await client.close()
                #expect(await eventually { chain.workers[0].log.entries.first?.outcome == .cancelled })
                #expect(await eventually { chain.semantic[0].callCount == 0 })
            }
        }
    }
}

/// A worker that sends a stream event by event, each when the test says so.
struct ScriptedStream: Sendable {
    let server: RawServer

    static func start() async throws -> ScriptedStream {
        ScriptedStream(
            server: try await RawServer.start { _, _, request in
                // What routers ask besides is answered by nothing.
                guard request.hasPrefix("POST ") else { return .send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") }
                return .send(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                        + chunk(event(0))
                )
            }
        )
    }

    /// Adds the worker as the one of a model.
    func serve(as model: String) -> (inout ServeOptions) -> Void {
        { options in
            guard let url = try? ServiceURL.parse("http://127.0.0.1:\(server.port)", traits: FieldTraits()) else {
                return
            }
            options.staticBackends.append(url)
            options.staticModels.append(model)
        }
    }

    static func event(_ number: Int) -> String {
        #"data: {"id":"c","choices":[{"index":0,"delta":{"content":"word \#(number)"}}]}"# + "\n\n"
    }

    private static func chunk(_ text: String) -> String {
        "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n"
    }

    /// Sends an event on every stream that is open.
    func send(_ number: Int) async throws {
        try await server.push(Self.chunk(Self.event(number)))
    }

    func end() async throws {
        try await server.push(Self.chunk("data: [DONE]\n\n") + "0\r\n\r\n")
    }
}

enum HTTPText {
    /// A request with a JSON body.
    static func post(_ path: String, _ json: String) -> String {
        "POST \(path) HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: \(json.utf8.count)\r\n\r\n\(json)"
    }
}
