import NIOCore

/// The wire format of Protocol Buffers, written straight into a buffer. Whoever writes a message inside another says its
/// size first, so that nothing is moved.
enum ProtobufSize {
    static func varint(_ value: Int) -> Int {
        // 7 bits in each byte; a negative number takes all ten.
        value == 0 ? 1 : (UInt64(bitPattern: Int64(value)).bitWidth - value.leadingZeroBitCount + 6) / 7
    }

    /// A field of `length` bytes. Fields up to number 15, as all of ours are, have a tag of one byte.
    static func bytes(_ length: Int) -> Int { 1 + varint(length) + length }

    /// A field of text; nothing when it is empty, as empty is what is read when nothing is there.
    static func text(_ text: String) -> Int { text.isEmpty ? 0 : bytes(text.utf8.count) }

    static func number(_ value: Int) -> Int { value == 0 ? 0 : 1 + varint(value) }
    static func flag(_ value: Bool) -> Int { value ? 2 : 0 }
}

extension ByteBuffer {
    mutating func writeVarint(_ value: Int) {
        var rest = UInt64(bitPattern: Int64(value))
        while rest >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        writeInteger(UInt8(rest))
    }

    /// The head of a field that has a length: `length` bytes must follow.
    mutating func writeFieldHead(_ number: Int, length: Int) {
        writeInteger(UInt8(number << 3 | 2))
        writeVarint(length)
    }

    mutating func writeField(_ number: Int, text: String) {
        guard !text.isEmpty else { return }
        writeFieldHead(number, length: text.utf8.count)
        writeString(text)
    }

    mutating func writeField(_ number: Int, number value: Int) {
        guard value != 0 else { return }
        writeInteger(UInt8(number << 3))
        writeVarint(value)
    }

    mutating func writeField(_ number: Int, flag: Bool) {
        writeField(number, number: flag ? 1 : 0)
    }
}
