import ConfigKit
import Gateway
import HTTPTransport
import InferenceRouter
import Instruments
import Logging
import NIOCore
import SemanticRouter

/// Keeps what comes from files: builds it at start, and again when a file changes. A file with a mistake changes
/// nothing: the values in force stay, and the mistakes are logged.
struct ReloadController: Sendable {
    let semantic: Live<SemanticRouter>?
    let authenticator: Live<Authenticator>
    /// The workers that flags or the policy named at start.
    let endpoints: Set<Endpoint>
    private let pool: WorkerPool
    private let options: ServeOptions
    private let semanticMetrics: SemanticMetrics
    private let reloads: CounterFamily
    private let logger: Logger
    /// What the files held when they were read at start.
    private var inForce: [String: WatchedFile] = [:]

    static let definitions = [reloadCount]

    private static let reloadCount = MetricDefinition.counter(
        "sextant_config_reloads",
        "Configuration files read again after a change, by outcome: applied, rejected.",
        labels: ["file", "outcome"]
    )

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
        reloads = registry.counters(Self.reloadCount)
        var diagnostics: [Diagnostic] = []
        var policy: SemanticConfig?
        if let path = options.config {
            inForce[path] = Self.read(path)
            let reading = options.policyReading
            let result =
                inForce[path].map { SemanticConfig.decode($0.document(), options: reading) }
                ?? SemanticConfig.load(path, options: reading)
            policy = result.value
            diagnostics += result.diagnostics
            if let policy, options.endpoints(policy).isEmpty {
                diagnostics.append(Self.noWorkers(path))
            }
        }
        var keys: [Authenticator.StoredKey]?
        if let path = options.apiKeysFile {
            inForce[path] = Self.read(path)
            let result = inForce[path].map { APIKeysFile.decode($0.document()) } ?? APIKeysFile.load(path)
            diagnostics += result.diagnostics
            keys = result.value?.storedKeys ?? []
        }
        if diagnostics.contains(where: { $0.severity == .error }) { throw ConfigError(diagnostics) }
        Self.log(diagnostics, to: logger)
        endpoints = options.endpoints(policy)
        let router = policy.map { SemanticRouter($0, metrics: semanticMetrics) }
        if let router { Self.warnOfUnserved(router, endpoints, logger) }
        semantic = router.map { Live($0) }
        authenticator = Live(Self.authenticator(keys, options))
    }

    /// Watches the files until the task is cancelled.
    func run() async {
        await withTaskGroup { group in
            if let path = options.config {
                group.addTask { await watch(path) { await applyPolicy($0) } }
            }
            if let path = options.apiKeysFile {
                group.addTask { await watch(path) { applyKeys($0) } }
            }
        }
    }

    private func watch(_ path: String, apply: @Sendable (ConfigDocument) async -> [Diagnostic]) async {
        await ConfigWatcher(paths: [path], inForce: inForce[path].map { [$0] }).run { event in
            switch event {
            case .changed(let files):
                guard let file = files.first else { return }
                let diagnostics = await apply(file.document())
                let isRejected = diagnostics.contains { $0.severity == .error }
                reloads.with(path, isRejected ? "rejected" : "applied").increment()
                Self.log(diagnostics, to: logger)
                if isRejected {
                    logger.error("file rejected, the former settings stay in force", metadata: ["file": "\(path)"])
                } else {
                    logger.notice("file applied", metadata: ["file": "\(path)"])
                }
            case .missing:
                logger.warning("file is missing, its last settings stay in force", metadata: ["file": "\(path)"])
            }
        }
    }

    /// Puts a policy in force, with the workers that it names where flags name none. Requests under way keep the policy
    /// that they started with.
    ///
    /// - Parameter transition: how long former workers stay: a request that was given to the former policy a moment ago
    ///   still finds the worker that it names.
    /// - Returns: what is wrong with it; with an error among that, nothing has changed.
    func applyPolicy(_ document: ConfigDocument, transition: Duration = .seconds(1)) async -> [Diagnostic] {
        let result = SemanticConfig.decode(document, options: options.policyReading)
        guard let config = result.value else { return result.diagnostics }
        let endpoints = options.endpoints(config)
        if endpoints.isEmpty { return result.diagnostics + [Self.noWorkers(options.config ?? "")] }
        if !self.endpoints.contains(where: \.origin.isTLS), endpoints.contains(where: \.origin.isTLS) {
            let problem = "names the first https backend: restart to load the certificates that it is verified by"
            return result.diagnostics + [Diagnostic(.error, "\(options.config ?? ""): \(problem)", at: .unset)]
        }
        let router = SemanticRouter(config, metrics: semanticMetrics)
        Self.warnOfUnserved(router, endpoints, logger)
        let changesWorkers = options.staticBackends.isEmpty
        if changesWorkers { pool.apply(endpoints.keeping(pool.snapshot.workers.map(\.endpoint))) }
        semantic?.swap(router)
        if changesWorkers {
            try? await Task.sleep(for: transition)
            pool.apply(endpoints)
        }
        return result.diagnostics
    }

    private static func noWorkers(_ path: String) -> Diagnostic {
        let remedy = "give --static-backends, or `backend_refs` to the policy's models"
        return Diagnostic(.error, "\(path): there is no worker: \(remedy)", at: .unset)
    }

    private func applyKeys(_ document: ConfigDocument) -> [Diagnostic] {
        let result = APIKeysFile.decode(document)
        if let file = result.value {
            _ = authenticator.swap(Self.authenticator(file.storedKeys, options))
        }
        return result.diagnostics
    }

    private static func read(_ path: String) -> WatchedFile? {
        SystemFiles().contents(of: path).map { WatchedFile(path: path, bytes: $0) }
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

    private static func log(_ diagnostics: [Diagnostic], to logger: Logger) {
        for diagnostic in diagnostics {
            logger.log(level: diagnostic.severity == .error ? .error : .warning, "\(diagnostic)")
        }
    }
}
