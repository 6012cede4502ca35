/// The settings of one type: what can be written, where it goes, and what it means.
///
/// One declaration drives decoding, defaults, checks, the reference pages, JSON Schema, the command line and its help.
package struct Schema<Root: Configurable>: Sendable {
    /// The type's name in references and JSON Schema; unique among the types of one file.
    package let name: String
    package let summary: String
    package let fields: [AnyField<Root>]
    /// Every accepted key, aliases and former keys included, to its field's index.
    private let indexes: [String: Int]

    /// - Precondition: no key is declared twice.
    package init(_ name: String, _ summary: String, @SchemaBuilder<Root> _ fields: () -> [AnyField<Root>]) {
        self.name = name
        self.summary = summary
        self.fields = fields()
        var indexes: [String: Int] = [:]
        for (index, field) in self.fields.enumerated() {
            for key in [field.traits.key] + field.traits.aliases + field.traits.formerKeys {
                precondition(indexes.updateValue(index, forKey: key) == nil, "\(name) declares the key \(key) twice")
            }
        }
        self.indexes = indexes
    }

    /// The key of the setting stored at `keyPath`.
    package func key(of keyPath: PartialKeyPath<Root>) -> String? {
        fields.first { $0.isAt(keyPath) }?.traits.key
    }
}

@resultBuilder
package enum SchemaBuilder<Root: Configurable> {
    package static func buildExpression<Value>(_ field: Field<Root, Value>) -> [AnyField<Root>] { [field.erased()] }

    package static func buildExpression(_ field: NotSupported) -> [AnyField<Root>] { [field.erased()] }

    package static func buildExpression(_ field: Removed) -> [AnyField<Root>] { [field.erased()] }

    package static func buildExpression(_ group: FieldGroup<Root>) -> [AnyField<Root>] { group.fields }

    package static func buildExpression(_ fields: [AnyField<Root>]) -> [AnyField<Root>] { fields }

    package static func buildBlock(_ fields: [AnyField<Root>]...) -> [AnyField<Root>] { fields.flatMap { $0 } }

    package static func buildArray(_ fields: [[AnyField<Root>]]) -> [AnyField<Root>] { fields.flatMap { $0 } }

    package static func buildOptional(_ fields: [AnyField<Root>]?) -> [AnyField<Root>] { fields ?? [] }

    package static func buildEither(first: [AnyField<Root>]) -> [AnyField<Root>] { first }

    package static func buildEither(second: [AnyField<Root>]) -> [AnyField<Root>] { second }
}

// MARK: - Decoding

extension Schema {
    /// Reads the entries of `section` into `root`, and reports keys that no field has.
    func decode(
        _ entries: [ConfigNode.Entry],
        in section: ConfigNode,
        into root: inout Root,
        with decoder: inout ConfigDecoder
    ) {
        var found = [ConfigNode.Entry?](repeating: nil, count: fields.count)
        for entry in entries {
            guard let index = indexes[entry.key] else {
                decoder.unknownKey(entry, allowed: fields.filter { $0.traits.removed == nil }.map(\.traits.key))
                continue
            }
            let traits = fields[index].traits
            if let instead = traits.removed {
                decoder.error("is no longer read: \(instead)", atKeyOf: entry)
                continue
            }
            if let other = found[index] {
                decoder.error("\"\(entry.key)\" and \"\(other.key)\" are the same setting; keep one", atKeyOf: entry)
                continue
            }
            found[index] = entry
            if traits.formerKeys.contains(entry.key) {
                decoder.warning("is now called \"\(traits.key)\"", atKeyOf: entry)
            }
            if let instead = traits.notSupported {
                decoder.notSupported(instead, atKeyOf: entry)
            }
        }
        for (field, entry) in zip(fields, found) {
            field.decode(entry?.value, field.traits, section, &root, &decoder)
        }
    }

    /// The settings of `root` as they would be written.
    func encode(_ root: Root) -> ConfigNode {
        let entries: [ConfigNode.Entry] = fields.compactMap { field in
            guard let value = field.shown(in: root) else { return nil }
            return ConfigNode.Entry(key: field.traits.key, keyPosition: .unset, value: value)
        }
        return ConfigNode(.mapping(entries)).rebased(to: .root)
    }
}

extension AnyField {
    /// The value in `root` as it may be printed; nil where the field is not modelled.
    fileprivate func shown(in root: Root) -> ConfigNode? {
        guard let value = encode(root) else { return nil }
        let isEmpty = value.isNull || value.text?.isEmpty == true
        return traits.isSecret && !isEmpty ? .scalar("<secret>") : value
    }
}

// MARK: - Description

/// A field as documentation sees it.
struct FieldDescription: Sendable {
    let traits: FieldTraits
    let type: ConfigType
    /// What `Root()` holds; nil where the field is not modelled.
    let defaultValue: ConfigNode?
}

extension Schema {
    var descriptions: [FieldDescription] {
        let defaults = Root()
        return fields.filter { $0.traits.removed == nil }.map { field in
            FieldDescription(traits: field.traits, type: field.type(), defaultValue: field.shown(in: defaults))
        }
    }
}
