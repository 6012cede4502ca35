import HTTPTransport
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import SimWorker
import TestSupport
import Testing

/// What comes back for what cannot be served: always an error object that OpenAI's clients understand.
@Suite("Bad input")
struct BadInputTests {
    private func error(_ answer: FetchedResponse) throws -> (status: Int, code: String, parameter: String?) {
        #expect(answer.headers.first(name: "content-type") == "application/json")
        #expect(answer.headers.first(name: "x-request-id")?.isEmpty == false)
        let error = try #require(try JSONDocument(answer.body).root["error"])
        #expect(error["message"]?.string?.isEmpty == false)
        #expect(error["type"]?.string?.isEmpty == false)
        return (Int(answer.status.code), try #require(error["code"]?.string), error["param"]?.string)
    }

    private static func nested(_ depth: Int) -> String {
        let value = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        return #"{"model":"sim-model","messages":[{"role":"user","content":"x"}],"metadata":\#(value)}"#
    }

    @Test(
        "A request that is wrong is told what is wrong with it, and no worker sees it",
        arguments: [
            (#"{"model": "sim-model", "#, 400, "invalid_json", nil), ("", 400, "invalid_json", nil),
            ("[1,2]", 400, "invalid_request", nil), ("null", 400, "invalid_request", nil),
            (#"{"messages":[]}"#, 400, "missing_model", "model"), (#"{"model":null}"#, 400, "missing_model", "model"),
            (#"{"model":7}"#, 400, "invalid_request", "model"), (#"{"model":["a"]}"#, 400, "invalid_request", "model"),
            (#"{"model":"nobody"}"#, 404, "model_not_found", "model"),
            (#"{"model":"sim-model","x":"a\u0000b","y":01}"#, 400, "invalid_json", nil),
            (nested(600), 400, "invalid_json", nil), (nested(100_000), 400, "invalid_json", nil),
        ] as [(String, Int, String, String?)]
    )
    func refused(body: String, status: Int, code: String, parameter: String?) async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            let answer = try error(try await stack.post("/v1/chat/completions", body))
            #expect(answer.status == status && answer.code == code && answer.parameter == parameter, "\(answer)")
            #expect(stack.workers[0].log.entries.isEmpty)
        }
    }

    @Test("A hundred levels are deep, but valid: the worker judges them")
    func deepButValid() async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            let answer = try await stack.post("/v1/chat/completions", Self.nested(100))
            #expect(answer.status == .ok)
        }
    }

    @Test(
        "Bytes that are no UTF-8 are refused, inside and outside of strings",
        arguments: [[0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82]] as [[UInt8]]
    )
    func invalidUTF8(bytes: [UInt8]) async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            var body = ByteBuffer(string: #"{"model":"sim-model","prompt":""#)
            body.writeBytes(bytes)
            body.writeString("\"}")
            let answer = try error(try await stack.send(.POST, "/v1/completions", body: body))
            #expect(answer.status == 400 && answer.code == "invalid_json")
        }
    }

    @Test("A body of 64 MB is refused with its limit, and the next request is served")
    func tooLarge() async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            let body = ByteBuffer(repeating: UInt8(ascii: " "), count: 64_000_000)
            let answer = try error(try await stack.send(.POST, "/v1/completions", body: body))
            #expect(answer.status == 413 && answer.code == "body_too_large")
            #expect(try await stack.get("/health").status == .ok)
        }
    }

    @Test("A prompt of 1 MB is served")
    func largeButAllowed() async throws {
        var config = SimConfig.instant()
        config.maxModelTokens = 10_000_000
        config.blockCount = 1_000_000
        try await Stack.with(workers: [config]) { stack in
            let text = String(repeating: "word ", count: 200_000)
            let answer = try await stack.post("/v1/completions", #"{"model":"sim-model","prompt":"\#(text)"}"#)
            #expect(answer.status == .ok, "\(String(buffer: answer.body).prefix(300))")
        }
    }

    @Test(
        "Paths, methods and content types",
        arguments: [
            (HTTPMethod.GET, "/nowhere", [:], 404, "route_not_found"),
            (.GET, "/v1/chat/completions", [:], 405, "method_not_allowed"),
            (.POST, "/v1/models", [:], 405, "method_not_allowed"),
            (.POST, "/v1/chat/completions", ["content-encoding": "gzip"], 415, "unsupported_media_type"),
            (.POST, "/v1/audio/transcriptions", ["content-type": "application/json"], 415, "unsupported_media_type"),
            (.POST, "/v1/audio/transcriptions", ["content-type": "multipart/form-data"], 400, "invalid_request"),
            (
                .POST, "/v1/audio/transcriptions", ["content-type": "multipart/form-data; boundary=B"], 400,
                "invalid_request"
            ),
        ] as [(HTTPMethod, String, [String: String], Int, String)]
    )
    func routes(
        method: HTTPMethod,
        path: String,
        headers: [String: String],
        status: Int,
        code: String
    ) async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            let body = method == .POST ? ByteBuffer(string: "{}") : ByteBuffer()
            let answer = try error(try await stack.send(method, path, body: body, headers: headers))
            #expect(answer.status == status && answer.code == code, "\(answer)")
        }
    }

    @Test(
        "Half a request, then silence: 408, and the connection is let go",
        arguments: [
            "POST /v1/chat/completions HT",
            "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"mod",
        ]
    )
    func halfARequest(part: String) async throws {
        let options: (inout ServeOptions) -> Void = {
            $0.headerTimeout = .milliseconds(200)
            $0.bodyTimeout = .milliseconds(200)
        }
        try await Stack.with(workers: [.instant()], options: options) { stack in
            let client = try await RawConnection.connect(port: stack.port)
            try await client.send(part)
            let text = await client.textUntilClosed()
            #expect(text.hasPrefix("HTTP/1.1 408 ") && text.contains(#""code":"request_timeout""#))
            await client.close()
        }
    }

    @Test("What is not HTTP is answered in the same form")
    func notHTTP() async throws {
        try await Stack.with(workers: [.instant()]) { stack in
            let client = try await RawConnection.connect(port: stack.port)
            try await client.send("\u{16}\u{3}\u{1} garbage\r\n\r\n")
            let text = await client.textUntilClosed()
            #expect(text.hasPrefix("HTTP/1.1 400 ") && text.contains(#""code":"invalid_request""#))
            await client.close()
        }
    }
}
