/// A configuration file as a tree whose every value knows its line, column and path, with what is wrong with the file.
///
/// Values do not have meanings yet; `Configurable.decode` gives them their types.
package struct ConfigDocument: Sendable {
    /// The tree; nil when the text is not YAML at all. An empty file is a null node.
    package let root: ConfigNode?
    /// What reading found: syntax, repeated keys, aliases without an anchor.
    package let diagnostics: [Diagnostic]

    init(root: ConfigNode?, diagnostics: [Diagnostic]) {
        self.root = root
        self.diagnostics = diagnostics
    }

    /// 16 MiB: a hundred times the largest configuration known to us, and small enough to parse in seconds.
    package static let limitBytes = 16 * 1024 * 1024

    /// Reads the YAML (or JSON, its subset) file at `path`. Never throws: a file that cannot be read is a diagnostic.
    package static func load(_ path: String, environment: ProcessEnvironment = .process) -> ConfigDocument {
        do throws(ConfigFile.Failure) {
            return parse(try ConfigFile.read(path, limitBytes: limitBytes), name: path, environment: environment)
        } catch {
            return ConfigDocument(
                root: nil,
                diagnostics: [Diagnostic(.error, "the file \(error.message)", at: SourcePosition(.file(path)))]
            )
        }
    }

    /// Reads the bytes of a file; `name` is what diagnostics call it.
    package static func parse(
        _ bytes: [UInt8],
        name: String,
        environment: ProcessEnvironment = .process
    ) -> ConfigDocument {
        func failure(_ message: String, line: Int = 0, column: Int = 0) -> ConfigDocument {
            let position = SourcePosition(.file(name), line: line, column: column)
            return ConfigDocument(root: nil, diagnostics: [Diagnostic(.error, message, at: position)])
        }
        guard bytes.count <= limitBytes else {
            return failure("the file is larger than the limit of \(ByteCount(limitBytes))")
        }
        let start = bytes.prefix(4)
        guard !start.starts(with: [0xFF, 0xFE]), !start.starts(with: [0xFE, 0xFF]),
            !start.starts(with: [0, 0, 0xFE, 0xFF])
        else {
            return failure("the file is UTF-16 or UTF-32; save it as UTF-8")
        }
        let content = start.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
        guard let text = String(validating: content, as: UTF8.self) else {
            let line = 1 + validPrefix(of: content).count { $0 == UInt8(ascii: "\n") }
            return failure("the file is not valid UTF-8 from here on; save it as UTF-8", line: line, column: 1)
        }
        let document = ParsingThread.run {
            var reader = YAMLReader(text: text, name: name, environment: environment)
            return reader.read()
        }
        return document ?? failure("the system gives no thread to read the file with")
    }

    /// Reads YAML text; `name` is what diagnostics call it.
    package static func parse(
        text: String,
        name: String = "settings.yaml",
        environment: ProcessEnvironment = .process
    ) -> ConfigDocument {
        parse(Array(text.utf8), name: name, environment: environment)
    }

    /// The longest start of `bytes` that is valid UTF-8.
    private static func validPrefix(of bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var count = 0
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            count += UTF8.width(scalar)
        }
        return bytes.prefix(count)
    }
}
