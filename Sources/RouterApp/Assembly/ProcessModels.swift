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
        guard let (settings, notes) = options.settings() else { return nil }
        for note in notes { logger.warning("\(note)") }
        let models = try await NIOThreadPool.singleton.runIfActive {
            ClassifierModels(settings, registry: registry) { name, problem in
                logger.warning("a model is left out", metadata: ["model": "\(name)", "problem": "\(problem)"])
            }
        }
        for (name, model) in models.encoders.sorted(by: { $0.key < $1.key }) {
            logger.notice(
                "model loaded",
                metadata: ["model": "\(name)", "seconds": "\(model.secondsToLoad.threeDecimals)"]
            )
        }
        for (name, model) in models.staticModels.sorted(by: { $0.key < $1.key }) {
            logger.notice(
                "model loaded",
                metadata: ["model": "\(name)", "seconds": "\(model.secondsToLoad.threeDecimals)"]
            )
        }
        return ProcessModels(models: models, logger: logger)
    }

    /// Follows the models' folders until the task is cancelled.
    func run() async {
        await models.follow { [logger] name, outcome in
            switch outcome {
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

    var all: [LoadedModel] {
        let encoders = models.encoders.sorted { $0.key < $1.key }.map { name, model in
            let current = model.current
            let profile = current.model.profile
            var fact = LoadedModel(
                name: name,
                type: profile.task.managedName,
                isLoaded: true,
                metadata: [
                    "engine": "onnxruntime", "generation": "\(model.generation)", "max_tokens": "\(current.maxTokens)",
                ]
            )
            fact.path = model.folder
            fact.categories = current.model.labels
            fact.loadTime = .seconds(model.secondsToLoad)
            if profile.task == .embedding {
                fact.embedding = EmbeddingOffer(defaultDimension: profile.hidden, maxTokens: current.maxTokens)
            }
            return fact
        }
        let statics = models.staticModels.sorted { $0.key < $1.key }.map { name, model in
            var fact = LoadedModel(name: name, type: "embedding", isLoaded: true, metadata: ["engine": "static"])
            fact.path = model.folder
            fact.loadTime = .seconds(model.secondsToLoad)
            fact.embedding = EmbeddingOffer(defaultDimension: model.dimensions, maxTokens: model.maxTokens)
            return fact
        }
        return encoders + statics
    }

    func embed(_ texts: [String], model: String, dimension: Int) async throws(RouterError) -> [[Float]] {
        let deadline = MonotonicTime.now() + Self.patience
        var vectors: [[Float]] = []
        vectors.reserveCapacity(texts.count)
        for text in texts {
            do {
                vectors.append(try await models.embed(text, with: model, by: deadline))
            } catch {
                throw routerError(error, model)
            }
        }
        return vectors
    }

    private func routerError(_ error: ComputeError, _ model: String) -> RouterError {
        switch error {
        case .unknownText:
            return .invalidRequest(
                "More than \(Int(ServingModel.mostUnknown * 100)) % of a text's tokens are unknown to the model '\(model)'.",
                parameter: "texts"
            )
        case .tooLong: return .invalidRequest("A text is too long for the model '\(model)'.", parameter: "texts")
        case .overBudget, .overloaded, .deadline:
            return RouterError(
                .overloaded,
                origin: .internal,
                "The model '\(model)' has too much to do. Try again shortly.",
                retryable: true
            )
        case .cancelled, .shutdown, .unavailable, .failed:
            logger.error("a model gave no answer", metadata: ["model": "\(model)", "reason": "\(error.reason)"])
            return RouterError(.internalError, origin: .internal, "The model '\(model)' failed.")
        }
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
