import ConfigKit
import Glibc
import TestRandom
import Testing

@Suite struct DocumentTests {
    /// The tree as JSON and what was found.
    private func read(_ text: String, _ variables: [String: String] = [:]) -> (json: String?, messages: [String]) {
        let document = ConfigDocument.parse(
            text: text,
            name: "f.yaml",
            environment: ProcessEnvironment { variables[$0] }
        )
        return (document.root?.jsonText, document.diagnostics.map(\.description))
    }

    @Test("Every value knows its line, column and path")
    func positions() throws {
        let root = try #require(ConfigDocument.parse(text: "a:\n  - b c: 1\n    d: [x, \"y\"]\n", name: "f.yaml").root)
        let list = try #require(root["a"]?.elements)
        #expect(list[0].position.description == "f.yaml:2:5")
        #expect(list[0]["b c"]?.path.description == "a[0][\"b c\"]")
        let last = try #require(list[0]["d"]?.elements?[1])
        #expect(last.position.description == "f.yaml:3:12")
        #expect(last.path.description == "a[0].d[1]")
    }

    @Test(
        "Scalars mean what the YAML 1.2 core schema says",
        arguments: [
            ("[1, -2, 0x1F, 0o17]", "[1, -2, 31, 15]"),
            ("[1.5, -0.25, 1e3, .5]", "[1.5, -0.25, 1000, 0.5]"),
            ("[true, False, yes, no, on]", #"[true, false, "yes", "no", "on"]"#),
            ("[~, null, '', \"null\"]", #"[null, null, "", "null"]"#),
            ("['1', \"true\", 1.2.3, 2025-03-01, .inf]", #"["1", "true", "1.2.3", "2025-03-01", ".inf"]"#),
            ("|\n  one\n  two\n", #""one\ntwo\n""#),
            (">-\n  one\n  two\n", #""one two""#),
            (#"{"a": "\u00e9\n", "b": []}"#, #"{"a":"é\n", "b":[]}"#),
        ]
    )
    func scalars(yaml: String, json: String) {
        let (tree, messages) = read(yaml)
        #expect(tree == json)
        #expect(messages.isEmpty)
    }

    // MARK: - Broken files

    @Test(
        "What is not YAML is named by line and column",
        arguments: [
            ("a:\n\t- b", "f.yaml:2:1: a tab stands where YAML allows only spaces; indent with spaces"),
            (
                "a: b: c",
                "f.yaml:1:5: this is not valid YAML: mapping values are not allowed in this context; "
                    + "check the indentation, and quote a text that contains \": \""
            ),
            (
                "a: [1, 2\nb: 3",
                "f.yaml:2:2: this is not valid YAML: did not find expected ',' or ']' while parsing a flow sequence "
                    + "that starts on line 1; a quote or bracket is not closed"
            ),
            (
                "a: \"open\nb: 3\n",
                "f.yaml:3:1: this is not valid YAML: found unexpected end of stream while scanning a quoted scalar "
                    + "that starts on line 1; a quote or bracket is not closed"
            ),
            (
                "a: @b",
                "f.yaml:1:4: this is not valid YAML: found character that cannot start any token "
                    + "while scanning for the next token; quote a text that starts with \"@\""
            ),
            ("a: 1\n---\nb: 2", "f.yaml:2:1: a second YAML document starts here; keep one document in a file"),
            ("a: 1\nb: \"x\u{1}y\"", "f.yaml:2:6: control characters are not allowed (the character U+0001)"),
            ("a: 1\r\nb: \u{7}", "f.yaml:2:4: control characters are not allowed (the character U+0007)"),
            ("a: !include x", "f.yaml:1:4: a: the tag !include is not supported; write the value without it"),
            ("? [a, b]\n: 1", "f.yaml:1:3: a key must be text"),
            ("a: *nowhere", "f.yaml:1:4: a: the alias *nowhere has no anchor &nowhere before it"),
            ("a: &x [*x]", "f.yaml:1:8: a[0]: the alias *x has no anchor &x before it"),
            ("a: *bold* text", "f.yaml:1:4: a: an unquoted text may not start with \"*\"; quote it"),
            (
                "a: {<<: 3}",
                "f.yaml:1:9: a[\"<<\"]: a merge key takes a mapping or a list of mappings, as in <<: *defaults"
            ),
        ]
    )
    func brokenYAML(text: String, message: String) {
        #expect(read(text).messages == [message])
    }

    @Test(
        "An empty file is a warning, and every setting has its default",
        arguments: ["", "\n", "# nothing\n", "---\n", "~"]
    )
    func emptyFile(text: String) {
        let result = CacheSettings.parse(text, name: "f.yaml", options: options())
        #expect(result.messages == ["f.yaml: warning: the file is empty; every setting has its default"])
        #expect(result.value?.ttl == .seconds(3600))
    }

    @Test("Bytes that are no UTF-8 are named by line")
    func encodings() {
        func message(_ bytes: [UInt8]) -> [String] {
            ConfigDocument.parse(bytes, name: "f.yaml").diagnostics.map(\.description)
        }
        #expect(
            message(Array("a: 1\nb: ".utf8) + [0xFF, 0x0A])
                == ["f.yaml:2:1: the file is not valid UTF-8 from here on; save it as UTF-8"]
        )
        #expect(message([0xFF, 0xFE, 0x61, 0]) == ["f.yaml: the file is UTF-16 or UTF-32; save it as UTF-8"])
        let marked = ConfigDocument.parse([0xEF, 0xBB, 0xBF] + Array("a: 1".utf8), name: "f.yaml")
        #expect(marked.root?.jsonText == #"{"a":1}"#)
        #expect(
            message([UInt8](repeating: 0x20, count: ConfigDocument.limitBytes + 1)).first?.contains("16MiB") == true
        )
    }

    @Test("A top level that is no mapping is a mistake")
    func topLevel() {
        #expect(
            CacheSettings.parse("- a", name: "f.yaml", options: options()).messages
                == ["f.yaml:1:1: expected a mapping, found a list"]
        )
    }

    @Test("Files that cannot be read say why")
    func unreadableFiles() throws {
        let folder = try TemporaryFolder()
        func message(_ path: String) -> String? {
            ConfigDocument.load(path).diagnostics.first.map { String($0.description.dropFirst(path.count)) }
        }
        #expect(message(folder.path + "/none.yaml") == ": the file does not exist")
        #expect(message(folder.path) == ": the file is a directory, not a file")
        #expect(message("/dev/zero") == ": the file is not a regular file")
        let pipe = folder.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(message(pipe) == ": the file is not a regular file")
        try folder.write("ok.yaml", "a: 1")
        #expect(ConfigDocument.load(folder.path + "/ok.yaml").root?.jsonText == #"{"a":1}"#)
    }

    // MARK: - Repeated keys

    @Test("All repeated keys are reported with both lines, and other mistakes with them")
    func repeatedKeys() {
        let result = ModelSettings.parse(
            """
            name: a
            address: http://a
            # name: c
            "name": b
            context_tokens: x
            address:  http://b
            """,
            name: "f.yaml",
            options: options()
        )
        #expect(
            result.messages == [
                "f.yaml:4:1: name: the key appears twice; it is already set on line 1",
                "f.yaml:5:17: context_tokens: expected a whole number, found the text \"x\"",
                "f.yaml:6:1: address: the key appears twice; it is already set on line 2",
            ]
        )
    }

    @Test("Repeated keys of nested mappings and of JSON are found too")
    func repeatedNestedKeys() {
        let yaml = "a:\n  - b: 1\n    c: |\n      b: text\n    b: 2\n  - b: 1\nd: 1\na: 2\na: 3\n"
        #expect(
            read(yaml).messages == [
                "f.yaml:5:5: a[0].b: the key appears twice; it is already set on line 2",
                "f.yaml:8:1: a: the key appears twice; it is already set on line 1",
                "f.yaml:9:1: a: the key appears twice; it is already set on line 1",
            ]
        )
        #expect(
            read("{\n  \"a\": 1,\n  \"b\": 2,\n  \"a\" : 3\n}").messages
                == ["f.yaml:4:3: a: the key appears twice; it is already set on line 2"]
        )
        #expect(read("a: {x: 1, y: 2, x: 3}").messages == ["f.yaml:1:5: a mapping has the same key twice: \"x\""])
    }

