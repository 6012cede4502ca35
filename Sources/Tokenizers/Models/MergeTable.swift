/// Which two tokens become which, and in what order: a hash table by pair.
struct MergeTable: Sendable {
    /// A pair of tokens, and rank << 32 | the token that they become.
    private struct Entry {
        var pair: UInt64 = none
        var merge: UInt64 = none
    }

    /// No merge; larger than every other.
    static let none = UInt64.max

    private var entries: [Entry]
    private var used = 0

    init(capacity: Int) {
        var size = 16
        // At most two thirds are in use.
        while size * 2 < capacity * 3 { size *= 2 }
        entries = [Entry](repeating: Entry(), count: size)
    }

    /// Of equal pairs the last one counts, as in the reference.
    mutating func add(_ left: Int32, _ right: Int32, token: Int32, rank: Int) {
        if (used + 1) * 3 > entries.count * 2 { grow() }
        let pair = Self.pair(left, right)
        let slot = self.slot(of: pair)
        if entries[slot].pair == Self.none { used += 1 }
        entries[slot] = Entry(pair: pair, merge: UInt64(rank) << 32 | UInt64(UInt32(bitPattern: token)))
    }

    private mutating func grow() {
        let old = entries
        entries = [Entry](repeating: Entry(), count: old.count * 2)
        for entry in old where entry.pair != Self.none { entries[slot(of: entry.pair)] = entry }
    }

    /// The merge of two tokens, or `none`: merges compare by rank.
    @inline(__always)
    func rank(of left: Int32, _ right: Int32) -> UInt64 {
        entries[slot(of: Self.pair(left, right))].merge
    }

    @inline(__always)
    static func token(of merge: UInt64) -> Int32 { Int32(truncatingIfNeeded: merge) }

    @inline(__always)
    private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// Where the pair lies, or would.
    @inline(__always)
    private func slot(of pair: UInt64) -> Int {
        // Multiplication by 2^64 / the golden ratio spreads into the high bits (Knuth, TAOCP 6.4).
        let hash = pair &* 0x9E37_79B9_7F4A_7C15
        var slot = Int(truncatingIfNeeded: hash ^ hash >> 32) & (entries.count - 1)
        while entries[slot].pair != pair, entries[slot].pair != Self.none { slot = (slot + 1) & (entries.count - 1) }
        return slot
    }
}

/// The tokens that a piece's characters begin as.
struct SymbolTable: Sendable {
    /// By scalar, in the basic plane; negative where there is none.
    private let plane: [Int32]
    private let prefix: [UInt8]
    private let suffix: [UInt8]
    /// The tokens that stand for bytes when the model falls back to them.
    let byteTokens: [Int32?]?

    init(_ vocabulary: Vocabulary, _ options: BytePairModel.Options) {
        var plane = [Int32](repeating: -1, count: 0x10000)
        vocabulary.forEach { id, token in
            guard let first = token.first, first < 0xF0, token.count == UTF8Scalars.length(of: first) else { return }
            plane[Int(UTF8Scalars.decode(Array(token), at: 0))] = id
        }
        self.plane = plane
        prefix = Array(options.continuationPrefix.utf8)
        suffix = Array(options.wordSuffix.utf8)
        byteTokens = options.byteFallback ? vocabulary.byteTokens : nil
    }

    /// The token of one character; negative when there is none.
    @inline(__always)
    func id(
        of scalar: UInt32,
        _ bytes: [UInt8],
        _ range: Range<Int>,
        isFirst: Bool,
        isLast: Bool,
        _ vocabulary: Vocabulary
    ) -> Int32 {
        if prefix.isEmpty || isFirst, suffix.isEmpty || !isLast {
            return scalar < 0x10000 ? plane[Int(scalar)] : vocabulary.id(of: bytes, range) ?? -1
        }
        let text = (isFirst ? [] : prefix) + bytes[range] + (isLast ? suffix : [])
        return vocabulary.id(of: text, 0..<text.count) ?? -1
    }
}

/// Which characters stand side by side in some token. What it denies is certain, so a text may be cut there; what it grants
/// may be wrong (a Bloom filter of one hash), which only makes a longer piece.
struct NeighbourFilter: Sendable {
    private let bits: [UInt64]
    private let mask: Int
    let isUsable: Bool

    init(_ vocabulary: Vocabulary, isUsable: Bool) {
        self.isUsable = isUsable
        var size = 1 << 16
        // 16 bits a token, up to 512 KiB.
        while size < vocabulary.count * 16, size < 1 << 22 { size *= 2 }
        let mask = size - 1
        var bits = [UInt64](repeating: 0, count: size / 64)
        if isUsable {
            vocabulary.forEach { _, token in
                let bytes = Array(token)
                var last: UInt32?
                var index = 0
                while index < bytes.count {
                    let scalar = UTF8Scalars.decode(bytes, at: index)
                    if let last {
                        let bit = Self.bit(last, scalar) & mask
                        bits[bit >> 6] |= 1 << UInt64(bit & 63)
                    }
                    last = scalar
                    index += UTF8Scalars.length(of: bytes[index])
                }
            }
        }
        self.bits = bits
        self.mask = mask
    }

    @inline(__always)
    func mayMeet(_ left: UInt32, _ right: UInt32) -> Bool {
        let bit = Self.bit(left, right) & mask
        return bits[bit >> 6] & 1 << UInt64(bit & 63) != 0
    }

    @inline(__always)
    private static func bit(_ left: UInt32, _ right: UInt32) -> Int {
        let hash = (UInt64(left) << 32 | UInt64(right)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: hash >> 32)
    }
}
