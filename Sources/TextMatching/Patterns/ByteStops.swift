/// A set of bytes to run to, past all others.
struct ByteStops: Sendable {
    /// For each byte, 1 if it is in the set.
    private let table: ContiguousArray<UInt8>
    /// The set, if it has one to three bytes: repeated to three.
    private let needles: (UInt8, UInt8, UInt8)?

    init(_ isStop: (UInt8) -> Bool) {
        let bytes = (UInt8.min...UInt8.max).filter(isStop)
        table = ContiguousArray((UInt8.min...UInt8.max).map { isStop($0) ? 1 : 0 })
        needles = (1...3).contains(bytes.count) ? (bytes[0], bytes[bytes.count / 2], bytes[bytes.count - 1]) : nil
    }

    func contains(_ byte: UInt8) -> Bool { table[Int(byte)] != 0 }

    /// The first index from `start` on whose byte is in the set, or the end. 16 bytes at a time for small sets.
    @inline(__always)
    func next(in text: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        if let needles {
            let first = SIMD16<UInt8>(repeating: needles.0)
            let second = SIMD16<UInt8>(repeating: needles.1)
            let third = SIMD16<UInt8>(repeating: needles.2)
            while index + 16 <= text.count {
                let bytes = text.loadUnaligned(fromByteOffset: index, as: SIMD16<UInt8>.self)
                let found = bytes .== first .| bytes .== second .| bytes .== third
                // A mask's lanes are all ones or all zeros, one byte each.
                let halves = unsafeBitCast(found, to: SIMD2<UInt64>.self)
                if halves[0] != 0 { return index + UInt64(littleEndian: halves[0]).trailingZeroBitCount / 8 }
                if halves[1] != 0 { return index + 8 + UInt64(littleEndian: halves[1]).trailingZeroBitCount / 8 }
                index += 16
            }
        }
        return table.withUnsafeBufferPointer { table in
            while index < text.count, table[Int(text[index])] == 0 { index += 1 }
            return index
        }
    }
}
