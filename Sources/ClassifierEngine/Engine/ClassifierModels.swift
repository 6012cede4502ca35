package import Instruments
package import Resilience
import Synchronization

/// All models of a process, on one pool of threads.
///
/// What cannot be loaded is reported and left out: whoever would ask it takes a lower tier. It is loaded when its folder
/// has changed: see `follow`. The library is opened once, at the start.
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
        /// The inference library; nil where there is none: only static embeddings are loaded then.
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

    private enum Model: Sendable {
        case encoder(ServingModel)
        case tokens(StaticModel)
    }

    private struct Loaded {
        var encoders: [String: ServingModel] = [:]
        var staticModels: [String: StaticModel] = [:]

        mutating func add(_ model: Model) {
            switch model {
            case .encoder(let model): encoders[model.name] = model
            case .tokens(let model): staticModels[model.name] = model
            }
        }
    }

    /// How one model is loaded, blocking.
    private struct Loader: Sendable {
        let name: String
        let folder: String
        let load: @Sendable () throws(EngineError) -> Model
    }

    /// A model that could not be loaded at first.
    private struct Missing {
        let loader: Loader
        /// How its folder looked then; nil when it is to be tried again as it is.
        let tried: FolderState?
    }

    /// What was to be loaded, by name.
    package let names: [String]
    private let loaded: Mutex<Loaded>
    private let missing: [Missing]
    private let pool: ComputePool?

    /// By name. There may come more while folders are followed.
    package var encoders: [String: ServingModel] { loaded.withLock { $0.encoders } }
    /// By name. There may come more while folders are followed.
    package var staticModels: [String: StaticModel] { loaded.withLock { $0.staticModels } }

    /// Loads everything, blocking the calling thread.
    ///
    /// - Parameter complain: told of each model that is missing, in a line that names the file and what is wrong with it; of
    ///   several at once when the library cannot be used. Not of models for which no library is named.
    package init(_ settings: Settings, registry: MetricRegistry, complain: (_ name: String, _ problem: String) -> Void)
    {
        var loaders = settings.staticModels.map { name, folder in
            Loader(name: name, folder: folder) { () throws(EngineError) in
                .tokens(try StaticModel(name, folder: folder))
            }
        }
        var pool: ComputePool?
        if let library = settings.library, !settings.encoders.isEmpty {
            do {
                let (threads, encoders) = try Self.encoderLoaders(settings, library, registry)
                pool = threads
                loaders += encoders
            } catch {
                complain(settings.encoders.map(\.name).joined(separator: ", "), "\(error)")
            }
        }
        names = (settings.encoders.map(\.name) + settings.staticModels.map(\.name)).sorted()
        var loaded = Loaded()
        var missing: [Missing] = []
        for loader in loaders {
            let state = FolderState.of(loader.folder)
            do throws(EngineError) {
                loaded.add(try loader.load())
            } catch {
                complain(loader.name, "\(error)")
                missing.append(Missing(loader: loader, tried: Shortage.isTold(by: error.message) ? nil : state))
            }
        }
        self.loaded = Mutex(loaded)
        self.missing = missing
        self.pool = pool
    }

    private static func encoderLoaders(
        _ settings: Settings,
        _ library: String,
        _ registry: MetricRegistry
    ) throws -> (ComputePool, [Loader]) {
        let runtime = try OnnxRuntime(path: library)
        let pool = try ComputePool(
            .init(schedule: .init(threads: max(1, settings.threads), maxWaiting: max(1, settings.maxWaiting)))
        )
        let metrics = ComputeMetrics(registry: registry)
        let loaders = settings.encoders.map { entry in
            Loader(name: entry.name, folder: entry.folder) { () throws(EngineError) in
                .encoder(
                    try ServingModel(
                        entry.name,
                        folder: entry.folder,
                        runtime: runtime,
                        settings: entry.settings,
                        on: pool,
                        metrics: metrics
                    )
                )
            }
        }
        return (pool, loaders)
    }

    // MARK: Following

    /// Follows the models' folders until the task is cancelled, those too of models that could not be loaded: such a model
    /// is there from the moment that it can. Returns when no load is under way any more.
    ///
    /// - Parameter period: the time between two looks at a folder.
    package func follow(
        period: Duration = .seconds(2),
        _ report: @escaping @Sendable (_ name: String, FolderChange) -> Void
    ) async {
        await withTaskGroup { group in
            for name in Array(encoders.keys) + staticModels.keys {
                group.addTask { [self] in await follow(name, period: period) { report(name, $0) } }
            }
            for one in missing {
                group.addTask { [self] in
                    let name = one.loader.name
                    await load(one, period: period) { report(name, $0) }
                    await follow(name, period: period) { report(name, $0) }
                }
            }
        }
    }

    private func follow(_ name: String, period: Duration, _ report: @escaping @Sendable (FolderChange) -> Void) async {
        if let model = encoders[name] {
            await model.follow(period: period, report)
        } else if let model = staticModels[name] {
            await FolderWatcher(model.folder, inForce: model.folderState, period: period).run { [self] _ in
                await replace(staticModels[name] ?? model, report)
            }
        }
    }

    /// Static embeddings are small: there is nothing to warm up, and no call of them outlasts its own.
    private func replace(
        _ present: StaticModel,
        _ report: @Sendable (FolderChange) -> Void
    ) async -> FolderWatch.Outcome {
        let result = await onThread("model-load") { () -> Result<StaticModel, EngineError> in
            Result { () throws(EngineError) in
                try StaticModel(
                    present.name,
                    folder: present.folder,
                    maxTokens: present.maxTokens,
                    generation: present.generation + 1
                )
            }
        }
        switch result {
        case .success(let model) where model.dimensions == present.dimensions:
            guard !Task.isCancelled else { return .done }
            loaded.withLock { $0.add(.tokens(model)) }
            report(.replaced(generation: model.generation))
            return .settled
        case .success(let model):
            let why = "its vectors have \(model.dimensions) numbers, not \(present.dimensions)"
            report(.refused("\(ModelRejection.unfit(why))"))
            return .settled
        case .failure(let error):
            report(.refused("\(ModelRejection.notLoaded("\(error)"))"))
            return Shortage.isTold(by: error.message) ? .again : .settled
        }
    }

    /// Returns when the model has been loaded, or the task is cancelled.
    private func load(
        _ missing: Missing,
        period: Duration,
        _ report: @escaping @Sendable (FolderChange) -> Void
    ) async {
        await FolderWatcher(missing.loader.folder, inForce: missing.tried, period: period).run { _ in
            let result = await onThread("model-load") { () -> Result<Model, EngineError> in
                Result { () throws(EngineError) in try missing.loader.load() }
            }
            switch result {
            case .success(let model):
                guard !Task.isCancelled else { return .done }
                loaded.withLock { $0.add(model) }
                report(.loaded)
                return .done
            case .failure(let error):
                report(.notLoaded("\(error)"))
                return Shortage.isTold(by: error.message) ? .again : .settled
            }
        }
    }

    // MARK: Asking

    /// The texts' vectors by a model.
    ///
    /// - Throws: why there are none.
    package func embed(
        _ texts: [String],
        with name: String,
        dimensions: Int? = nil,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> Embeddings {
        if let model = staticModels[name] {
            return try await model.embed(texts, dimensions: dimensions, by: deadline)
        }
        guard let model = encoders[name] else { throw .failed("there is no model '\(name)'") }
        return try await model.embed(texts, dimensions: dimensions, by: deadline)
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
