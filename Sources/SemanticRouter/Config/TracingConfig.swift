package import ConfigKit
package import Instruments
import OpenAIWire

/// `global.services.observability.tracing`.
package struct TracingConfig: Configurable {
    package var isEnabled = false
    package var provider: Provider?
    package var exporter = ExporterConfig()
    package var sampling = SamplingConfig()
    package var resource = ResourceConfig()

    package enum Provider: String, CaseIterable, ConfigValue {
        case opentelemetry
    }

    package init() {}

    package static let schema = Schema<Self>("tracing", "Traces of requests, sent to an OpenTelemetry collector.") {
        Field("enabled", \.isEnabled, "Whether requests are traced.")
        Field("provider", \.provider, "The only one.")
        Field("exporter", \.exporter, "Where traces are sent.")
        Field("sampling", \.sampling, "Which requests are traced.")
        Field("resource", \.resource, "What traces say of this process.")
    }

    package func validate(_ report: inout ValidationReport) {
        if isEnabled, exporter.type == .otlp, exporter.endpoint.isEmpty, report.isSound("exporter") {
            report.error("needs the collector's address, such as otel-collector:4317", at: "exporter", "endpoint")
        }
    }

    /// What the policy says about tracing; flags and environment say it before.
    package var layer: TracingLayer {
        var layer = TracingLayer()
        layer.isEnabled = isEnabled && exporter.type == .otlp
        layer.endpoint = TraceEndpoint(exporter.endpoint, isTLS: !exporter.isInsecure)
        layer.transport = exporter.transport.map { $0 == .grpc ? .grpc : .http }
        layer.authorityFile = exporter.authorityFile
        if !exporter.headers.isEmpty {
            layer.headers = Dictionary(exporter.headers.map { ($0.lowercased(), $1.reveal()) }) { $1 }
        }
        layer.timeout = exporter.timeout
        layer.sampling =
            switch sampling.type {
            case nil: nil
            case .alwaysOn: .always
            case .alwaysOff: .never
            case .probabilistic: .ratio(sampling.rate.value)
            case .rateLimited: .perSecond(sampling.tracesPerSecond)
            }
        // What says always or never means every request; a share is agreed on with the sender.
        layer.followsParent =
            sampling.followsParent
            ?? sampling.type.map { $0 == .probabilistic || $0 == .rateLimited }
        layer.keepsErrors = sampling.keepsErrors
        layer.slowerThan = sampling.slowerThan
        layer.resource["service.name"] = resource.serviceName
        layer.resource["service.version"] = resource.serviceVersion
        layer.resource["deployment.environment"] = resource.environment
        return layer
    }
}

extension TracingConfig {
    /// `exporter`.
    package struct ExporterConfig: Configurable {
        package var type = ExporterType.otlp
        package var endpoint = ""
        package var isInsecure = false
        package var transport: TransportProtocol?
        package var authorityFile: String?
        package var headers: [String: Secret] = [:]
        package var timeout: Duration?

        package enum ExporterType: String, CaseIterable, ConfigValue {
            case otlp
            case stdout
        }

        package enum TransportProtocol: String, CaseIterable, ConfigValue {
            case grpc
            case http = "http/protobuf"
        }

        package init() {}

        package static let schema = Schema<Self>("tracing exporter", "Where traces are sent.") {
            Field("type", \.type, "`otlp`. With `stdout` nothing is traced.")
            Field(
                "endpoint",
                \.endpoint,
                "The collector: `host:port`, or a URL whose scheme says whether TLS is used.",
                example: "otel-collector:4317"
            )
            .check("must be host:port or a URL of http(s) or grpc(s)") {
                $0.isEmpty || TraceEndpoint($0, isTLS: false) != nil
            }
            Field("insecure", \.isInsecure, "Whether an endpoint without a scheme is spoken to without TLS.")
            Field(
                "protocol",
                \.transport,
                "How traces are sent. Default: `http/protobuf` for port 4318 or an endpoint with a path, else `grpc`."
            )
            .addition()
            Field(
                "ca_file",
                \.authorityFile,
                "A PEM file of the authority that the collector's certificate is checked against, in place of the "
                    + "system's."
            )
            .addition()
            Field("headers", \.headers, "Sent with every export, such as keys.").addition()
            Field("timeout", \.timeout, "How long one export may take. Default: 10s.")
                .range(.milliseconds(1)...(.seconds(600))).addition()
        }

        package func validate(_ report: inout ValidationReport) {
            if type == .stdout { report.notSupported("traces are sent to collectors only", at: "type") }
            for (name, value) in headers.sorted(by: { $0.key < $1.key })
            where !(HeaderField.isName(name) && HeaderField.isValue(value.reveal())) {
                report.error(
                    "cannot be sent: the name is no header's, or the value has line breaks",
                    at: "headers",
                    .key(name)
                )
            }
        }
    }

    /// `sampling`.
    package struct SamplingConfig: Configurable {
        package var type: SamplingType?
        package var rate: Ratio = 1.0
        package var tracesPerSecond = 10.0
        package var followsParent: Bool?
        package var keepsErrors: Bool?
        package var slowerThan: Duration?

        package enum SamplingType: String, CaseIterable, ConfigValue {
            case alwaysOn = "always_on"
            case alwaysOff = "always_off"
            case probabilistic
            /// Ours.
            case rateLimited = "rate_limited"
        }

        package init() {}

        package static let schema = Schema<Self>("tracing sampling", "Which requests are traced.") {
            Field(
                "type",
                \.type,
                "`always_on`, `always_off`, `probabilistic` with `rate`, or `rate_limited` with `traces_per_second`. "
                    + "Default: what the sender of a request chose, and all that come without a choice."
            )
            Field("rate", \.rate, "The share of requests that is traced, chosen by the traces' ids.")
            Field("traces_per_second", \.tracesPerSecond, "How many requests are traced in a second.")
                .range(0.0...).addition()
            Field(
                "follow_parent",
                \.followsParent,
                "Whether the sender's choice (`traceparent`) holds where there is one. Default: yes for "
                    + "`probabilistic` and `rate_limited`, no for `always_on` and `always_off`."
            )
            .addition()
            Field("keep_errors", \.keepsErrors, "Whether requests that failed are traced in any case.").addition()
            Field("keep_slower_than", \.slowerThan, "Requests that take longer are traced in any case.").addition()
        }
    }

    /// `resource`.
    package struct ResourceConfig: Configurable {
        package var serviceName: String?
        package var serviceVersion: String?
        package var environment: String?

        package init() {}

        package static let schema = Schema<Self>("tracing resource", "What traces say of this process.") {
            Field("service_name", \.serviceName, "`service.name`. Default: the command's name.")
            Field("service_version", \.serviceVersion, "`service.version`. Default: Sextant's.")
            Field("deployment_environment", \.environment, "`deployment.environment`.")
        }
    }
}
