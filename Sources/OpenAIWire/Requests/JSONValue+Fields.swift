/// Reading of request fields: `null` counts as not given, as it does for vLLM, and a wrong type is the client's mistake,
/// reported by the field's path (`messages[2].content`).
extension JSONValue {
    /// The member's value unless it is missing or null.
    package func given(_ key: String) -> JSONValue? {
        guard let value = self[key], !value.isNull else { return nil }
        return value
    }

    func required(_ key: String, _ kind: Kind) throws(RouterError) -> JSONValue {
        guard let value = self[key] else { throw missing(key) }
        return try value.expect(kind)
    }

    func optional(_ key: String, _ kind: Kind) throws(RouterError) -> JSONValue? {
        try given(key)?.expect(kind)
    }

    func optionalString(_ key: String) throws(RouterError) -> String? { try optional(key, .string)?.string }
    func optionalBool(_ key: String) throws(RouterError) -> Bool? { try optional(key, .bool)?.bool }

    func optionalInt(_ key: String) throws(RouterError) -> Int? {
        guard let value = given(key) else { return nil }
        guard let number = value.int else { throw value.mustBe("an integer") }
        return number
    }

    func expect(_ kind: Kind) throws(RouterError) -> JSONValue {
        guard self.kind == kind else { throw mustBe(kind.phrase) }
        return self
    }

    /// The error of a value that is not `form` ("a string", "a list of …").
    func mustBe(_ form: String) -> RouterError {
        let name = path.description
        return .invalidRequest("\(name.isEmpty ? "the request body" : name) must be \(form)", parameter: name)
    }

    /// The error of an object without the member `key`.
    func missing(_ key: String) -> RouterError {
        let name = path.appending(.key(key)).description
        return .invalidRequest("\(name) is missing", parameter: name)
    }

    /// Whether all elements of this array are of one kind. True for an empty one.
    func elementsAre(_ kind: Kind) -> Bool {
        storage.nodes.withUnsafeBufferPointer { nodes in
            let end = Int(nodes[index].next)
            var element = index + 1
            while element < end {
                guard nodes[element].kind == kind else { return false }
                element = Int(nodes[element].next)
            }
            return true
        }
    }
}

extension JSONValue.Kind {
    fileprivate var phrase: String {
        switch self {
        case .object: "an object"
        case .array: "a list"
        case .string: "a string"
        case .number: "a number"
        case .bool: "true or false"
        case .null: "null"
        }
    }
}
