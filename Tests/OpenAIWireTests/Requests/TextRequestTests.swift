import NIOCore
import NIOHTTP1
import OpenAIWire
import Testing

@Suite struct TextRequestTests {
    @Test(
        "An endpoint is told by its path as it is written",
        arguments: [
            ("/v1/chat/completions", .chatCompletions), ("/v1/chat/completions?x=1", .chatCompletions),
            ("/v1/completions", .completions), ("/v1/responses", .responses), ("/v1/messages", .messages),
            ("/v1/embeddings", .embeddings), ("/v1/rerank", .rerank), ("/rerank", .rerank), ("/v2/rerank", .rerank),
            ("/v1/score", .score), ("/score", .score), ("/tokenize", .tokenize), ("/detokenize", .detokenize),
            ("/classify", .classify), ("/pooling", .pooling), ("/v1/models", nil), ("/v1/chat/completions/", nil),
            ("/v1/chat%2Fcompletions", nil), ("", nil), ("/", nil),
        ] as [(String, TextEndpoint?)]
    )
    func endpoint(path: String, expected: TextEndpoint?) {
        #expect(TextEndpoint(path: path) == expected)
    }

    @Test(
        "Model and stream are read, and null counts as not given",
        arguments: [
            (#"{"model": "m", "stream": true}"#, "m", true), (#"{"model": "m"}"#, "m", false), ("{}", nil, false),
            (#"{"model": null, "stream": null}"#, nil, false),
            (#"{"mod\u0065l": "\u006d", "stream": false}"#, "m", false),
            (#"{"model": "a", "model": "b"}"#, "b", false), (#"{"model": ""}"#, "", false),
        ] as [(String, String?, Bool)]
    )
    func fields(text: String, model: String?, isStreaming: Bool) throws {
        let request = try request(.chatCompletions, text)
        #expect(request.model == model)
        #expect(request.isStreaming == isStreaming)
    }

    @Test(
        "A body that is no request is the client's mistake, with the parameter named",
        arguments: [
            (#"{"model": }"#, RouterError.Code.invalidJSON, nil), ("", .invalidJSON, nil), ("[]", .invalidRequest, nil),
            (#""text""#, .invalidRequest, nil), (#"{"model": 1}"#, .invalidRequest, "model"),
            (#"{"model": ["m"]}"#, .invalidRequest, "model"),
        ] as [(String, RouterError.Code, String?)]
    )
    func mistakes(text: String, code: RouterError.Code, parameter: String?) throws {
        let error = try routerError { () throws(RouterError) in _ = try request(.completions, text) }
        #expect(error.code == code)
        #expect(error.parameter == parameter)
        #expect(error.origin == .client)
        #expect(!error.isRetryable)
        #expect(ErrorResponder.status(of: error.code) == .badRequest)
    }

    @Test("An error of syntax tells the byte, not the content")
    func syntaxError() throws {
        let error = try routerError { () throws(RouterError) in _ = try request(.chatCompletions, #"{"a": sesame}"#) }
        #expect(error.message == "the request body is not valid JSON: unexpected character at byte 6")
    }

    @Test("A body over the limit is too large")
    func tooLarge() throws {
        let error = try routerError { () throws(RouterError) in
            _ = try TextRequest(endpoint: .score, body: ByteBuffer(string: "{      }"), limits: .init(maxBytes: 7))
        }
        #expect(error.code == .bodyTooLarge)
    }
}
