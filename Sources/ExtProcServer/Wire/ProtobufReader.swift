/// Reads the wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/) field by field, without
/// a copy: values of the kind "bytes" are ranges of the message.
///
/// As strict as SwiftProtobuf: numbers that do not end, lengths beyond the message, field number 0 and groups that do not
/// match are errors. Fields that nobody knows are stepped over.
struct ProtobufReader {
    /// The message is not Protocol Buffers.
    struct Malformed: Error, Equatable {}

    /// A field's value.
    enum Value {
        case number(UInt64)
        /// Offsets into the bytes.
        case bytes(Range<Int>)
        /// A kind that none of our messages use; it has been stepped over.
        case other
    }

    private let bytes: UnsafeRawBufferPointer
    private var position: Int
    private let end: Int

    /// - Parameter range: the message's place among `bytes`; nil for all of them.
    init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>? = nil) {
        self.bytes = bytes
        position = range?.lowerBound ?? 0
        end = range?.upperBound ?? bytes.count
    }

    /// The next field; nil at the end.
    mutating func next() throws(Malformed) -> (number: Int, value: Value)? {
        guard position < end else { return nil }
        let start = position
        let tag = try varint()
        // Five bytes hold all that a tag can say. Within groups, as in SwiftProtobuf, only the value counts.
        guard tag <= UInt64(UInt32.max), position - start <= 5 else { throw Malformed() }
        let number = Int(tag >> 3)
        guard number > 0 else { throw Malformed() }
        return (number, try value(kind: Int(tag & 7), number: number, depth: 0))
    }

    /// 100, SwiftProtobuf's own limit of nesting; it counts the messages around the groups as well.
    private static let mostNested = 100

    private mutating func value(kind: Int, number: Int, depth: Int) throws(Malformed) -> Value {
        switch kind {
        case 0:
            return .number(try varint())
        case 1:
            try skip(8)
            return .other
        case 2:
            let length = try varint()
            guard length <= UInt64(end - position) else { throw Malformed() }
            let start = position
            position += Int(length)
            return .bytes(start..<position)
        case 3:
            try skipGroup(number, depth: depth)
            return .other
        case 5:
            try skip(4)
            return .other
        default:
            throw Malformed()
        }
    }

    private mutating func skipGroup(_ group: Int, depth: Int) throws(Malformed) {
        guard depth < Self.mostNested else { throw Malformed() }
        while position < end {
            let tag = try varint()
            guard tag <= UInt64(UInt32.max) else { throw Malformed() }
            let number = Int(tag >> 3)
            guard number > 0 else { throw Malformed() }
            if tag & 7 == 4 {
                guard number == group else { throw Malformed() }
                return
            }
            _ = try value(kind: Int(tag & 7), number: number, depth: depth + 1)
        }
        throw Malformed()
    }

    private mutating func skip(_ count: Int) throws(Malformed) {
        guard end - position >= count else { throw Malformed() }
        position += count
    }

    private mutating func varint() throws(Malformed) -> UInt64 {
        guard position < end else { throw Malformed() }
        let first = bytes[position]
        if first < 0x80 {
            position += 1
            return UInt64(first)
        }
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        position += 1
        while position < end {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            // Of a tenth byte all bits but the lowest are beyond the 64th, and dropped.
            if byte < 0x80 { return value }
            shift += 7
            guard shift <= 63 else { throw Malformed() }
        }
        throw Malformed()
    }
}
