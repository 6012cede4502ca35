import Glibc

/// Where `${NAME}` is looked up: the process's environment, or a table that a test hands in.
package struct ProcessEnvironment: Sendable, ExpressibleByDictionaryLiteral {
    private let lookUp: @Sendable (String) -> String?

    package init(_ lookUp: @escaping @Sendable (String) -> String?) {
        self.lookUp = lookUp
    }

    package init(dictionaryLiteral elements: (String, String)...) {
        let table = Dictionary(elements) { $1 }
        self.init { table[$0] }
    }

    package subscript(name: String) -> String? {
        lookUp(name)
    }

    /// The environment that this process was started with.
    package static let process = ProcessEnvironment { name in
        getenv(name).map { String(cString: $0) }
    }
}
