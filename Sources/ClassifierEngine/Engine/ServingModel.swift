import ConfigKit
import Instruments
package import Resilience
import Synchronization

/// A model that serves: its batches, its cache, and its folder, which may be replaced while it is asked.
package final class ServingModel: TextEmbedder, TextClassifier {
    package let name: String
    package let folder: String
    private let slot: ModelSlot<EncoderModel>
    private let batcher: Batcher<ModelSlot<EncoderModel>>
    private let cache: ResultCache<TextAnswer>
    private let load: @Sendable () throws -> EncoderModel
    private let canary: Canary.Settings?
    private let metrics: ComputeMetrics.OfModel
    /// How the folder looked when its model was loaded.
    private let folderState: FolderState?
    private let loadSeconds: Mutex<Double>

    /// More of a text than this share unknown, and the model does not judge it: 15 %.
    package static let mostUnknown = 0.15

    package struct Settings: Sendable {
        package var encoder = EncoderModel.Settings()
        /// How a replaced folder is tried; nil puts it in force at once.
        package var canary: Canary.Settings?
        /// 10,000 answers, in at most 32 MiB.
        package var cachedAnswers = 10_000
        package var cacheBytes = 32 << 20

        package init() {}
    }

    /// Loads the model and warms it up, on the calling thread: some hundred milliseconds.
    package init(
        _ name: String,
        folder: String,
        runtime: OnnxRuntime,
        settings: Settings = Settings(),
        on pool: ComputePool,
        metrics: ComputeMetrics
    ) throws(EngineError) {
        self.name = name
        self.folder = folder
        self.metrics = metrics.model(name)
        canary = settings.canary
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
                isValid: { _, answer in answer.fault }
            )
        } catch {
            throw EngineError(.inference, folder, "\(error)")
        }
        loadSeconds = Mutex((ContinuousClock().now - start) / .seconds(1))
        batcher = Batcher(slot, cost: slot.cost, on: pool, metrics: self.metrics)
        cache = ResultCache(
            entries: settings.cachedAnswers,
            bytes: settings.cacheBytes,
            sizeBytes: { $0.sizeBytes }
        )
    }

    /// Batches of several sizes, by which a model's cost is measured.
    private static func sample(for model: EncoderModel) -> [[EncodedText]] {
        let words = "The quick brown fox jumps over the lazy dog while seven wizards mix a potion. "
        func text(_ repetitions: Int) -> EncodedText { model.encode(String(repeating: words, count: repetitions)) }
        return [[text(1)], [text(1), text(1), text(1), text(1)], [text(4)], [text(8), text(8)]]
    }

    // MARK: Facts

    /// The model in force.
    package var current: EncoderModel { slot.generation.value }
    /// 1 for the first, more for those that have replaced it.
    package var generation: UInt64 { slot.generation.number }
    /// How long the first load took.
    package var secondsToLoad: Double { loadSeconds.withLock { $0 } }

    // MARK: Asking

    /// What the model says of a text, by the deadline at the latest; from the cache if it has been asked before.
    ///
    /// - Throws: why there is no answer; at once where there will be none in time.
    package func answer(to text: String, by deadline: MonotonicTime) async throws(ComputeError) -> TextAnswer {
        switch try look(for: text) {
        case .known(let answer): answer
        case .question(let key, let encoded):
            try await cache.output(for: key, from: batcher, by: deadline) { encoded }
        }
    }

    /// `answer(to:by:)` without a task, for event loops.
    ///
    /// - Parameter completion: is called once: on this thread for what is known or refused at once, else on a thread of
    ///   the pool. Must not block.
    package func submit(
        _ text: String,
        by deadline: MonotonicTime,
        completion: @escaping @Sendable (Result<TextAnswer, ComputeError>) -> Void
    ) {
        do {
            switch try look(for: text) {
            case .known(let answer): completion(.success(answer))
            case .question(let key, let encoded):
                cache.submit(key, to: batcher, by: deadline, input: { encoded }, completion: completion)
            }
        } catch {
            completion(.failure(error))
        }
    }

    /// - Throws: besides, that the model does something else.
    package func embed(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> [Float] {
        guard case .vector(let vector) = try await answer(to: text, by: deadline) else {
            throw .failed("the model '\(name)' makes no embeddings")
        }
        return vector
    }

    /// - Throws: besides, that the model does something else.
    package func classify(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> Classification {
        guard case .classes(let classes) = try await answer(to: text, by: deadline) else {
            throw .failed("the model '\(name)' does not classify texts")
        }
        return classes
    }

    /// The parts of the text that the model names.
    ///
    /// - Throws: besides, that the model does something else.
    package func tag(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> [TaggedSpan] {
        guard case .spans(let spans) = try await answer(to: text, by: deadline) else {
            throw .failed("the model '\(name)' does not name parts of texts")
        }
        return spans
    }

    private enum Found {
        case known(TextAnswer)
        case question(ResultCache<TextAnswer>.Key, EncodedText)
    }

    private func look(for text: String) throws(ComputeError) -> Found {
        let generation = slot.generation
        let model = generation.value
        let text = EncoderModel.cut(text, to: model.longestText)
        let key = cache.key(model: "\(generation.number)", text: text)
        if let known = cache.output(for: key) {
            metrics.hits.increment()
            return .known(known)
        }
        let encoded = model.encode(text)
        guard model.unknownShare(of: encoded) <= Self.mostUnknown else {
            metrics.countUnanswered(.unknownText)
            throw .unknownText
        }
        return .question(key, encoded)
    }

    // MARK: Replacement

    /// Follows the folder until the task is cancelled: a changed one is loaded beside, tried, and put in force, or not.
    ///
    /// - Parameter report: told of every outcome, for the log.
    package func follow(period: Duration = .seconds(2), _ report: @escaping @Sendable (Replacement) -> Void) async {
        await withTaskGroup { group in
            group.addTask { [self] in
                await FolderWatcher(folder, inForce: folderState, period: period).run { _ in
                    do {
                        let before = generation
                        let number = try await slot.replace(canary: canary, load: load)
                        report(number == before ? .onTrial : .replaced(generation: number))
                        if number != before { tookOver() }
                    } catch {
                        report(.refused("\(error)"))
                    }
                }
            }
            if canary != nil {
                group.addTask { [self] in
                    while !Task.isCancelled {
                        try? await Task.sleep(for: .seconds(1))
                        do {
                            guard let number = try slot.judge() else { continue }
                            report(.replaced(generation: number))
                            tookOver()
                        } catch {
                            report(.refused("\(error)"))
                        }
                    }
                }
            }
        }
    }

    /// What became of a changed folder.
    package enum Replacement: Hashable, Sendable {
        case replaced(generation: UInt64)
        case onTrial
        /// Why the former model stays.
        case refused(String)
    }

    private func tookOver() {
        batcher.replaceCost(by: slot.cost)
        // Answers of the former model have keys of their own, and nobody asks for them any more.
        cache.removeAll()
    }
}
