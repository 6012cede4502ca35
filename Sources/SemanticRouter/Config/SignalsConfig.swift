package import ConfigKit

/// `routing.signals`: what is looked for in a request, by kind.
package struct SignalsConfig: Configurable {
    /// The rules of each active kind, of the kind's `Settings`.
    private var active: [SignalType: [any SignalSettings]] = [:]
    /// The rules of the others, by name.
    private var inactive: [SignalType: [InactiveSignal]] = [:]

    package init() {}

    package static let schema = Schema<Self>("signals", "What is looked for in a request, by kind.") {
        for kind in SignalCatalog.active { field(for: kind) }
        for type in SignalCatalog.inactive { field(for: type) }
        Removed("category_kb", "write `routing.signals.kb`")
        Removed("taxonomy", "write `routing.signals.kb`")
    }

    /// The rules of a kind, in the order of the file.
    func rules<Kind: SignalKind>(of kind: Kind.Type) -> [Kind.Settings] {
        (active[Kind.type] ?? []).compactMap { $0 as? Kind.Settings }
    }

    /// The names of a kind's rules, in the order of the file.
    func names(of type: SignalType) -> [String] {
        (active[type] ?? []).map(\.signalName) + (inactive[type] ?? []).map(\.name)
    }

    /// The rules of a kind that is not active.
    func inactiveRules(of type: SignalType) -> [InactiveSignal] { inactive[type] ?? [] }

    private static func field<Kind: SignalKind>(for kind: Kind.Type) -> [AnyField<Self>] {
        SchemaBuilder.buildExpression(
            Field<Self, [Kind.Settings]>(
                Kind.settingsKey,
                Kind.summary,
                get: { $0.rules(of: Kind.self) },
                set: { $0.active[Kind.type] = $1 }
            )
        )
    }

    private static func field(for type: SignalType) -> [AnyField<Self>] {
        SchemaBuilder.buildExpression(
            Field<Self, [InactiveSignal]>(
                type.settingsKey ?? type.rawValue,
                "Read for its names only: no classifier runs yet, the signal is taken as absent.",
                get: { $0.inactive[type] ?? [] },
                set: { $0.inactive[type] = $1 }
            )
        )
    }
}

/// A declared signal that nothing evaluates: its name is known, so that rules which use it are sound.
package struct InactiveSignal: ConfigValue {
    package let name: String
    /// The words that may follow the name in a rule's `label`.
    package let labels: [String]
    /// For a domain: the classifier's categories that it stands for.
    package let categories: [String]

    package static var configType: ConfigType { .anything }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> InactiveSignal? {
        guard node.entries != nil else {
            decoder.mismatch(node, expected: "a mapping with a `name`")
            return nil
        }
        guard let name = node["name"]?.text, !name.isEmpty else {
            decoder.error("needs a `name`", at: node)
            return nil
        }
        decoder.notSupported("the signal is taken as absent, as no classifier runs", at: node["name"] ?? node)
        return InactiveSignal(
            name: name,
            labels: node["labels"]?.elements?.compactMap(\.text) ?? [],
            categories: node["mmlu_categories"]?.elements?.compactMap(\.text) ?? []
        )
    }

    package var configNode: ConfigNode {
        .mapping([("name", .scalar(name))])
    }
}
