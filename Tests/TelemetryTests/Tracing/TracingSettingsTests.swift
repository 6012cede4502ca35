import ConfigKit
import Instruments
import SemanticRouter
import Telemetry
import Testing

@Suite("Tracing settings")
struct TracingSettingsTests {
    private let process = TracingSettings.Process(
        service: "sextant-router",
        version: "1.2.3",
        instance: "i-1",
        host: "node-7"
    )

    private func variables(_ table: [String: String]) -> TracingVariables {
        TracingVariables(ProcessEnvironment { table[$0] })
    }

    private func policy(_ yaml: String) throws -> TracingLayer {
        try TracingConfig.parse(yaml).get().layer
    }

    private func resolved(
        _ flags: TracingFlags = TracingFlags(),
        _ table: [String: String] = [:],
        policy yaml: String? = nil
    ) throws -> TracingSettings? {
        TracingSettings.resolved(
            flags: flags.layer,
            environment: variables(table),
            policy: try yaml.map { try policy($0) },
            process: process
        )
    }

    private func flags(_ endpoint: String?, secure: Bool = false, service: String? = nil) -> TracingFlags {
        var flags = TracingFlags()
        flags.endpoint = endpoint
        flags.isSecure = secure
        flags.serviceName = service
        return flags
    }

    private static let policyFile = """
        enabled: true
        provider: opentelemetry
        exporter: {type: otlp, endpoint: "jaeger:4317", insecure: true}
        sampling: {type: probabilistic, rate: 0.1}
        resource: {service_name: vllm-sr, service_version: v9, deployment_environment: staging}
        """

    // MARK: On and off

    @Test("Nothing is traced unless somebody says so")
    func off() throws {
        #expect(try resolved() == nil)
        #expect(try resolved(policy: "enabled: false") == nil)
        #expect(try resolved(policy: "exporter: {endpoint: \"a:1\"}") == nil)
        #expect(try resolved(flags(nil, service: "x"), ["OTEL_SERVICE_NAME": "y"]) == nil)
        #expect(try resolved(TracingFlags(), ["OTEL_TRACES_SAMPLER": "always_on"]) == nil)
    }

    @Test("A flag, a variable or the policy turns tracing on")
    func on() throws {
        #expect(try resolved(flags("a:1"))?.host == "a")
        #expect(try resolved(TracingFlags(), ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1"])?.host == "b")
        #expect(try resolved(TracingFlags(), ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1"])?.host == "c")
        #expect(try resolved(policy: Self.policyFile)?.host == "jaeger")
        // The environment comes before the policy, also before its `enabled: false`.
        let table = ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1"]
        #expect(try resolved(TracingFlags(), table, policy: "enabled: false")?.host == "b")
    }

    @Test(
        "The environment's switches turn it off, whatever else says",
        arguments: [
            ["OTEL_SDK_DISABLED": "true"], ["OTEL_SDK_DISABLED": "True"], ["OTEL_TRACES_EXPORTER": "none"],
        ]
    )
    func switchedOff(table: [String: String]) throws {
        #expect(try resolved(flags("a:1"), table, policy: Self.policyFile) == nil)
    }

    @Test(
        "Other values of the switches leave it on",
        arguments: [
            ["OTEL_SDK_DISABLED": "false"], ["OTEL_SDK_DISABLED": "1"], ["OTEL_SDK_DISABLED": ""],
            ["OTEL_TRACES_EXPORTER": "otlp"], ["OTEL_TRACES_EXPORTER": " "],
        ]
    )
    func notSwitchedOff(table: [String: String]) throws {
        #expect(try resolved(flags("a:1"), table) != nil)
        #expect(variables(table).warnings.isEmpty)
    }

    // MARK: Precedence

