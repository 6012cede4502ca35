/// A type that a setting can have.
///
/// Numbers, text, units, lists, maps, optionals, words (`enum X: String, CaseIterable, ConfigValue`) and settings types
/// are ready made. A type of another shape, such as "a text or a list", says what it accepts in `configType` and reads
/// it in `decode`.
package protocol ConfigValue: Sendable {
    static var configType: ConfigType { get }

    /// The value written at `node`; nil after the mistake was reported to `decoder`.
    static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Self?

    /// As `decode(_:with:)`, where a settings type keeps what `base` says for the keys that are not written.
    static func decode(_ node: ConfigNode, over base: Self, with decoder: inout ConfigDecoder) -> Self?

    /// The value when its key is not written; nil keeps the default. Settings types look for required keys here.
    static func decodeAbsent(at node: ConfigNode, over base: Self, with decoder: inout ConfigDecoder) -> Self?

    /// True when `null` is a value of its own and not the same as leaving the key out.
    static var acceptsNull: Bool { get }

    /// The value as it would be written, for defaults and explanations. A secret gives `<secret>`.
    var configNode: ConfigNode { get }
}

extension ConfigValue {
    package static func decode(_ node: ConfigNode, over base: Self, with decoder: inout ConfigDecoder) -> Self? {
        decode(node, with: &decoder)
    }

    package static func decodeAbsent(
        at node: ConfigNode,
        over base: Self,
        with decoder: inout ConfigDecoder
    ) -> Self? {
        nil
    }

    package static var acceptsNull: Bool { false }
}

/// A value that is written as one text.
package protocol ScalarConfigValue: ConfigValue {
    static var kind: ConfigType.ScalarKind { get }

    /// Reads `text`; `traits` are those of the field, such as the unit of a bare number.
    static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> Self

    /// The text that `parse` reads as this value.
    var configText: String { get }
}

/// Why a text is not the value that a field expects.
package struct ScalarMistake: Error, Hashable, Sendable {
    /// What exactly is wrong, when "expected a duration" does not say it.
    package let reason: String?

    package init(_ reason: String? = nil) {
        self.reason = reason
    }
}

extension ScalarConfigValue {
    package static var configType: ConfigType { .scalar(kind) }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Self? {
        guard let text = decoder.traits.isVerbatim ? node.writtenText : node.text else {
            decoder.mismatch(node, expected: kind.expected)
            return nil
        }
        do throws(ScalarMistake) {
            return try parse(text, traits: decoder.traits)
        } catch {
            decoder.mismatch(node, expected: kind.expected, reason: error.reason)
            return nil
        }
    }

    package var configNode: ConfigNode { .scalar(configText) }
}

// MARK: - Words

extension ConfigValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    package static var configType: ConfigType { .choice(allCases.map(\.rawValue)) }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Self? {
        let words = allCases.map(\.rawValue)
        guard let text = node.text else {
            decoder.mismatch(node, expected: "one of \(words.shortList)")
            return nil
        }
        guard let value = Self(rawValue: text) else {
            decoder.unknown(node, among: words)
            return nil
        }
        return value
    }

    package var configNode: ConfigNode { .scalar(rawValue) }
}

// MARK: - Plain values

extension String: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind { .text }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> String { text }

    package var configText: String { self }

    package var configNode: ConfigNode { .scalar(self, isQuoted: true) }
}

extension Bool: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind { .boolean }

    /// YAML 1.1's `yes`, `no`, `on` and `off` are understood too: a field of this type can mean nothing else.
    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> Bool {
        switch text.lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw ScalarMistake()
        }
    }

    package var configText: String { self ? "true" : "false" }
}

extension Int: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind { .integer }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> Int {
        guard let value = NumberText.integer(text) else {
            throw ScalarMistake(NumberText.isDigits(text) ? "it needs more than 64 bits" : nil)
        }
        return value
    }

    package var configText: String { String(self) }
}

extension Double: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind { .number }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> Double {
        guard let value = NumberText.number(text) else { throw ScalarMistake() }
        return value
    }

    package var configText: String { NumberText.text(self) }
}

// MARK: - Containers

