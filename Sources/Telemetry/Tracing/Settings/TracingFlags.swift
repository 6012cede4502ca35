package import ConfigKit
package import Instruments

/// The flags of every command that traces: upstream `vllm-router`'s.
package struct TracingFlags: Sendable, Hashable {
    package var endpoint: String?
    package var serviceName: String?
    package var isSecure = false

    package init() {}

    /// The flags, for the schema of options that hold a value of this type at `keyPath`.
    @SchemaBuilder<Root>
    package static func fields<Root: Configurable>(
        at keyPath: any WritableKeyPath<Root, TracingFlags> & Sendable
    ) -> [AnyField<Root>] {
        Field<Root, String?>(
            "otel-endpoint",
            """
            Traces requests, and sends the traces to this OpenTelemetry collector: `host:port` for gRPC, or a URL. \
            OpenTelemetry's variables (OTEL_EXPORTER_OTLP_ENDPOINT and others) say more.
            """,
            example: "otel-collector:4317",
            get: { $0[keyPath: keyPath].endpoint },
            set: { $0[keyPath: keyPath].endpoint = $1 }
        )
        .check("must be host:port or a URL of http(s) or grpc(s)") {
            $0.map { TraceEndpoint($0, isTLS: false) != nil } ?? true
        }
        Field<Root, String?>(
            "otel-service-name",
            "`service.name` of the traces. Default: the command's name.",
            get: { $0[keyPath: keyPath].serviceName },
            set: { $0[keyPath: keyPath].serviceName = $1 }
        )
        Field<Root, Bool>(
            "otel-secure",
            "The collector of --otel-endpoint is spoken to over TLS, where the endpoint has no scheme that says it.",
            get: { $0[keyPath: keyPath].isSecure },
            set: { $0[keyPath: keyPath].isSecure = $1 }
        )
    }

    /// What the options' own `validate` calls.
    package func validate(_ report: inout ValidationReport) {
        if isSecure, endpoint == nil {
            report.warning("has no effect without --otel-endpoint", at: "otel-secure")
        }
        if isSecure, let endpoint, endpoint.hasPrefix("http://") || endpoint.hasPrefix("grpc://") {
            report.error("contradicts --otel-endpoint, whose scheme asks for no TLS", at: "otel-secure")
        }
    }

    /// What the flags say about tracing.
    package var layer: TracingLayer {
        var layer = TracingLayer(endpoint: endpoint.flatMap { TraceEndpoint($0, isTLS: isSecure) })
        layer.resource["service.name"] = serviceName
        return layer
    }
}
