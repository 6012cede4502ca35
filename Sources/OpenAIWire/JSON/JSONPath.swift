/// The steps from a document's root to a value, such as `["messages", 2, "content"]`.
///
/// A string literal is one key, whatever dots it has.
package struct JSONPath: Hashable, Sendable, ExpressibleByArrayLiteral, ExpressibleByStringLiteral {
    package enum Step: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
        case key(String)
        case index(Int)

        package init(stringLiteral key: String) { self = .key(key) }
        package init(integerLiteral index: Int) { self = .index(index) }
    }

    package var steps: [Step]

    package init(_ steps: [Step] = []) { self.steps = steps }
    package init(arrayLiteral steps: Step...) { self.steps = steps }
    package init(stringLiteral key: String) { steps = [.key(key)] }

    package func appending(_ step: Step) -> JSONPath { JSONPath(steps + [step]) }

    package static func == (left: JSONPath, right: JSONPath) -> Bool { left.steps == right.steps }
}

extension JSONPath.Step: Hashable {
    /// Keys are equal scalar by scalar, as in JSON; `String` would take é for e + U+0301.
    package static func == (left: JSONPath.Step, right: JSONPath.Step) -> Bool {
        switch (left, right) {
        case (.key(let left), .key(let right)): left.utf8.elementsEqual(right.utf8)
        case (.index(let left), .index(let right)): left == right
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .key(var key): key.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        case .index(let index): hasher.combine(index)
        }
    }
}

extension JSONPath: CustomStringConvertible {
    /// As OpenAI names parameters: `messages[2].content`. The root is the empty text.
    package var description: String {
        var text = ""
        for step in steps {
            switch step {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .index(let index): text += "[\(index)]"
            }
        }
        return text
    }
}
