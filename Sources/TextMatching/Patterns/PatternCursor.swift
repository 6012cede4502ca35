/// A place in a pattern's source, and the small words of its syntax.
struct PatternCursor {
    /// Valid UTF-8, since it comes from a string.
    let bytes: [UInt8]
    private(set) var offset = 0

    /// Where the last `:]` is, so that a pattern full of `[:` is not searched to its end for each.
    private let lastNameEnd: Int

    init(_ pattern: String) {
        let bytes = Array(pattern.utf8)
        self.bytes = bytes
        lastNameEnd = bytes.indices.dropLast().last { bytes[$0...].starts(with: ":]".utf8) } ?? -1
    }

    /// The byte `distance` further on, if there is one.
    func peek(_ distance: Int = 0) -> UInt8? {
        offset + distance < bytes.count ? bytes[offset + distance] : nil
    }

    mutating func skip(_ count: Int) { offset += count }

    func hasPrefix(_ prefix: StaticString) -> Bool {
        prefix.withUTF8Buffer { bytes[offset...].starts(with: $0) }
    }

    /// Moves behind `word`, if it is here.
    mutating func take(_ word: StaticString) -> Bool {
        guard hasPrefix(word) else { return false }
        offset += word.utf8CodeUnitCount
        return true
    }

    /// Where the next `:]` from `start` on is.
    func nameEnd(from start: Int) -> Int? {
        guard start <= lastNameEnd else { return nil }
        return (start...lastNameEnd).first { bytes[$0...].starts(with: ":]".utf8) }
    }

    /// The source from `start` to `end`, by default to here.
    func text(from start: Int, to end: Int? = nil) -> String {
        String(decoding: bytes[start..<min(end ?? offset, bytes.count)], as: UTF8.self)
    }

    /// The same for a message: no more than 40 characters of it.
    func quote(from start: Int, to end: Int? = nil) -> String {
        let text = text(from: start, to: end)
        return text.count > 40 ? "\(text.prefix(40))…" : text
    }

    mutating func takeScalar() -> UInt32? {
        guard let first = peek() else { return nil }
        let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        var value = UInt32(first) & (length == 1 ? 0x7F : 0xFF >> UInt32(length + 1))
        for byte in bytes[offset..<min(offset + length, bytes.count)].dropFirst() {
            value = value << 6 | UInt32(byte & 0x3F)
        }
        offset = min(offset + length, bytes.count)
        return value
    }

    /// Moves behind `{n}`, `{n,}` or `{n,m}`. Anything else in braces is text. Counts that no limit allows, of 8 digits
    /// and more, are cut to 8.
    mutating func takeCounts() -> (minimum: Int, maximum: Int?)? {
        var ahead = self
        ahead.skip(1)
        guard let minimum = ahead.takeNumber() else { return nil }
        var maximum: Int? = minimum
        if ahead.take(",") {
            maximum = nil
            if ahead.peek() != UInt8(ascii: "}") {
                guard let number = ahead.takeNumber() else { return nil }
                maximum = number
            }
        }
        guard ahead.take("}") else { return nil }
        self = ahead
        return (minimum, maximum)
    }

    private mutating func takeNumber() -> Int? {
        let start = offset
        while let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { skip(1) }
        let digits = bytes[start..<offset]
        guard let first = digits.first, digits.count == 1 || first != UInt8(ascii: "0") else { return nil }
        return digits.prefix(8).reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }
}

// Escapes of one scalar
extension PatternCursor {
    /// Reads an escape that means one scalar.
    mutating func takeEscapedScalar() throws(PatternError) -> UInt32 {
        let start = offset
        skip(1)
        guard let name = peek() else {
            throw PatternError("the pattern ends in `\\`; write `\\\\` for a backslash", offset: start)
        }
        switch name {
        case UInt8(ascii: "a"): return takeControl(0x07)
        case UInt8(ascii: "f"): return takeControl(0x0C)
        case UInt8(ascii: "n"): return takeControl(0x0A)
        case UInt8(ascii: "r"): return takeControl(0x0D)
        case UInt8(ascii: "t"): return takeControl(0x09)
        case UInt8(ascii: "v"): return takeControl(0x0B)
        case UInt8(ascii: "x"):
            skip(1)
            return try takeHexadecimal(start: start)
        case UInt8(ascii: "0"): return takeOctal()
        case UInt8(ascii: "1")...UInt8(ascii: "7"):
            // One digit would be a back-reference; more of them are octal, as in Go.
            if let next = peek(1), next >= UInt8(ascii: "0"), next <= UInt8(ascii: "7") { return takeOctal() }
        case 0x80...: break
        default:
            if Surrounding(name) != .word || name == UInt8(ascii: "_") {
                skip(1)
                return UInt32(name)
            }
        }
        throw unknownEscape(at: start)
    }

    private mutating func takeControl(_ value: UInt32) -> UInt32 {
        skip(1)
        return value
    }

    private mutating func takeOctal() -> UInt32 {
        var value: UInt32 = 0
        var digits = 0
        while digits < 3, let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "7") {
            value = value * 8 + UInt32(byte - UInt8(ascii: "0"))
            digits += 1
            skip(1)
        }
        return value
    }

    /// Reads what follows `\x`: two digits, or any number of them in braces.
    private mutating func takeHexadecimal(start: Int) throws(PatternError) -> UInt32 {
        let isBraced = take("{")
        var value: UInt32 = 0
        var digits = 0
        while let byte = peek(), let digit = Self.hexadecimalValue(byte), isBraced || digits < 2 {
            // Stays above every scalar without overflow.
            value = min(value * 16 + digit, 0x110000)
            digits += 1
            skip(1)
        }
        let isComplete = isBraced ? digits > 0 && take("}") : digits == 2
        guard isComplete, value <= ScalarSet.last else {
            let message = "`\(quote(from: start))` is not a scalar; write `\\x7F`, or `\\x{…}` with up to 10FFFF"
            throw PatternError(message, offset: start)
        }
        return value
    }

    private static func hexadecimalValue(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    private func unknownEscape(at start: Int) -> PatternError {
        var rest = self
        _ = rest.takeScalar()
        let escape = rest.text(from: start)
        let advice =
            switch bytes[start + 1] {
            case UInt8(ascii: "1")...UInt8(ascii: "9"), UInt8(ascii: "k"), UInt8(ascii: "g"):
                "is a back-reference, which cannot be matched in linear time; write the text out"
            case UInt8(ascii: "Z"): "is not supported; write `\\z`, or `\\n?\\z` to allow a newline at the end"
            case UInt8(ascii: "u"), UInt8(ascii: "U"): "is not supported; write `\\x{…}` with the hexadecimal value"
            case UInt8(ascii: "h"): "is not supported; write `[[:blank:]]`"
            case UInt8(ascii: "R"): "is not supported; write `\\r?\\n`"
            case UInt8(ascii: "N"): "is not supported; write `[^\\n]`"
            default: "means nothing; leave the backslash out for the character itself"
            }
        return PatternError("`\(escape)` \(advice)", offset: start)
    }
}
