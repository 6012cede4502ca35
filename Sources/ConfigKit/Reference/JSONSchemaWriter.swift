/// Writes types as JSON Schema (https://json-schema.org/draft/2020-12).
struct JSONSchemaWriter {
    let types: SettingsTypes

    /// The definition of a settings type.
    func write(_ type: any Configurable.Type, to writer: inout JSONWriter) {
        let fields = type.fieldDescriptions
        writer.object { object in
            object.member("type", "object")
            object.member("description", type.schemaSummary)
            object.member("additionalProperties") { $0.raw("false") }
            let required = fields.filter(\.traits.isRequired).map(\.traits.key)
            if !required.isEmpty {
                object.member("required") { $0.strings(required) }
            }
            object.member("properties") { writer in
                writer.object { properties in
                    for field in fields {
                        properties.member(field.traits.key) { write(field, isDeprecated: false, to: &$0) }
                        for key in field.traits.aliases + field.traits.formerKeys {
                            properties.member(key) { write(field, isDeprecated: true, to: &$0) }
                        }
                    }
                }
            }
        }
    }

    private func write(_ field: FieldDescription, isDeprecated: Bool, to writer: inout JSONWriter) {
        let traits = field.traits
        writer.object { object in
            let notSupported = traits.notSupported.map { "Not supported: \($0.ended)" } ?? ""
            let description = [traits.summary, notSupported].filter { !$0.isEmpty }.joined(separator: " ")
            object.member("description", description)
            addType(field.type, to: &object)
            if let bounds = traits.bounds { addBounds(bounds, to: &object) }
            if let count = traits.countBounds { addCount(count, of: field.type, to: &object) }
            if let value = field.defaultValue, field.defaultText != nil, !traits.isSecret {
                object.member("default") { value.write(to: &$0) }
            }
            if isDeprecated || traits.notSupported != nil {
                object.member("deprecated") { $0.raw("true") }
            }
        }
    }

    private func addType(_ type: ConfigType, to object: inout JSONWriter.Object) {
        switch type {
        case .scalar(let kind):
            object.member("type") { $0.jsonTypes(kind.jsonTypes) }
        case .choice(let words):
            object.member("enum") { $0.strings(words) }
        case .list(let element):
            object.member("type", "array")
            object.member("items") { write(element, to: &$0) }
        case .map(let element):
            object.member("type", "object")
            object.member("additionalProperties") { write(element, to: &$0) }
        case .section(let section):
            object.member("$ref", "#/$defs/\(types.name(of: section))")
        case .union(let types):
            object.member("anyOf") { writer in writer.array(types) { write($1, to: &$0) } }
        case .tagged(let key, let cases):
            addTagged(key, cases, to: &object)
        case .anything:
            break
        }
    }

    private func write(_ type: ConfigType, to writer: inout JSONWriter) {
        writer.object { addType(type, to: &$0) }
    }

    /// Each case's own keys are checked where its section is decoded; here the word is, because one object cannot be
    /// closed against other keys by two schemas at once.
    private func addTagged(_ key: String, _ cases: [ConfigType.TaggedCase], to object: inout JSONWriter.Object) {
        object.member("type", "object")
        object.member("required") { $0.strings([key]) }
        object.member("properties") { writer in
            writer.object { properties in
                properties.member(key) { writer in
                    writer.object { $0.member("enum") { $0.strings(cases.map(\.tag)) } }
                }
            }
        }
    }

    /// Only numbers have bounds in JSON Schema; those of durations and sizes are checked where they are decoded.
    private func addBounds(_ bounds: BoundsText, to object: inout JSONWriter.Object) {
        if let minimum = bounds.minimum, NumberText.number(minimum) != nil {
            object.member("minimum") { $0.raw(minimum) }
        }
        if let maximum = bounds.maximum, NumberText.number(maximum) != nil {
            object.member(bounds.excludesMaximum ? "exclusiveMaximum" : "maximum") { $0.raw(maximum) }
        }
    }

    private func addCount(_ count: BoundsText, of type: ConfigType, to object: inout JSONWriter.Object) {
        let noun = if case .map = type { "Properties" } else { "Items" }
        if let minimum = count.minimum { object.member("min\(noun)") { $0.raw(minimum) } }
        if let maximum = count.maximum, !count.excludesMaximum { object.member("max\(noun)") { $0.raw(maximum) } }
    }
}

extension JSONWriter {
    fileprivate mutating func jsonTypes(_ names: [String]) {
        if names.count == 1 {
            string(names[0])
        } else {
            strings(names)
        }
    }
}
