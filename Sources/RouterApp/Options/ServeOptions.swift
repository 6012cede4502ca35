package import ConfigKit
import Gateway
import HTTPTransport
package import InferenceRouter
package import Logging
import NIOCore
import OpenAIWire
package import Telemetry

/// The flags of `sextant router` and `sextant gateway`: upstream `vllm-router`'s names, and ours.
package struct ServeOptions: Configurable {
    // Listening
    package var host = "0.0.0.0"
    package var port: Port?
    package var adminPort: Port?
    package var adminHost = "127.0.0.1"
    package var threads = 0
    package var certificatePath: String?
    package var keyPath: String?
    package var maxBodySize = ByteCount.mebibytes(50)
    package var maxBufferedBodies = ByteCount.mebibytes(512)
    package var maxConnections = 16_384
    package var headerTimeout = Duration.seconds(10)
    package var bodyTimeout = Duration.seconds(300)
    package var keepAliveTimeout = Duration.seconds(75)
    package var writeTimeout = Duration.seconds(120)
    package var drainDelay = Duration.zero
    package var drainTimeout = Duration.seconds(30)

    // Policy
    package var config: String?
    package var isStrict = false

    // Workers
    package var serviceDiscovery = Discovery.static
    package var staticBackends: [ServiceURL] = []
    package var staticModels: [String] = []
    package var staticAliases: [ModelAlias] = []
    package var workerAPIKey: Secret?
    package var workerAuthorityPath: String?
    package var connectTimeout = Duration.seconds(5)
    package var responseTimeout = Duration.seconds(1800)
    package var streamIdleTimeout = Duration.seconds(300)

    // Routing
    package var routingLogic = PolicyCatalog.roundrobin
    package var defaultModel: String?
    package var failoverAttempts = 1

    // Identity
    package var apiKeysFile: String?
    package var trustedHops: [CIDRBlock] = []
    package var adminGroup = "admin"

    // Management
    package var management = ManagementOptions()

    // Models
    package var models = ModelOptions()

    // Metrics
    package var metrics = MetricFlags()

    // Tracing
    package var tracing = TracingFlags()

    // Logs
    package var logLevel = LogLevel.info
    package var logFormat = LogFormat.text

    package init() {}

    package enum Discovery: String, CaseIterable, ConfigValue {
        case `static`
    }

    /// Upstream's words for levels.
    package enum LogLevel: String, CaseIterable, ConfigValue {
        case critical, error, warning, info, debug, trace

        package var level: Logger.Level {
            switch self {
            case .critical: .critical
            case .error: .error
            case .warning: .warning
            case .info: .info
            case .debug: .debug
            case .trace: .trace
            }
        }
    }

    package static let schema = Schema<Self>("flags", "Settings of `sextant router` and `sextant gateway`.") {
        FieldGroup("Listening") {
            Field("host", \.host, "The address to listen on.").notEmpty()
            Field("port", \.port, "The port to listen on. Default: 8001 for `router`, 8080 for `gateway`.")
            Field(
                "admin-port",
                \.adminPort,
                "A port for the management API and /metrics. Default: none for `router`, 8081 for `gateway`."
            )
            Field("admin-host", \.adminHost, "The address of the admin port.").notEmpty()
            Field("threads", \.threads, "Event loops. 0: one per core.").range(0...1024)
            Field(
                "tls-cert-path",
                \.certificatePath,
                "A PEM certificate chain: serve HTTPS. Read again when it changes.",
                example: "tls.crt"
            )
            Field("tls-key-path", \.keyPath, "The certificate's PEM private key.", example: "tls.key")
            Field("max-body-size", \.maxBodySize, "The largest request body.").range(
                ByteCount(1024)...ByteCount.gibibytes(1)
            )
            Field(
                "max-buffered-bodies",
                \.maxBufferedBodies,
                "Memory for request bodies under way, over all connections."
            )
            .range(ByteCount.mebibytes(1)...)
            Field("max-connections", \.maxConnections, "The most client connections.").range(1...)
            Field("header-timeout", \.headerTimeout, "How long a request's head may take.").range(shortest...)
            Field("body-timeout", \.bodyTimeout, "How long a request's body may take.").range(shortest...)
            Field("keep-alive-timeout", \.keepAliveTimeout, "How long a connection may wait for its next request.")
                .range(shortest...)
            Field("write-timeout", \.writeTimeout, "How long a client may leave an answer unread.").range(shortest...)
            Field(
                "drain-delay",
                \.drainDelay,
                "After SIGTERM, how long requests are still accepted while /health asks load balancers to look elsewhere."
            )
            Field("drain-timeout", \.drainTimeout, "After that, how long answers under way may take.")
        }
        FieldGroup("Policy") {
            Field("config", \.config, "The semantic policy file (`gateway` only).", example: "policy.yaml")
            Field("strict", \.isStrict, "Whether unknown keys, and settings without an effect, are mistakes.")
        }
        FieldGroup("Workers") {
            Field("service-discovery", \.serviceDiscovery, "Where workers come from.")
            Field(
                "static-backends",
                \.staticBackends,
                "URLs of the workers. Default: the backends that the policy names.",
                example: "http://10.0.0.1:8000"
            )
            Field("static-models", \.staticModels, "The model that each worker serves, in the same order.")
            Field("static-aliases", \.staticAliases, "Further names of models.", example: "gpt-4:llama-3.1-70b")
            Field("worker-api-key", \.workerAPIKey, "What workers are shown in place of a client's key.")
            Field("worker-ca-path", \.workerAuthorityPath, "PEM certificates by which https workers are verified.")
            Field("connect-timeout", \.connectTimeout, "How long connecting to a worker may take.").range(shortest...)
            Field("response-timeout", \.responseTimeout, "How long a worker may take to begin its answer.")
                .range(shortest...)
            Field("stream-idle-timeout", \.streamIdleTimeout, "How long a worker may pause within its answer.")
                .range(shortest...)
        }
        FieldGroup("Routing") {
            Field("routing-logic", \.routingLogic, "How a worker is chosen.")
            Field(
                "default-model",
                \.defaultModel,
                "What answers `auto` when nobody has chosen. Default: the only model, if there is one only."
            )
            Field(
                "max-instance-failover-reroute-attempts",
                \.failoverAttempts,
                """
                How often a request is sent again when a worker ends the connection without an answer (upstream: 0). \
                Workers that cannot be reached are passed over in any case.
                """
            )
            .range(0...100)
        }
        FieldGroup("Identity") {
            Field("api-keys-file", \.apiKeysFile, "A YAML file of hashed API keys. Without it no key is asked for.")
            Field(
                "trusted-hops",
                \.trustedHops,
                "Networks whose `x-authz-*` headers are believed.",
                example: "10.0.0.0/8"
            )
            Field("admin-group", \.adminGroup, "Members may put workers to sleep and load adapters.").notEmpty()
        }
        FieldGroup("Management") { ManagementOptions.fields(at: \Self.management) }
        FieldGroup("Models") { ModelOptions.fields(at: \Self.models) }
        FieldGroup("Metrics") { MetricFlags.fields(at: \Self.metrics) }
        FieldGroup("Tracing") { TracingFlags.fields(at: \Self.tracing) }
        FieldGroup("Logs") {
            Field("log-level", \.logLevel, "The least severe level that is logged.")
            Field("log-format", \.logFormat, "Lines for people or for machines.")
        }
        FieldGroup("Accepted for compatibility") { upstreamFlags }
    }

    /// 1 ms: a deadline of nothing would refuse everything.
    private static let shortest = Duration.milliseconds(1)

    package func validate(_ report: inout ValidationReport) {
        if report.isSound("static-backends"), report.isSound("static-models") {
            if staticBackends.isEmpty, config == nil {
                report.error("name at least one worker, such as http://localhost:8000", at: "static-backends")
            } else if staticModels.count != staticBackends.count {
                let counts = "\(staticModels.count) models for \(staticBackends.count) workers"
                report.error("name one model per worker: there are \(counts)", at: "static-models")
            }
        }
        for (index, url) in staticBackends.enumerated() where !url.path.isEmpty && url.path != "/" {
            report.error("has a path; workers are addressed by host and port", at: "static-backends", .index(index))
        }
        management.validate(&report)
        tracing.validate(&report)
        if (certificatePath == nil) != (keyPath == nil) {
            report.error("goes together with --tls-key-path", at: "tls-cert-path")
        }
        let names = Set(staticModels)
        for (index, alias) in staticAliases.enumerated() where !names.contains(alias.model) {
            report.unknown(alias.model, among: staticModels, at: "static-aliases", .index(index))
        }
        if let model = defaultModel, !staticBackends.isEmpty, !names.contains(model),
            !staticAliases.contains(where: { $0.alias == model })
        {
            report.unknown(model, among: staticModels, at: "default-model")
        }
    }
}

/// `alias:model`, as upstream's `--static-aliases` takes them.
package struct ModelAlias: ScalarConfigValue, Hashable {
    package let alias: String
    package let model: String

    package static let kind = ConfigType.ScalarKind(
        "alias:model",
        expected: "an alias and a model, as in gpt-4:llama-3"
    )

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> ModelAlias {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { throw ScalarMistake() }
        return ModelAlias(alias: String(parts[0]), model: String(parts[1]))
    }

    package init(alias: String, model: String) {
        self.alias = alias
        self.model = model
    }

    package var configText: String { "\(alias):\(model)" }
}

extension LogFormat: ConfigValue {}

extension PolicyCatalog: ConfigValue {}
