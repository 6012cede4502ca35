import OpenAIWire

/// Makes a value that satisfies a JSON Schema's required parts: what the simulated model puts into tool calls and into
/// answers with a `response_format`.
enum SchemaExample {
    /// Deeper schemas get null: a schema comes from the request and may nest without end.
    private static let maxDepth = 16

    /// Reads `const`, `enum`, `default`, `type`, `properties`, `required`, `items`, `minItems`, `minimum`, `anyOf`, `oneOf`
    /// and `allOf`'s first alternatives; other keywords are not looked at.
    static func value(for schema: JSONValue?, depth: Int = 0) -> JSONFragment {
        guard let schema, schema.isObject, depth < maxDepth else { return schema == nil ? .object([]) : .null }
        if let constant = schema["const"] { return JSONFragment(constant) }
        if let first = schema["enum"]?[0] { return JSONFragment(first) }
        if let initial = schema["default"] { return JSONFragment(initial) }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let first = schema[key]?[0] { return value(for: first, depth: depth + 1) }
        }
        switch type(of: schema) {
        case "string": return "text"
        case "integer": return JSONFragment(schema["minimum"]?.int ?? 1)
        case "number": return JSONFragment(schema["minimum"]?.double ?? 1.5)
        case "boolean": return true
        case "array":
            // A handful at most: `minItems` comes from the request too.
            let count = min(max(schema["minItems"]?.int ?? 1, 0), 8)
            let item = value(for: schema["items"], depth: depth + 1)
            return .array(repeatElement(item, count: count))
        case "null": return .null
        default: return object(schema, depth: depth)
        }
    }

    private static func object(_ schema: JSONValue, depth: Int) -> JSONFragment {
        let properties = schema["properties"]
        var members: [(String, JSONFragment)] = []
        for name in schema["required"]?.elements.compactMap(\.string) ?? [] {
            let property = properties?[name]
            members.append((name, property == nil ? "text" : value(for: property, depth: depth + 1)))
        }
        return .object(members)
    }

    private static func type(of schema: JSONValue) -> String? {
        guard let type = schema["type"] else { return nil }
        // A list of types means any of them.
        return type.string ?? type[0]?.string
    }
}
