package import ConfigKit
import ExtProcServer
import GRPCTransport
import NIOCore
package import Telemetry

/// The flags of `sextant semantic`: vLLM Semantic Router's names, and ours.
package struct SemanticOptions: Configurable {
    // Listening
    package var host = "0.0.0.0"
    package var port = Port.semantic
    package var threads = 0
    package var isSecure = false
    package var certificateFolder: String?
    package var maxBodySize = ByteCount.mebibytes(50)
    package var maxBufferedBodies = ByteCount.mebibytes(512)
    package var bodyTimeout = Duration.seconds(300)
    package var drainDelay = Duration.zero
    package var drainTimeout = Duration.seconds(30)

    // Policy
    package var config = "config/config.yaml"
    package var isStrict = false

    // Identity
    package var identityHeaders = IdentityHeaders.trusted

    // Management
    package var hasAPI = true
    package var apiPort = Port.api
    package var apiHost = "127.0.0.1"
    package var metricsPort = Port.metrics
    package var metricsHost = "0.0.0.0"
    package var management = ManagementOptions()

    // Models
    package var models = ModelOptions()

    // Metrics
    package var metrics = MetricFlags()

    // Tracing
    package var tracing = TracingFlags()

    // Logs
    package var logLevel = ServeOptions.LogLevel.info
    package var logFormat = LogFormat.text

    package init() {}

    package enum IdentityHeaders: String, CaseIterable, ConfigValue {
        case trusted
        case ignored
    }

    package static let schema = Schema<Self>("flags", "Settings of `sextant semantic`.") {
        FieldGroup("Listening") {
            Field("host", \.host, "The address that Envoy connects to.").notEmpty()
            Field("port", \.port, "The port that Envoy connects to.")
            Field("threads", \.threads, "Event loops; Envoy opens one connection per worker thread. 0: one per core.")
                .range(0...1024)
            Field("secure", \.isSecure, "Whether Envoy must use TLS, with the certificate in --cert-path.")
            Field(
                "cert-path",
                \.certificateFolder,
                "The folder of tls.crt and tls.key (PEM); read again when they change."
            )
            Field("max-body-size", \.maxBodySize, "The largest request body.").range(
                ByteCount(1024)...ByteCount.gibibytes(1)
            )
            Field("max-buffered-bodies", \.maxBufferedBodies, "Memory for bodies under way, over all connections.")
                .range(ByteCount.mebibytes(1)...)
            Field("body-timeout", \.bodyTimeout, "How long a body that comes in pieces may take.")
                .range(.milliseconds(1)...)
            Field(
                "drain-delay",
                \.drainDelay,
                "After SIGTERM, how long calls are still accepted while health checks ask Envoy to look elsewhere."
            )
            Field("drain-timeout", \.drainTimeout, "After that, how long calls under way may take.")
        }
        FieldGroup("Policy") {
            Field("config", \.config, "The policy file.", example: "policy.yaml").notEmpty()
            Field("strict", \.isStrict, "Whether unknown keys, and settings without an effect, are mistakes.")
        }
        FieldGroup("Identity") {
            Field(
                "identity-headers",
                \.identityHeaders,
                """
                Whether `x-authz-*` headers say who asks. Trusted, Envoy must take them from every client and let only a \
                filter of its own or a hop before it set them, as the configurations in deploy/envoy do.
                """
            )
        }
        FieldGroup("Management") {
            Field("enable-api", \.hasAPI, "Whether there is a management API.")
            Field("api-port", \.apiPort, "The port of the management API.")
            Field("api-bind", \.apiHost, "The address of the management API.").notEmpty()
            Field("metrics-port", \.metricsPort, "The port of /metrics.")
            Field("metrics-host", \.metricsHost, "The address of /metrics.").notEmpty()
            ManagementOptions.fields(at: \Self.management)
        }
        FieldGroup("Models") { ModelOptions.fields(at: \Self.models) }
        FieldGroup("Metrics") { MetricFlags.fields(at: \Self.metrics) }
        FieldGroup("Tracing") { TracingFlags.fields(at: \Self.tracing) }
        FieldGroup("Logs") {
            Field("log-level", \.logLevel, "The least severe level that is logged.")
            Field("log-format", \.logFormat, "Lines for people or for machines.")
        }
        FieldGroup("Accepted for compatibility") {
            ignored("kubeconfig", "", "the policy is a file")
            ignored("namespace", "", "the policy is a file")
            ignored("download-only", false, "there are no models to download")
            ignored("enable-system-prompt-api", false, "system prompts are part of the policy file")
        }
    }

    private static func ignored<Value: ConfigValue>(
        _ key: String,
        _ value: Value,
        _ instead: String
    ) -> Field<SemanticOptions, Value> {
        Field(key, "A flag of upstream's router.", get: { _ in value }, set: { _, _ in }).notSupported(instead)
    }

    package func validate(_ report: inout ValidationReport) {
        if isSecure, certificateFolder == nil {
            report.error("needs --cert-path, a folder with tls.crt and tls.key", at: "secure")
        }
        if !isSecure, certificateFolder != nil {
            report.error("has no effect without --secure", at: "cert-path")
        }
        management.validate(&report)
        tracing.validate(&report)
    }
}

extension Port {
    fileprivate static let semantic = Port(50051)
    fileprivate static let api = Port(8080)
    fileprivate static let metrics = Port(9190)
}

extension SemanticOptions {
    var policyReading: DecodingOptions { .policy(isStrict: isStrict) }

    var extProcSettings: ExtProcSettings {
        var settings = ExtProcSettings()
        settings.maxBodyBytes = maxBodySize.bytes
        settings.bodyTimeout = TimeAmount(bodyTimeout)
        settings.trustsIdentityHeaders = identityHeaders == .trusted
        return settings
    }

    var serverSettings: GRPCServerSettings {
        var settings = GRPCServerSettings()
        // A message holds a body and little else.
        settings.maxMessageBytes = maxBodySize.bytes + (1 << 20)
        settings.maxBufferedBytes = maxBufferedBodies.bytes
        return settings
    }
}