    // MARK: - Aliases

    @Test("Aliases and merge keys give copies with the path of where they are used")
    func aliases() throws {
        let merged = """
            defaults: &d
              a: 1
              b: &list [x, y]
            more: &m {a: 2, c: 3}
            one: {<<: *d, a: 9}
            two:
              <<: [*d, *m]
              e: *list
            "<<": text
            key: &k name
            *k : by alias
            bold: a *text* and **more**
            quoted: "*d"
            """
        let document = ConfigDocument.parse(text: merged, name: "f.yaml")
        #expect(document.diagnostics.isEmpty)
        let root = try #require(document.root)
        #expect(root["one"]?.jsonText == #"{"a":9, "b":["x", "y"]}"#)
        #expect(root["two"]?.jsonText == #"{"e":["x", "y"], "a":1, "b":["x", "y"], "c":3}"#)
        #expect(root["<<"]?.text == "text")
        #expect(root["name"]?.text == "by alias")
        #expect(root["bold"]?.text == "a *text* and **more**")
        #expect(root["quoted"]?.text == "*d")
        let element = try #require(root["two"]?["b"]?.elements?[1])
        #expect(element.path.description == "two.b[1]")
        #expect(element.position.description == "f.yaml:3:16")
    }

    @Test("An anchor may be used again; an alias means the one before it")
    func shadowedAnchor() {
        #expect(read("[&a 1, *a, &b [*a], &a 2, *a, *b]").json == "[1, 1, [1], 2, 2, [1]]")
    }

