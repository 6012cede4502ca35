import ConfigKit
package import Instruments
package import Resilience

/// All models of a process, on one pool of threads.
///
/// What cannot be loaded is reported and left out: whoever would ask it takes a lower tier.
package final class ClassifierModels: Sendable {
    /// One model to load.
    package struct Entry: Sendable {
        package var name: String
        package var folder: String
        package var settings: ServingModel.Settings

        package init(name: String, folder: String, settings: ServingModel.Settings = ServingModel.Settings()) {
            self.name = name
            self.folder = folder
            self.settings = settings
        }
    }

    package struct Settings: Sendable {
        /// The inference library; nil where there is none: static embeddings go without.
        package var library: String?
        package var encoders: [Entry] = []
        /// Name and folder.
        package var staticModels: [(name: String, folder: String)] = []
        /// Compute threads.
        package var threads = 1
        /// Calls that may wait, of all models together.
        package var maxWaiting = 1_024

        package init() {}
    }

    package let encoders: [String: ServingModel]
    package let staticModels: [String: StaticModel]
    private let pool: ComputePool?

    /// Loads everything, blocking the calling thread.
    ///
    /// - Parameter complain: told of each model that is missing, in a line that names the file and what is wrong with it.
    package init(_ settings: Settings, registry: MetricRegistry, complain: (_ name: String, _ problem: String) -> Void)
    {
        var staticModels: [String: StaticModel] = [:]
        for (name, folder) in settings.staticModels {
            do throws(EngineError) {
                staticModels[name] = try StaticModel(name, folder: folder)
            } catch {
                complain(name, "\(error)")
            }
        }
        self.staticModels = staticModels
        guard !settings.encoders.isEmpty else {
            encoders = [:]
            pool = nil
            return
        }
        guard let library = settings.library else {
            for entry in settings.encoders { complain(entry.name, "there is no libonnxruntime to run it") }
            encoders = [:]
            pool = nil
            return
        }
        var encoders: [String: ServingModel] = [:]
        var pool: ComputePool?
        do {
            let runtime = try OnnxRuntime(path: library)
            let threads = try ComputePool(
                .init(schedule: .init(threads: max(1, settings.threads), maxWaiting: max(1, settings.maxWaiting)))
            )
            let metrics = ComputeMetrics(registry: registry)
            for entry in settings.encoders {
                do throws(EngineError) {
                    encoders[entry.name] = try ServingModel(
                        entry.name,
                        folder: entry.folder,
                        runtime: runtime,
                        settings: entry.settings,
                        on: threads,
                        metrics: metrics
                    )
                } catch {
                    complain(entry.name, "\(error)")
                }
            }
            pool = threads
        } catch {
            for entry in settings.encoders { complain(entry.name, "\(error)") }
        }
        self.encoders = encoders
        self.pool = pool
    }

    /// Follows the models' folders until the task is cancelled.
    package func follow(_ report: @escaping @Sendable (_ name: String, ServingModel.Replacement) -> Void) async {
        await withTaskGroup { group in
            for model in encoders.values {
                group.addTask { await model.follow { report(model.name, $0) } }
            }
        }
    }

    /// A model's vector of a text.
    ///
    /// - Throws: why there is none.
    package func embed(
        _ text: String,
        with name: String,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> [Float] {
        if let model = staticModels[name] { return try await model.embed(text, by: deadline) }
        guard let model = encoders[name] else { throw .failed("there is no model '\(name)'") }
        return try await model.embed(text, by: deadline)
    }

    /// The classes that a model finds for a text.
    package func classify(
        _ text: String,
        with name: String,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> Classification {
        guard let model = encoders[name] else { throw .failed("there is no model '\(name)'") }
        return try await model.classify(text, by: deadline)
    }

    /// The parts of a text that a model names.
    package func tag(
        _ text: String,
        with name: String,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> [TaggedSpan] {
        guard let model = encoders[name] else { throw .failed("there is no model '\(name)'") }
        return try await model.tag(text, by: deadline)
    }

    /// Ends the threads; calls under way fail.
    package func shutdown() async { await pool?.shutdown() }
}
