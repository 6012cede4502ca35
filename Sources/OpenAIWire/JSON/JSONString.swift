package import NIOCore

extension ByteBuffer {
    /// Appends `string` as a JSON string literal, quotes included.
    ///
    /// Escapes only what RFC 8259 section 7 demands (quote, backslash, U+0000…U+001F); other text stays as UTF-8.
    /// - Complexity: O(bytes).
    package mutating func writeJSONString(_ string: String) {
        writeInteger(UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { utf8 in
            var start = 0
            for (index, byte) in utf8.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5C {
                writeBytes(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(utf8)[start..<index]))
                start = index + 1
                switch byte {
                case 0x22: writeStaticString("\\\"")
                case 0x5C: writeStaticString("\\\\")
                case 0x08: writeStaticString("\\b")
                case 0x09: writeStaticString("\\t")
                case 0x0A: writeStaticString("\\n")
                case 0x0C: writeStaticString("\\f")
                case 0x0D: writeStaticString("\\r")
                default:
                    writeStaticString("\\u00")
                    writeInteger(hexDigit(byte >> 4))
                    writeInteger(hexDigit(byte & 0xF))
                }
            }
            writeBytes(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(utf8)[start...]))
        }
        writeInteger(UInt8(ascii: "\""))
    }
}

/// The lower-case hexadecimal digit of a value in 0…15.
private func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}
