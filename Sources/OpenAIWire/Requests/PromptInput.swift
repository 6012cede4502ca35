/// A prompt in the four forms of OpenAI's `prompt` and `input` fields.
package enum PromptInput: Sendable {
    case text(JSONValue)
    /// One prompt each.
    case texts([JSONValue])
    /// One prompt as a list of token numbers.
    case tokenIDs(JSONValue)
    /// One list of token numbers per prompt.
    case tokenIDLists(JSONValue)

    init(_ value: JSONValue) throws(RouterError) {
        if value.isString {
            self = .text(value)
        } else if value.isArray, value.elementsAre(.string) {
            self = .texts(Array(value.elements))
        } else if value.isArray, value.elementsAre(.number) {
            self = .tokenIDs(value)
        } else if value.isArray, value.elementsAre(.array), value.elements.allSatisfy({ $0.elementsAre(.number) }) {
            self = .tokenIDLists(value)
        } else {
            throw value.mustBe("a string, a list of strings, a list of token numbers or a list of such lists")
        }
    }
}
