import TestRandom

/// A field as it stands on the wire of Protocol Buffers, so that tests can write what no library would write: fields in any
/// order, values that stand twice, numbers in more bytes than they need.
struct WireField {
    indirect enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case bytes([UInt8])
        case message([WireField])
        case group([WireField])
        case fixed32(UInt32)
    }

    var number: Int
    var value: Value

    init(_ number: Int, _ value: Value) {
        self.number = number
        self.value = value
    }

    private var kind: UInt64 {
        switch value {
        case .varint: 0
        case .fixed64: 1
        case .bytes, .message: 2
        case .group: 3
        case .fixed32: 5
        }
    }

    /// Appends the field. Numbers take more bytes than they need now and then, as Protocol Buffers allow.
    func write(to bytes: inout [UInt8], _ random: inout SeededRandom) {
        writeTag(kind, to: &bytes, &random)
        switch value {
        case .varint(let number):
            writeVarint(number, atMost: 10, to: &bytes, &random)
        case .fixed64(let bits):
            for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        case .bytes(let content):
            writeVarint(UInt64(content.count), atMost: 10, to: &bytes, &random)
            bytes += content
        case .message(let fields):
            let content = fields.serialized(&random)
            writeVarint(UInt64(content.count), atMost: 10, to: &bytes, &random)
            bytes += content
        case .group(let fields):
            bytes += fields.serialized(&random)
            writeTag(4, to: &bytes, &random)
        case .fixed32(let bits):
            for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        }
    }

    private func writeTag(_ kind: UInt64, to bytes: inout [UInt8], _ random: inout SeededRandom) {
        writeVarint(UInt64(number) << 3 | kind, atMost: 5, to: &bytes, &random)
    }

    private func writeVarint(_ number: UInt64, atMost: Int, to bytes: inout [UInt8], _ random: inout SeededRandom) {
        var encoded = WireField.varint(number)
        if random.once(in: 8) {
            for _ in 0..<random.below(atMost - encoded.count + 1) {
                encoded[encoded.count - 1] |= 0x80
                encoded.append(0)
            }
        }
        bytes += encoded
    }

    /// A number in as few bytes as it takes.
    static func varint(_ number: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}

extension [WireField] {
    func serialized(_ random: inout SeededRandom) -> [UInt8] {
        reduce(into: []) { bytes, field in field.write(to: &bytes, &random) }
    }
}

/// Reads bytes in tests: by arrays and optionals, and nothing like the reader under test.
struct WireCursor {
    private(set) var position: Int
    let end: Int

    init(_ range: Range<Int>) {
        position = range.lowerBound
        end = range.upperBound
    }

    mutating func varint(_ bytes: [UInt8]) -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<10 {
            guard position < end else { return nil }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << (7 * index)
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    mutating func take(_ count: UInt64) -> Range<Int>? {
        guard count <= UInt64(end - position) else { return nil }
        defer { position += Int(count) }
        return position..<position + Int(count)
    }
}
