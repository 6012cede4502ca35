/// Writes JSON text with members in the order they are given, so that the same value always gives the same bytes.
package struct JSONWriter {
    package private(set) var text = ""
    private let isIndented: Bool
    private var level = 0

    package init(isIndented: Bool) {
        self.isIndented = isIndented
    }

    /// Writes `token` as it is: a number, `true`, `false`.
    package mutating func raw(_ token: String) {
        text += token
    }

    package mutating func null() {
        text += "null"
    }

    /// Writes a quoted string with every character escaped that JSON demands (RFC 8259 §7).
    package mutating func string(_ value: String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case let control where control.value < 32:
                let digits = String(control.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.append(Character(scalar))
            }
        }
        text += "\""
    }

    package mutating func array<Element>(_ elements: [Element], _ write: (inout JSONWriter, Element) -> Void) {
        text += "["
        level += 1
        for (index, element) in elements.enumerated() {
            separate(isFirst: index == 0)
            write(&self, element)
        }
        level -= 1
        if !elements.isEmpty {
            breakLine()
        }
        text += "]"
    }

    package mutating func strings(_ values: [String]) {
        array(values) { $0.string($1) }
    }

    package mutating func object(_ members: (inout Object) -> Void) {
        text += "{"
        level += 1
        var object = Object(writer: self)
        // Drops this copy's hold on the text, so that the members append in place.
        text = ""
        members(&object)
        self = object.writer
        level -= 1
        if !object.isEmpty {
            breakLine()
        }
        text += "}"
    }

    /// The members of an object under construction.
    package struct Object {
        fileprivate var writer: JSONWriter
        fileprivate var isEmpty = true

        fileprivate init(writer: JSONWriter) {
            self.writer = writer
        }

        package mutating func member(_ key: String, _ write: (inout JSONWriter) -> Void) {
            writer.separate(isFirst: isEmpty)
            isEmpty = false
            writer.string(key)
            writer.text += writer.isIndented ? ": " : ":"
            write(&writer)
        }

        package mutating func member(_ key: String, _ value: String) {
            member(key) { $0.string(value) }
        }
    }

    private mutating func separate(isFirst: Bool) {
        if !isFirst {
            text += isIndented ? "," : ", "
        }
        breakLine()
    }

    private mutating func breakLine() {
        guard isIndented else { return }
        text += "\n" + String(repeating: "  ", count: level)
    }
}
