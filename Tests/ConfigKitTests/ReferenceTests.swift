import ConfigKit
import Testing

@Suite struct ReferenceTests {
    private let renderer = ReferenceRenderer<RoutingSettings>()

    @Test("The Markdown reference describes each type once")
    func markdown() {
        let expected = """
            ## `routing`

            Where requests go.

            | key | type | default | meaning |
            |---|---|---|---|
            | `listen` | host:port | `0.0.0.0:8080` | The address to listen on. Example: `0.0.0.0:8080`. |
            | `timeout` | duration | `30s` | How long an answer may take. From 1ms to 10m. A bare number is in seconds. |
            | `max_body` | size | `8MiB` | The largest request. |
            | `threshold` | ratio | `0.7` | How sure a match must be. |
            | `default_model` | text | – | The model of requests that nothing matches. |
            | `models` | list of [`model`](#model) | – | The models that exist. Number of elements: at least 1. |
            | `decisions` | list of [`decision`](#decision) | – | Rules, tried in order of priority. |
            | `families` | map of [`family`](#family) | – | Reasoning families by name. |
            | `cache` | [`cache`](#cache) | – | Answers kept for later. |
            | `api_key` | secret | – | The key for upstream services. |
            | `labels` | map of text | – | Words for metrics. |
            | `trusted` | list of address block | – | Addresses whose headers are believed. Also called `trusted_cidrs`. |
            | `extra` | any YAML | – | Handed on as it is. |

            Accepted without an effect:

            - `looper`: every request is answered by one model.

            ## `model`

            One model.

            | key | type | default | meaning |
            |---|---|---|---|
            | `name` | text | required | The name clients ask for. Must not be empty. |
            | `context_tokens` | whole number | `4096` | The largest prompt. From 1 to 1000000. |
            | `port` | port | – | Where it listens. At least 1. |
            | `address` | URL | – | Where it is. |

            ## `decision`

            A rule and the model it chooses.

            | key | type | default | meaning |
            |---|---|---|---|
            | `model` | text | required | The model. |
            | `priority` | whole number | `0` | Higher is tried first. |
            | `rules` | [`rule`](#rule) | – | What must hold. |

            ## `family`

            How a family of models is asked to reason.

            | key | type | default | meaning |
            |---|---|---|---|
            | `parameter` | text or list of text | – | The parameter, or several. |

            ## `cache`

            Answers kept for later.

            | key | type | default | meaning |
            |---|---|---|---|
            | `enabled` | true/false | `true` | Whether answers are kept. |
            | `ttl` † | duration | `1h` | How long an answer is kept. A bare number is in minutes. |
            | `token` | text | – | The store's password. Never printed. |

            ## `rule`

            A condition, or several combined.

            | key | type | default | meaning |
            |---|---|---|---|
            | `type` | text | – | The kind of signal. |
            | `name` | text | – | The signal's name. |
            | `operator` | word | `AND` | How conditions combine. One of `AND`, `OR`, `NOT`. |
            | `conditions` | list of [`rule`](#rule) | – | The conditions combined. |

            """
        #expect(renderer.markdown() == expected)
    }

    @Test("The JSON Schema is valid JSON, closed against unknown keys, and the same every time")
    func jsonSchema() throws {
        let text = renderer.jsonSchema(title: "Sextant routing")
        #expect(text == renderer.jsonSchema(title: "Sextant routing"))
        let document = ConfigDocument.parse(text: text, name: "schema.json")
        #expect(document.diagnostics.isEmpty)
        let root = try #require(document.root)
        #expect(root["$schema"]?.text == "https://json-schema.org/draft/2020-12/schema")
        #expect(root["$ref"]?.text == "#/$defs/routing")
        let definitions = try #require(root["$defs"])
        #expect(definitions.entries?.map(\.key) == ["routing", "model", "decision", "family", "cache", "rule"])
        let model = try #require(definitions["model"])
        #expect(model["required"]?.jsonText == #"["name"]"#)
        #expect(model["additionalProperties"]?.jsonText == "false")
        #expect(
            model["properties"]?["context_tokens"]?.jsonText
                == #"{"description":"The largest prompt.", "type":"integer", "minimum":1, "maximum":1000000, "default":4096}"#
        )
        let rule = try #require(definitions["rule"]?["properties"])
        #expect(rule["conditions"]?["items"]?["$ref"]?.text == "#/$defs/rule")
        #expect(rule["operator"]?["enum"]?.jsonText == #"["AND", "OR", "NOT"]"#)
        let properties = try #require(definitions["routing"]?["properties"])
        #expect(properties["models"]?["minItems"]?.text == "1")
        #expect(properties["families"]?["additionalProperties"]?["$ref"]?.text == "#/$defs/family")
        #expect(properties["trusted_cidrs"]?["deprecated"]?.text == "true")
        #expect(properties["looper"]?["description"]?.text?.contains("every request is answered") == true)
        #expect(
            definitions["family"]?["properties"]?["parameter"]?["anyOf"]?.jsonText
                == #"[{"type":"string"}, {"type":"array", "items":{"type":"string"}}]"#
        )
    }

    @Test("Two types of one name are told apart")
    func sameNames() {
        struct First: Configurable {
            var x = 1
            static let schema = Schema<Self>("part", "The first.") { Field("x", \.x, "A number.") }
        }
        struct Second: Configurable {
            var y = 1
            static let schema = Schema<Self>("part", "The second.") { Field("y", \.y, "A number.") }
        }
        struct Whole: Configurable {
            var first = First()
            var second = Second()
            static let schema = Schema<Self>("whole", "Two parts.") {
                Field("first", \.first, "One.")
                Field("second", \.second, "Two.")
            }
        }
        let text = ReferenceRenderer<Whole>().markdown()
        #expect(text.contains("| `second` | [`part-2`](#part-2) |"))
        #expect(text.contains("## `part-2`\n\nThe second."))
    }

    @Test("Text that would break a table or JSON is escaped")
    func escaping() {
        struct Odd: Configurable {
            var pattern = "a|b\t\"c\"\n\u{1}"
            static let schema = Schema<Self>("odd", "Odd | text.") { Field("pattern", \.pattern, "One | two.") }
        }
        #expect(ReferenceRenderer<Odd>().markdown().contains("One \\| two."))
        #expect(ReferenceRenderer<Odd>().jsonSchema().contains(#""default": "a|b\t\"c\"\n\u0001""#))
    }
}
