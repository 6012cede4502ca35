/// SipHash-2-4 with 128 bits: without the key nobody can find two texts with the same hash, nor a text from its hash.
///
/// Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012); the 128-bit output is that of their reference code.
package struct KeyedHash: Sendable {
    package struct Value: Hashable, Sendable {
        package let low: UInt64
        package let high: UInt64

        package init(low: UInt64, high: UInt64) {
            self.low = low
            self.high = high
        }
    }

    private let first: UInt64
    private let second: UInt64

    /// With a key that no other process has.
    package init() {
        var random = SystemRandomNumberGenerator()
        self.init(first: random.next(), second: random.next())
    }

    package init(first: UInt64, second: UInt64) {
        self.first = first
        self.second = second
    }

    /// - Complexity: about half a nanosecond for a byte.
    package func callAsFunction(_ bytes: UnsafeRawBufferPointer) -> Value {
        var state = State(first, second)
        let whole = bytes.count & ~7
        for offset in stride(from: 0, to: whole, by: 8) {
            state.absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        for offset in whole..<bytes.count { last |= UInt64(bytes[offset]) << (8 * UInt64(offset - whole)) }
        state.absorb(last)
        return state.end()
    }

    /// The hash of `parts`, told apart: ("a", "bc") differs from ("ab", "c").
    package func callAsFunction(_ part: String, _ text: String) -> Value {
        var part = part
        var text = text
        let outer = part.withUTF8 { self(UnsafeRawBufferPointer($0)) }
        // A key of its own for each first part.
        let inner = KeyedHash(first: outer.low, second: outer.high)
        return text.withUTF8 { inner(UnsafeRawBufferPointer($0)) }
    }

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        init(_ first: UInt64, _ second: UInt64) {
            v0 = first ^ 0x736f_6d65_7073_6575
            v1 = second ^ 0x646f_7261_6e64_6f6d ^ 0xee
            v2 = first ^ 0x6c79_6765_6e65_7261
            v3 = second ^ 0x7465_6462_7974_6573
        }

        @inline(__always)
        mutating func absorb(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        mutating func end() -> Value {
            v2 ^= 0xee
            for _ in 0..<4 { round() }
            let low = v0 ^ v1 ^ v2 ^ v3
            v1 ^= 0xdd
            for _ in 0..<4 { round() }
            return Value(low: low, high: v0 ^ v1 ^ v2 ^ v3)
        }

        @inline(__always)
        private mutating func round() {
            v0 &+= v1
            v1 = Self.rotate(v1, 13) ^ v0
            v0 = Self.rotate(v0, 32)
            v2 &+= v3
            v3 = Self.rotate(v3, 16) ^ v2
            v0 &+= v3
            v3 = Self.rotate(v3, 21) ^ v0
            v2 &+= v1
            v1 = Self.rotate(v1, 17) ^ v2
            v2 = Self.rotate(v2, 32)
        }

        @inline(__always)
        private static func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 { word << bits | word >> (64 - bits) }
    }
}
