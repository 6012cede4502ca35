/// One value of a configuration tree, which knows where it was written and how it is reached.
///
/// Scalars keep their text: what a text means (a number, a duration, a name) is decided by the field that reads it, so
/// `no` is a language tag for one field and a switch for another.
package struct ConfigNode: Sendable {
    package enum Content: Sendable {
        /// Nothing was written (`key:`, `~` or `null`).
        case null
        case scalar(Scalar)
        case list([ConfigNode])
        /// Entries in the order they were written; keys are unique.
        case mapping([Entry])
        /// A scalar whose environment variables cannot be replaced, and why. It is a mistake only where a field reads
        /// it: parts of a file that have no effect here may use `${…}` for something else.
        case unexpanded(written: String, problem: String)
        /// A mistake in this value was reported when the file was read; decoding passes over it in silence.
        case unreadable
    }

    package struct Scalar: Sendable, Hashable {
        /// The text after environment expansion.
        package let text: String
        /// The text as it was written. The same as `text` unless the environment was consulted.
        package let written: String
        /// True when the text stood in quotes, or was a block (`|`, `>`): it is text, never a number or null.
        package let isQuoted: Bool

        package init(_ text: String, written: String? = nil, isQuoted: Bool = false) {
            self.text = text
            self.written = written ?? text
            self.isQuoted = isQuoted
        }

        /// True when part of the text came from an environment variable, so that messages show `written` only.
        package var isExpanded: Bool { text != written }
    }

    package struct Entry: Sendable {
        package let key: String
        package let keyPosition: SourcePosition
        package let value: ConfigNode

        package init(key: String, keyPosition: SourcePosition, value: ConfigNode) {
            self.key = key
            self.keyPosition = keyPosition
            self.value = value
        }
    }

    package let content: Content
    package let position: SourcePosition
    package let path: ConfigPath

    package init(_ content: Content, position: SourcePosition = .unset, path: ConfigPath = .root) {
        self.content = content
        self.position = position
        self.path = path
    }
}

// MARK: - Reading

extension ConfigNode {
    /// The entries, if this is a mapping.
    package var entries: [Entry]? {
        guard case .mapping(let entries) = content else { return nil }
        return entries
    }

    /// The elements, if this is a list.
    package var elements: [ConfigNode]? {
        guard case .list(let elements) = content else { return nil }
        return elements
    }

    /// The text, if this is a scalar.
    package var text: String? {
        guard case .scalar(let scalar) = content else { return nil }
        return scalar.text
    }

    /// The text before environment expansion, if this is a scalar.
    package var writtenText: String? {
        switch content {
        case .scalar(let scalar): scalar.written
        case .unexpanded(let written, _): written
        case .null, .list, .mapping, .unreadable: nil
        }
    }

    package var isNull: Bool {
        guard case .null = content else { return false }
        return true
    }

    /// The value of `key`, if this is a mapping that has one. O(entries).
    package subscript(key: String) -> ConfigNode? {
        entries?.first { $0.key == key }?.value
    }

    /// The value at `steps`, or the nearest value on the way there: where a mistake at `steps` is best shown.
    package func nearest(to steps: [ConfigPath.Step]) -> ConfigNode {
        var node = self
        for step in steps {
            switch step {
            case .key(let key):
                guard let next = node[key] else { return node }
                node = next
            case .index(let index):
                guard let elements = node.elements, elements.indices.contains(index) else { return node }
                node = elements[index]
            }
        }
        return node
    }
}

// MARK: - Making

extension ConfigNode {
    /// A scalar that nobody wrote, as defaults are shown.
    package static func scalar(_ text: String, isQuoted: Bool = false) -> ConfigNode {
        ConfigNode(.scalar(Scalar(text, isQuoted: isQuoted)))
    }

    /// A mapping that nobody wrote, as settings are shown.
    package static func mapping(_ entries: [(key: String, value: ConfigNode)]) -> ConfigNode {
        let entries = entries.map { Entry(key: $0.key, keyPosition: .unset, value: $0.value) }
        return ConfigNode(.mapping(entries)).rebased(to: .root)
    }

