/// What is known of a kind of span before any has happened. Every module declares its own; the reference page lists
/// them.
///
/// A class, so that a span holds one pointer to it.
package final class SpanDefinition: Sendable {
    package enum Kind: String, Sendable {
        case `internal`
        /// Answers a request of another process.
        case server
        /// Waits for an answer of another process.
        case client
    }

    package let name: String
    package let kind: Kind
    package let help: String
    /// What it may say, for the reference page.
    package let attributes: [SpanAttribute]

    package init(_ name: String, _ kind: Kind, _ help: String, attributes: [SpanAttribute] = []) {
        self.name = name
        self.kind = kind
        self.help = help
        self.attributes = attributes
    }

    /// A step within the process.
    package convenience init(_ name: String, _ help: String, attributes: [SpanAttribute] = []) {
        self.init(name, .internal, help, attributes: attributes)
    }
}

/// The name of a fact that spans may state. Values never hold what a request says.
///
/// A class, so that a statement holds one pointer to it.
package final class SpanAttribute: Sendable {
    package let name: String
    package let help: String

    package init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
    }

    package enum Value: Hashable, Sendable {
        case text(String)
        case number(Int)
        case decimal(Double)
        case flag(Bool)
        case texts([String])
    }
}
