import AdminAPI
import ConfigKit
import Gateway
import HTTPTransport
import InferenceRouter
import Instruments
import Logging
import NIOCore
import SemanticRouter

/// Keeps what comes from files: builds it at start, and again when a file changes.
struct ReloadController: Sendable {
    let semantic: Live<SemanticRouter>?
    /// Of the file that the policy comes from.
    let policyState: Live<ConfigurationState>?
    let authenticator: Live<Authenticator>
    /// The workers that flags or the policy named at start.
    let endpoints: Set<Endpoint>
    private let pool: WorkerPool
    private let options: ServeOptions
    private let semanticMetrics: SemanticMetrics
    private let logger: Logger
    private let policyFile: FileFollower?
    private let keysFile: FileFollower?

    /// - Throws: `ConfigError` with every mistake in every file.
    init(
        options: ServeOptions,
        registry: MetricRegistry,
        semanticMetrics: SemanticMetrics,
        pool: WorkerPool,
        logger: Logger
    ) throws(ConfigError) {
        self.options = options
        self.pool = pool
        self.semanticMetrics = semanticMetrics
        self.logger = logger
        policyFile = options.config.map { FileFollower($0, registry: registry, logger: logger) }
        keysFile = options.apiKeysFile.map { FileFollower($0, registry: registry, logger: logger) }
        var diagnostics: [Diagnostic] = []
        let policy = policyFile?.settings(SemanticConfig.self, options: options.policyReading)
        diagnostics += policy?.diagnostics ?? []
        if let config = policy?.value, let objection = options.objection(to: config) { diagnostics.append(objection) }
        let keys = keysFile?.settings(APIKeysFile.self)
        diagnostics += keys?.diagnostics ?? []
        if diagnostics.hasErrors { throw ConfigError(diagnostics) }
        diagnostics.log(to: logger)
        endpoints = options.endpoints(policy?.value)
        let router = policy?.value.map { SemanticRouter($0, metrics: semanticMetrics) }
        if let router { Self.warnOfUnserved(router, endpoints, logger) }
        semantic = router.map { Live($0) }
        policyState = policyFile?.atStart.map { Live(ConfigurationState(active: $0)) }
        authenticator = Live(Self.authenticator(keys?.value?.storedKeys, options))
    }

    /// Watches the files until the task is cancelled.
    func run() async {
        await withTaskGroup { group in
            if let policyFile { group.addTask { await policyFile.run { await applyPolicy($0) } } }
            if let keysFile { group.addTask { await keysFile.run { applyKeys($0) } } }
        }
    }

    /// Puts a policy in force, with the workers that it names where flags name none. Requests under way keep the policy
    /// that they started with.
    ///
    /// - Parameter transition: how long former workers stay: a request that was given to the former policy a moment ago
    ///   still finds the worker that it names.
    /// - Returns: what is wrong with it; with an error among that, nothing has changed.
    func applyPolicy(_ file: WatchedFile, transition: Duration = .seconds(1)) async -> [Diagnostic] {
        let result = SemanticConfig.decode(file.document(), options: options.policyReading)
        let diagnostics = result.diagnostics + (result.value.map { objections(to: $0) } ?? [])
        guard let config = result.value, !diagnostics.hasErrors else {
            if let policyState { policyState.swap(policyState.current.refusing(file)) }
            return diagnostics
        }
        let endpoints = options.endpoints(config)
        let router = SemanticRouter(config, metrics: semanticMetrics)
        Self.warnOfUnserved(router, endpoints, logger)
        let changesWorkers = options.staticBackends.isEmpty
        if changesWorkers { pool.apply(endpoints.keeping(pool.snapshot.workers.map(\.endpoint))) }
        semantic?.swap(router)
        policyState?.swap(ConfigurationState(active: file))
        if changesWorkers {
            try? await Task.sleep(for: transition)
            pool.apply(endpoints)
        }
        return diagnostics
    }

    /// What speaks against a policy here, besides its own mistakes.
    func objections(to config: SemanticConfig) -> [Diagnostic] {
        if let objection = options.objection(to: config) { return [objection] }
        guard !endpoints.contains(where: \.origin.isTLS) else { return [] }
        guard options.endpoints(config).contains(where: \.origin.isTLS) else { return [] }
        let problem = "names the first https backend: restart to load the certificates that it is verified by"
        return [Diagnostic(.error, "\(options.config ?? ""): \(problem)", at: .unset)]
    }

    private func applyKeys(_ file: WatchedFile) -> [Diagnostic] {
        let result = APIKeysFile.decode(file.document())
        if let keys = result.value {
            _ = authenticator.swap(Self.authenticator(keys.storedKeys, options))
        }
        return result.diagnostics
    }

    /// A policy that chooses what nobody serves is no mistake in itself (workers may come), but most often one.
    private static func warnOfUnserved(_ router: SemanticRouter, _ endpoints: Set<Endpoint>, _ logger: Logger) {
        let served = Set(endpoints.flatMap(\.models))
        for model in router.servedModelNames where !served.contains(model) {
            logger.warning("the policy may choose a model that no worker serves", metadata: ["model": "\(model)"])
        }
    }

    private static func authenticator(_ keys: [Authenticator.StoredKey]?, _ options: ServeOptions) -> Authenticator {
        let hops = options.trustedHops
        return Authenticator(keys: keys) { peer in
            guard let text = peer.ipAddress, let address = IPAddress(text) else { return false }
            return hops.contains { $0.contains(address) }
        }
    }
}

extension ServeOptions {
    /// A policy whose models nobody serves cannot be used.
    fileprivate func objection(to config: SemanticConfig) -> Diagnostic? {
        guard endpoints(config).isEmpty else { return nil }
        let remedy = "give --static-backends, or `backend_refs` to the policy's models"
        return Diagnostic(.error, "\(self.config ?? ""): there is no worker: \(remedy)", at: .unset)
    }
}