    /// The same tree reached by another path, as a YAML alias needs it.
    func rebased(to path: ConfigPath) -> ConfigNode {
        let content: Content =
            switch self.content {
            case .null, .scalar, .unexpanded, .unreadable:
                self.content
            case .list(let elements):
                .list(elements.enumerated().map { $1.rebased(to: path.appending(.index($0))) })
            case .mapping(let entries):
                .mapping(
                    entries.map {
                        Entry(
                            key: $0.key,
                            keyPosition: $0.keyPosition,
                            value: $0.value.rebased(to: path.appending(.key($0.key)))
                        )
                    }
                )
            }
        return ConfigNode(content, position: position, path: path)
    }

    /// How many values the tree holds, itself included.
    var size: Int {
        switch content {
        case .null, .scalar, .unexpanded, .unreadable: 1
        case .list(let elements): elements.reduce(1) { $0 + $1.size }
        case .mapping(let entries): entries.reduce(1) { $0 + $1.value.size }
        }
    }

    /// How many levels the tree has: 1 for a scalar.
    var depth: Int {
        switch content {
        case .null, .scalar, .unexpanded, .unreadable: 1
        case .list(let elements): 1 + (elements.map(\.depth).max() ?? 0)
        case .mapping(let entries): 1 + (entries.map(\.value.depth).max() ?? 0)
        }
    }
}

// MARK: - Writing

extension ConfigNode {
    /// What an unquoted scalar means in free-form YAML, where no field says what it should be.
    package enum PlainValue: Hashable, Sendable {
        case text(String)
        case integer(Int)
        case number(Double)
        case boolean(Bool)
    }

    /// The scalar by the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema); nil for anything else.
    package var plainValue: PlainValue? {
        guard case .scalar(let scalar) = content else { return nil }
        guard !scalar.isQuoted else { return .text(scalar.text) }
        switch scalar.text {
        case "true", "True", "TRUE": return .boolean(true)
        case "false", "False", "FALSE": return .boolean(false)
        default: break
        }
        if let integer = NumberText.integer(scalar.text) {
            return .integer(integer)
        }
        if let number = NumberText.number(scalar.text) {
            return .number(number)
        }
        return .text(scalar.text)
    }

    /// The tree as JSON on one line, keys in the order they were written: how free-form settings are handed on.
    package var jsonText: String {
        var writer = JSONWriter(isIndented: false)
        write(to: &writer)
        return writer.text
    }

    func write(to writer: inout JSONWriter) {
        switch content {
        case .null, .unreadable:
            writer.null()
        case .unexpanded(let written, _):
            writer.string(written)
        case .scalar:
            switch plainValue {
            case .integer(let value): writer.raw(String(value))
            case .number(let value): writer.raw(NumberText.text(value))
            case .boolean(let value): writer.raw(value ? "true" : "false")
            case .text(let value): writer.string(value)
            case nil: writer.null()
            }
        case .list(let elements):
            writer.array(elements) { $1.write(to: &$0) }
        case .mapping(let entries):
            writer.object { object in
                for entry in entries {
                    object.member(entry.key) { entry.value.write(to: &$0) }
                }
            }
        }
    }

    /// The tree as YAML on one line, for defaults and explanations: `[en, zh]`, `{a: 1}`, `""`.
    package var flowText: String {
        switch content {
        case .null, .unreadable:
            return "null"
        case .unexpanded(let written, _):
            return Scalar(written).flowText
        case .scalar(let scalar):
            return scalar.flowText
        case .list(let elements):
            return "[" + elements.map(\.flowText).joined(separator: ", ") + "]"
        case .mapping(let entries):
            return "{" + entries.map { "\(Scalar($0.key).flowText): \($0.value.flowText)" }.joined(separator: ", ")
                + "}"
        }
    }
}

extension ConfigNode.Scalar {
    /// The text, quoted only where YAML would read it as something else.
    fileprivate var flowText: String {
        guard needsQuotes else { return text }
        var writer = JSONWriter(isIndented: false)
        writer.string(text)
        return writer.text
    }

    private var needsQuotes: Bool {
        guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { return true }
        if isQuoted {
            if NumberText.number(text) != nil { return true }
            if ["true", "false", "null", "~", "yes", "no", "on", "off"].contains(text.lowercased()) { return true }
        }
        return "-?:,[]{}#&*!|>'\"%@` ".unicodeScalars.contains(first) && NumberText.number(text) == nil
            || last == " " || last == ":"
            || text.contains(": ") || text.contains(" #")
            || text.unicodeScalars.contains { $0.value < 32 || ",[]{}\"".unicodeScalars.contains($0) }
    }
}
