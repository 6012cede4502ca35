/// A TCP port; 0 asks the system for a free one.
package struct Port: Hashable, Comparable, Sendable {
    package let number: UInt16

    package init(_ number: UInt16) {
        self.number = number
    }

    package static func < (left: Port, right: Port) -> Bool { left.number < right.number }

    /// Reads decimal digits only.
    init?(digits: some StringProtocol) {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let number = UInt16(digits)
        else { return nil }
        self.init(number)
    }
}

extension Port: ExpressibleByIntegerLiteral {
    package init(integerLiteral value: UInt16) {
        self.init(value)
    }
}

extension Port: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind {
        ConfigType.ScalarKind("port", expected: "a port from 0 to 65535", jsonTypes: ["integer"])
    }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> Port {
        guard let port = Port(digits: text) else { throw ScalarMistake() }
        return port
    }

    package var configText: String { String(number) }
}
