import ClassifierEngine
import ConfigKit
import Foundation
import Instruments
import Resilience
import Synchronization
import TestSupport
import Testing

/// Folders with a tiny model and a tokenizer for it.
struct TinyFolder {
    let path: String

    private static let words = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "law", "says", "so", "doctor", "##s", "ask", "über",
    ]

    init(_ fixture: String) throws {
        path = try Fixture(fixture).changed("config.json") { _ in }
        let vocabulary = Self.words.enumerated().map { "\"\($1)\":\($0)" }.joined(separator: ",")
        let tokenizer = """
            {"version":"1.0","truncation":null,"padding":null,
             "added_tokens":[\(["[PAD]", "[UNK]", "[CLS]", "[SEP]"].enumerated().map { """
                {"id":\($0),"content":"\($1)","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}
                """ }.joined(separator: ","))],
             "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":false,"lowercase":true},
             "pre_tokenizer":{"type":"BertPreTokenizer"},
             "post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},
             "decoder":null,
             "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
              "max_input_chars_per_word":100,"vocab":{\(vocabulary)}}}
            """
        try write(tokenizer, "tokenizer.json")
    }

    func write(_ text: String, _ name: String) throws {
        try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
    }

    func change(_ name: String, _ change: (inout Data) throws -> Void) throws {
        var bytes = try Data(contentsOf: URL(filePath: path + "/" + name))
        try change(&bytes)
        try bytes.write(to: URL(filePath: path + "/" + name), options: .atomic)
    }
}

@Suite("Models that serve", .temporaryFiles, .enabled(if: Library.path != nil, Library.why), .timeLimit(.minutes(2)))
struct LoadedModelTests {
    private let registry = MetricRegistry()

    private func withModel(
        _ folder: TinyFolder,
        settings: ServingModel.Settings = ServingModel.Settings(),
        _ body: (ServingModel) async throws -> Void
    ) async throws {
        let pool = try ComputePool(.init(schedule: .init(threads: 1)))
        let model = try ServingModel(
            "tiny",
            folder: folder.path,
            runtime: Library.load(),
            settings: settings,
            on: pool,
            metrics: ComputeMetrics(registry: registry)
        )
        try await body(model)
        await pool.shutdown()
    }

    private var soon: MonotonicTime { .now() + .seconds(20) }

    private func lookups(_ outcome: String) -> Double? {
        registry.value(of: "sextant_classifier_cache_lookups_total", labels: ["model": "tiny", "outcome": outcome])
    }

    @Test("A text's classes are those of its tokens")
    func classes() async throws {
        try await withModel(try TinyFolder("bert-sequence")) { model in
            let text = "The law says so"
            guard case .classes(let found) = try await model.answer(to: text, by: soon) else {
                Issue.record("no classes")
                return
            }
            #expect(found.labels == ["law", "medicine", "other"])
            let expected = try model.current.model.classify([TokenSequence(ids: [2, 4, 5, 6, 7, 3])])[0]
            #expect(distance(found.probabilities, expected.probabilities) < 1e-6)
            #expect(abs(found.probabilities.reduce(0, +) - 1) < 1e-5)
        }
    }

    @Test("Asked without a task it answers the same, and says at once what it does not judge")
    func submit() async throws {
        try await withModel(try TinyFolder("bert-base")) { model in
            let answer = await withCheckedContinuation { continuation in
                model.submit("the law says so", by: soon) { continuation.resume(returning: $0) }
            }
            guard case .vector(let vector) = try answer.get(),
                case .vector(let same) = try await model.answer(to: "the law says so", by: soon)
            else {
                Issue.record("no vector")
                return
            }
            #expect(vector == same)
            #expect(lookups("hit") == 1)
            let refused = Mutex<ComputeError?>(nil)
            model.submit("法律 说 什么", by: soon) { result in
                if case .failure(let error) = result { refused.withLock { $0 = error } }
            }
            #expect(refused.withLock { $0 } == .unknownText)
        }
    }

    @Test("The same text is answered from the cache")
    func cache() async throws {
        try await withModel(try TinyFolder("bert-base")) { model in
            for _ in 0..<3 {
                guard case .vector(let vector) = try await model.answer(to: "ask the doctors", by: soon) else {
                    Issue.record("no vector")
                    return
                }
                #expect(vector.count == 32)
            }
            _ = try await model.answer(to: "ask the doctor", by: soon)
            #expect(lookups("hit") == 2)
            #expect(lookups("miss") == 2)
        }
    }

    @Test("Parts of a text are told by its own bytes")
    func spans() async throws {
        try await withModel(try TinyFolder("bert-token")) { model in
            let text = "Über the doctors"
            guard case .spans(let spans) = try await model.answer(to: text, by: soon) else {
                Issue.record("no spans")
                return
            }
            let tags = try model.current.model.tag([TokenSequence(ids: [2, 11, 4, 8, 9, 3])])[0]
            let offsets = [0..<0, 0..<5, 6..<9, 10..<16, 16..<17, 0..<0]
            let special = [true, false, false, false, false, true]
            #expect(spans == tags.spans(offsets: offsets, isSpecial: special))
            for span in spans { #expect(span.range.upperBound <= text.utf8.count) }
        }
    }

    @Test("A text that the model does not know is not judged; some unknown words are no matter")
    func unknown() async throws {
        try await withModel(try TinyFolder("bert-sequence")) { model in
            await #expect(throws: ComputeError.unknownText) {
                try await model.answer(to: "法律 说 什么", by: soon)
            }
            _ = try await model.answer(to: "the law says so the law says so nowhere", by: soon)
            let reason = ["model": "tiny", "reason": "unknown_text"]
            #expect(registry.value(of: "sextant_classifier_unanswered_total", labels: reason) == 1)
        }
    }

