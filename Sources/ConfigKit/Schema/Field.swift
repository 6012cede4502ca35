/// What is known of a field beside its type.
package struct FieldTraits: Sendable {
    package var key: String
    /// One or two sentences for the reference and the help text.
    package var summary: String
    /// A value as the user would write it.
    package var example: String?
    /// Other keys that mean the same.
    package var aliases: [String] = []
    /// Former keys: they work, with a warning that names the new one.
    package var formerKeys: [String] = []
    package var isRequired = false
    /// The value is never printed.
    package var isSecret = false
    /// What happens instead, if the setting is accepted without having an effect.
    package var notSupported: String?
    /// What to write instead, if the key is of a former layout and no longer read.
    package var removed: String?
    /// `${…}` is text and not a variable.
    package var isVerbatim = false
    /// Not a setting of the upstream project whose layout the file follows.
    package var isAddition = false
    /// The unit of a bare number in a duration.
    package var unit: TimeUnit
    /// The heading in the help text.
    package var group: String?
    package var bounds: BoundsText?
    /// How many elements a list or map may have.
    package var countBounds: BoundsText?
    /// Rules beyond the type, in words: `must start with "/"`.
    package var rules: [String] = []
    /// The value names a file whose keys are settings too, for the command line.
    package var isSettingsFile = false
    /// The word for the value in the help text: `PATH`.
    package var placeholder: String?

    package init(
        key: String = "",
        summary: String = "",
        example: String? = nil,
        notSupported: String? = nil,
        unit: TimeUnit = .seconds
    ) {
        self.key = key
        self.summary = summary
        self.example = example
        self.notSupported = notSupported
        self.unit = unit
    }
}

/// One setting: its key, where its value goes, and what is to be known and checked about it.
package struct Field<Root: Configurable, Value: ConfigValue>: Sendable {
    package var traits: FieldTraits
    private let get: @Sendable (Root) -> Value
    private let set: @Sendable (inout Root, Value) -> Void
    private let isAt: @Sendable (PartialKeyPath<Root>) -> Bool
    /// Each returns what is wrong, or nil.
    private var checks: [@Sendable (Value) -> String?] = []

    /// A setting stored at `keyPath`, whose default is what `Root()` holds there.
    package init(
        _ key: String,
        _ keyPath: any WritableKeyPath<Root, Value> & Sendable,
        _ summary: String,
        example: String? = nil
    ) {
        traits = FieldTraits(key: key, summary: summary, example: example)
        get = { $0[keyPath: keyPath] }
        set = { $0[keyPath: keyPath] = $1 }
        isAt = { $0 == keyPath }
    }

    /// A setting that no key path can name, such as an entry of a table filled from a catalogue.
    package init(
        _ key: String,
        _ summary: String,
        example: String? = nil,
        get: @escaping @Sendable (Root) -> Value,
        set: @escaping @Sendable (inout Root, Value) -> Void
    ) {
        traits = FieldTraits(key: key, summary: summary, example: example)
        self.get = get
        self.set = set
        isAt = { _ in false }
    }

    private func with(_ change: (inout Self) -> Void) -> Self {
        var copy = self
        change(&copy)
        return copy
    }
}

// MARK: - Modifiers

extension Field {
    /// The key must be written.
    package func required() -> Self { with { $0.traits.isRequired = true } }

    /// `key` means the same.
    package func alias(_ keys: String...) -> Self { with { $0.traits.aliases += keys } }

    /// The setting was called `key`; the old name works, with a warning.
    package func formerly(_ keys: String...) -> Self { with { $0.traits.formerKeys += keys } }

    /// The value is never printed.
    package func secret() -> Self { with { $0.traits.isSecret = true } }

    /// The setting is read but has no effect; `instead` says what happens, as in "requests are not compressed".
    package func notSupported(_ instead: String) -> Self { with { $0.traits.notSupported = instead } }

    /// `${…}` in the value is text and not a variable: for prompts and templates.
    package func verbatim() -> Self { with { $0.traits.isVerbatim = true } }

    /// The setting is not one of the upstream layout that the file follows.
    package func addition() -> Self { with { $0.traits.isAddition = true } }

    /// A bare number counts these.
    package func unit(_ unit: TimeUnit) -> Self { with { $0.traits.unit = unit } }

    /// The value names a file whose keys are settings too.
    package func settingsFile() -> Self {
        with {
            $0.traits.isSettingsFile = true
            $0.traits.placeholder = "PATH"
        }
    }

    /// The word for the value in the help text.
    package func placeholder(_ word: String) -> Self { with { $0.traits.placeholder = word } }

    /// The value must satisfy `isValid`; `rule` completes "the value …", as in `must start with "/"`.
    package func check(_ rule: String, _ isValid: @escaping @Sendable (Value) -> Bool) -> Self {
        with {
            $0.traits.rules.append(rule)
            $0.checks.append { isValid($0) ? nil : rule }
        }
    }

