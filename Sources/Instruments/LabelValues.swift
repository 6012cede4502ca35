#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The values of a series' labels as a key. Up to three are held in place: looking a series up takes no memory.
struct LabelValues: Sendable {
    let count: Int
    /// Never 0.
    let hash: UInt64
    private let first: String
    private let second: String
    private let third: String
    private let rest: [String]

    init() {
        self.init([])
    }

    init(_ first: String) {
        self.init(1, first, "", "", [])
    }

    init(_ first: String, _ second: String) {
        self.init(2, first, second, "", [])
    }

    init(_ first: String, _ second: String, _ third: String) {
        self.init(3, first, second, third, [])
    }

    init(_ values: [String]) {
        self.init(
            values.count,
            values.isEmpty ? "" : values[0],
            values.count > 1 ? values[1] : "",
            values.count > 2 ? values[2] : "",
            values.count > 3 ? Array(values[3...]) : []
        )
    }

    @inline(__always)
    private init(_ count: Int, _ first: String, _ second: String, _ third: String, _ rest: [String]) {
        self.count = count
        self.first = first
        self.second = second
        self.third = third
        self.rest = rest
        var hash = LabelHash()
        if count > 0 { hash.add(first) }
        if count > 1 { hash.add(second) }
        if count > 2 { hash.add(third) }
        if count > 3 { for value in rest { hash.add(value) } }
        self.hash = hash.value
    }

    var all: [String] {
        Array([first, second, third].prefix(count)) + rest
    }

    /// Whether the bytes are the same. Unlike `==`, which takes different spellings of a letter for the same.
    ///
    /// In line, so that the parts are compared where they lie rather than copied first.
    @inline(__always)
    func isSame(as other: LabelValues) -> Bool {
        guard count == other.count, first.hasBytes(of: other.first) else { return false }
        guard count > 1 else { return true }
        guard second.hasBytes(of: other.second), third.hasBytes(of: other.third) else { return false }
        return count <= 3 || zip(rest, other.rest).allSatisfy { $0.hasBytes(of: $1) }
    }
}

extension String {
    fileprivate func hasBytes(of other: String) -> Bool {
        utf8.withContiguousStorageIfAvailable { left in
            other.utf8.withContiguousStorageIfAvailable { right in
                guard left.count == right.count else { return false }
                guard let start = left.baseAddress, let other = right.baseAddress else { return true }
                return memcmp(start, other, left.count) == 0
            }
        }.flatMap(\.self) ?? utf8.elementsEqual(other.utf8)
    }
}

/// Eight bytes at a time by rotation and multiplication, as rustc's FxHash does, then SplitMix64's end, as a table looks
/// at the low bits. Not safe against chosen keys, which slow a table down but cannot fill it: families are bounded.
private struct LabelHash {
    private var state: UInt64 = 0

    mutating func add(_ text: String) {
        let mixed: UInt64? = text.utf8.withContiguousStorageIfAvailable { [state] bytes in
            var state = state
            let bytes = UnsafeRawBufferPointer(bytes)
            var index = 0
            while index + 8 <= bytes.count {
                Self.mix(&state, bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                index += 8
            }
            while index < bytes.count {
                Self.mix(&state, UInt64(bytes[index]))
                index += 1
            }
            return state
        }
        // Swift's own strings are contiguous; of others the length will do.
        if let mixed { state = mixed } else { Self.mix(&state, UInt64(text.utf8.count)) }
        // Where one value ends and the next begins.
        Self.mix(&state, 0xFF)
    }

    var value: UInt64 {
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return (mixed ^ (mixed >> 31)) | 1 << 63
    }

    @inline(__always)
    private static func mix(_ state: inout UInt64, _ word: UInt64) {
        state = ((state << 5 | state >> 59) ^ word) &* 0x517C_C1B7_2722_0A95
    }
}
