import OpenAIWire

/// An object of a `tokenizer.json` with its place in the file, so that everything wrong with it can be named.
///
/// Asking for a member checks its type; `finish` refuses members that nobody has asked for, so that no setting is passed
/// over in silence.
struct FileObject {
    /// The name of the file, for errors.
    let file: String
    /// Such as `pre_tokenizer.pretokenizers[1]`; empty for the whole file.
    let path: String
    private let value: JSONValue
    private var asked: Set<String> = []

    init(_ value: JSONValue, path: String, file: String) throws(TokenizerError) {
        (self.value, self.path, self.file) = (value, path, file)
        guard value.isObject else { throw error("is not an object") }
    }

    /// An error about this object.
    func error(_ problem: String) -> TokenizerError {
        TokenizerError(file: file, problem: path.isEmpty ? "the file \(problem)" : "\(path) \(problem)")
    }

    /// An error about a member of it.
    func error(_ key: String, _ problem: String) -> TokenizerError {
        TokenizerError(file: file, problem: "\(place(of: key)) \(problem)")
    }

    private func place(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// The member, or nil when it is missing or null.
    mutating func optional(_ key: String) -> JSONValue? {
        asked.insert(key)
        guard let found = value[key], !found.isNull else { return nil }
        return found
    }

    mutating func required(_ key: String) throws(TokenizerError) -> JSONValue {
        guard let found = optional(key) else { throw error(key, "is missing") }
        return found
    }

    mutating func optionalString(_ key: String) throws(TokenizerError) -> String? {
        guard let found = optional(key) else { return nil }
        guard let text = found.string else { throw error(key, "is not a string") }
        return text
    }

    mutating func string(_ key: String) throws(TokenizerError) -> String {
        guard let text = try optionalString(key) else { throw error(key, "is missing") }
        return text
    }

    mutating func optionalBool(_ key: String) throws(TokenizerError) -> Bool? {
        guard let found = optional(key) else { return nil }
        guard let flag = found.bool else { throw error(key, "is neither true nor false") }
        return flag
    }

    mutating func bool(_ key: String) throws(TokenizerError) -> Bool {
        guard let flag = try optionalBool(key) else { throw error(key, "is missing") }
        return flag
    }

    mutating func optionalInt(_ key: String) throws(TokenizerError) -> Int? {
        guard let found = optional(key) else { return nil }
        guard let number = found.int, number >= 0 else { throw error(key, "is not a whole number from 0 on") }
        return number
    }

    mutating func object(_ key: String) throws(TokenizerError) -> FileObject {
        try FileObject(required(key), path: place(of: key), file: file)
    }

    mutating func optionalObject(_ key: String) throws(TokenizerError) -> FileObject? {
        guard let found = optional(key) else { return nil }
        return try FileObject(found, path: place(of: key), file: file)
    }

    /// The elements of an array of objects.
    mutating func objects(_ key: String) throws(TokenizerError) -> [FileObject] {
        let found = try required(key)
        guard found.isArray else { throw error(key, "is not an array") }
        var objects: [FileObject] = []
        for element in found.elements {
            objects.append(try FileObject(element, path: "\(place(of: key))[\(objects.count)]", file: file))
        }
        return objects
    }

    /// Its members, all of them objects, of which none need be asked for any more.
    mutating func objects() throws(TokenizerError) -> [(name: String, object: FileObject)] {
        var objects: [(String, FileObject)] = []
        for member in value.members {
            let name = member.key.string ?? ""
            asked.insert(name)
            objects.append((name, try FileObject(member.value, path: place(of: name), file: file)))
        }
        return objects
    }

    /// The names of its members.
    var keys: [String] { value.members.compactMap(\.key.string) }

    /// Names of members that say nothing here.
    mutating func ignore(_ keys: String...) { asked.formUnion(keys) }

    /// Refuses members that nobody has asked for.
    func finish() throws(TokenizerError) {
        for key in keys where !asked.contains(key) { throw error(key, "is not known") }
    }

    /// A token's number, in a vocabulary of so many tokens.
    ///
    /// There are tables by number: one that is far beyond how many there are would fill memory with nothing. Four numbers a
    /// token and 65,536 more leave room for every gap that published vocabularies have.
    static func tokenID(_ value: JSONValue, tokens: Int) -> Int32? {
        guard let number = value.int, number >= 0, number < min(tokens, mostTokens) * 4 + 65_536 else { return nil }
        return Int32(number)
    }

    /// 2^24: sixty times the largest vocabulary in use.
    static let mostTokens = 1 << 24
}