    private func bounded<Bound: ConfigValue>(
        _ bounds: Bounds<Bound>,
        _ values: @escaping @Sendable (Value) -> Bound?
    ) -> Self {
        let text = BoundsText(bounds) { $0.configNode.flowText }
        return with {
            $0.traits.bounds = text
            $0.checks.append { value in
                guard let bound = values(value), !bounds.contains(bound) else { return nil }
                return "must be \(text.words)"
            }
        }
    }

    /// The number must lie in `range`.
    package func range(_ range: some BoundsConvertible<Value>) -> Self where Value: Comparable {
        bounded(range.bounds) { $0 }
    }

    /// The number, if there is one, must lie in `range`.
    package func range<Wrapped: ConfigValue>(_ range: some BoundsConvertible<Wrapped>) -> Self where Value == Wrapped? {
        bounded(range.bounds) { $0 }
    }

    /// The list or map must have so many elements.
    package func count(_ range: some BoundsConvertible<Int>) -> Self where Value: Collection {
        let bounds = range.bounds
        let text = BoundsText(bounds) { String($0) }
        return with {
            $0.traits.countBounds = text
            $0.checks.append { value in
                bounds.contains(value.count) ? nil : "must have \(text.words) elements but has \(value.count)"
            }
        }
    }

    /// The text must not be empty.
    package func notEmpty() -> Self where Value == String {
        check("must not be empty") { !$0.isEmpty }
    }
}

// MARK: - Erasure

/// A field of `Root` whose value's type is forgotten.
package struct AnyField<Root: Configurable>: Sendable {
    package var traits: FieldTraits
    /// Asked for late: the type may contain `Root` itself, whose schema is still being made.
    let type: @Sendable () -> ConfigType
    /// Reads the value at the node, or handles its absence, in a section at the last node.
    let decode: @Sendable (ConfigNode?, FieldTraits, ConfigNode, inout Root, inout ConfigDecoder) -> Void
    let encode: @Sendable (Root) -> ConfigNode?
    let isAt: @Sendable (PartialKeyPath<Root>) -> Bool
}

extension Field {
    func erased() -> AnyField<Root> {
        let field = self
        return AnyField(
            traits: traits,
            type: { Value.configType },
            decode: { node, traits, section, root, decoder in
                field.decode(node, traits: traits, in: section, into: &root, with: &decoder)
            },
            encode: { field.get($0).configNode },
            isAt: isAt
        )
    }

    private func decode(
        _ node: ConfigNode?,
        traits: FieldTraits,
        in section: ConfigNode,
        into root: inout Root,
        with decoder: inout ConfigDecoder
    ) {
        guard let node, !node.isNull || Value.acceptsNull else {
            let absent = ConfigNode(
                .mapping([]),
                position: node?.position ?? section.position,
                path: section.path.appending(.key(traits.key))
            )
            guard !traits.isRequired else {
                decoder.error("is required but missing", at: absent)
                return
            }
            if let value = Value.decodeAbsent(at: absent, over: get(root), with: &decoder) {
                set(&root, value)
            }
            return
        }
        decoder.within(traits) { decoder in
            guard let value = Value.decode(node, over: get(root), with: &decoder) else { return }
            set(&root, value)
            if Value.configType.sections.isEmpty {
                decoder.origins[section.path.appending(.key(traits.key))] = node.position
            }
            for check in checks {
                if let mistake = check(value) {
                    decoder.broken(rule: mistake, at: node)
                }
            }
        }
    }
}

/// A key that is accepted without being modelled, so that files written for the upstream project load.
package struct NotSupported: Sendable {
    let key: String
    let instead: String
    let type: ConfigType

    /// `instead` says what happens, as in "requests are never compressed". With a `type` that a text can hold the key
    /// is a flag too.
    package init(_ key: String, _ instead: String, type: ConfigType = .anything) {
        self.key = key
        self.instead = instead
        self.type = type
    }

    func erased<Root>() -> AnyField<Root> {
        AnyField(
            traits: FieldTraits(key: key, notSupported: instead),
            type: { type },
            decode: { _, _, _, _, _ in },
            encode: { _ in nil },
            isAt: { _ in false }
        )
    }
}

/// A key of a former layout, whose meaning has moved: writing it is a mistake, answered with where it went.
package struct Removed: Sendable {
    let key: String
    let instead: String

    /// `instead` says what to write, as in "write `routing.signals.keywords`".
    package init(_ key: String, _ instead: String) {
        self.key = key
        self.instead = instead
    }

    func erased<Root>() -> AnyField<Root> {
        var traits = FieldTraits(key: key)
        traits.removed = instead
        return AnyField(
            traits: traits,
            type: { .anything },
            decode: { _, _, _, _, _ in },
            encode: { _ in nil },
            isAt: { _ in false }
        )
    }
}

/// Fields that stand under one heading in the help text.
package struct FieldGroup<Root: Configurable>: Sendable {
    let fields: [AnyField<Root>]

    package init(_ title: String, @SchemaBuilder<Root> _ fields: () -> [AnyField<Root>]) {
        self.fields = fields().map {
            var field = $0
            field.traits.group = title
            return field
        }
    }
}
