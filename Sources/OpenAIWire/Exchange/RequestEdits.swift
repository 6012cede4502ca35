package import NIOCore

/// What the semantic core wants changed in a request before it goes on. Made without the request's bytes, so that
/// either front end can apply it.
package struct RequestEdits: Sendable, Equatable {
    package var headers: [HeaderEdit]
    package var body: [JSONEdit]

    package init(headers: [HeaderEdit] = [], body: [JSONEdit] = []) {
        self.headers = headers
        self.body = body
    }

    /// The body with these edits, and with `model` as the one model that it names; nil when that is the body as it is.
    ///
    /// - Throws: `internalError` for edits that do not fit the document.
    package func body(of document: JSONDocument, model: String) throws(RouterError) -> ByteBuffer? {
        var edits = body
        if !document.root.says(model: model) { edits.append(.set("model", JSONFragment(model))) }
        guard !edits.isEmpty else { return nil }
        do {
            return try edits.applied(to: document)
        } catch {
            throw RouterError(.internalError, origin: .internal, "The request could not be edited: \(error)")
        }
    }
}

extension JSONValue {
    /// Whether the object has exactly one `model`, with that value. Of several, a worker might read another than we did.
    fileprivate func says(model: String) -> Bool {
        var count = 0
        for member in members where member.key.isString(equalTo: "model") {
            count += 1
            guard count == 1, member.value.isString(equalTo: model) else { return false }
        }
        return count == 1
    }
}

/// A change to the header fields of one name, whose case does not matter. A list of edits is made in order, each on what
/// those before it left.
package enum HeaderEdit: Sendable, Equatable {
    /// Adds a field beside those of that name.
    case add(name: String, value: String)
    /// Replaces every field of that name by one.
    case set(name: String, value: String)
    /// Takes every field of that name away.
    case remove(name: String)
}
