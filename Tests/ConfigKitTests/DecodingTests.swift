import ConfigKit
import Testing

@Suite struct DecodingTests {
    @Test("Every kind of value is read")
    func everyKind() throws {
        let settings = try RoutingSettings.parse(
            """
            listen: "[::1]:9000"
            timeout: 1m30s
            max_body: 64KiB
            threshold: 85%
            default_model: small
            models:
              - name: small
                context_tokens: 8_192
                port: 8000
                address: http://vllm:8000/v1/
              - {name: large}
            decisions:
              - model: large
                priority: 3
                rules:
                  operator: OR
                  conditions:
                    - {type: domain, name: law}
                    - operator: NOT
                      conditions: [{type: keyword, name: urgent}]
            families:
              qwen: {parameter: enable_thinking}
              gpt: {parameter: [effort, level]}
            cache: {ttl: 5}
            api_key: abc
            labels: {team: 42, stage: no}
            trusted: [10.0.0.0/8, "fd00::/8", 192.0.2.1]
            extra: {a: [1, two, null, true], b: "3"}
            """,
            options: options()
        ).get()

        #expect(settings.listen == HostPort(host: "::1", port: 9000))
        #expect(settings.timeout == .seconds(90))
        #expect(settings.maxBody.bytes == 65_536)
        #expect(settings.threshold.value == 0.85)
        #expect(settings.models.map(\.name) == ["small", "large"])
        #expect(settings.models[0].contextTokens == 8192)
        #expect(settings.models[0].port == 8000)
        #expect(settings.models[0].address?.description == "http://vllm:8000/v1")
        #expect(settings.models[1].contextTokens == 4096)
        #expect(settings.decisions[0].rules.combination == .or)
        #expect(settings.decisions[0].rules.conditions[1].combination == .not)
        #expect(settings.decisions[0].rules.conditions[1].conditions[0].name == "urgent")
        #expect(settings.families["qwen"]?.parameter == TextOrList(["enable_thinking"]))
        #expect(settings.families["gpt"]?.parameter == TextOrList(["effort", "level"]))
        #expect(settings.cache.ttl == .seconds(300))
        #expect(settings.cache.isEnabled)
        #expect(settings.apiKey?.reveal() == "abc")
        #expect(settings.labels == ["team": "42", "stage": "no"])
        #expect(settings.trusted.map(\.description) == ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"])
        #expect(settings.extra.jsonText == #"{"a":[1, "two", null, true], "b":"3"}"#)
    }

