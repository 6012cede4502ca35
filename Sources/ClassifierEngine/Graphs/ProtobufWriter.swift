/// Protocol Buffers' wire format, as far as ONNX models need it
/// (protobuf.dev, "Encoding": varints, length-delimited fields, 32-bit fields).
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func field(_ number: Int, int value: Int) {
        varint(UInt64(number << 3))
        varint(UInt64(bitPattern: Int64(value)))
    }

    mutating func field(_ number: Int, float value: Float) {
        varint(UInt64(number << 3 | 5))
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func field(_ number: Int, string value: String) {
        varint(UInt64(number << 3 | 2))
        varint(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    mutating func field(_ number: Int, bytes value: UnsafeRawBufferPointer) {
        varint(UInt64(number << 3 | 2))
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// A nested message, written where it stands. Its length takes five bytes whatever it is: a varint may be padded, and
    /// so nothing that was written need move.
    mutating func field(_ number: Int, message write: (inout ProtobufWriter) -> Void) {
        let place = open(number)
        write(&self)
        close(place)
    }

    /// Begins a nested message; returns where its length goes.
    mutating func open(_ number: Int) -> Int {
        varint(UInt64(number << 3 | 2))
        bytes.append(contentsOf: [0, 0, 0, 0, 0])
        return bytes.count
    }

    mutating func close(_ place: Int) {
        var length = bytes.count - place
        for index in place - 5..<place {
            bytes[index] = UInt8(truncatingIfNeeded: length & 0x7F) | (index < place - 1 ? 0x80 : 0)
            length >>= 7
        }
    }
}
