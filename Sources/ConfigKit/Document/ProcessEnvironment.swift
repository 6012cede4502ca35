import Glibc

/// Where `${NAME}` is looked up: the process's environment, or a table that a test hands in.
package struct ProcessEnvironment: Sendable, ExpressibleByDictionaryLiteral {
    private let lookUp: @Sendable (String) -> String?
    /// What a variable without a value and a default is taken for; nil makes it a mistake.
    private let standIn: @Sendable (String) -> String?

    package init(_ lookUp: @escaping @Sendable (String) -> String?) {
        self.init(lookUp: lookUp) { _ in nil }
    }

    private init(lookUp: @escaping @Sendable (String) -> String?, standIn: @escaping @Sendable (String) -> String?) {
        self.lookUp = lookUp
        self.standIn = standIn
    }

    package init(dictionaryLiteral elements: (String, String)...) {
        let table = Dictionary(elements) { $1 }
        self.init { table[$0] }
    }

    package subscript(name: String) -> String? {
        lookUp(name)
    }

    /// The variable's value, or what stands in for it.
    func valueOrStandIn(of name: String) -> String? {
        lookUp(name) ?? standIn(name)
    }

    /// Has no variable, and takes `${NAME}` for the text that it is: for judging a file by somebody who may not see what
    /// this process was started with.
    package static let unread = ProcessEnvironment(lookUp: { _ in nil }, standIn: { "${\($0)}" })

    /// The environment that this process was started with.
    package static let process = ProcessEnvironment { name in
        getenv(name).map { String(cString: $0) }
    }
}
