import ConfigKit
import Foundation
import HTTPTransport
import NIOCore
import NIOHTTP1
import OpenAIWire
import RouterApp
import TestSupport
import Testing

/// A gateway with models of its own, asked over its management port.
@Suite("Models of a process")
struct ProcessModelTests {
    private static let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "river", "water", "stone", "law"]
    private static let dimensions = 128

    /// Static vectors of a few words, as model2vec's folders have them: `river` and `water` are alike, the rest is not.
    private static func writeWords(_ folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(#"{"model_type": "model2vec", "normalize": true}"#.utf8).write(
            to: folder.appending(path: "config.json")
        )
        let vocabulary = words.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
        let added = words.prefix(4).enumerated().map {
            #"{"id": \#($0), "content": "\#($1)", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}"#
        }
        try Data(
            """
            {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [\(added.joined(separator: ", "))],
             "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                            "strip_accents": null, "lowercase": true},
             "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": 100, "vocab": {\(vocabulary)}}}
            """.utf8
        ).write(to: folder.appending(path: "tokenizer.json"))
        var table = [Float](repeating: 0, count: words.count * dimensions)
        // By word: places of the vector and what stands there.
        let vectors: [String: [Int: Float]] = [
            "river": [0: 3, 100: 4], "water": [0: 4, 100: 3], "stone": [1: 1], "law": [2: 1],
        ]
        for (word, places) in vectors {
            guard let row = words.firstIndex(of: word) else { continue }
            for (place, value) in places { table[row * dimensions + place] = value }
        }
        let numbers = table.withUnsafeBytes { Data($0) }
        let header =
            #"{"embeddings": {"dtype": "F32", "shape": [\#(words.count), \#(dimensions)], "data_offsets": [0, \#(numbers.count)]}}"#
        let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
        try (length + Data(header.utf8) + numbers).write(to: folder.appending(path: "model.safetensors"))
    }

    /// A gateway with the words' model, and one for which there is no library.
    private func withGateway(_ body: (Stack) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Self.writeWords(folder.appending(path: "words"))
        let encoder = folder.appending(path: "encoder")
        try FileManager.default.createDirectory(at: encoder, withIntermediateDirectories: true)
        for name in ["config.json", "tokenizer.json"] { try Data("{}".utf8).write(to: encoder.appending(path: name)) }
        try await Stack.with(.gateway, options: { $0.models.folder = folder.path }, body)
    }

    private func ask(_ stack: Stack, _ path: String, _ body: String) async throws -> (HTTPResponseStatus, JSONValue) {
        let response = try await stack.manage(.POST, path, body: body)
        return (response.status, try JSONDocument(response.body).root)
    }

    private func numbers(_ value: JSONValue?) -> [Double] { value?.elements.compactMap(\.double) ?? [] }

    @Test("Texts become vectors, in their order, of the length that is asked for")
    func embeddings() async throws {
        try await withGateway { stack in
            let (status, whole) = try await ask(
                stack,
                "/api/v1/embeddings",
                #"{"texts": ["river", "law", "River stone"]}"#
            )
            #expect(status == .ok)
            let vectors = whole["embeddings"]?.elements.map { numbers($0["embedding"]) } ?? []
            #expect(vectors.map(\.count) == [128, 128, 128])
            #expect(vectors[0][0] > 0.59 && vectors[0][0] < 0.61 && vectors[1][2] == 1)
            // The mean of (3, 0, …, 4) and (0, 1, …), of length 1.
            #expect(abs(vectors[2][0] - 3 / 26.0.squareRoot()) < 1e-6)
            let (cutStatus, cut) = try await ask(
                stack,
                "/api/v1/embeddings",
                #"{"texts": ["river", "water"], "dimension": 64, "model": "words"}"#
            )
            #expect(cutStatus == .ok)
            // Cut, and of length 1 again: what told the two apart is gone.
            let short = cut["embeddings"]?.elements.map { numbers($0["embedding"]) } ?? []
            #expect(short == [[1] + [Double](repeating: 0, count: 63), [1] + [Double](repeating: 0, count: 63)])
        }
    }

    @Test("Texts are compared")
    func similarities() async throws {
        try await withGateway { stack in
            let (_, pair) = try await ask(stack, "/api/v1/similarity", #"{"text1": "river", "text2": "water"}"#)
            #expect(abs((pair["similarity"]?.double ?? 0) - 0.96) < 1e-6)
            let (_, ranking) = try await ask(
                stack,
                "/api/v1/similarity/batch",
                #"{"query": "water", "candidates": ["law", "river", "water"], "top_k": 2}"#
            )
            let matches = ranking["matches"]?.elements.map { $0["text"]?.string } ?? []
            #expect(matches == ["water", "river"])
        }
    }

    @Test(
        "What cannot be had is told in upstream's shape",
        arguments: [
            (#"{"texts": ["x"], "dimension": 96}"#, "INVALID_DIMENSION", "dimension must be one of: 64, 128."),
            (#"{"texts": ["x"], "model": "gemma"}"#, "INVALID_MODEL", "model must be one of: auto, words."),
            (
                #"{"texts": ["completely unfamiliar language"]}"#, "INVALID_INPUT",
                "Too much of a text is unknown to the model 'words'."
            ),
        ]
    )
    func refusals(body: String, code: String, message: String) async throws {
        try await withGateway { stack in
            let (status, answer) = try await ask(stack, "/api/v1/embeddings", body)
            #expect(status == .badRequest)
            #expect(answer["error"]?["code"]?.string == code && answer["error"]?["message"]?.string == message)
        }
    }

    @Test("A model without a library is a line in the log and in the list; the rest serves")
    func withoutLibrary() async throws {
        try await withGateway { stack in
            let complaints = stack.log.lines.filter { $0.hasPrefix("warning") && $0.contains("libonnxruntime.so") }
            #expect(complaints.count == 1, "\(stack.log.lines)")
            #expect(
                complaints.allSatisfy {
                    $0.contains(" is missing, and so encoder cannot run: `make models` fetches it")
                }
            )
            let list = try JSONDocument(try await stack.manage(.GET, "/info/models").body).root["models"]
            let loaded = list?.elements.map { "\($0["name"]?.string ?? "") \($0["loaded"]?.bool ?? false)" } ?? []
            #expect(loaded == ["words true", "encoder false"])
            let answer = try await stack.post(
                "/v1/chat/completions",
                #"{"model": "sim-model", "messages": [{"role": "user", "content": "hi"}]}"#
            )
            #expect(answer.status == .ok)
        }
    }
}