    @Test("Aliases that grow without end are stopped", .timeLimit(.minutes(1)))
    func aliasBombs() {
        var bomb = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            bomb +=
                "l\(level): &l\(level) [" + Array(repeating: "*l\(level - 1)", count: 10).joined(separator: ", ")
                + "]\n"
        }
        #expect(read(bomb).messages.contains { $0.contains("more than 500000 values") })
        #expect(read(bomb + "? *l12\n: x\n").messages.contains { $0.contains("cannot be a key") })

        var tower = "l0: &l0 x\n"
        for level in 1...300 {
            tower += "l\(level): &l\(level) [*l\(level - 1)]\n"
        }
        #expect(read(tower).messages.contains { $0.contains("nested deeper than 64 levels") })

        let merges = "a: &a {x: 1}\nb: {<<: [" + Array(repeating: "*a", count: 1000).joined(separator: ", ") + "]}"
        #expect(read(merges).messages.isEmpty)
    }

    @Test("Ten thousand levels are a diagnostic", arguments: ["[", "{a: ", "- ", "a:\n"], [65, 999, 10_000])
    func deepNesting(opening: String, levels: Int) {
        var text = ""
        if opening == "a:\n" {
            // Indented blocks: the text grows with the square of the depth.
            let depth = min(levels, 1_500)
            text = (0..<depth).map { String(repeating: " ", count: $0) + opening }.joined()
        } else {
            text = String(repeating: opening, count: levels)
            text += opening == "[" ? String(repeating: "]", count: levels) : ""
            text += opening == "{a: " ? String(repeating: "}", count: levels) : ""
        }
        let messages = read(text).messages
        #expect(messages.count == 1)
        #expect(messages.first?.contains("nested deeper than 64 levels") == true)
    }

    @Test("Sixty-four levels are fine, for decoding too")
    func allowedNesting() throws {
        #expect(read(String(repeating: "[", count: 64) + String(repeating: "]", count: 64)).messages.isEmpty)
        let rules = String(repeating: "{conditions: [", count: 31) + "{name: x}" + String(repeating: "]}", count: 31)
        var rule = try RuleNode.parse(rules, options: options()).get()
        for _ in 0..<31 {
            rule = try #require(rule.conditions.first)
        }
        #expect(rule.name == "x")
    }

    // MARK: - The environment

    @Test(
        "Variables are replaced in every scalar",
        arguments: [
            ("a: ${HOST}:${PORT}", #"{"a":"h:80"}"#),
            ("a: ${PORT}", #"{"a":80}"#),
            ("a: '${PORT}'", #"{"a":"80"}"#),
            ("a: ${NONE:-d:-e}", #"{"a":"d:-e"}"#),
            ("a: ${EMPTY:-x}", #"{"a":"x"}"#),
            ("a: [\"${EMPTY}\", \"${NONE:-}\"]", #"{"a":["", ""]}"#),
            ("a: $$HOME costs $5 $${x} $", #"{"a":"$HOME costs $5 ${x} $"}"#),
            ("a: ${NESTED}", #"{"a":"${HOST}"}"#),
        ]
    )
    func expansion(yaml: String, json: String) {
        let variables = ["HOST": "h", "PORT": "80", "EMPTY": "", "NESTED": "${HOST}"]
        let (tree, messages) = read(yaml, variables)
        #expect(tree == json)
        #expect(messages.isEmpty)
    }

    @Test("A variable that is not set is a mistake on its line, and the only one for its value")
    func missingVariables() {
        let result = ModelSettings.parse(
            "name: ${NAME}\ncontext_tokens: ${A B}\nport: ${X",
            name: "f.yaml",
            options: options()
        )
        #expect(
            result.messages == [
                "f.yaml:1:7: name: the environment variable NAME is not set; set it, or write ${NAME:-default}",
                "f.yaml:2:17: context_tokens: \"${A B}\" is neither ${NAME} nor ${NAME:-default}; "
                    + "write $${ for a literal \"${\"",
                "f.yaml:3:7: port: \"${\" has no closing \"}\"; write $${ for a literal \"${\"",
            ]
        )
    }

    @Test("What nobody reads may use the same signs for something else, and so may a verbatim field")
    func otherPlaceholders() throws {
        struct Prompts: Configurable {
            var prompt = ""
            var arguments: ConfigNode = .scalar("")
            var free: ConfigNode = .scalar("")
            static let schema = Schema<Self>("prompts", "Texts with placeholders.") {
                Field("prompt", \.prompt, "A prompt.").verbatim()
                Field("arguments", \.arguments, "A template.").verbatim()
                Field("free", \.free, "Expanded.")
                NotSupported("tools", "nothing is called")
            }
        }
        let text = "prompt: say ${x} $$\narguments: {a: ['${y z}', '${HOST}', 1]}\ntools: {query: '${user}'}\n"
        let settings = try Prompts.parse(text, options: options(["HOST": "h"])).get()
        #expect(settings.prompt == "say ${x} $$")
        #expect(settings.arguments.jsonText == #"{"a":["${y z}", "${HOST}", 1]}"#)
        #expect(
            Prompts.parse("free: {a: [1, '${NONE}']}", options: options()).messages == [
                "settings.yaml:1:15: free.a[1]: the environment variable NONE is not set; set it, or write ${NONE:-default}"
            ]
        )
    }

    // MARK: - Secrets

    @Test("Secrets come from a text, a variable or a file")
    func secrets() throws {
        let folder = try TemporaryFolder()
        try folder.write("key.txt", "from file\n\r\n")
        try folder.write("empty.txt", "\n")
        func secret(_ yaml: String) -> (String?, [String], [String]) {
            let result = RoutingSettings.decode(
                ConfigDocument.parse(
                    text: "models: [{name: a}]\napi_key: \(yaml)",
                    name: folder.path + "/f.yaml",
                    environment: ["KEY": "from variable"]
                ),
                options: options(["KEY": "from variable"])
            )
            return (result.value?.apiKey?.reveal(), result.diagnostics.map(\.message), result.files)
        }
        #expect(secret("literal").0 == "literal")
        #expect(secret("${KEY}").0 == "from variable")
        #expect(secret("{env: KEY}").0 == "from variable")
        #expect(secret("{file: key.txt}").0 == "from file")
        #expect(secret("{file: key.txt}").2 == [folder.path + "/key.txt"])
        #expect(secret("{file: \(folder.path)/key.txt}").0 == "from file")
        #expect(secret("{env: NONE}").1 == ["the environment variable NONE is not set"])
        #expect(secret("{file: none.txt}").1 == ["the file \(folder.path)/none.txt does not exist"])
        #expect(secret("{file: empty.txt}").1 == ["the file \(folder.path)/empty.txt is empty"])
    }

    // MARK: - Random input

    @Test("No input crashes or hangs the reader", .timeLimit(.minutes(2)))
    func randomInput() {
        var random = SeededRandom.fromEnvironment()
        let pieces = [
            "a", "b: ", "- ", "? ", ": ", "[", "]", "{", "}", ",", "&x ", "*x", "<<: ", "!t ", "|\n", ">\n", "\"", "'",
            "\n", "\n  ", "\t", "#", "---\n", "...\n", "%YAML 1.1\n", "${A}", "$$", "\u{E000}", "é", "\u{0}", "\r\n",
            "~",
        ]
        for _ in 0..<5_000 {
            let text = (0..<Int.random(in: 1...24, using: &random)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }.joined()
            let document = ConfigDocument.parse(text: text, name: "f.yaml", environment: ["A": "x"])
            #expect(document.root != nil || document.diagnostics.hasErrors, "\(text.debugDescription)")
        }
    }

    @Test("A file with more values than anyone writes is refused, and one with many is read", .timeLimit(.minutes(2)))
    func manyValues() {
        let line = "- {a: 1, b: [x, y]}\n"
        #expect(read(String(repeating: line, count: 10_000)).messages.isEmpty)
        #expect(
            read(String(repeating: line, count: 100_001)).messages
                == ["f.yaml:100000:17: the file holds more than 500000 values, aliases expanded"]
        )
    }
}
