import ConfigKit
import Testing

/// Settings in the shape of a router's flags.
struct RouterSettings: Configurable {
    enum Logic: String, CaseIterable, ConfigValue {
        case roundrobin
        case session
        case prefixaware
    }

    var host = "0.0.0.0"
    var port: Port = 8001
    var routingLogic: Logic?
    var sessionKey: String?
    var staticBackends: [ServiceURL] = []
    var staticModels: [String] = []
    var staticAliases: [String: String] = [:]
    var backendHealthChecks = false
    var logStats = false
    var statsInterval = Duration.seconds(10)
    var sampleRate: Ratio = 0.1
    var offset = 0
    var configFile: String?
    var health = HealthSettings()
    var apiKey: Secret?

    static let schema = Schema<Self>("router", "Routes requests to workers.") {
        FieldGroup("Server") {
            Field("host", \.host, "The address to listen on.")
            Field("port", \.port, "The port to listen on.").range(1...)
            Field("api_key", \.apiKey, "What clients must present.").addition()
        }
        FieldGroup("Routing") {
            Field("routing_logic", \.routingLogic, "How a worker is chosen.").required()
            Field("session_key", \.sessionKey, "The header that names the session.")
            Field("offset", \.offset, "Any number.")
        }
        FieldGroup("Workers") {
            Field("static_backends", \.staticBackends, "The workers' addresses.")
            Field("static_models", \.staticModels, "A model for each worker.")
            Field("static_aliases", \.staticAliases, "Other names of models.")
            Field("static_backend_health_checks", \.backendHealthChecks, "Whether workers are probed.")
        }
        Field("log_stats", \.logStats, "Whether figures are logged.")
        Field("stats_interval", \.statsInterval, "The time between two figures.").formerly("log_stats_interval")
        Field("sample_rate", \.sampleRate, "The share of requests that are traced.")
        Field("config", \.configFile, "A file whose keys are flags.").settingsFile()
        Field("health", \.health, "Probes.")
        NotSupported("callbacks", "no code is loaded", type: .text)
    }

    func validate(_ report: inout ValidationReport) {
        if routingLogic == .session, sessionKey == nil {
            report.error("is required with routing_logic session", at: "session_key")
        }
    }
}

struct HealthSettings: Configurable {
    var interval = Duration.seconds(60)
    var path = "/health"

    static let schema = Schema<Self>("health", "Probes of workers.") {
        Field("interval", \.interval, "The time between two probes.").range(.seconds(1)...)
        Field("path", \.path, "What is asked for.").check("must start with \"/\"") { $0.hasPrefix("/") }
    }
}

@Suite struct CommandLineTests {
    private let reader = CommandLineReader<RouterSettings>(
        command: "sextant router",
        version: "1.2.3",
        environmentPrefix: "SEXTANT_"
    )

    private func read(_ arguments: String..., variables: [String: String] = [:]) -> ConfigResult<RouterSettings> {
        guard let result = reader.read(arguments, options: options(variables)).settings else {
            Issue.record("settings were expected")
            return RouterSettings.parse("", options: options())
        }
        return result
    }

    @Test("Flags are read in every form")
    func forms() throws {
        let result = read(
            "--static-backends",
            "http://vllm:8000, http://[::1]:8001",
            "--port=9000",
            "--log-stats",
            "--routing-logic",
            "session",
            "--session_key",
            "x-user",
            "--static-models=a,b",
            "--static-models",
            "c",
            "--no-static-backend-health-checks",
            "--stats-interval=1m",
            "--offset",
            "-5",
            "--sample-rate",
            "0.5",
            "--static-aliases",
            "gpt=a,other=b",
            "--health-interval",
            "5",
            "--api-key=k=1",
            "--port",
            "9001"
        )
        let settings = try result.get()
        #expect(settings.staticBackends.map(\.description) == ["http://vllm:8000", "http://[::1]:8001"])
        #expect(settings.port == 9001)
        #expect(settings.logStats)
        #expect(!settings.backendHealthChecks)
        #expect(settings.routingLogic == .session)
        #expect(settings.sessionKey == "x-user")
        #expect(settings.staticModels == ["a", "b", "c"])
        #expect(settings.statsInterval == .seconds(60))
        #expect(settings.offset == -5)
        #expect(settings.staticAliases == ["gpt": "a", "other": "b"])
        #expect(settings.health.interval == .seconds(5))
        #expect(settings.apiKey?.reveal() == "k=1")
        #expect(result.diagnostics.isEmpty)
    }

