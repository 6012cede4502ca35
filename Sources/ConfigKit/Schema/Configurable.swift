/// A settings type: a value with defaults, and a schema that says how it is written.
///
/// ```swift
/// struct ServerSettings: Configurable {
///     var port = 8001
///     static let schema = Schema<Self>("server", "Where requests arrive.") {
///         Field("port", \.port, "The TCP port to listen on.").range(1...65535)
///     }
/// }
/// ```
package protocol Configurable: ConfigValue {
    /// The defaults.
    init()

    static var schema: Schema<Self> { get }

    /// Checks what one field alone cannot know. Runs after decoding, also when parts of the value could not be read:
    /// ask `report.isSound` before judging one field by another.
    func validate(_ report: inout ValidationReport)
}

extension Configurable {
    package func validate(_ report: inout ValidationReport) {}

    package static var configType: ConfigType { .section(Self.self) }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Self? {
        decode(node, over: Self(), with: &decoder)
    }

    package static func decode(_ node: ConfigNode, over base: Self, with decoder: inout ConfigDecoder) -> Self? {
        let entries: [ConfigNode.Entry]
        switch node.content {
        case .mapping(let written):
            entries = written
        case .null:
            entries = []
        case .scalar, .list, .unexpanded, .unreadable:
            decoder.mismatch(node, expected: "a mapping")
            return nil
        }
        var value = base
        schema.decode(entries, in: node, into: &value, with: &decoder)
        var report = ValidationReport(node: node, decoder: decoder)
        value.validate(&report)
        decoder.add(report.diagnostics)
        return value
    }

    package static func decodeAbsent(
        at node: ConfigNode,
        over base: Self,
        with decoder: inout ConfigDecoder
    ) -> Self? {
        decode(node, over: base, with: &decoder)
    }

    package var configNode: ConfigNode { Self.schema.encode(self) }
}

// MARK: - Reading settings

extension Configurable {
    /// The settings in `document`, with everything that is wrong with it.
    package static func decode(_ document: ConfigDocument, options: DecodingOptions = .init()) -> ConfigResult<Self> {
        var decoder = ConfigDecoder(options: options, diagnostics: document.diagnostics)
        let value = document.root.flatMap { decode($0, with: &decoder) }
        return ConfigResult(value, decoder: decoder)
    }

    /// The settings in the file at `path`.
    package static func load(_ path: String, options: DecodingOptions = .init()) -> ConfigResult<Self> {
        decode(ConfigDocument.load(path, environment: options.environment), options: options)
    }

    /// The settings in YAML text.
    package static func parse(
        _ text: String,
        name: String = "settings.yaml",
        options: DecodingOptions = .init()
    ) -> ConfigResult<Self> {
        decode(ConfigDocument.parse(text: text, name: name, environment: options.environment), options: options)
    }
}

// MARK: - Descriptions without the type

extension Configurable {
    static var schemaName: String { schema.name }
    static var schemaSummary: String { schema.summary }
    static var fieldDescriptions: [FieldDescription] { schema.descriptions }
}
