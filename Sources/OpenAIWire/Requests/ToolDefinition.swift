/// A tool that a request offers to the model, in the form of any of the three APIs:
/// OpenAI chat (`{"type": "function", "function": {…}}`), OpenAI responses (`{"type": "function", "name": …}`),
/// Anthropic (`{"name": …, "input_schema": …}`).
package struct ToolDefinition: Sendable {
    /// The whole definition.
    package let value: JSONValue
    /// The function's name; for tools that the server brings itself (`web_search`), the type.
    package let name: String
    package let description: JSONValue?
    /// The JSON schema of the arguments.
    package let parameters: JSONValue?

    init(_ value: JSONValue) throws(RouterError) {
        self.value = try value.expect(.object)
        let function = try value.optional("function", .object) ?? value
        if let name = try function.optionalString("name") {
            self.name = name
        } else if let type = try value.optionalString("type"), type != "function" {
            name = type
        } else {
            throw function.missing("name")
        }
        description = try function.optional("description", .string)
        parameters = function.given("parameters") ?? function.given("input_schema")
    }

    /// The tools of a request; none when the field is missing or null.
    static func all(of root: JSONValue) throws(RouterError) -> [ToolDefinition] {
        guard let tools = try root.optional("tools", .array) else { return [] }
        var definitions: [ToolDefinition] = []
        for tool in tools.elements { definitions.append(try ToolDefinition(tool)) }
        return definitions
    }
}
