package import ConfigKit
package import Instruments
import OpenAIWire

/// OpenTelemetry's environment variables, as far as they concern traces
/// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
/// https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
///
/// As the specification asks, an empty variable counts as absent, and one that cannot be read is said and ignored.
package struct TracingVariables: Sendable {
    package private(set) var layer = TracingLayer()
    /// `OTEL_SDK_DISABLED` or `OTEL_TRACES_EXPORTER=none`: nothing else turns tracing on then.
    package private(set) var isSwitchedOff = false
    /// What could not be read, a sentence each. Holds no values that may be secret.
    package private(set) var warnings: [String] = []

    /// What HTTP asks for where `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` has no path: that variable is used as it is.
    private(set) var pathForHTTP: String?

    private let environment: ProcessEnvironment

    package init(_ environment: ProcessEnvironment) {
        self.environment = environment
        readSwitches()
        readExporter()
        readSampler()
        readResource()
        readBatches()
    }

    private func text(_ name: String) -> String? {
        environment[name].flatMap { value in
            let value = value.trimmed
            return value.isEmpty ? nil : value
        }
    }

    /// The value of `OTEL_EXPORTER_OTLP_TRACES_name`, else of `OTEL_EXPORTER_OTLP_name`.
    private func exporter(_ name: String) -> (name: String, value: String)? {
        for variable in ["OTEL_EXPORTER_OTLP_TRACES_\(name)", "OTEL_EXPORTER_OTLP_\(name)"] {
            if let value = text(variable) { return (variable, value) }
        }
        return nil
    }

    private mutating func ignore(_ name: String, _ reason: String) {
        warnings.append("\(name) is ignored: \(reason)")
    }

    // MARK: Readings

    private mutating func readSwitches() {
        if let value = text("OTEL_SDK_DISABLED") { isSwitchedOff = value.lowercased() == "true" }
        switch text("OTEL_TRACES_EXPORTER") {
        case nil, "otlp": break
        case "none": isSwitchedOff = true
        default: ignore("OTEL_TRACES_EXPORTER", "only otlp and none are known")
        }
    }

    private mutating func readExporter() {
        let insecure = exporter("INSECURE").map { $0.value.lowercased() == "true" } ?? false
        let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
        if let (name, value) = exporter("ENDPOINT") {
            if var endpoint = TraceEndpoint(value, isTLS: !insecure) {
                // The general endpoint is a base; that of traces is used as it is. With gRPC there is no path.
                if name == own {
                    pathForHTTP = value.contains("://") ? "/" : nil
                } else if let path = endpoint.path {
                    endpoint = endpoint.with(path: path.withoutSlashAtEnd + "/v1/traces")
                }
                layer.endpoint = endpoint
                layer.isEnabled = true
            } else {
                ignore(name, "it is neither host:port nor a URL of http(s) or grpc(s)")
            }
        }
        if let (name, value) = exporter("PROTOCOL") {
            switch value {
            case "grpc": layer.transport = .grpc
            case "http/protobuf": layer.transport = .http
            default: ignore(name, "only grpc and http/protobuf are known")
            }
        }
        if let (name, value) = exporter("HEADERS") {
            if let pairs = Self.pairs(value), pairs.allSatisfy({ HeaderField.isName($0) && HeaderField.isValue($1) }) {
                layer.headers = Dictionary(pairs.map { ($0.lowercased(), $1) }) { $1 }
            } else {
                ignore(name, "it is not a list of headers such as name=value,name=value")
            }
        }
        if let (name, value) = exporter("TIMEOUT") { layer.timeout = milliseconds(name, value) }
        layer.authorityFile = exporter("CERTIFICATE")?.value
        if let (name, value) = exporter("COMPRESSION"), value != "none" {
            ignore(name, "traces are sent as they are")
        }
        for name in ["CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            if let variable = exporter(name)?.name { ignore(variable, "no client certificate is shown") }
        }
    }

    private mutating func readSampler() {
        guard let value = text("OTEL_TRACES_SAMPLER") else { return }
        let followsParent = value.hasPrefix("parentbased_")
        switch followsParent ? String(value.dropFirst("parentbased_".count)) : value {
        case "always_on": layer.sampling = .always
        case "always_off": layer.sampling = .never
        case "traceidratio":
            var ratio = 1.0
            if let argument = text("OTEL_TRACES_SAMPLER_ARG") {
                if let number = Double(argument), (0...1).contains(number) {
                    ratio = number
                } else {
                    ignore("OTEL_TRACES_SAMPLER_ARG", "it is not a number from 0 to 1")
                }
            }
            layer.sampling = .ratio(ratio)
        default:
            ignore(
                "OTEL_TRACES_SAMPLER",
                "only always_on, always_off, traceidratio and parentbased_ with them are known"
            )
            return
        }
        layer.followsParent = followsParent
    }

    private mutating func readResource() {
        if let value = text("OTEL_RESOURCE_ATTRIBUTES") {
            if let pairs = Self.pairs(value) {
                layer.resource = Dictionary(pairs) { $1 }
            } else {
                ignore("OTEL_RESOURCE_ATTRIBUTES", "it is not a list such as name=value,name=value")
            }
        }
        if let name = text("OTEL_SERVICE_NAME") { layer.resource["service.name"] = name }
    }

    private mutating func readBatches() {
        layer.maxQueuedSpans = positive("OTEL_BSP_MAX_QUEUE_SIZE")
        layer.maxBatchSpans = positive("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
        if let value = text("OTEL_BSP_SCHEDULE_DELAY") {
            layer.batchDelay = milliseconds("OTEL_BSP_SCHEDULE_DELAY", value)
        }
        if layer.timeout == nil, let value = text("OTEL_BSP_EXPORT_TIMEOUT") {
            layer.timeout = milliseconds("OTEL_BSP_EXPORT_TIMEOUT", value)
        }
    }

    private mutating func positive(_ name: String) -> Int? {
        guard let value = text(name) else { return nil }
        guard let number = Int(value), (1...1_000_000).contains(number) else {
            ignore(name, "it is not a number from 1 to 1000000")
            return nil
        }
        return number
    }

    private mutating func milliseconds(_ name: String, _ value: String) -> Duration? {
        guard let number = Int(value), (1...86_400_000).contains(number) else {
            ignore(name, "it is not a number of milliseconds from 1 to 86400000")
            return nil
        }
        return .milliseconds(number)
    }

    /// `name=value,name=value` with percent-encoded values (W3C Baggage); nil where it is not.
    static func pairs(_ text: String) -> [(String, String)]? {
        var pairs: [(String, String)] = []
        for member in text.split(separator: ",") {
            let parts = member.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0]).trimmed
            guard parts.count == 2, !name.isEmpty, let value = String(parts[1]).trimmed.withoutPercentEncoding else {
                return nil
            }
            pairs.append((name, value))
        }
        return pairs
    }
}

extension TraceEndpoint {
    fileprivate func with(path: String) -> TraceEndpoint {
        TraceEndpoint(host: host, port: port, isTLS: isTLS, path: path)
    }
}

extension String {
    fileprivate var trimmed: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest = rest.dropFirst() }
        while rest.last?.isWhitespace == true { rest = rest.dropLast() }
        return String(rest)
    }

    fileprivate var withoutSlashAtEnd: String { hasSuffix("/") ? String(dropLast()) : self }

    /// Nil where a percent sign stands for nothing, or the bytes are no text.
    fileprivate var withoutPercentEncoding: String? {
        var bytes: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(code)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
