/// What a setting may hold, as documentation, JSON Schema and the command line need to know it.
package indirect enum ConfigType: Sendable {
    case scalar(ScalarKind)
    /// One of a few words.
    case choice([String])
    case list(ConfigType)
    /// Keys chosen by the user.
    case map(ConfigType)
    /// A settings type with its own schema. Referred to, not contained: a type may hold itself.
    case section(any Configurable.Type)
    case union([ConfigType])
    /// Sections of several types, told apart by the word under `key`.
    case tagged(key: String, cases: [TaggedCase])
    /// Any YAML.
    case anything

    package struct TaggedCase: Sendable {
        package let tag: String
        package let type: any Configurable.Type

        package init(_ tag: String, _ type: any Configurable.Type) {
            self.tag = tag
            self.type = type
        }
    }

    /// A kind of value that is written as one text, number or switch.
    package struct ScalarKind: Hashable, Sendable {
        /// The word in reference tables: `duration`.
        package let name: String
        /// What a message says was expected: `a duration such as 250ms, 10s or 5m`.
        package let expected: String
        /// JSON's names of the types it may be written as: `string`, `integer`, `number`, `boolean`.
        package let jsonTypes: [String]

        package init(_ name: String, expected: String, jsonTypes: [String] = ["string"]) {
            self.name = name
            self.expected = expected
            self.jsonTypes = jsonTypes
        }

        package static let text = ScalarKind("text", expected: "a text")
        package static let integer = ScalarKind("whole number", expected: "a whole number", jsonTypes: ["integer"])
        package static let number = ScalarKind("number", expected: "a number", jsonTypes: ["number"])
        package static let boolean = ScalarKind("true/false", expected: "true or false", jsonTypes: ["boolean"])
    }

    package static let text = ConfigType.scalar(.text)
}

extension ConfigType {
    /// The type in words: `list of text`.
    package var name: String {
        switch self {
        case .scalar(let kind): kind.name
        case .choice: "word"
        case .list(let element): "list of \(element.name)"
        case .map(let element): "map of \(element.name)"
        case .section(let type): type.schemaName
        case .union(let types): types.map(\.name).joined(separator: " or ")
        case .tagged(let key, _): "section by \(key)"
        case .anything: "any YAML"
        }
    }

    /// The words a value is chosen from, if it is.
    var choices: [String]? {
        switch self {
        case .choice(let words): words
        case .list(let element), .map(let element): element.choices
        case .union(let types): types.lazy.compactMap(\.choices).first
        case .scalar, .section, .tagged, .anything: nil
        }
    }

    /// The settings types inside, which documentation describes on their own.
    var sections: [any Configurable.Type] {
        switch self {
        case .section(let type): [type]
        case .list(let element), .map(let element): element.sections
        case .union(let types): types.flatMap(\.sections)
        case .tagged(_, let cases): cases.map(\.type)
        case .scalar, .choice, .anything: []
        }
    }

    /// True where one text on a command line can hold the value.
    var isScalar: Bool {
        switch self {
        case .scalar, .choice: true
        case .union(let types): types.contains { $0.isScalar }
        case .list, .map, .section, .tagged, .anything: false
        }
    }
}
