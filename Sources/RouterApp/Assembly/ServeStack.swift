import AdminAPI
package import ConfigKit
import Gateway
import HTTPTransport
import InferenceRouter
package import Instruments
package import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import OpenAIWire
import Resilience
import SemanticRouter
import Telemetry
import Transport

/// `sextant router` or `sextant gateway`, put together and running.
package struct ServeStack: Sendable {
    package enum Kind: String, Sendable {
        case router
        case gateway

        var defaultPort: Int { self == .router ? 8001 : 8080 }
        var defaultAdminPort: Int? { self == .router ? nil : 8081 }
    }

    private let server: HTTPServer
    private let admin: HTTPServer?
    private let clients: LoopLocal<UpstreamClient>
    private let reload: ReloadController
    private let management: ManagementAPI?
    private let tracing: ProcessTracing?
    private let certificate: ServerCertificate?
    private let lifecycle: Lifecycle
    private let modelMetrics: ModelMetrics
    private let models: ProcessModels?
    private let drainDelay: Duration
    private let group: MultiThreadedEventLoopGroup
    private let drainTimeout: Duration
    package let logger: Logger
    package let registry: MetricRegistry
    /// Nil where nothing is traced.
    var tracer: RequestTracer? { tracing?.tracer }

    package var port: Int { server.port }
    package var adminPort: Int? { admin?.port }

    /// Builds everything from checked options and starts to listen.
    ///
    /// - Parameter environment: where OpenTelemetry's variables are looked up.
    /// - Throws: what is wrong with a file that an option names, or with an address or certificate.
    package static func start(
        _ kind: Kind,
        _ options: ServeOptions,
        environment: ProcessEnvironment = .process,
        logger: Logger
    ) async throws -> ServeStack {
        let threads = options.threads == 0 ? System.coreCount : options.threads
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        var tracing: ProcessTracing?
        do {
            return try await build(kind, options, environment, &tracing, group: group, logger: logger)
        } catch {
            await tracing?.shutdown()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private static func build(
        _ kind: Kind,
        _ options: ServeOptions,
        _ environment: ProcessEnvironment,
        _ tracing: inout ProcessTracing?,
        group: MultiThreadedEventLoopGroup,
        logger: Logger
    ) async throws -> ServeStack {
        let registry = options.metrics.registry(for: group)

        let models = ModelMetrics(registry: registry)
        let inferenceMetrics = InferenceMetrics(registry: registry, models: models)
        let pool = WorkerPool(breaker: CircuitBreaker.Settings(), metrics: inferenceMetrics)
        inferenceMetrics.observe(pool, in: registry)
        let reload = try ReloadController(
            options: options,
            registry: registry,
            semanticMetrics: SemanticMetrics(registry: registry, models: models),
            pool: pool,
            logger: logger
        )
        try await StaticSource(reload.endpoints).watch { pool.apply($0) }
        let clients = try await UpstreamClient.perLoop(
            of: group,
            settings: options.upstreamSettings(needTLS: reload.endpoints.contains { $0.origin.isTLS })
        )
        let inference = InferenceRouter(
            settings: options.dispatchSettings,
            policy: options.routingLogic.policy,
            pool: pool,
            clients: clients,
            metrics: inferenceMetrics,
            logger: logger
        )

        tracing = try await ProcessTracing.start(
            flags: options.tracing.layer,
            policy: reload.semantic?.current.config.global.services.observability.tracing.layer,
            service: "sextant-\(kind.rawValue)",
            environment: environment,
            registry: registry,
            logger: logger,
            group: group
        )
        let gatewayMetrics = GatewayMetrics(registry: registry, models: models)
        var random = SystemRandomNumberGenerator()
        let lifecycle = Lifecycle()
        let metricsPage = MetricsPage(registry)
        let service = GatewayService(
            semantic: reload.semantic,
            inference: inference,
            authenticator: reload.authenticator,
            settings: options.gatewaySettings,
            metrics: gatewayMetrics,
            requestIDs: RequestIDs(using: &random),
            tracer: tracing?.tracer,
            isDraining: { lifecycle.isDraining },
            metricsPage: kind == .router ? metricsPage.response(accept:) : nil
        )
        var process = ManagedProcess(
            service: "sextant-\(kind.rawValue)",
            lifecycle: lifecycle,
            metricsPage: metricsPage
        )
        let processModels = try await ProcessModels.start(options.models, registry: registry, logger: logger)
        process.models = processModels
        process.modelList = { service.modelList }
        if let semantic = reload.semantic, let state = reload.policyState {
            process.add(
                semantic,
                state: state,
                reading: options.policyReading,
                objections: { reload.objections(to: $0) },
                isServed: {
                    let pool = inference.pool.snapshot
                    return { pool.candidates(for: $0) != nil }
                }
            )
        }
        let management = try (options.adminPort.map { Int($0.number) } ?? kind.defaultAdminPort).map { port in
            try ManagementAPI(
                process,
                options.management,
                at: .init(host: options.adminHost, port: port, hostFlag: "--admin-host", portFlag: "--admin-port"),
                registry: registry,
                logger: logger
            )
        }
        let certificate = try options.certificate(registry: registry, logger: logger)
        var serverSettings = options.serverSettings
        serverSettings.tls = certificate?.source
        let port = options.port.map { Int($0.number) } ?? kind.defaultPort
        let server: HTTPServer
        do {
            server = try await HTTPServer.start(
                host: options.host,
                port: port,
                settings: serverSettings,
                group: group,
                service: service
            )
        } catch {
            throw ListenError(host: options.host, port: port, flag: "--port", reason: "\(error)")
        }
        gatewayMetrics.observe(
            in: registry,
            connections: { server.connectionCount },
            bodyBytes: { server.bufferedBodyBytes }
        )
        let admin: HTTPServer?
        do {
            admin = try await management?.start(group: group)
        } catch {
            await server.shutdown(within: .zero)
            throw error
        }
        lifecycle.becomeReady()
        return ServeStack(
            server: server,
            admin: admin,
            clients: clients,
            reload: reload,
            management: management,
            tracing: tracing,
            certificate: certificate,
            lifecycle: lifecycle,
            modelMetrics: models,
            models: processModels,
            drainDelay: options.drainDelay,
            group: group,
            drainTimeout: options.drainTimeout,
            logger: logger,
            registry: registry
        )
    }

    /// Puts a policy in force, as a change of its file does.
    ///
    /// - Parameter transition: how long former workers stay.
    /// - Returns: what is wrong with it; with an error among that, nothing has changed.
    package func apply(policy file: WatchedFile, transition: Duration = .seconds(1)) async -> [Diagnostic] {
        await reload.applyPolicy(file, transition: transition)
    }

    /// Follows the configuration files, and the time of windowed figures, until the task is cancelled.
    package func runBesides() async {
        await withTaskGroup { group in
            group.addTask { await modelMetrics.run() }
            if let models { group.addTask { await models.run() } }
            group.addTask { await reload.run() }
            if let management { group.addTask { await management.run() } }
            if let certificate { group.addTask { await certificate.run() } }
        }
    }

    /// Says at `/health` and `/ready` that the end is near, waits for load balancers to hear it, stops accepting, lets answers under way complete, then ends everything.
    package func shutdown() async {
        lifecycle.beginDraining()
        if drainDelay > .zero { try? await Task.sleep(for: drainDelay) }
        let cut = await server.shutdown(within: drainTimeout)
        if cut > 0 {
            logger.warning("connections cut after the drain timeout", metadata: ["connections": "\(cut)"])
        }
        await admin?.shutdown(within: .zero)
        await tracing?.shutdown()
        await models?.shutdown()
        try? await clients.forEach { $0.closeIdleConnections() }
        try? await group.shutdownGracefully()
    }
}

extension ServeOptions {
    var policyReading: DecodingOptions { .policy(isStrict: isStrict) }

    /// The workers that flags name, else those of the policy.
    func endpoints(_ policy: SemanticConfig?) -> Set<Endpoint> {
        if staticBackends.isEmpty { return policy?.endpoints ?? [] }
        var models: [Origin: [String]] = [:]
        for (index, url) in staticBackends.enumerated() {
            let origin = Origin(host: url.host, port: Int(url.port.number), isTLS: url.scheme == .https)
            // The same worker may be named several times, once for each model that it serves.
            if models[origin, default: []].contains(staticModels[index]) { continue }
            models[origin, default: []].append(staticModels[index])
        }
        return Set(models.map { Endpoint(origin: $0.key, models: $0.value) })
    }

    var dispatchSettings: DispatchSettings {
        var settings = DispatchSettings()
        settings.maxFailoverAttempts = failoverAttempts
        settings.deadlines.connect = TimeAmount(connectTimeout)
        settings.deadlines.head = TimeAmount(responseTimeout)
        settings.deadlines.idle = TimeAmount(streamIdleTimeout)
        settings.aliases = Dictionary(staticAliases.map { ($0.alias, $0.model) }) { first, _ in first }
        settings.defaultModel = defaultModel
        settings.started = Int(UTCTime.now().nanoseconds / 1_000_000_000)
        return settings
    }

    var gatewaySettings: GatewaySettings {
        var settings = GatewaySettings()
        settings.maxBodyBytes = maxBodySize.bytes
        settings.workerAPIKey = workerAPIKey?.reveal()
        settings.consumesCredentials = apiKeysFile != nil
        settings.knowsIdentities = apiKeysFile != nil || !trustedHops.isEmpty
        settings.adminGroup = adminGroup
        settings.version = Version.text
        return settings
    }

    var serverSettings: HTTPServerSettings {
        var settings = HTTPServerSettings()
        settings.maxBufferedBodyBytes = maxBufferedBodies.bytes
        settings.maxConnections = maxConnections
        settings.headTimeout = TimeAmount(headerTimeout)
        settings.bodyTimeout = TimeAmount(bodyTimeout)
        settings.keepAliveTimeout = TimeAmount(keepAliveTimeout)
        settings.writeTimeout = TimeAmount(writeTimeout)
        return settings
    }

    fileprivate func certificate(registry: MetricRegistry, logger: Logger) throws(TLSError) -> ServerCertificate? {
        guard let certificatePath, let keyPath else { return nil }
        return try ServerCertificate(
            certificateFile: certificatePath,
            keyFile: keyPath,
            protocols: [.http1],
            registry: registry,
            logger: logger
        )
    }

    func upstreamSettings(needTLS: Bool) throws(TLSError) -> UpstreamSettings {
        var settings = UpstreamSettings()
        if needTLS {
            settings.tls = try .client(authorityFile: workerAuthorityPath, protocols: [.http1])
        }
        return settings
    }
}
