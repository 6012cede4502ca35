/// The reference of a settings type as Markdown and as JSON Schema. The same schema always gives the same bytes.
package struct ReferenceRenderer<Settings: Configurable>: Sendable {
    package init() {}

    // MARK: - Markdown

    /// One section per settings type, in the order in which they are met; `level` is the first heading's.
    package func markdown(level: Int = 2) -> String {
        let types = SettingsTypes(of: Settings.self)
        return types.all.map { section(for: $0, types: types, level: level) }.joined(separator: "\n")
    }

    private func section(for type: any Configurable.Type, types: SettingsTypes, level: Int) -> String {
        var lines = ["\(String(repeating: "#", count: level)) `\(types.name(of: type))`", "", type.schemaSummary.ended]
        let fields = type.fieldDescriptions
        let modelled = fields.filter { $0.defaultValue != nil }
        if !modelled.isEmpty {
            lines += ["", "| key | type | default | meaning |", "|---|---|---|---|"]
            lines += modelled.map { row(for: $0, types: types) }
        }
        let ignored = fields.filter { $0.defaultValue == nil }
        if !ignored.isEmpty {
            lines += ["", "Accepted without an effect:", ""]
            lines += ignored.map { "- `\($0.traits.key)`: \(($0.traits.notSupported ?? "").ended.escaped)" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func row(for field: FieldDescription, types: SettingsTypes) -> String {
        let traits = field.traits
        let isSection = if case .section = field.type { true } else { false }
        let fallback = isSection ? nil : field.defaultText
        let cells = [
            "`\(traits.key)`" + (traits.isAddition ? " †" : ""),
            types.text(for: field.type),
            traits.isRequired ? "required" : fallback.map { "`\($0)`" } ?? "–",
            field.meaning,
        ]
        return "| " + cells.map(\.escaped).joined(separator: " | ") + " |"
    }

    // MARK: - JSON Schema

    /// A schema of draft 2020-12, which editors and Helm check files against.
    package func jsonSchema(title: String? = nil) -> String {
        let types = SettingsTypes(of: Settings.self)
        var writer = JSONWriter(isIndented: true)
        writer.object { object in
            object.member("$schema", "https://json-schema.org/draft/2020-12/schema")
            object.member("title", title ?? Settings.schema.name)
            object.member("$ref", "#/$defs/\(types.name(of: Settings.self))")
            object.member("$defs") { writer in
                writer.object { definitions in
                    for type in types.all {
                        definitions.member(types.name(of: type)) { JSONSchemaWriter(types: types).write(type, to: &$0) }
                    }
                }
            }
        }
        return writer.text + "\n"
    }
}

extension CommandLineReader {
    /// The flags as Markdown, one table per heading.
    package func markdown(level: Int = 2) -> String {
        FlagGroup.groups(of: table.flags).map { group in
            var lines = ["\(String(repeating: "#", count: level)) \(group.title ?? "Settings")", ""]
            let variables = environmentPrefix == nil ? ("", "") : (" variable |", "---|")
            lines += ["| flag |\(variables.0) type | default | meaning |", "|---|\(variables.1)---|---|---|"]
            lines += group.flags.map { flag in
                var cells = ["`\(flag.label)`" + (flag.field.traits.isAddition ? " †" : "")]
                if let environmentPrefix { cells.append("`\(environmentPrefix)\(FlagTable.variable(flag.name))`") }
                cells.append(flag.field.type.name)
                cells.append(flag.field.traits.isRequired ? "required" : flag.defaultText.map { "`\($0)`" } ?? "–")
                cells.append(flag.field.meaning)
                return "| " + cells.map(\.escaped).joined(separator: " | ") + " |"
            }
            return lines.joined(separator: "\n") + "\n"
        }
        .joined(separator: "\n")
    }
}

extension FieldDescription {
    /// Everything about the field that is neither its type nor its default.
    fileprivate var meaning: String {
        var sentences = [traits.summary.ended]
        if let choices = type.choices {
            sentences.append("One of \(choices.map { "`\($0)`" }.joined(separator: ", ")).")
        }
        if let bounds = traits.bounds { sentences.append("\(bounds.words.capitalizedFirst).") }
        if let count = traits.countBounds { sentences.append("Number of elements: \(count.words).") }
        sentences += traits.rules.map { "\($0.capitalizedFirst)." }
        if let unit = bareUnit { sentences.append("A bare number is in \(unit).") }
        if let example = traits.example { sentences.append("Example: `\(example)`.") }
        if !traits.aliases.isEmpty {
            sentences.append("Also called \(traits.aliases.map { "`\($0)`" }.joined(separator: ", ")).")
        }
        if traits.isSecret { sentences.append("Never printed.") }
        if let instead = traits.notSupported { sentences.append("**Not supported:** \(instead.ended)") }
        return sentences.filter { !$0.isEmpty }.joined(separator: " ")
    }

    private var bareUnit: String? {
        guard case .scalar(Duration.kind) = type else { return nil }
        return "\(traits.unit)"
    }
}

extension String {
    /// Safe inside a table's cell.
    fileprivate var escaped: String {
        var text = ""
        for character in self {
            switch character {
            case "|": text += "\\|"
            case "\n", "\r\n": text += " "
            default: text.append(character)
            }
        }
        return text
    }
}
