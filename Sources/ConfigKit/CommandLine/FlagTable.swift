/// A setting that can be written on a command line.
struct Flag: Sendable {
    /// `static-backends`.
    let name: String
    /// Other names, then former ones.
    let otherNames: [String]
    let formerNames: Set<String>
    /// The keys from the settings' root: one, or more for a setting inside a section.
    let keys: [String]
    let field: FieldDescription

    var isSwitch: Bool {
        guard case .scalar(.boolean) = field.type else { return false }
        return true
    }

    var isList: Bool {
        switch field.type {
        case .list, .map: true
        case .scalar, .choice, .section, .union, .tagged, .anything: false
        }
    }

    /// `--static-backends`, as messages and help print it.
    var label: String { "--\(name)" }
}

/// Every flag of a settings type, by name.
///
/// Sections contribute their settings under their own key (`health.interval` is `--health-interval`). What no text can
/// hold, such as a list of sections, has no flag.
struct FlagTable: Sendable {
    /// In the schema's order.
    let flags: [Flag]
    /// Keys from the root of each section whose settings are flags, with `-` for `_`.
    let sections: Set<[String]>
    private let indexes: [String: Int]

    /// - Precondition: no two settings have the same flag.
    init(_ type: any Configurable.Type) {
        var builder = Builder()
        builder.add(type, keys: [], group: nil, outer: [])
        flags = builder.flags
        sections = builder.sections
        var indexes: [String: Int] = [:]
        for (index, flag) in builder.flags.enumerated() {
            for name in [flag.name] + flag.otherNames {
                precondition(indexes.updateValue(index, forKey: name) == nil, "two settings have the flag --\(name)")
            }
        }
        self.indexes = indexes
    }

    /// The flag called exactly `name`; `_` counts as `-`.
    subscript(name: String) -> Flag? {
        indexes[Self.spelled(name)].map { flags[$0] }
    }

    /// Every name, the ones of switches also with `no-` before them.
    var names: [String] {
        flags.flatMap { flag in
            ([flag.name] + flag.otherNames).flatMap { flag.isSwitch ? [$0, "no-\($0)"] : [$0] }
        }
    }

    static func spelled(_ key: String) -> String {
        String(key.map { $0 == "_" ? "-" : $0 })
    }

    private struct Builder {
        var flags: [Flag] = []
        var sections: Set<[String]> = []

        mutating func add(_ type: any Configurable.Type, keys: [String], group: String?, outer: [ObjectIdentifier]) {
            // A type inside itself would give flags without end.
            guard !outer.contains(ObjectIdentifier(type)) else { return }
            for var field in type.fieldDescriptions {
                let path = keys + [field.traits.key]
                field = field.inGroup(field.traits.group ?? group)
                if case .section(let inner) = field.type {
                    sections.insert(path.map(FlagTable.spelled))
                    add(
                        inner,
                        keys: path,
                        group: field.traits.group ?? inner.schemaSummary.firstSentence,
                        outer: outer + [ObjectIdentifier(type)]
                    )
                } else if field.type.isFlag {
                    flags.append(flag(field, keys: keys))
                }
            }
        }

        private func flag(_ field: FieldDescription, keys: [String]) -> Flag {
            func name(_ key: String) -> String { FlagTable.spelled((keys + [key]).joined(separator: "-")) }
            let traits = field.traits
            return Flag(
                name: name(traits.key),
                otherNames: (traits.aliases + traits.formerKeys).map(name),
                formerNames: Set(traits.formerKeys.map(name)),
                keys: keys + [traits.key],
                field: field
            )
        }
    }
}

extension FieldDescription {
    fileprivate func inGroup(_ group: String?) -> FieldDescription {
        var traits = traits
        traits.group = group
        return FieldDescription(traits: traits, type: type, defaultValue: defaultValue)
    }
}

extension ConfigType {
    fileprivate var isFlag: Bool {
        switch self {
        case .scalar, .choice, .union: isScalar
        case .list(let element), .map(let element): element.isScalar
        case .section, .tagged, .anything: false
        }
    }
}

extension String {
    /// Up to the first full stop, without it.
    fileprivate var firstSentence: String {
        String(prefix { $0 != "." })
    }
}
