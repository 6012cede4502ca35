/// Reading and writing of numbers as configuration files spell them.
enum NumberText {
    /// Decimal, `0x`, `0o` and `0b` integers with an optional sign and `_` between digits; nil for anything else and
    /// for values beyond 64 bits.
    static func integer(_ text: String) -> Int? {
        var digits = text[...]
        var isNegative = false
        if let sign = digits.first, sign == "-" || sign == "+" {
            isNegative = sign == "-"
            digits.removeFirst()
        }
        var radix = 10
        for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            radix = base
            digits.removeFirst(2)
        }
        guard let first = digits.utf8.first, first != UInt8(ascii: "_"), first != UInt8(ascii: "+"),
            first != UInt8(ascii: "-"), digits.utf8.last != UInt8(ascii: "_")
        else { return nil }
        let plain = digits.utf8.contains(UInt8(ascii: "_")) ? digits.filter { $0 != "_" } : String(digits)
        return Int((isNegative ? "-" : "") + plain, radix: radix)
    }

    /// A finite decimal number; nil for anything else, `nan` and `inf` and hexadecimal floats included.
    static func number(_ text: String) -> Double? {
        if let integer = integer(text) {
            return Double(integer)
        }
        guard let first = text.utf8.first, let last = text.utf8.last,
            text.utf8.allSatisfy({ isNumberByte($0) }),
            first != UInt8(ascii: "e"), first != UInt8(ascii: "E"), last != UInt8(ascii: "-"),
            let value = Double(text), value.isFinite
        else { return nil }
        return value
    }

    /// The shortest text that reads as `value`: `3`, `0.5`.
    static func text(_ value: Double) -> String {
        if value.rounded() == value, value.magnitude < 1e15 {
            return String(Int(value))
        }
        return "\(value)"
    }

    /// True for text that was meant as a whole number, so that a message can say that it is too large.
    static func isDigits(_ text: String) -> Bool {
        let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
        return !digits.isEmpty && digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    private static func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default:
            false
        }
    }
}
