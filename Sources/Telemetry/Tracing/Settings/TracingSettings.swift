package import Instruments

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// How this process traces: what flags, environment and policy say, taken together.
package struct TracingSettings: Hashable, Sendable {
    package var transport = TracingLayer.Transport.grpc
    package var host: String
    package var port: Int
    package var isTLS = false
    /// For HTTP.
    package var path = "/v1/traces"
    package var authorityFile: String?
    /// May hold keys: never printed.
    package var headers: [String: String] = [:]
    /// 10 s, OpenTelemetry's default.
    package var timeout = Duration.seconds(10)

    package var sampling = TracingLayer.Sampling.always
    package var followsParent = true
    package var keepsErrors = false
    package var slowerThan: Duration?

    /// What is said of the process.
    package var resource: [String: String] = [:]
    package var limits = Limits()

    /// How much waits to be exported. OpenTelemetry's defaults, but for the bytes.
    package struct Limits: Hashable, Sendable {
        package var queuedSpans = 2048
        /// 16 MiB: spans are counted with what they say, so that few large ones are bounded as well.
        package var queuedBytes = 16 << 20
        package var batchSpans = 512
        /// 2 MiB, half of what gRPC servers take by default: a batch is estimated before it is encoded.
        package var batchBytes = 2 << 20
        package var batchDelay = Duration.seconds(5)

        package init() {}
    }

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// What is known of the process without being told.
    package struct Process: Hashable, Sendable {
        /// `sextant-router`, for example.
        package var service: String
        package var version: String
        /// Unlike that of any other process.
        package var instance: String
        package var host: String?

        package init(service: String, version: String, instance: String, host: String?) {
            self.service = service
            self.version = version
            self.instance = instance
            self.host = host
        }
    }

    /// Flags come before the environment, that before the policy. Tracing is off unless one of them turns it on: a flag
    /// or variable by naming a collector, the policy by `enabled`. `OTEL_SDK_DISABLED` and `OTEL_TRACES_EXPORTER=none`
    /// turn it off, whatever else says.
    ///
    /// - Returns: nil where nothing is traced.
    package static func resolved(
        flags: TracingLayer,
        environment: TracingVariables,
        policy: TracingLayer?,
        process: Process
    ) -> TracingSettings? {
        let layer = flags.over(environment.layer).over(policy ?? TracingLayer())
        guard !environment.isSwitchedOff, layer.isEnabled == true, let endpoint = layer.endpoint else { return nil }

        let isHTTP = endpoint.path != nil || endpoint.port == defaultPort(of: .http)
        let transport = endpoint.transport ?? layer.transport ?? (isHTTP ? .http : .grpc)
        var settings = TracingSettings(host: endpoint.host, port: endpoint.port ?? defaultPort(of: transport))
        settings.transport = transport
        settings.isTLS = endpoint.isTLS
        let isVariable = endpoint == environment.layer.endpoint
        if let path = endpoint.path ?? (isVariable ? environment.pathForHTTP : nil) { settings.path = path }
        settings.authorityFile = layer.authorityFile
        settings.headers = layer.headers ?? [:]
        if let timeout = layer.timeout { settings.timeout = timeout }
        if let sampling = layer.sampling { settings.sampling = sampling }
        settings.followsParent = layer.followsParent ?? true
        settings.keepsErrors = layer.keepsErrors ?? false
        settings.slowerThan = layer.slowerThan
        if let spans = layer.maxQueuedSpans { settings.limits.queuedSpans = spans }
        if let spans = layer.maxBatchSpans { settings.limits.batchSpans = spans }
        settings.limits.batchSpans = min(settings.limits.batchSpans, settings.limits.queuedSpans)
        if let delay = layer.batchDelay { settings.limits.batchDelay = delay }
        settings.resource = process.resource.merging(layer.resource) { $1 }
        return settings
    }

    private static func defaultPort(of transport: TracingLayer.Transport) -> Int {
        transport == .grpc ? 4317 : 4318
    }

    package func sampler() -> Sampler {
        Sampler(
            sampling.choice,
            followsParent: followsParent,
            keepsErrors: keepsErrors,
            slowerThan: slowerThan
        )
    }

    /// How traces are chosen, for logs.
    package var samplingText: String {
        let choice =
            switch sampling {
            case .always: "always"
            case .never: "never"
            case .ratio(let share): "ratio \(share)"
            case .perSecond(let rate): "\(rate) a second"
            }
        let besides = [followsParent ? "or as the sender chose" : nil, keepsErrors ? "and errors" : nil]
        let slow = slowerThan.map { "and slower than \($0)" }
        return ([choice] + (besides + [slow]).compactMap { $0 }).joined(separator: ", ")
    }

    /// Where traces go, for logs and pages.
    package var endpointText: String {
        let name = host.contains(":") ? "[\(host)]" : host
        let scheme = transport == .grpc ? (isTLS ? "grpcs" : "grpc") : (isTLS ? "https" : "http")
        return "\(scheme)://\(name):\(port)\(transport == .http ? path : "")"
    }
}

extension TracingSettings.Process {
    /// This process, under a number that chance gives.
    package static func current(service: String, version: String) -> TracingSettings.Process {
        var name = [CChar](repeating: 0, count: 256)
        // The last byte stays zero, also for a name that is cut off (gethostname(2)).
        let hasName = gethostname(&name, name.count - 1) == 0
        let host = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let number = UInt64.random(in: .min ... .max)
        return TracingSettings.Process(
            service: service,
            version: version,
            instance: String(number, radix: 16),
            host: hasName && !host.isEmpty ? host : nil
        )
    }

    /// OpenTelemetry's names (https://opentelemetry.io/docs/specs/semconv/resource/).
    fileprivate var resource: [String: String] {
        var resource = [
            "service.name": service, "service.version": version, "service.instance.id": instance,
            "telemetry.sdk.name": "sextant", "telemetry.sdk.language": "swift", "telemetry.sdk.version": version,
        ]
        resource["host.name"] = host
        return resource
    }
}