    @Test("A deadline that has passed is an error at once, and longer texts are cut")
    func bounds() async throws {
        try await withModel(try TinyFolder("bert-sequence")) { model in
            await #expect(throws: (any Error).self) {
                try await model.answer(to: "the law", by: MonotonicTime(nanoseconds: 1))
            }
            #expect(model.current.maxTokens == 48)
            let long = String(repeating: "the law says so ", count: 100_000)
            let cut = String(repeating: "the law says so ", count: 30)
            guard case .classes(let found) = try await model.answer(to: long, by: soon),
                case .classes(let same) = try await model.answer(to: cut, by: soon)
            else {
                Issue.record("no classes")
                return
            }
            #expect(found.probabilities == same.probabilities)
        }
    }

    @Test("A tokenizer of another model is refused, by name")
    func wrongTokenizer() throws {
        let folder = try TinyFolder("bert-sequence")
        try folder.change("config.json") { data in
            let text = String(decoding: data, as: UTF8.self).replacing("\"vocab_size\": 96", with: "\"vocab_size\": 8")
            data = Data(text.utf8)
        }
        let pool = try ComputePool(.init(schedule: .init(threads: 1)))
        defer { pool.stop() }
        #expect(throws: EngineError.self) {
            try ServingModel(
                "tiny",
                folder: folder.path,
                runtime: Library.load(),
                on: pool,
                metrics: ComputeMetrics(registry: registry)
            )
        }
    }

    @Test("A folder that changes is loaded beside and takes over; a broken one does not")
    func replacement() async throws {
        let folder = try TinyFolder("bert-sequence")
        try await withModel(folder) { model in
            let outcomes = Replacements()
            let following = Task { await model.follow(period: .milliseconds(5)) { outcomes.add($0) } }
            defer { following.cancel() }
            func labels() async throws -> [String] {
                guard case .classes(let found) = try await model.answer(to: "the law", by: soon) else { return [] }
                return found.labels
            }
            #expect(try await labels() == ["law", "medicine", "other"])
            try folder.change("config.json") { data in
                data = Data(String(decoding: data, as: UTF8.self).replacing("medicine", with: "health").utf8)
            }
            #expect(await eventually { outcomes.all.contains(.replaced(generation: 2)) })
            #expect(try await labels() == ["law", "health", "other"])
            #expect(model.generation == 2)

            try folder.change("model.safetensors") { $0 = $0.prefix($0.count / 2) }
            #expect(await eventually { outcomes.refusal?.contains("model.safetensors") == true })
            #expect(try await labels() == ["law", "health", "other"])
            #expect(model.generation == 2)
        }
    }

    @Test("What cannot be loaded is told of, by file and cause, and the rest serves")
    func partial() async throws {
        let good = try TinyFolder("bert-base")
        let bad = try TinyFolder("bert-sequence")
        try bad.write("{", "config.json")
        var settings = ClassifierModels.Settings()
        settings.library = Library.path
        settings.encoders = [
            .init(name: "good", folder: good.path), .init(name: "bad", folder: bad.path),
            .init(name: "gone", folder: "/nowhere"),
        ]
        var complaints: [String: String] = [:]
        let models = ClassifierModels(settings, registry: registry) { complaints[$0] = $1 }
        #expect(Set(complaints.keys) == ["bad", "gone"])
        #expect(complaints["bad"]?.contains("config.json") == true)
        #expect(complaints["gone"]?.contains("/nowhere") == true)
        #expect(try await models.embed("the law", with: "good", by: soon).count == 32)
        await #expect(throws: ComputeError.self) { try await models.classify("the law", with: "good", by: soon) }
        await #expect(throws: ComputeError.self) { try await models.embed("the law", with: "bad", by: soon) }
        await models.shutdown()
    }
}

@Suite("Models without a library", .temporaryFiles)
struct MissingLibraryTests {
    @Test(
        "Without the library encoders are told of, each in one line, and static embeddings serve",
        arguments: [nil, "/nowhere/libonnxruntime.so"]
    )
    func missing(library: String?) throws {
        var settings = ClassifierModels.Settings()
        settings.library = library
        settings.encoders = [.init(name: "a", folder: "/models/a"), .init(name: "b", folder: "/models/b")]
        var complaints: [String] = []
        let models = ClassifierModels(settings, registry: MetricRegistry()) { complaints.append("\($0): \($1)") }
        #expect(complaints.count == 2)
        #expect(complaints.allSatisfy { $0.contains("libonnxruntime") && !$0.contains("\n") })
        #expect(models.encoders.isEmpty)
    }
}

private final class Replacements: Sendable {
    private let kept = Mutex<[ServingModel.Replacement]>([])

    func add(_ outcome: ServingModel.Replacement) { kept.withLock { $0.append(outcome) } }
    var all: [ServingModel.Replacement] { kept.withLock { $0 } }
    var refusal: String? {
        for case .refused(let reason) in all { return reason }
        return nil
    }
}
