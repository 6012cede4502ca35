/// What the semantic core wants changed in a request before it goes on. Made without the request's bytes, so that
/// either front end can apply it.
package struct RequestEdits: Sendable, Equatable {
    package var headers: [HeaderEdit]
    package var body: [JSONEdit]

    package init(headers: [HeaderEdit] = [], body: [JSONEdit] = []) {
        self.headers = headers
        self.body = body
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
