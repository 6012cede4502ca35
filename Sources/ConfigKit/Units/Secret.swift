/// A value that never appears in a log, a message or a page: printing it in any way gives `<secret>`.
///
/// Written as a text, as `${NAME}`, as `env: NAME`, or as `file: /path` whose trailing line breaks are dropped. A
/// relative path starts at the folder of the configuration file.
package struct Secret: Hashable, Sendable {
    private let value: String

    package init(_ value: String) {
        self.value = value
    }

    /// The value itself, for the one place that sends or compares it.
    package func reveal() -> String { value }

    /// 64 KiB: far above any key or certificate chain.
    static let limitBytes = 64 * 1024
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<secret>" }
    package var debugDescription: String { "<secret>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret: ConfigValue {
    package static var configType: ConfigType {
        .scalar(ConfigType.ScalarKind("secret", expected: expected, jsonTypes: ["string", "object"]))
    }

    private static let expected = "a secret: a text, ${NAME}, env: NAME or file: /path"

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Secret? {
        var value: Secret?
        var traits = decoder.traits
        traits.isSecret = true
        decoder.within(traits) { value = read(node, with: &$0) }
        return value
    }

    private static func read(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Secret? {
        if let text = node.text {
            return Secret(text)
        }
        guard let entries = node.entries, entries.count == 1, let source = entries[0].value.text else {
            decoder.mismatch(node, expected: expected)
            return nil
        }
        switch entries[0].key {
        case "env":
            guard let value = decoder.options.environment.valueOrStandIn(of: source), !value.isEmpty else {
                decoder.error("the environment variable \(source) is not set", at: entries[0].value)
                return nil
            }
            return Secret(value)
        case "file":
            return read(file: source, at: entries[0].value, with: &decoder)
        default:
            decoder.mismatch(node, expected: expected)
            return nil
        }
    }

    private static func read(file: String, at node: ConfigNode, with decoder: inout ConfigDecoder) -> Secret? {
        var path = file
        if !file.hasPrefix("/"), case .file(let name) = node.position.source, let slash = name.lastIndex(of: "/") {
            path = name[...slash] + file
        }
        guard decoder.options.readsFiles else { return Secret(path) }
        do throws(ConfigFile.Failure) {
            let bytes = try ConfigFile.read(path, limitBytes: limitBytes)
            decoder.files.append(path)
            guard var text = String(validating: bytes, as: UTF8.self) else {
                decoder.error("the file \(path) is not valid UTF-8", at: node)
                return nil
            }
            while text.last?.isNewline == true { text.removeLast() }
            guard !text.isEmpty else {
                decoder.error("the file \(path) is empty", at: node)
                return nil
            }
            return Secret(text)
        } catch {
            decoder.error("the file \(path) \(error.message)", at: node)
            return nil
        }
    }

    package var configNode: ConfigNode { .scalar("<secret>") }
}
