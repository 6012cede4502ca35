import ConfigKit
import Instruments
package import Resilience

/// A model that serves: its batches, its cache, and its folder, which may be replaced while it is asked.
package final class ServingModel: TextEmbedder, TextClassifier {
    package let name: String
    package let folder: String
    private let slot: ModelSlot<EncoderModel>
    private let batcher: Batcher<ModelSlot<EncoderModel>>
    private let cache: ResultCache<ModelSlot<EncoderModel>.Output>
    private let load: @Sendable () throws -> EncoderModel
    private let canary: Canary.Settings?
    private let metrics: ComputeMetrics.OfModel
    /// How the folder looked when its model was loaded.
    private let folderState: FolderState?
    /// How long the first load took.
    package let secondsToLoad: Double

    package struct Settings: Sendable {
        package var encoder = EncoderModel.Settings()
        /// How a replaced folder is tried; nil puts it in force at once. An embedder's is compared by its sample only:
        /// vectors of two models must not be mixed.
        package var canary: Canary.Settings?
        /// 10,000 answers, in at most 32 MiB.
        package var cachedAnswers = 10_000
        package var cacheBytes = 32 << 20

        package init() {}
    }

    /// Loads the model and warms it up, on the calling thread: some hundred milliseconds.
    ///
    /// - Parameter clock: of trials. Deadlines are always those of the system's clock.
    package init(
        _ name: String,
        folder: String,
        runtime: OnnxRuntime,
        settings: Settings = Settings(),
        on pool: ComputePool,
        metrics: ComputeMetrics,
        clock: @escaping @Sendable () -> MonotonicTime = { .now() }
    ) throws(EngineError) {
        self.name = name
        self.folder = folder
        self.metrics = metrics.model(name)
        folderState = FolderState.of(folder)
        let encoder = settings.encoder
        load = { try EncoderModel(folder: folder, runtime: runtime, settings: encoder) }
        let start = ContinuousClock().now
        let model = try EncoderModel(folder: folder, runtime: runtime, settings: encoder)
        do {
            slot = try ModelSlot(
                model,
                sample: Self.sample(for: model),
                metrics: self.metrics,
                fits: { $0.misfit($1) },
                clock: clock
            )
        } catch {
            throw EngineError(.inference, folder, "\(error)")
        }
        secondsToLoad = (ContinuousClock().now - start) / .seconds(1)
        batcher = Batcher(slot, cost: slot.current.cost, on: pool, metrics: self.metrics)
        cache = ResultCache(
            entries: settings.cachedAnswers,
            bytes: settings.cacheBytes,
            isOf: { $0.version == $1 },
            sizeBytes: { $0.value.sizeBytes }
        )
        var canary = settings.canary
        if model.model.profile.task == .embedding { canary?.share = 0 }
        self.canary = canary
    }

    /// Batches of several sizes, by which a model's cost is measured.
    private static func sample(for model: EncoderModel) -> [[TextInput]] {
        let words = "The quick brown fox jumps over the lazy dog while seven wizards mix a potion. "
        func text(_ repetitions: Int) -> TextInput {
            TextInput(String(repeating: words, count: repetitions), maxTokens: model.maxTokens, isSample: true)
        }
        return [[text(1)], [text(1), text(1), text(1), text(1)], [text(4)], [text(8), text(8)]]
    }

    // MARK: Facts

    /// The model in force.
    package var current: EncoderModel { slot.current.model }
    /// 1 for the first, more for those that have replaced it.
    package var generation: UInt64 { slot.current.number }

    // MARK: Asking

    /// What the model says of a text, by the deadline at the latest; from the cache if it has been asked before.
    ///
    /// - Throws: why there is no answer; at once where there will be none in time.
    package func answer(to text: String, by deadline: MonotonicTime) async throws(ComputeError) -> TextAnswer {
        try await answer(to: question(text, by: deadline), by: deadline)
    }

    /// `answer(to:by:)` without a task, for event loops: the text's tokens are made where the model runs. What this thread
    /// does takes microseconds; a quarter of a millisecond for a text of 256 KiB or more, whose beginning is copied and
    /// hashed.
    ///
    /// - Parameter completion: is called once: on this thread for what is known or refused at once, else on a thread of
    ///   the pool. Must not block.
    package func submit(
        _ text: String,
        by deadline: MonotonicTime,
        completion: @escaping @Sendable (Result<TextAnswer, ComputeError>) -> Void
    ) {
        do {
            let question = try question(text, by: deadline)
            cache.submit(question.key, to: batcher, by: deadline, input: question.input) { result in
                completion(result.map(\.value))
            }
        } catch {
            completion(.failure(error))
        }
    }

    /// 64: two full batches, so that one is being filled while another runs.
    private static let textsUnderWay = 64

    /// One model answers for all texts: the one that is in force at the beginning.
    package func embed(
        _ texts: [String],
        dimensions: Int?,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> Embeddings {
        let version = slot.current
        let model = version.model
        guard model.model.profile.task == .embedding else {
            throw .unsupported("the model '\(name)' makes no embeddings")
        }
        if let dimensions, !(1...model.vectorLength).contains(dimensions) {
            throw .wrongDimensions(dimensions, of: name, "1 to \(model.vectorLength)")
        }
        let vectors = try await askAll(texts, limit: Self.textsUnderWay) { [self] text throws(ComputeError) in
            let answer = try await answer(to: question(text, for: version, by: deadline), by: deadline)
            guard case .vector(let vector) = answer else { throw .failed("the model '\(name)' made no embedding") }
            guard let dimensions, dimensions < vector.count else { return vector }
            var cut = Array(vector[..<dimensions])
            if model.model.pooling.isNormalized { Vectors.normalize(&cut) }
            return cut
        }
        return Embeddings(vectors: vectors, generation: version.number)
    }

    /// - Throws: besides, that the model does something else.
    package func classify(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> Classification {
        guard case .classes(let classes) = try await answer(to: text, by: deadline) else {
            throw .unsupported("the model '\(name)' does not classify texts")
        }
        return classes
    }

    /// The parts of the text that the model names.
    ///
    /// - Throws: besides, that the model does something else.
    package func tag(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> [TaggedSpan] {
        guard case .spans(let spans) = try await answer(to: text, by: deadline) else {
            throw .unsupported("the model '\(name)' does not name parts of texts")
        }
        return spans
    }

    private struct Question {
        let key: ResultCache<ModelSlot<EncoderModel>.Output>.Key
        let input: ModelSlot<EncoderModel>.Input
    }

    /// - Parameter version: the model to ask; nil for the one in force or, for its share of texts, one on trial.
    private func question(
        _ text: String,
        for version: ModelSlot<EncoderModel>.Version? = nil,
        by deadline: MonotonicTime
    ) throws(ComputeError) -> Question {
        guard MonotonicTime.now() < deadline else {
            metrics.countUnanswered(.deadline)
            throw .deadline
        }
        let input = TextInput(text, maxTokens: slot.current.model.maxTokens)
        // The same in every process: no secret, and nothing is kept by it.
        let version = version ?? slot.version { KeyedHash(first: 0, second: 0)("", input.text).low }
        let key = cache.key(model: version.number, text: input.text, isCut: input.isCut)
        return Question(key: key, input: ModelSlot.Input(input, for: version))
    }

    private func answer(to question: Question, by deadline: MonotonicTime) async throws(ComputeError) -> TextAnswer {
        try await cache.output(for: question.key, from: batcher, by: deadline, input: question.input).value
    }

    // MARK: Replacement

    /// Follows the folder until the task is cancelled: a changed one is loaded beside, tried, and put in force, or not.
    ///
    /// - Parameter report: told of every outcome, for the log.
    package func follow(period: Duration = .seconds(2), _ report: @escaping @Sendable (FolderChange) -> Void) async {
        await withTaskGroup { group in
            group.addTask { [self] in
                await FolderWatcher(folder, inForce: folderState, period: period).run { _ in await replace(report) }
            }
            guard let canary, canary.share > 0 else { return }
            group.addTask { [self] in
                while !Task.isCancelled {
                    // Throws only when the task is cancelled.
                    try? await Task.sleep(for: min(period, .seconds(1)))
                    judge(report)
                }
            }
        }
    }

    private func replace(_ report: @Sendable (FolderChange) -> Void) async -> FolderWatch.Outcome {
        // What is being tried is not in the folder any more.
        if slot.endTrial() { report(.refused("\(ModelRejection.superseded)")) }
        do {
            let before = generation
            let number = try await slot.replace(canary: canary, load: load)
            if number == before { report(.onTrial) } else { tookOver(number, report) }
            return .settled
        } catch {
            report(.refused("\(error)"))
            return error.mayPass ? .again : .settled
        }
    }

    private func judge(_ report: @Sendable (FolderChange) -> Void) {
        do {
            if let number = try slot.judge() { tookOver(number, report) }
        } catch {
            report(.refused("\(error)"))
        }
    }

    private func tookOver(_ number: UInt64, _ report: @Sendable (FolderChange) -> Void) {
        batcher.replaceCost(by: slot.current.cost)
        // Answers of the former model have keys of their own, and nobody asks for them any more.
        cache.removeAll()
        report(.replaced(generation: number))
    }
}