    @Test("Flags come before the environment, that before the policy, setting by setting")
    func precedence() throws {
        let table = [
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://env:4317", "OTEL_SERVICE_NAME": "env-name",
            "OTEL_RESOURCE_ATTRIBUTES": "service.version=env-version,team=a", "OTEL_TRACES_SAMPLER": "always_on",
        ]
        let all = try #require(try resolved(flags("flag:1", service: "flag-name"), table, policy: Self.policyFile))
        #expect(all.host == "flag" && all.port == 1 && !all.isTLS)
        #expect(all.sampling == .always && !all.followsParent)
        #expect(
            all.resource == [
                "service.name": "flag-name", "service.version": "env-version", "team": "a",
                "deployment.environment": "staging", "service.instance.id": "i-1", "host.name": "node-7",
                "telemetry.sdk.name": "sextant", "telemetry.sdk.language": "swift", "telemetry.sdk.version": "1.2.3",
            ]
        )
        let lower = try #require(try resolved(TracingFlags(), table, policy: Self.policyFile))
        #expect(lower.host == "env" && lower.isTLS && lower.resource["service.name"] == "env-name")
        let lowest = try #require(try resolved(policy: Self.policyFile))
        #expect(lowest.host == "jaeger" && lowest.port == 4317 && !lowest.isTLS && lowest.transport == .grpc)
        #expect(lowest.sampling == .ratio(0.1) && lowest.followsParent)
        #expect(lowest.resource["service.name"] == "vllm-sr" && lowest.resource["service.version"] == "v9")
        let least = try #require(try resolved(flags("flag:1")))
        #expect(least.resource["service.name"] == "sextant-router" && least.resource["service.version"] == "1.2.3")
        #expect(least.sampling == .always && least.followsParent && least.timeout == .seconds(10))
        #expect(least.limits == TracingSettings.Limits())
    }

    @Test("A process knows its host, and has a number of its own")
    func currentProcess() {
        let process = TracingSettings.Process.current(service: "sextant-router", version: "1")
        let other = TracingSettings.Process.current(service: "sextant-router", version: "1")
        #expect(process.host?.isEmpty == false && process.host == other.host)
        #expect(!process.instance.isEmpty && process.instance != other.instance)
    }

    // MARK: Endpoints

    struct Expected: Sendable {
        let flags: (String, Bool)?
        let table: [String: String]
        let text: String
    }

    @Test(
        "An endpoint says where and how",
        arguments: [
            Expected(flags: ("otel:4317", false), table: [:], text: "grpc://otel:4317"),
            Expected(flags: ("otel:4317", true), table: [:], text: "grpcs://otel:4317"),
            Expected(flags: ("otel", false), table: [:], text: "grpc://otel:4317"),
            Expected(flags: ("https://otel:9", false), table: [:], text: "grpcs://otel:9"),
            Expected(flags: ("otel:4318", false), table: [:], text: "http://otel:4318/v1/traces"),
            Expected(flags: ("https://otel:9/x/y", false), table: [:], text: "https://otel:9/x/y"),
            Expected(flags: ("http://otel/", false), table: [:], text: "grpc://otel:80"),
            Expected(flags: ("[::1]:4317", false), table: [:], text: "grpc://[::1]:4317"),
            Expected(flags: ("grpc://otel", false), table: [:], text: "grpc://otel:4317"),
            Expected(flags: ("grpcs://otel:4318", false), table: [:], text: "grpcs://otel:4318"),
            Expected(
                flags: ("grpc://otel:4317", false),
                table: ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"],
                text: "grpc://otel:4317"
            ),
            Expected(
                flags: nil,
                table: ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "grpc://otel:4317"],
                text: "grpc://otel:4317"
            ),
            Expected(
                flags: ("otel", false),
                table: ["OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"],
                text: "http://otel:4318/v1/traces"
            ),
            Expected(
                flags: ("otel:4318", false),
                table: ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"],
                text: "grpc://otel:4318"
            ),
            Expected(
                flags: nil,
                table: ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"],
                text: "http://otel:4318/v1/traces"
            ),
            Expected(
                flags: nil,
                table: ["OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel/base/"],
                text: "https://otel:443/base/v1/traces"
            ),
            Expected(
                flags: nil,
                table: [
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://otel/mine",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x",
                ],
                text: "https://otel:443/mine"
            ),
            // A variable of vLLM's too, which means gRPC by it.
            Expected(
                flags: nil,
                table: ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://otel:4317"],
                text: "grpc://otel:4317"
            ),
            Expected(
                flags: nil,
                table: [
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://otel:4318",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                ],
                text: "http://otel:4318/"
            ),
            Expected(flags: nil, table: ["OTEL_EXPORTER_OTLP_ENDPOINT": "otel:4317"], text: "grpcs://otel:4317"),
            Expected(
                flags: nil,
                table: ["OTEL_EXPORTER_OTLP_ENDPOINT": "otel:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"],
                text: "grpc://otel:4317"
            ),
        ]
    )
    func endpoints(expected: Expected) throws {
        let flags = flags(expected.flags?.0, secure: expected.flags?.1 ?? false)
        #expect(try resolved(flags, expected.table)?.endpointText == expected.text)
    }

    @Test(
        "What is no endpoint is none",
        arguments: [
            "", ":4317", "host:", "host:0", "host:65536", "host:x", "ftp://host:1", "host:1/path", "http://", "a b:1",
            "http://u@h:1", "http://h:1?x", "grpc://h:1/x", "[::1:4317", "[]:1", "http:///x",
        ]
    )
    func noEndpoint(text: String) throws {
        #expect(TraceEndpoint(text, isTLS: false) == nil)
        let variables = variables(["OTEL_EXPORTER_OTLP_ENDPOINT": text])
        #expect(variables.layer.isEnabled == nil)
        #expect(variables.warnings.count == (text.isEmpty ? 0 : 1))
    }

    // MARK: Variables

    @Test("The variables of OpenTelemetry are read; those for traces come first")
    func allVariables() throws {
        let settings = try #require(
            try resolved(
                TracingFlags(),
                [
                    "OTEL_EXPORTER_OTLP_ENDPOINT": " https://otel:4317 ",
                    "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20abc%3D, x-team = a,b=",
                    "OTEL_EXPORTER_OTLP_TIMEOUT": "2500", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "1500",
                    "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ca.pem", "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
                    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
                    "OTEL_BSP_MAX_QUEUE_SIZE": "5000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100",
                    "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BSP_EXPORT_TIMEOUT": "9999",
                ]
            )
        )
        #expect(settings.headers == ["authorization": "Bearer abc=", "x-team": "a", "b": ""])
        #expect(settings.timeout == .milliseconds(1500))
        #expect(settings.authorityFile == "/etc/ca.pem")
        #expect(settings.sampling == .ratio(0.25) && settings.followsParent)
        #expect(settings.limits.queuedSpans == 5000 && settings.limits.batchSpans == 100)
        #expect(settings.limits.batchDelay == .milliseconds(100))
    }

    @Test(
        "The sampler's names",
        arguments: [
            ("always_on", nil, TracingLayer.Sampling.always, false), ("always_off", nil, .never, false),
            ("traceidratio", "0.5", .ratio(0.5), false), ("traceidratio", nil, .ratio(1), false),
            ("parentbased_always_on", nil, .always, true), ("parentbased_always_off", nil, .never, true),
            ("parentbased_traceidratio", "0", .ratio(0), true),
        ] as [(String, String?, TracingLayer.Sampling, Bool)]
    )
    func samplers(name: String, argument: String?, sampling: TracingLayer.Sampling, followsParent: Bool) {
        var table = ["OTEL_TRACES_SAMPLER": name]
        table["OTEL_TRACES_SAMPLER_ARG"] = argument
        let variables = variables(table)
        #expect(variables.layer.sampling == sampling && variables.layer.followsParent == followsParent)
        #expect(variables.warnings.isEmpty)
    }

    @Test(
        "A variable that cannot be read is said by name, without its value, and ignored",
        arguments: [
            ("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret-without-name"), ("OTEL_EXPORTER_OTLP_HEADERS", "k=secret%2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "k=secret%0d%0ax: y"), ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "secret.pem"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"), ("OTEL_RESOURCE_ATTRIBUTES", "secret"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"), ("OTEL_BSP_SCHEDULE_DELAY", "x"),
        ]
    )
    func badVariables(name: String, value: String) {
        let variables = variables([name: value])
        #expect(variables.warnings.count == 1)
        #expect(variables.warnings.first?.hasPrefix("\(name) is ignored: ") == true)
        #expect(variables.warnings.first?.contains("secret") == false)
        #expect(variables.layer == TracingLayer())
    }

    @Test("A sampler's argument that cannot be read counts as 1", arguments: ["x", "2", "-0.1", "nan"])
    func badArgument(argument: String) {
        let variables = variables(["OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": argument])
        #expect(variables.layer.sampling == .ratio(1) && variables.warnings.count == 1)
    }

    // MARK: Policy

    @Test("A policy may say more than upstream's does")
    func additions() throws {
        let settings = try #require(
            try resolved(
                policy: """
                    enabled: true
                    exporter:
                      endpoint: collector
                      protocol: http/protobuf
                      ca_file: /ca.pem
                      headers: {X-Key: abc}
                      timeout: 2s
                    sampling: {type: rate_limited, traces_per_second: 5, keep_errors: true, keep_slower_than: 800ms}
                    """
            )
        )
        #expect(settings.endpointText == "https://collector:4318/v1/traces")
        #expect(settings.authorityFile == "/ca.pem" && settings.headers == ["x-key": "abc"])
        #expect(settings.timeout == .seconds(2) && settings.sampling == .perSecond(5) && settings.followsParent)
        #expect(settings.keepsErrors && settings.slowerThan == .milliseconds(800))
    }

    @Test(
        "Upstream's kinds of sampling",
        arguments: [
            ("{type: always_on}", TracingLayer.Sampling.always, false),
            ("{type: always_off}", .never, false),
            ("{type: probabilistic, rate: 0.5}", .ratio(0.5), true),
            ("{type: probabilistic}", .ratio(1), true),
            ("{type: always_on, follow_parent: true}", .always, true),
            ("{}", .always, true),
        ]
    )
    func policySampling(text: String, sampling: TracingLayer.Sampling, followsParent: Bool) throws {
        let settings = try resolved(policy: "enabled: true\nexporter: {endpoint: \"a:1\"}\nsampling: \(text)")
        #expect(settings?.sampling == sampling && settings?.followsParent == followsParent)
    }

    @Test(
        "Mistakes of a policy are found",
        arguments: [
            ("enabled: true", "exporter.endpoint"),
            ("exporter: {endpoint: \"ftp://x\"}", "exporter.endpoint"),
            ("exporter: {type: zipkin}", "exporter.type"),
            ("exporter: {protocol: http/json}", "exporter.protocol"),
            ("exporter: {headers: {\"a b\": x}}", "exporter.headers"),
            ("exporter: {headers: {k: \"a\\nb\"}}", "exporter.headers"),
            ("sampling: {type: sometimes}", "sampling.type"),
            ("sampling: {rate: 1.5}", "sampling.rate"),
            ("sampling: {traces_per_second: -1}", "sampling.traces_per_second"),
            ("provider: datadog", "provider"),
        ]
    )
    func policyMistakes(yaml: String, path: String) {
        let result = TracingConfig.parse(yaml)
        #expect(result.value == nil)
        #expect(result.diagnostics.contains { "\($0.path)".hasPrefix(path) }, "\(result.diagnostics)")
    }

    @Test("An exporter to standard output loads, with a warning, and traces nothing")
    func stdout() throws {
        let result = TracingConfig.parse("enabled: true\nexporter: {type: stdout}")
        #expect(result.warnings.count == 1)
        #expect(try result.get().layer.isEnabled == false)
    }

    @Test("Headers are not printed")
    func secrets() throws {
        let result = TracingConfig.parse("exporter: {headers: {x-key: abc123}}")
        #expect(!result.explained().map(\.description).joined().contains("abc123"))
    }

    // MARK: Flags

    private struct Options: Configurable {
        var tracing = TracingFlags()
        static let schema = Schema<Self>("options", "Test.") { TracingFlags.fields(at: \.tracing) }
        func validate(_ report: inout ValidationReport) { tracing.validate(&report) }
    }

    private func read(_ arguments: String...) -> ConfigResult<Options>? {
        CommandLineReader<Options>(command: "test", version: "1", environmentPrefix: "T_")
            .read(arguments, options: DecodingOptions(environment: [:])).settings
    }

    @Test("Upstream's flags are read")
    func readFlags() throws {
        let options = try #require(
            read("--otel-endpoint", "otel:4317", "--otel-service-name", "mine", "--otel-secure")
        ).get()
        let settings = try #require(try resolved(options.tracing))
        #expect(settings.endpointText == "grpcs://otel:4317" && settings.resource["service.name"] == "mine")
    }

    @Test(
        "Mistakes of flags are found",
        arguments: [
            ["--otel-endpoint", "otel:4317/x"], ["--otel-endpoint", "http://otel:1", "--otel-secure"],
        ]
    )
    func flagMistakes(arguments: [String]) throws {
        let result = CommandLineReader<Options>(command: "test", version: "1", environmentPrefix: "T_")
            .read(arguments, options: DecodingOptions(environment: [:])).settings
        #expect(result?.value == nil && result?.diagnostics.isEmpty == false)
    }

    @Test("A flag for TLS without an endpoint is answered with a warning")
    func lonelyFlag() throws {
        #expect(read("--otel-secure")?.warnings.count == 1)
    }
}
