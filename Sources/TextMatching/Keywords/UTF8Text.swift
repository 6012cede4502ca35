/// Bytes read as UTF-8, forwards and backwards, without a check beforehand.
///
/// A byte that begins no well-formed scalar is read as U+FFFD, one byte long; nothing outside the bytes is touched.
struct UTF8Text {
    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Stands for a byte that belongs to no scalar. Of category So: neither letter nor digit.
    static let replacement: UInt32 = 0xFFFD

    /// The scalar that begins at `offset`, which lies inside the text, and its bytes.
    @inline(__always)
    func scalar(at offset: Int) -> (value: UInt32, length: Int) {
        let first = bytes[offset]
        return first < 0x80 ? (UInt32(first), 1) : multibyte(first, at: offset)
    }

    /// The scalar that ends just before `offset`, or nil at the start of the text.
    func scalar(before offset: Int) -> UInt32? {
        guard offset > 0 else { return nil }
        var start = offset - 1
        // A scalar has at most three continuation bytes.
        let lowest = max(0, offset - 4)
        while start > lowest && bytes[start] & 0xC0 == 0x80 { start -= 1 }
        let (value, length) = scalar(at: start)
        return start + length == offset ? value : UTF8Text.replacement
    }

    /// Table 3-7 of the Unicode standard: well-formed UTF-8 byte sequences.
    private func multibyte(_ first: UInt8, at offset: Int) -> (value: UInt32, length: Int) {
        let length: Int
        var value: UInt32
        let lowest: UInt32
        switch first {
        case 0xC2...0xDF: (length, value, lowest) = (2, UInt32(first & 0x1F), 0x80)
        case 0xE0...0xEF: (length, value, lowest) = (3, UInt32(first & 0x0F), 0x800)
        case 0xF0...0xF4: (length, value, lowest) = (4, UInt32(first & 0x07), 0x10000)
        default: return (UTF8Text.replacement, 1)
        }
        guard bytes.count - offset >= length else { return (UTF8Text.replacement, 1) }
        for index in 1..<length {
            let byte = bytes[offset + index]
            guard byte & 0xC0 == 0x80 else { return (UTF8Text.replacement, 1) }
            value = value << 6 | UInt32(byte & 0x3F)
        }
        guard value >= lowest, value <= 0x10FFFF, !(0xD800...0xDFFF).contains(value) else {
            return (UTF8Text.replacement, 1)
        }
        return (value, length)
    }
}
