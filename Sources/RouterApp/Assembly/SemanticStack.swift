import AdminAPI
package import ConfigKit
import ExtProcServer
import GRPCTransport
import HTTPTransport
package import Instruments
package import Logging
import NIOCore
import NIOPosix
import OpenAIWire
import SemanticRouter
import Telemetry
import Transport

/// `sextant semantic`, put together and running.
package struct SemanticStack: Sendable {
    private let server: GRPCServer
    private let api: HTTPServer?
    private let metrics: HTTPServer
    private let management: ManagementAPI?
    private let policy: PolicyFile
    private let tracing: ProcessTracing?
    private let modelMetrics: ModelMetrics
    private let models: ProcessModels?
    private let certificate: ServerCertificate?
    private let lifecycle: Lifecycle
    private let options: SemanticOptions
    private let group: MultiThreadedEventLoopGroup
    package let logger: Logger
    package let registry: MetricRegistry
    /// Nil where nothing is traced.
    var tracer: RequestTracer? { tracing?.tracer }

    package var port: Int { server.port }
    package var apiPort: Int? { api?.port }
    package var metricsPort: Int { metrics.port }
    /// Calls under way, for tests.
    package var callCount: Int { server.callCount }

    /// Builds everything from checked options and starts to listen.
    ///
    /// - Parameter environment: where OpenTelemetry's variables are looked up.
    /// - Throws: what is wrong with a file that an option names, or with an address or certificate.
    package static func start(
        _ options: SemanticOptions,
        environment: ProcessEnvironment = .process,
        logger: Logger
    ) async throws -> SemanticStack {
        let threads = options.threads == 0 ? System.coreCount : options.threads
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        var tracing: ProcessTracing?
        do {
            return try await build(options, environment, &tracing, group: group, logger: logger)
        } catch {
            await tracing?.shutdown()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private static func build(
        _ options: SemanticOptions,
        _ environment: ProcessEnvironment,
        _ tracing: inout ProcessTracing?,
        group: MultiThreadedEventLoopGroup,
        logger: Logger
    ) async throws -> SemanticStack {
        let registry = options.metrics.registry(for: group)
        let lifecycle = Lifecycle()
        let models = ModelMetrics(registry: registry)
        let policy = try PolicyFile(
            options.config,
            reading: options.policyReading,
            registry: registry,
            metrics: SemanticMetrics(registry: registry, models: models),
            logger: logger
        )

        var process = ManagedProcess(
            service: "sextant-semantic",
            lifecycle: lifecycle,
            metricsPage: MetricsPage(registry)
        )
        let processModels = try await ProcessModels.start(options.models, registry: registry, logger: logger)
        process.models = processModels
        process.modelList = { ModelList(policy.router.current.modelCards) }
        process.add(
            policy.router,
            state: policy.state,
            reading: options.policyReading,
            isServed: { { _ in true } }
        )
        let management =
            options.hasAPI
            ? try ManagementAPI(
                process,
                options.management,
                at: .init(
                    host: options.apiHost,
                    port: Int(options.apiPort.number),
                    hostFlag: "--api-bind",
                    portFlag: "--api-port"
                ),
                registry: registry,
                logger: logger
            ) : nil

        var settings = options.serverSettings
        let certificate = try options.certificate(registry: registry, logger: logger)
        settings.tls = certificate?.source
        let budget = ByteBudget(limit: settings.maxBufferedBytes)
        tracing = try await ProcessTracing.start(
            flags: options.tracing.layer,
            policy: policy.router.current.config.global.services.observability.tracing.layer,
            service: "sextant-semantic",
            environment: environment,
            registry: registry,
            logger: logger,
            group: group
        )
        let extProcMetrics = ExtProcMetrics(registry: registry, models: models)
        let service = ExtProcService(
            semantic: policy.router,
            settings: options.extProcSettings,
            metrics: extProcMetrics,
            budget: budget,
            tracer: tracing?.tracer
        )
        let health = HealthService(services: [service.name]) { !lifecycle.isDraining }
        let server: GRPCServer
        do {
            server = try await GRPCServer.start(
                host: options.host,
                port: Int(options.port.number),
                settings: settings,
                budget: budget,
                group: group,
                methods: [service, health]
            )
        } catch {
            throw ListenError(host: options.host, port: Int(options.port.number), flag: "--port", reason: "\(error)")
        }
        extProcMetrics.observe(
            in: registry,
            calls: { server.callCount },
            connections: { server.connectionCount },
            bufferedBytes: { budget.used }
        )
        var api: HTTPServer?
        let metrics: HTTPServer
        do {
            api = try await management?.start(group: group)
            metrics = try await ManagementAPI.startMetrics(
                of: process,
                host: options.metricsHost,
                port: Int(options.metricsPort.number),
                flag: "--metrics-port",
                group: group
            )
        } catch {
            await api?.shutdown(within: .zero)
            await server.shutdown(within: .zero)
            throw error
        }
        lifecycle.becomeReady()
        return SemanticStack(
            server: server,
            api: api,
            metrics: metrics,
            management: management,
            policy: policy,
            tracing: tracing,
            modelMetrics: models,
            models: processModels,
            certificate: certificate,
            lifecycle: lifecycle,
            options: options,
            group: group,
            logger: logger,
            registry: registry
        )
    }

    /// Follows the configuration files, and the time of windowed figures, until the task is cancelled.
    package func runBesides() async {
        await withTaskGroup { group in
            group.addTask { await modelMetrics.run() }
            if let models { group.addTask { await models.run() } }
            group.addTask { await policy.run() }
            if let management { group.addTask { await management.run() } }
            if let certificate { group.addTask { await certificate.run() } }
        }
    }

    /// Puts a policy in force, as a change of its file does.
    ///
    /// - Returns: what is wrong with it; with an error among that, nothing has changed.
    package func apply(policy file: WatchedFile) -> [Diagnostic] {
        policy.apply(file)
    }

    /// Tells health checks that the end is near, waits for Envoy to hear it, asks for no more calls, lets those under way
    /// end, then ends everything.
    package func shutdown() async {
        lifecycle.beginDraining()
        if options.drainDelay > .zero { try? await Task.sleep(for: options.drainDelay) }
        let cut = await server.shutdown(within: options.drainTimeout)
        if cut > 0 {
            logger.notice("calls ended after the drain timeout", metadata: ["calls": "\(cut)"])
        }
        await api?.shutdown(within: .zero)
        await metrics.shutdown(within: .zero)
        await tracing?.shutdown()
        await models?.shutdown()
        try? await group.shutdownGracefully()
    }
}

/// The policy of a process that needs nothing but the policy.
private struct PolicyFile: Sendable {
    let router: Live<SemanticRouter>
    let state: Live<ConfigurationState>
    private let file: FileFollower
    private let reading: DecodingOptions
    private let metrics: SemanticMetrics

    /// - Throws: `ConfigError` with every mistake in the file.
    init(
        _ path: String,
        reading: DecodingOptions,
        registry: MetricRegistry,
        metrics: SemanticMetrics,
        logger: Logger
    ) throws(ConfigError) {
        self.reading = reading
        self.metrics = metrics
        file = FileFollower(path, registry: registry, logger: logger)
        let result = file.settings(SemanticConfig.self, options: reading)
        let config = try result.get()
        result.warnings.log(to: logger)
        router = Live(SemanticRouter(config, metrics: metrics))
        guard let source = file.atStart else { throw ConfigError(result.diagnostics) }
        state = Live(ConfigurationState(active: source))
    }

    /// Watches the file until the task is cancelled.
    func run() async {
        await file.run { apply($0) }
    }

    func apply(_ source: WatchedFile) -> [Diagnostic] {
        let result = SemanticConfig.decode(source.document(), options: reading)
        guard let config = result.value, !result.diagnostics.hasErrors else {
            state.swap(state.current.refusing(source))
            return result.diagnostics
        }
        router.swap(SemanticRouter(config, metrics: metrics))
        state.swap(ConfigurationState(active: source))
        return result.diagnostics
    }
}

extension SemanticOptions {
    fileprivate func certificate(registry: MetricRegistry, logger: Logger) throws(TLSError) -> ServerCertificate? {
        guard isSecure, let certificateFolder else { return nil }
        return try ServerCertificate(
            certificateFile: "\(certificateFolder)/tls.crt",
            keyFile: "\(certificateFolder)/tls.key",
            protocols: [.http2],
            registry: registry,
            logger: logger
        )
    }
}
