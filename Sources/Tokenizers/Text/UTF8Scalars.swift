/// Scalars in valid UTF-8 (RFC 3629). None of this checks: texts come from `String`, which has.
enum UTF8Scalars {
    /// How many bytes the scalar has that begins with `byte`.
    @inline(__always)
    static func length(of byte: UInt8) -> Int {
        byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
    }

    /// The scalar that begins at `index`.
    @inline(__always)
    static func decode(_ bytes: [UInt8], at index: Int) -> UInt32 {
        let first = UInt32(bytes[index])
        if first < 0x80 { return first }
        func continuation(_ offset: Int) -> UInt32 { UInt32(bytes[index + offset] & 0x3F) }
        if first < 0xE0 { return (first & 0x1F) << 6 | continuation(1) }
        if first < 0xF0 { return (first & 0x0F) << 12 | continuation(1) << 6 | continuation(2) }
        return (first & 0x07) << 18 | continuation(1) << 12 | continuation(2) << 6 | continuation(3)
    }

    /// Where the scalar before `index` begins.
    @inline(__always)
    static func start(before index: Int, in bytes: [UInt8]) -> Int {
        var start = index - 1
        while bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    @inline(__always)
    static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
        func continuation(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: scalar >> shift) & 0x3F }
        switch scalar {
        case ..<0x80:
            bytes.append(UInt8(truncatingIfNeeded: scalar))
        case ..<0x800:
            bytes.append(0xC0 | UInt8(truncatingIfNeeded: scalar >> 6))
            bytes.append(continuation(0))
        case ..<0x10000:
            bytes.append(0xE0 | UInt8(truncatingIfNeeded: scalar >> 12))
            bytes.append(continuation(6))
            bytes.append(continuation(0))
        default:
            bytes.append(0xF0 | UInt8(truncatingIfNeeded: scalar >> 18))
            bytes.append(continuation(12))
            bytes.append(continuation(6))
            bytes.append(continuation(0))
        }
    }
}
