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

/// A change to one header field.
package enum HeaderEdit: Sendable, Equatable {
    /// Replaces every field of that name by one.
    case set(name: String, value: String)
    case remove(name: String)
}
