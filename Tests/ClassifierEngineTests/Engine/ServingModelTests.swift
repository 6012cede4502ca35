import ClassifierEngine
import ConfigKit
import Foundation
import Instruments
import Resilience
import Synchronization
import TestSupport
import Testing
import Tokenizers

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

    func replace(_ text: String, by other: String, in name: String) throws {
        try change(name) { data in
            let changed = String(decoding: data, as: UTF8.self).replacing(text, with: other)
            #expect(Data(changed.utf8) != data)
            data = Data(changed.utf8)
        }
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
        try await withModel(folder, settings: settings, onPool: { model, _ in try await body(model) })
    }

    private func withModel(
        _ folder: TinyFolder,
        settings: ServingModel.Settings = ServingModel.Settings(),
        clock: SetClock = SetClock(),
        onPool body: (ServingModel, ComputePool) async throws -> Void
    ) async throws {
        let pool = try ComputePool(.init(schedule: .init(threads: 1)))
        let model = try ServingModel(
            "tiny",
            folder: folder.path,
            runtime: Library.load(),
            settings: settings,
            on: pool,
            metrics: ComputeMetrics(registry: registry),
            clock: { clock.now }
        )
        try await body(model, pool)
        await pool.shutdown()
    }

    private var soon: MonotonicTime { .now() + .seconds(60) }

    /// Runs `body` while the model's folder is followed.
    private func following(
        _ model: ServingModel,
        _ body: (Replacements) async throws -> Void
    ) async throws {
        let outcomes = Replacements()
        let task = Task { await model.follow(period: .milliseconds(5)) { outcomes.add($0) } }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(outcomes))
        } catch {
            result = .failure(error)
        }
        task.cancel()
        await task.value
        try result.get()
    }

    private func labels(_ model: ServingModel, _ text: String) async throws -> [String] {
        try await model.classify(text, by: soon).labels
    }

    /// 32 texts of known words.
    private static let texts = (0..<32).map { number in
        (0..<5).map { number >> $0 & 1 == 0 ? "the" : "law" }.joined(separator: " ")
    }
    private static let before = ["law", "medicine", "other"]
    private static let after = ["law", "health", "other"]

    private func canary(share: Double, enoughCalls: Int) -> ServingModel.Settings {
        var settings = ServingModel.Settings()
        settings.canary = Canary.Settings(share: share, enoughCalls: enoughCalls, slowdown: 1e9)
        return settings
    }

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
            let refused = await withCheckedContinuation { continuation in
                model.submit("法律 说 什么", by: soon) { continuation.resume(returning: $0.failure) }
            }
            #expect(refused == .unknownText)
        }
    }

    @Test("What cannot be answered anyway is refused at once, before any look at the text's tokens")
    func refusedAtOnce() async throws {
        let unknown = "法律 说 什么"
        try await withModel(
            try TinyFolder("bert-base"),
            onPool: { model, pool in
                let errors = Collected<ComputeError?>()
                model.submit(unknown, by: MonotonicTime(nanoseconds: 1)) { errors.add($0.failure) }
                #expect(errors.all == [.deadline])
                await pool.shutdown()
                model.submit(unknown, by: soon) { errors.add($0.failure) }
                #expect(errors.all == [.deadline, .shutdown])
            }
        )
    }

    @Test("Vectors of several texts are one model's, in order; they can be cut")
    func vectors() async throws {
        try await withModel(try TinyFolder("bert-base")) { model in
            let texts = (0..<150).map { number in
                (0..<8).map { number >> $0 & 1 == 0 ? "the" : "law" }.joined(separator: " ")
            }
            let all = try await model.embed(texts, dimensions: nil, by: soon)
            #expect(all.generation == 1 && all.vectors.count == 150)
            #expect(Set(all.vectors).count == 150)
            for index in [0, 63, 64, 149] {
                let one = try await model.embed(texts[index], by: soon)
                #expect(one == all.vectors[index])
            }
            let cut = try await model.embed(Array(texts.prefix(3)), dimensions: 5, by: soon)
            for (short, full) in zip(cut.vectors, all.vectors) {
                let length = full.prefix(5).map { $0 * $0 }.reduce(0, +).squareRoot()
                let isNormalized = model.current.model.pooling.isNormalized
                #expect(distance(short, full.prefix(5).map { isNormalized ? $0 / length : $0 }) < 1e-6)
            }
            #expect(try await model.embed([], dimensions: nil, by: soon).vectors.isEmpty)
        }
    }

    @Test("A length that the model does not have is refused as the caller's mistake", arguments: [-1, 0, 33])
    func wrongDimensions(_ dimensions: Int) async throws {
        try await withModel(try TinyFolder("bert-base")) { model in
            let error = ComputeError.unsupported(
                "the model 'tiny' has vectors of 1 to 32 numbers, not of \(dimensions)"
            )
            await #expect(throws: error) { try await model.embed(["the"], dimensions: dimensions, by: soon) }
        }
    }

    @Test("What the model is not made for is refused as the caller's mistake")
    func wrongTask() async throws {
        try await withModel(try TinyFolder("bert-base")) { model in
            await #expect(throws: ComputeError.unsupported("the model 'tiny' does not classify texts")) {
                try await model.classify("the", by: soon)
            }
            await #expect(throws: ComputeError.unsupported("the model 'tiny' does not name parts of texts")) {
                try await model.tag("the", by: soon)
            }
        }
        try await withModel(try TinyFolder("bert-sequence")) { model in
            await #expect(throws: ComputeError.unsupported("the model 'tiny' makes no embeddings")) {
                try await model.embed("the", by: soon)
            }
        }
    }

    @Test("When one of several texts fails, all do, and the others are not waited for")
    func oneFails() async throws {
        try await withModel(try TinyFolder("bert-base")) { model in
            let texts = ["the law", "法律 说 什么", "the doctor"]
            await #expect(throws: ComputeError.unknownText) {
                try await model.embed(texts, dimensions: nil, by: soon)
            }
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
            _ = try await model.answer(to: "\(String(repeating: "the law says so ", count: 4))nowhere", by: soon)
            let reason = ["model": "tiny", "reason": "unknown_text"]
            #expect(registry.value(of: "sextant_classifier_unanswered_total", labels: reason) == 1)
        }
    }

    @Test("A text of which no token is left is not judged", arguments: ["\u{200B}\u{200B}", "\u{1}\u{2}", " \n"])
    func nothing(text: String) async throws {
        try await withModel(try TinyFolder("bert-sequence")) { model in
            await #expect(throws: ComputeError.unknownText) { try await model.answer(to: text, by: soon) }
        }
    }

    @Test("A text whose beginning hides the rest is not judged by its beginning")
    func hidden() async throws {
        try await withModel(try TinyFolder("bert-sequence")) { model in
            let blanks = String(repeating: " ", count: 256 << 10)
            await #expect(throws: ComputeError.tooLong) {
                try await model.answer(to: blanks + "ask the doctor", by: soon)
            }
            // Near enough, it is found.
            let law = try await model.answer(to: "the law", by: soon)
            let behind = try await model.answer(to: String(repeating: " ", count: 50_000) + "the law", by: soon)
            guard case .classes(let found) = behind, case .classes(let expected) = law else {
                Issue.record("no classes")
                return
            }
            #expect(found.probabilities == expected.probabilities)
        }
    }

    @Test("A deadline that has passed is an error at once, and longer texts are cut")
    func bounds() async throws {
        try await withModel(try TinyFolder("bert-sequence")) { model in
            await #expect(throws: ComputeError.deadline) {
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
            try await following(model) { outcomes in
                #expect(try await labels(model, "the law") == Self.before)
                try folder.replace("medicine", by: "health", in: "config.json")
                #expect(await waited { outcomes.all.contains(.replaced(generation: 2)) })
                #expect(try await labels(model, "the law") == Self.after)
                #expect(model.generation == 2)

                try folder.change("model.safetensors") { $0 = $0.prefix($0.count / 2) }
                #expect(await waited { outcomes.refusal("model.safetensors") })
                #expect(try await labels(model, "the law") == Self.after)
                #expect(model.generation == 2)
            }
        }
    }

    @Test("A candidate answers its share of texts, and all once it is promoted")
    func promoted() async throws {
        let folder = try TinyFolder("bert-sequence")
        let clock = SetClock()
        let settings = canary(share: 0.5, enoughCalls: 1)
        try await withModel(
            folder,
            settings: settings,
            clock: clock,
            onPool: { model, _ in
                try folder.replace("medicine", by: "health", in: "config.json")
                try await following(model) { outcomes in
                    #expect(await waited { outcomes.all == [.onTrial] })
                    var seen: Set<[String]> = []
                    for text in Self.texts { seen.insert(try await labels(model, text)) }
                    #expect(seen == [Self.before, Self.after])
                    #expect(model.generation == 1)
                    clock.advance(by: .seconds(60))
                    #expect(await waited { outcomes.all == [.onTrial, .replaced(generation: 2)] })
                    for text in Self.texts { #expect(try await labels(model, text) == Self.after) }
                }
            }
        )
    }

    @Test("Texts that a candidate does not know are answered by the model in force; of one rolled back nothing is left")
    func rolledBack() async throws {
        let folder = try TinyFolder("bert-sequence")
        try await withModel(folder, settings: canary(share: 0.5, enoughCalls: 1)) { model in
            try folder.replace("medicine", by: "health", in: "config.json")
            try folder.replace("doctor", by: "driver", in: "tokenizer.json")
            try await following(model) { outcomes in
                #expect(await waited { outcomes.all == [.onTrial] })
                var seen: Set<[String]> = []
                for text in Self.texts { seen.insert(try await labels(model, text)) }
                #expect(seen == [Self.before, Self.after])
                for number in 0..<32 where outcomes.all.count == 1 {
                    let text = "doctor " + String(repeating: "doctors ", count: number)
                    #expect(try await labels(model, text) == Self.before)
                }
                #expect(await waited { outcomes.refusal("calls failed") })
                for text in Self.texts { #expect(try await labels(model, text) == Self.before) }
                #expect(model.generation == 1)
            }
        }
    }

    @Test("A folder that changes during a trial ends it, and is tried itself")
    func superseded() async throws {
        let folder = try TinyFolder("bert-sequence")
        try await withModel(folder, settings: canary(share: 1, enoughCalls: 1_000)) { model in
            try folder.replace("medicine", by: "health", in: "config.json")
            try await following(model) { outcomes in
                #expect(await waited { outcomes.all == [.onTrial] })
                #expect(try await labels(model, "the law") == Self.after)
                try folder.replace("health", by: "nature", in: "config.json")
                #expect(await waited { outcomes.all.count == 3 })
                #expect(outcomes.all.last == .onTrial && outcomes.refusal("during its trial"))
                #expect(try await labels(model, "the law") == ["law", "nature", "other"])
            }
        }
    }

    @Test("A changed embedder takes over at once, and no answer mixes vectors of two models")
    func embedderTakesOver() async throws {
        let folder = try TinyFolder("bert-base")
        try await withModel(folder, settings: canary(share: 0.5, enoughCalls: 1)) { model in
            let former = model.current
            try await following(model) { outcomes in
                try folder.replace("\"gelu\"", by: "\"relu\"", in: "config.json")
                var answers: [Embeddings] = []
                while answers.last?.generation != 2, answers.count < 10_000 {
                    let texts = Self.texts.map { $0 + String(repeating: " so", count: answers.count % 30) }
                    answers.append(try await model.embed(texts, dimensions: nil, by: soon))
                }
                #expect(await waited { outcomes.all == [.replaced(generation: 2)] })
                for (number, answer) in answers.enumerated().suffix(3) {
                    let expert = answer.generation == 1 ? former : model.current
                    for (text, vector) in zip(Self.texts, answer.vectors) {
                        let text = text + String(repeating: " so", count: number % 30)
                        let tokens = expert.tokenizer.encode(text, maxTokens: expert.maxTokens)
                        let expected = try expert.model.embed([TokenSequence(ids: tokens.ids, types: tokens.typeIDs)])[
                            0
                        ]
                        #expect(distance(vector, expected) < 1e-5)
                    }
                }
            }
        }
    }

    @Test(
        "A folder in which there is another kind of model is refused, and says why",
        arguments: [
            ("bert-sequence", "bert-token", "made for tokenClassification"), ("bert-base", "bert-sequence", "made for"),
        ]
    )
    func otherKind(_ old: String, _ new: String, _ reason: String) async throws {
        let folder = try TinyFolder(old)
        let other = try TinyFolder(new)
        try await withModel(folder) { model in
            for name in ["model.safetensors", "config.json"] {
                try folder.change(name) { $0 = try Data(contentsOf: URL(filePath: other.path + "/" + name)) }
            }
            try await following(model) { outcomes in
                #expect(await waited { outcomes.refusal(reason) })
                #expect(model.generation == 1)
            }
        }
    }

    @Test("A model that could not be loaded at first is there once its folder has changed")
    func late() async throws {
        let folder = try TinyFolder("bert-sequence")
        let config = try Data(contentsOf: URL(filePath: folder.path + "/config.json"))
        try folder.write("{", "config.json")
        let tokens = try TinyFolder("static")
        let other = tokens.path + "-absent"
        var settings = ClassifierModels.Settings()
        settings.library = Library.path
        settings.encoders = [.init(name: "late", folder: folder.path)]
        settings.staticModels = [("later", other)]
        let complaints = Collected<String>()
        let models = ClassifierModels(settings, registry: registry) { name, _ in complaints.add(name) }
        #expect(Set(complaints.all) == ["late", "later"])
        #expect(models.encoders.isEmpty && models.staticModels.isEmpty)
        let outcomes = Replacements()
        let task = Task { await models.follow(period: .milliseconds(5)) { outcomes.add($1) } }
        try folder.change("config.json") { $0 = config }
        #expect(await waited { models.encoders["late"] != nil })
        #expect(try await models.classify("the law", with: "late", by: soon).labels == Self.before)
        // It is followed like any other.
        try folder.replace("medicine", by: "health", in: "config.json")
        #expect(await waited { outcomes.all.contains(.replaced(generation: 2)) })
        #expect(try await models.classify("the law", with: "late", by: soon).labels == Self.after)
        try FileManager.default.moveItem(atPath: tokens.path, toPath: other)
        #expect(await waited { models.staticModels["later"] != nil })
        let first = try await models.embed(["the law"], with: "later", by: soon)
        #expect(first.vectors[0].count == 24 && first.generation == 1)
        try Data(#" {"model_type": "model2vec", "normalize": true}"#.utf8).write(
            to: URL(filePath: other + "/config.json"),
            options: .atomic
        )
        #expect(await waited { models.staticModels["later"]?.generation == 2 })
        #expect(try await models.embed(["the law"], with: "later", by: soon).generation == 2)
        #expect(outcomes.all.count { $0 == .loaded } == 2)
        task.cancel()
        await task.value
        await models.shutdown()
        try FileManager.default.removeItem(atPath: other)
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
        #expect(try await models.embed(["the law"], with: "good", by: soon).vectors.map(\.count) == [32])
        await #expect(throws: ComputeError.self) { try await models.classify("the law", with: "good", by: soon) }
        await #expect(throws: ComputeError.self) { try await models.embed(["the law"], with: "bad", by: soon) }
        await models.shutdown()
    }
}

@Suite("Models of tokens' vectors that serve", .temporaryFiles)
struct StaticModelTests {
    private let model: StaticModel

    init() throws { model = try StaticModel("tokens", folder: TinyFolder("static").path) }

    @Test("Texts have their vectors in order, cut where that is asked for")
    func vectors() async throws {
        let texts = ["the law", "ask the doctors"]
        let all = try await model.embed(texts, dimensions: nil, by: farAway)
        #expect(all.vectors == [try model.embed(texts[0]), try model.embed(texts[1])])
        let cut = try await model.embed(texts, dimensions: 7, by: farAway)
        #expect(cut.vectors == [try model.embed(texts[0], dimensions: 7), try model.embed(texts[1], dimensions: 7)])
        for dimensions in [0, 25] {
            let error = ComputeError.unsupported(
                "the model 'tokens' has vectors of 1 to 24 numbers, not of \(dimensions)"
            )
            await #expect(throws: error) { try await model.embed(texts, dimensions: dimensions, by: farAway) }
        }
    }

    @Test("A deadline that is over and a cancelled task end it before it looks at a text")
    func ends() async {
        await #expect(throws: ComputeError.deadline) { try await model.embed("法律", by: .now()) }
        let cancelled = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await model.embed("法律", by: farAway)
        }
        await #expect(throws: ComputeError.cancelled) { try await cancelled.value }
    }
}

