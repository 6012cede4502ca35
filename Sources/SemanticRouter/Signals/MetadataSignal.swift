package import ConfigKit
import OpenAIWire

/// Looks at the request's `metadata`, which a client fills as it likes: a wish, never an identity.
package struct MetadataSignals: SignalKind {
    package struct Predicate: Configurable, Equatable {
        package var equals: String?
        package var isOneOf: [String]?
        package var exists: Bool?

        package init() {}

        package static let schema = Schema<Self>("metadata predicate", "What the value must be.") {
            Field("equals", \.equals, "Exactly this text.")
            Field("in", \.isOneOf, "One of these texts.")
            Field("exists", \.exists, "Whether the key must be there, or must not.")
        }

        package func validate(_ report: inout ValidationReport) {
            let given = [equals != nil, isOneOf != nil, exists != nil].count { $0 }
            if given != 1 { report.error("needs exactly one of equals, in, exists", atPath: []) }
        }
    }

    package struct Settings: SignalSettings {
        package var name = ""
        package var description = ""
        package var key = ""
        package var predicate = Predicate()

        package init() {}

        package var signalName: String { name }

        package static let schema = Schema<Self>("metadata signal", "A value that the client sends along.") {
            Field("name", \.name, "The name that rules use.", example: "consent_denied").required().notEmpty()
                .headerSafe()
            Field("description", \.description, "For people.")
            Field("key", \.key, "The key in the request's `metadata`.", example: "consent").required().notEmpty()
            Field("predicate", \.predicate, "What its value must be.").required()
        }
    }

    package static let type = SignalType.metadata
    package static let summary = "Values of the request's `metadata`."

    /// OpenAI's API takes 16 entries; what stands behind these is not read.
    private static let mostEntries = 1024

    /// The values of the keys that rules ask for; of a key that stands more than once the last, as everywhere.
    private func read(_ metadata: JSONValue) -> [String: JSONValue] {
        var values: [String: JSONValue] = [:]
        for member in metadata.members.prefix(Self.mostEntries) {
            guard let key = member.key.string, keys.contains(key) else { continue }
            values[key] = member.value
        }
        return values
    }

    package let names: [String]
    private let rules: [Settings]
    private let keys: Set<String>

    package init(_ rules: [Settings]) {
        self.rules = rules
        names = rules.map(\.name)
        keys = Set(rules.map(\.key))
    }

    package func evaluate(_ prompt: Prompt) -> [SignalReading] {
        let values = prompt.metadata.map(read) ?? [:]
        return rules.map { rule in
            let value = values[rule.key]
            let predicate = rule.predicate
            let isPresent =
                if let text = predicate.equals {
                    value?.isString(equalTo: text) ?? false
                } else if let texts = predicate.isOneOf {
                    texts.contains { value?.isString(equalTo: $0) ?? false }
                } else {
                    (value != nil) == predicate.exists
                }
            return isPresent ? .present() : .absent
        }
    }
}