    @Test("Ten mistakes are reported at once, in the order of the file")
    func tenMistakes() {
        let result = RoutingSettings.parse(
            """
            listen: 8080
            timeout: 20m
            max_bodi: 3MB
            threshold: 1.5
            models:
              - name: gpt-5
                port: 70000
              - context_tokens: abc
            decisions:
              - model: gpt-5
                rules: {operator: XOR}
              - priority: high
                model: small
            cache: [1]
            api_key: {vault: x}
            """,
            name: "file.yaml",
            options: options()
        )
        #expect(result.value == nil)
        #expect(
            result.messages == [
                "file.yaml:1:9: listen: expected a host and a port such as vllm:8000 or [::1]:8000, "
                    + "found the number 8080: the port is missing",
                "file.yaml:2:10: timeout: must be from 1ms to 10m, found the text \"20m\"",
                "file.yaml:3:1: max_bodi: is not a known key; did you mean \"max_body\"?",
                "file.yaml:4:12: threshold: expected a number from 0 to 1, or a percentage such as 70%, "
                    + "found the number 1.5: it is out of range",
                "file.yaml:7:11: models[0].port: expected a port from 0 to 65535, found the number 70000",
                "file.yaml:8:5: models[1].name: is required but missing",
                "file.yaml:8:21: models[1].context_tokens: expected a whole number, found the text \"abc\"",
                "file.yaml:11:23: decisions[0].rules.operator: \"XOR\" is not one of AND, OR, NOT; did you mean \"OR\"?",
                "file.yaml:12:15: decisions[1].priority: expected a whole number, found the text \"high\"",
                "file.yaml:14:8: cache: expected a mapping, found a list",
                "file.yaml:15:10: api_key: expected a secret: a text, ${NAME}, env: NAME or file: /path, found a mapping",
            ]
        )
    }

    @Test("A name that does not exist is reported where it stands, with the closest that does")
    func crossReference() {
        let result = RoutingSettings.parse(
            """
            default_model: large
            models: [{name: a}, {name: b}, {name: gpt-5}]
            decisions:
              - model: b
              - priority: 1
              - priority: 2
                model: "gpt5"
            """,
            name: "file.yaml",
            options: options()
        )
        #expect(
            result.messages == [
                "file.yaml:1:16: default_model: \"large\" is not one of a, b, gpt-5",
                "file.yaml:5:5: decisions[1].model: is required but missing",
                "file.yaml:7:12: decisions[2].model: \"gpt5\" is not one of a, b, gpt-5; did you mean \"gpt-5\"?",
            ]
        )
    }

    @Test("What is not written keeps its default, in sections too")
    func defaults() throws {
        struct Outer: Configurable {
            var cache: CacheSettings
            init() {
                cache = CacheSettings()
                cache.ttl = .seconds(7)
            }
            static let schema = Schema<Self>("outer", "A section with defaults of its own.") {
                Field("cache", \.cache, "The cache.")
            }
        }
        let settings = try Outer.parse("cache: {enabled: no}", options: options()).get()
        #expect(settings.cache.ttl == .seconds(7))
        #expect(!settings.cache.isEnabled)
    }

    @Test("A required key is missed in a section that is not written at all")
    func requiredInAbsentSection() {
        struct Outer: Configurable {
            var model = ModelSettings()
            static let schema = Schema<Self>("outer", "Holds a section.") { Field("model", \.model, "The model.") }
        }
        #expect(
            Outer.parse("{}", options: options()).messages == ["settings.yaml:1:1: model.name: is required but missing"]
        )
    }

    @Test("Null is the same as leaving a key out; for an optional it removes the default")
    func nulls() throws {
        struct Values: Configurable {
            var count = 3
            var limit: Int? = 5
            static let schema = Schema<Self>("values", "Two numbers.") {
                Field("count", \.count, "A count.")
                Field("limit", \.limit, "A limit.")
            }
        }
        let settings = try Values.parse("count:\nlimit: null", options: options()).get()
        #expect(settings.count == 3)
        #expect(settings.limit == nil)
        #expect(try Values.parse("count: ~", options: options()).get().limit == 5)
    }

    @Test("What has no effect is a warning with its line, and an error when strict")
    func notSupported() {
        let text = "models: [{name: a}]\nlooper: {x: [1, 2]}"
        let lenient = RoutingSettings.parse(text, options: options())
        #expect(
            lenient.messages == [
                "settings.yaml:2:1: warning: looper: is not supported: every request is answered by one model"
            ]
        )
        #expect(lenient.value != nil)
        let strict = RoutingSettings.parse(text, options: options(strict: true))
        #expect(strict.value == nil)
        #expect(
            strict.messages == ["settings.yaml:2:1: looper: is not supported: every request is answered by one model"]
        )
    }

    @Test("An alias is the same setting, and a former key says its new name")
    func aliases() {
        let result = RoutingSettings.parse(
            "models: [{name: a}]\ntrusted_cidrs: [10.0.0.0/8]\ndecisions: [{model: a, prio: 4}]",
            options: options()
        )
        #expect(result.messages == ["settings.yaml:3:24: warning: decisions[0].prio: is now called \"priority\""])
        #expect(result.value?.trusted.count == 1)
        #expect(result.value?.decisions.first?.priority == 4)
        #expect(
            RoutingSettings.parse("models: [{name: a}]\ntrusted: []\ntrusted_cidrs: []", options: options()).messages
                == [
                    "settings.yaml:3:1: trusted_cidrs: \"trusted_cidrs\" and \"trusted\" are the same setting; keep one"
                ]
        )
    }

    @Test("Unknown keys can be warnings, for files of a later version")
    func lenientUnknownKeys() {
        var lenient = options()
        lenient.unknownKeys = .warning
        let result = ModelSettings.parse("name: a\nnew_in_v9: 1", options: lenient)
        #expect(result.value?.name == "a")
        #expect(
            result.messages == [
                "settings.yaml:2:1: warning: new_in_v9: is not a known key; known here: name, context_tokens, port, address"
            ]
        )
    }

    @Test("A secret never stands in a message")
    func secretsStayHidden() {
        struct Values: Configurable {
            var pin = 0
            var nested = CacheSettings()
            var key = Secret("")
            static let schema = Schema<Self>("values", "Secrets.") {
                Field("pin", \.pin, "A number nobody may see.").secret()
                Field("nested", \.nested, "Everything here is secret.").secret()
                Field("key", \.key, "A key.")
            }
        }
        let result = Values.parse("pin: hunter2\nnested: {ttl: hunter2}\nkey: [hunter2]", options: options())
        #expect(result.messages.count == 3)
        #expect(!result.messages.joined().contains("hunter2"))
        let shown =
            "\(Secret("hunter2")) \(String(reflecting: Secret("hunter2"))) \(String(describing: [Secret("hunter2")]))"
        #expect(!shown.contains("hunter2"))
        var dumped = ""
        dump(Secret("hunter2"), to: &dumped)
        #expect(!dumped.contains("hunter2"))
    }

    @Test("A value from the environment does not stand in a message either")
    func expandedStaysHidden() {
        let result = ModelSettings.parse(
            "name: a\ncontext_tokens: ${TOKENS}",
            options: options(["TOKENS": "hunter2"])
        )
        #expect(
            result.messages == [
                "settings.yaml:2:17: context_tokens: expected a whole number, "
                    + "found what the environment gives for \"${TOKENS}\""
            ]
        )
    }

    @Test("The origin of each value is known")
    func origins() throws {
        let result = RoutingSettings.parse(
            "models:\n  - name: a\ncache:\n  ttl: 5\nlabels: {x: y}\napi_key: k",
            name: "f.yaml",
            options: options()
        )
        #expect(result.origin(of: \.labels).description == "f.yaml:5:9")
        #expect(result.origin(of: \.timeout) == .unset)
        #expect(result.origin(of: "cache", "ttl").description == "f.yaml:4:8")
        #expect(result.origin(of: "cache", "enabled") == .unset)
        #expect(result.origin(of: "models", 0, "name").description == "f.yaml:2:11")
        let lines = result.explained().map(\.description)
        #expect(
            lines == [
                "listen = 0.0.0.0:8080 (default)",
                "timeout = 30s (default)",
                "max_body = 8MiB (default)",
                "threshold = 0.7 (default)",
                "default_model = \"\" (default)",
                "models[0].name = a (f.yaml:2:11)",
                "models[0].context_tokens = 4096 (default)",
                "models[0].port = null (default)",
                "models[0].address = null (default)",
                "decisions = [] (default)",
                "families = {} (default)",
                "cache.enabled = true (default)",
                "cache.ttl = 5m (f.yaml:4:8)",
                "cache.token = \"\" (default)",
                "api_key = <secret> (f.yaml:6:10)",
                "labels.x = y (f.yaml:5:9)",
                "trusted = [] (default)",
                "extra = \"\" (default)",
            ]
        )
    }

    @Test("A field can be declared for an entry of a table")
    func dynamicFields() throws {
        struct Signals: Configurable {
            var byKind: [String: [String]] = [:]
            static let schema = Schema<Self>("signals", "Filled from a catalogue.") {
                for kind in ["keywords", "domains"] {
                    Field(
                        kind,
                        "Signals of the kind \(kind).",
                        get: { $0.byKind[kind] ?? [] },
                        set: { $0.byKind[kind] = $1 }
                    )
                }
            }
        }
        let signals = try Signals.parse("domains: [law]", options: options()).get()
        #expect(signals.byKind == ["domains": ["law"]])
    }

    @Test("Sections of several types are told apart by a word")
    func taggedUnion() throws {
        enum Plugin: ConfigValue {
            case cache(CacheSettings)
            case model(ModelSettings)

            static var configType: ConfigType {
                .tagged(key: "type", cases: [.init("cache", CacheSettings.self), .init("model", ModelSettings.self)])
            }

            static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Plugin? {
                guard let (tag, rest) = decoder.tag(of: node, key: "type", among: ["cache", "model"]) else {
                    return nil
                }
                return tag == "cache"
                    ? decoder.decode(CacheSettings.self, from: rest).map(Plugin.cache)
                    : decoder.decode(ModelSettings.self, from: rest).map(Plugin.model)
            }

            var configNode: ConfigNode {
                switch self {
                case .cache(let settings): settings.configNode
                case .model(let settings): settings.configNode
                }
            }
        }
        struct Plugins: Configurable {
            var plugins: [Plugin] = []
            static let schema = Schema<Self>("plugins", "Plugins.") { Field("plugins", \.plugins, "In order.") }
        }
        let result = Plugins.parse(
            "plugins:\n- {type: cache, ttl: 2}\n- {type: model, name: a}",
            options: options()
        )
        #expect(result.value?.plugins.count == 2)
        #expect(
            Plugins.parse("plugins:\n- {type: cach}\n- {ttl: 2}\n- {type: cache, name: a}", options: options()).messages
                == [
                    "settings.yaml:2:10: plugins[0].type: \"cach\" is not one of cache, model; did you mean \"cache\"?",
                    "settings.yaml:3:3: plugins[1].type: is required but missing",
                    "settings.yaml:4:17: plugins[2].name: is not a known key; known here: enabled, ttl, token",
                ]
        )
    }

    @Test("No more mistakes are listed than anyone reads")
    func manyMistakes() {
        let text = (0..<2000).map { "k\($0): 1" }.joined(separator: "\n")
        let result = ModelSettings.parse(text + "\nname: a", options: options())
        #expect(result.diagnostics.count == 501)
        #expect(result.messages.last == "1500 more mistakes are not shown")
    }

    @Test("The error that is thrown holds every mistake")
    func thrownError() {
        do throws(ConfigError) {
            _ = try ModelSettings.parse("port: x\ncontext_tokens: 0", options: options()).get()
            Issue.record("nothing was thrown")
        } catch {
            #expect(error.diagnostics.count == 3)
            #expect(error.description.contains("context_tokens: must be from 1 to 1000000, found the number 0"))
        }
    }
}