    @Test(
        "A switch is turned on and off",
        arguments: [
            (["--log-stats"], true), (["--log-stats=true"], true), (["--log-stats=no"], false),
            (["--no-log-stats"], false),
            (["--log-stats", "--no-log-stats"], false), (["--no-log-stats=false"], true), ([], false),
        ]
    )
    func switches(arguments: [String], isOn: Bool) throws {
        let outcome = reader.read(arguments + ["--routing-logic=roundrobin"], options: options())
        #expect(try outcome.settings?.get().logStats == isOn)
    }

    @Test("The beginning of a name stands for the one flag that has it, as argparse allows")
    func abbreviations() throws {
        #expect(try read("--routing", "roundrobin", "--po=1").get().port == 1)
        #expect(
            read("--routing-l", "roundrobin", "--static-b", "x").diagnostics.map(\.description) == [
                "--static-b: is ambiguous: it could be --static-backends, --static-backend-health-checks",
                "\"x\": is not a flag; settings are written --name value",
            ]
        )
        #expect(
            read("--routing=roundrobin", "--h").messages.first?.contains(
                "--host, --health-interval, --health-path, --help"
            ) == true
        )
        let former = read("--routing=roundrobin", "--log-stats-i=3")
        #expect(try former.get().statsInterval == .seconds(3))
        #expect(former.messages == ["--log-stats-interval: warning: is now called --stats-interval"])
    }

    @Test("Every mistake is reported at once, in the order of the command line")
    func mistakes() {
        let result = read(
            "--prot",
            "80",
            "--port",
            "http",
            "--static-backends",
            "vllm:8000",
            "--log-stats",
            "false",
            "--sample-rate",
            "--routing-logic=prefix",
            "--health-path=x",
            "--callbacks",
            "a.b"
        )
        #expect(
            result.messages == [
                "--prot: is not a known flag; did you mean --port?",
                "\"80\": is not a flag; settings are written --name value",
                "--port: expected a port from 0 to 65535, found the text \"http\"",
                "--static-backends: expected a URL such as http://vllm:8000, found the text \"vllm:8000\": "
                    + "it starts with neither http:// nor https://",
                "--log-stats: is followed by \"false\"; write --log-stats=false",
                "--sample-rate: needs a value, as in --sample-rate=RATIO",
                "--routing-logic: \"prefix\" is not one of roundrobin, session, prefixaware",
                "--health-path: must start with \"/\", found the text \"x\"",
                "--callbacks: warning: is not supported: no code is loaded",
            ]
        )
    }

    @Test("What is missing is named by its flag")
    func missing() {
        #expect(read().messages == ["--routing-logic: is required but missing"])
        #expect(
            read("--routing-logic=session").messages == ["--session-key: is required with routing_logic session"]
        )
    }

    @Test("A flag beats a variable, a variable beats the file, the file beats the default, and each is known")
    func precedence() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "flags.yaml",
            """
            routing-logic: prefixaware
            static_backends: http://a,http://b
            static_models: [a, b]
            port: 1
            host: file
            stats_interval: 3
            health: {interval: 7}
            health_path: /ping
            log_stats: yes
            """
        )
        let file = folder.path + "/flags.yaml"
        let result = read(
            "--config",
            file,
            "--port",
            "3",
            variables: ["SEXTANT_PORT": "2", "SEXTANT_HOST": "variable", "SEXTANT_OFFSET": ""]
        )
        let settings = try result.get()
        #expect(settings.port == 3)
        #expect(settings.host == "variable")
        #expect(settings.routingLogic == .prefixaware)
        #expect(settings.staticBackends.count == 2)
        #expect(settings.staticModels == ["a", "b"])
        #expect(settings.statsInterval == .seconds(3))
        #expect(settings.health.interval == .seconds(7))
        #expect(settings.health.path == "/ping")
        #expect(result.origin(of: \.port).description == "--port")
        #expect(result.origin(of: \.host).description == "SEXTANT_HOST")
        #expect(result.origin(of: \.statsInterval).description == "\(file):6:17")
        #expect(result.origin(of: "health", "interval").description == "\(file):7:20")
        #expect(result.origin(of: \.offset).description == "default")
        #expect(result.explained().map(\.description).contains("port = 3 (--port)"))
    }

    @Test("Mistakes in the file and in variables are reported with those of the flags")
    func mistakesEverywhere() throws {
        let folder = try TemporaryFolder()
        try folder.write("f.yaml", "prot: 1\nstatic-models: {a: b}\nlog_stats_interval: 2\nstats-interval: 1\n")
        let file = folder.path + "/f.yaml"
        let result = read(
            "--offset=x",
            variables: ["SEXTANT_PORT": "eighty", "SEXTANT_CONFIG": file, "SEXTANT_ROUTING_LOGIC": "session"]
        )
        #expect(
            result.messages == [
                "\(file):1:1: prot: is not a known key; did you mean \"port\"?",
                "\(file):2:16: static_models: expected a list, found a mapping",
                "\(file):3:1: warning: log_stats_interval: is now called stats-interval",
                "\(file):4:1: stats-interval: the setting appears twice",
                "SEXTANT_PORT: expected a port from 0 to 65535, found the text \"eighty\"",
                "--session-key: is required with routing_logic session",
                "--offset: expected a whole number, found the text \"x\"",
            ]
        )
        #expect(
            read("--config=/none.yaml", "--routing-logic=roundrobin").messages == [
                "/none.yaml: the file does not exist"
            ]
        )
    }

    @Test("A Kubernetes service link is not mistaken for a setting")
    func serviceLinks() throws {
        let result = read("--routing-logic=roundrobin", variables: ["SEXTANT_PORT": "tcp://10.0.0.1:80"])
        #expect(try result.get().port == 8001)
        #expect(result.messages.first?.hasPrefix("SEXTANT_PORT: warning: is ignored: \"tcp://10.0.0.1:80\"") == true)
    }

    @Test("Help and version are answered whatever else is wrong", arguments: ["--help", "-h", "--hel"])
    func helpRequested(flag: String) {
        guard case .help(let text) = reader.read(["--nonsense", flag], options: options()) else {
            Issue.record("help was expected")
            return
        }
        #expect(text.hasPrefix("usage: sextant router"))
        guard case .version("sextant router 1.2.3") = reader.read(["--version"], options: options()) else {
            Issue.record("the version was expected")
            return
        }
    }

    @Test("After two dashes nothing is a flag")
    func endOfFlags() {
        #expect(
            read("--routing-logic=roundrobin", "--", "--port").messages
                == ["\"--port\": is not a flag; settings are written --name value"]
        )
    }

    @Test("The help text is grouped, wrapped, and tells defaults and words")
    func helpText() {
        let help = reader.help(width: 80)
        #expect(help.split(separator: "\n").allSatisfy { $0.count <= 80 })
        let expected = """
            usage: sextant router [--flag value]...

            Routes requests to workers.

            Settings:
              --log-stats, --no-log-stats     Whether figures are logged. Default: false.
              --stats-interval DURATION       The time between two figures. Default: 10s.
              --sample-rate RATIO             The share of requests that are traced.
                                              Default: 0.1.
              --config PATH                   A file whose keys are flags.
              --callbacks TEXT                Not supported: no code is loaded.

            Server:
              --host TEXT                     The address to listen on. Default: 0.0.0.0.
              --port PORT                     The port to listen on. At least 1. Default:
                                              8001.
              --api-key SECRET                What clients must present.

            Routing:
              --routing-logic WORD            How a worker is chosen. One of roundrobin,
                                              session, prefixaware. Required.
              --session-key TEXT              The header that names the session.
              --offset N                      Any number. Default: 0.

            Workers:
              --static-backends URL,...       The workers' addresses. Separate values with
                                              commas, or repeat the flag.
              --static-models TEXT,...        A model for each worker. Separate values with
                                              commas, or repeat the flag.
              --static-aliases KEY=TEXT,...   Other names of models. Separate values with
                                              commas, or repeat the flag.
              --static-backend-health-checks, --no-static-backend-health-checks
                                              Whether workers are probed. Default: false.

            Probes of workers:
              --health-interval DURATION      The time between two probes. At least 1s.
                                              Default: 1m.
              --health-path TEXT              What is asked for. Default: /health.

            Other:
              -h, --help                      Prints this text.
              --version                       Prints the version.

            Every flag is also an environment variable: SEXTANT_HOST is --host. A flag beats
            a variable.

            """
        #expect(help == expected)
    }

    @Test("The flags are rendered as Markdown")
    func markdown() {
        let text = reader.markdown()
        #expect(text.contains("## Server\n\n| flag | variable | type | default | meaning |\n|---|---|---|---|---|\n"))
        #expect(
            text.contains(
                "| `--port` | `SEXTANT_PORT` | port | `8001` | The port to listen on. At least 1. |\n"
            )
        )
        #expect(
            text.contains(
                "| `--routing-logic` | `SEXTANT_ROUTING_LOGIC` | word | required | How a worker is chosen. "
                    + "One of `roundrobin`, `session`, `prefixaware`. |\n"
            )
        )
        #expect(text.contains("| `--api-key` † |"))
        #expect(text == reader.markdown())
    }
}
