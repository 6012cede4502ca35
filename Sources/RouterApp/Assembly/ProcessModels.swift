import AdminAPI
import ClassifierEngine
import Instruments
import Logging
import NIOPosix
import OpenAIWire
import Resilience

/// The models that a process runs itself.
struct ProcessModels: Sendable {
    private let models: ClassifierModels
    private let logger: Logger

    /// Loads what the options name, apart from event loops; nil where they name nothing.
    ///
    /// A model that cannot be loaded is a line in the log: the process serves without it.
    static func start(_ options: ModelOptions, registry: MetricRegistry, logger: Logger) async throws -> ProcessModels?
    {
        guard let (settings, notes) = options.settings() else {
            // An image may name the library for all of its commands: no reason not to start.
            if options.library != nil { logger.notice("--onnxruntime has no effect without --models-dir") }
            return nil
        }
        for note in notes { logger.warning("\(note)") }
        let models = try await NIOThreadPool.singleton.runIfActive {
            ClassifierModels(settings, registry: registry) { complain($0, $1, logger) }
        }
        let loaded =
            models.encoders.map { ($0, $1.secondsToLoad) } + models.staticModels.map { ($0, $1.secondsToLoad) }
        for (name, seconds) in loaded.sorted(by: { $0.0 < $1.0 }) {
            logger.notice("model loaded", metadata: ["model": "\(name)", "seconds": "\(seconds.threeDecimals)"])
        }
        return ProcessModels(models: models, logger: logger)
    }

    private static func complain(_ name: String, _ problem: String, _ logger: Logger) {
        logger.warning("a model is left out", metadata: ["model": "\(name)", "problem": "\(problem)"])
    }

    /// Follows the models' folders until the task is cancelled.
    func run() async {
        await models.follow { [logger] name, outcome in
            switch outcome {
            case .loaded: logger.notice("model loaded", metadata: ["model": "\(name)"])
            case .notLoaded(let problem): Self.complain(name, problem, logger)
            case .replaced(let generation):
                logger.notice("model replaced", metadata: ["model": "\(name)", "generation": "\(generation)"])
            case .onTrial: logger.notice("a model's replacement is on trial", metadata: ["model": "\(name)"])
            case .refused(let reason):
                logger.warning(
                    "a model's replacement is refused; the former stays",
                    metadata: ["model": "\(name)", "reason": "\(reason)"]
                )
            }
        }
    }

    func shutdown() async { await models.shutdown() }
}

extension Double {
    fileprivate var threeDecimals: Double { (self * 1000).rounded() / 1000 }
}

// MARK: The management API

extension ProcessModels: ManagedModels {
    /// 10 s: who asks the API waits for an answer rather than for a lower tier.
    private static let patience = Duration.seconds(10)

    /// Encoders come first: of two models that make vectors, they know more of a text.
    var all: [LoadedModel] {
        let (encoders, statics) = (models.encoders, models.staticModels)
        let missing = models.names.filter { encoders[$0] == nil && statics[$0] == nil }
        return encoders.sorted { $0.key < $1.key }.map { Self.facts($1) }
            + statics.sorted { $0.key < $1.key }.map { Self.facts($1) }
            + missing.map { LoadedModel(name: $0, type: "unknown", isLoaded: false) }
    }

    private static func facts(_ serving: ServingModel) -> LoadedModel {
        let current = serving.current
        let profile = current.model.profile
        var facts = LoadedModel(
            name: serving.name,
            type: profile.task.managedName,
            isLoaded: true,
            metadata: [
                "engine": "onnxruntime", "generation": "\(serving.generation)", "max_tokens": "\(current.maxTokens)",
            ]
        )
        facts.path = serving.folder
        facts.categories = current.model.labels
        facts.loadTime = .seconds(serving.secondsToLoad)
        facts.memoryBytes = current.model.sizeBytes
        if profile.task == .embedding {
            facts.embedding = EmbeddingOffer(
                tier: 2,
                defaultDimension: current.vectorLength,
                dimensions: profile.shorterVectors,
                maxTokens: current.maxTokens
            )
        }
        return facts
    }

    private static func facts(_ model: StaticModel) -> LoadedModel {
        var facts = LoadedModel(
            name: model.name,
            type: ModelTask.embedding.managedName,
            isLoaded: true,
            metadata: ["engine": "static", "generation": "\(model.generation)"]
        )
        facts.path = model.folder
        facts.loadTime = .seconds(model.secondsToLoad)
        facts.memoryBytes = model.sizeBytes
        facts.embedding = EmbeddingOffer(
            tier: 1,
            defaultDimension: model.dimensions,
            // Numbers come by how much they tell: the folder's makers order them so (principal components).
            dimensions: ModelProfile.usualLengths.filter { $0 < model.dimensions },
            maxTokens: model.maxTokens
        )
        return facts
    }

    func embed(_ texts: [String], model: String, dimension: Int) async throws(RouterError) -> [[Float]] {
        let deadline = MonotonicTime.now() + Self.patience
        do throws(ComputeError) {
            return try await models.embed(texts, with: model, dimensions: dimension, by: deadline).vectors
        } catch {
            throw routerError(error, model)
        }
    }

    private func routerError(_ error: ComputeError, _ model: String) -> RouterError {
        switch error {
        case .unknownText:
            return .invalidRequest("Too much of a text is unknown to the model '\(model)'.", parameter: "texts")
        case .unsupported(let why): return .invalidRequest("\(why.prefix(1).uppercased())\(why.dropFirst()).")
        case .tooLong: return .invalidRequest("A text is too long for the model '\(model)'.", parameter: "texts")
        case .overBudget, .overloaded, .deadline, .cancelled, .shutdown:
            return RouterError(
                .overloaded,
                origin: .internal,
                "The model '\(model)' has too much to do. Try again shortly.",
                retryable: true
            )
        case .unavailable, .failed:
            logger.error("a model gave no answer", metadata: ["model": "\(model)", "reason": "\(error.explanation)"])
            return RouterError(.internalError, origin: .internal, "The model '\(model)' failed.")
        }
    }
}

extension ComputeError {
    /// With what the engine says of it, which holds nothing of texts.
    fileprivate var explanation: String {
        if case .failed(let why) = self { why } else { reason }
    }
}

extension ModelTask {
    fileprivate var managedName: String {
        switch self {
        case .embedding: "embedding"
        case .sequenceClassification: "sequence_classification"
        case .tokenClassification: "token_classification"
        }
    }
}