@Suite("Models without a library", .temporaryFiles)
struct MissingLibraryTests {
    @Test(
        "With a library that cannot be used, encoders are told of in one line, and left out",
        arguments: [(nil, 0), ("/nowhere/libonnxruntime.so", 1)]
    )
    func missing(library: String?, lines: Int) throws {
        var settings = ClassifierModels.Settings()
        settings.library = library
        settings.encoders = [.init(name: "a", folder: "/models/a"), .init(name: "b", folder: "/models/b")]
        var complaints: [String] = []
        let models = ClassifierModels(settings, registry: MetricRegistry()) { complaints.append("\($0): \($1)") }
        #expect(complaints.count == lines)
        #expect(complaints.allSatisfy { $0.hasPrefix("a, b: /nowhere/libonnxruntime.so: ") && !$0.contains("\n") })
        #expect(models.encoders.isEmpty && models.names == ["a", "b"])
    }
}

private final class Replacements: Sendable {
    private let kept = Mutex<[FolderChange]>([])

    func add(_ outcome: FolderChange) { kept.withLock { $0.append(outcome) } }
    var all: [FolderChange] { kept.withLock { $0 } }

    /// Whether one was refused for a reason that says so.
    func refusal(_ words: String) -> Bool {
        all.contains { if case .refused(let reason) = $0 { reason.contains(words) } else { false } }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