extension Optional: ConfigValue where Wrapped: ConfigValue {
    package static var configType: ConfigType { Wrapped.configType }

    package static var acceptsNull: Bool { true }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Wrapped?? {
        if node.isNull { return .some(nil) }
        guard let value = Wrapped.decode(node, with: &decoder) else { return nil }
        return .some(value)
    }

    package static func decode(
        _ node: ConfigNode,
        over base: Wrapped?,
        with decoder: inout ConfigDecoder
    ) -> Wrapped?? {
        guard let base, !node.isNull else { return decode(node, with: &decoder) }
        guard let value = Wrapped.decode(node, over: base, with: &decoder) else { return nil }
        return .some(value)
    }

    package var configNode: ConfigNode { self?.configNode ?? ConfigNode(.null) }
}

extension Array: ConfigValue where Element: ConfigValue {
    package static var configType: ConfigType { .list(Element.configType) }

    /// Nil when one element is not readable, so that an element's index is always its index in the file.
    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> [Element]? {
        guard let elements = node.elements else {
            decoder.mismatch(node, expected: "a list")
            return nil
        }
        var values: [Element] = []
        values.reserveCapacity(elements.count)
        for element in elements {
            if let value = Element.decode(element, with: &decoder) {
                values.append(value)
            }
        }
        return values.count == elements.count ? values : nil
    }

    package var configNode: ConfigNode { ConfigNode(.list(map(\.configNode))).rebased(to: .root) }
}

extension Set: ConfigValue where Element: ConfigValue {
    package static var configType: ConfigType { .list(Element.configType) }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Set<Element>? {
        [Element].decode(node, with: &decoder).map(Set.init)
    }

    /// Sorted by text, so that the same set is always written the same way.
    package var configNode: ConfigNode {
        ConfigNode(.list(map(\.configNode).sorted { $0.flowText < $1.flowText })).rebased(to: .root)
    }
}

extension Dictionary: ConfigValue where Key == String, Value: ConfigValue {
    package static var configType: ConfigType { .map(Value.configType) }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> [String: Value]? {
        guard let entries = node.entries else {
            decoder.mismatch(node, expected: "a mapping")
            return nil
        }
        var values: [String: Value] = [:]
        for entry in entries {
            if let value = Value.decode(entry.value, with: &decoder) {
                values[entry.key] = value
            }
        }
        return values.count == entries.count ? values : nil
    }

    /// Sorted by key.
    package var configNode: ConfigNode {
        let entries = sorted { $0.key < $1.key }.map {
            ConfigNode.Entry(key: $0.key, keyPosition: .unset, value: $0.value.configNode)
        }
        return ConfigNode(.mapping(entries)).rebased(to: .root)
    }
}

extension ConfigNode: ConfigValue {
    package static var configType: ConfigType { .anything }

    package static var acceptsNull: Bool { true }

    /// Nil when a part of the tree could not be read; where the field is `verbatim()`, `${…}` is kept as it is written.
    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> ConfigNode? {
        switch node.content {
        case .null:
            return node
        case .scalar, .unexpanded:
            guard decoder.traits.isVerbatim, let written = node.writtenText else {
                guard node.text != nil else {
                    decoder.error("cannot be read", at: node)
                    return nil
                }
                return node
            }
            let isQuoted = if case .scalar(let scalar) = node.content { scalar.isQuoted } else { true }
            return ConfigNode(.scalar(.init(written, isQuoted: isQuoted)), position: node.position, path: node.path)
        case .list(let elements):
            let decoded = elements.compactMap { decode($0, with: &decoder) }
            guard decoded.count == elements.count else { return nil }
            return ConfigNode(.list(decoded), position: node.position, path: node.path)
        case .mapping(let entries):
            let decoded = entries.compactMap { entry in
                decode(entry.value, with: &decoder).map {
                    Entry(key: entry.key, keyPosition: entry.keyPosition, value: $0)
                }
            }
            guard decoded.count == entries.count else { return nil }
            return ConfigNode(.mapping(decoded), position: node.position, path: node.path)
        case .unreadable:
            return nil
        }
    }

    package var configNode: ConfigNode { self }
}
