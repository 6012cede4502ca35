/// Tokens and their numbers: a hash table over one run of bytes.
struct Vocabulary: Sendable {
    /// The tokens' UTF-8, one after the other.
    private var bytes: [UInt8] = []
    /// Where each token begins, and where the last one ends.
    private var starts: [UInt32] = [0]
    private var ids: [Int32] = []
    /// Entries + 1 by hash, with the next free place taken when one is in use; at most half of them are.
    private var slots: [UInt32] = [0, 0]
    /// Entries + 1 by number.
    private var entries: [UInt32] = []

    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
        ids.reserveCapacity(capacity)
        starts.reserveCapacity(capacity + 1)
    }

    var count: Int { ids.count }

    /// One more than the largest number.
    var end: Int32 { Int32(entries.count) }

    /// Adds the token that `write` appends. Answers false when there is one of that text or number.
    mutating func add(_ id: Int32, _ write: (inout [UInt8]) -> Void) -> Bool {
        let start = bytes.count
        write(&bytes)
        let hash = bytes.withUnsafeBufferPointer { Self.hash($0, start..<bytes.count) }
        if count * 2 >= slots.count { grow() }
        var slot = hash & (slots.count - 1)
        while slots[slot] != 0 {
            if isEntry(Int(slots[slot]) - 1, equalTo: bytes, start..<bytes.count) {
                bytes.removeSubrange(start...)
                return false
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        if Int(id) >= entries.count {
            entries.append(contentsOf: repeatElement(0, count: Int(id) + 1 - entries.count))
        }
        guard entries[Int(id)] == 0 else {
            bytes.removeSubrange(start...)
            return false
        }
        ids.append(id)
        starts.append(UInt32(bytes.count))
        slots[slot] = UInt32(ids.count)
        entries[Int(id)] = UInt32(ids.count)
        return true
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for entry in ids.indices {
            var slot = bytes.withUnsafeBufferPointer { Self.hash($0, range(of: entry)) } & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(entry + 1)
        }
    }

    private func range(of entry: Int) -> Range<Int> { Int(starts[entry])..<Int(starts[entry + 1]) }

    private func isEntry(_ entry: Int, equalTo text: [UInt8], _ range: Range<Int>) -> Bool {
        let own = self.range(of: entry)
        guard own.count == range.count else { return false }
        let shift = own.lowerBound - range.lowerBound
        for index in range where bytes[index + shift] != text[index] { return false }
        return true
    }

    /// The number of the token that `text` is in `range`.
    func id(of text: [UInt8], _ range: Range<Int>) -> Int32? {
        var slot = text.withUnsafeBufferPointer { Self.hash($0, range) } & (slots.count - 1)
        while slots[slot] != 0 {
            let entry = Int(slots[slot]) - 1
            if isEntry(entry, equalTo: text, range) { return ids[entry] }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    func id(of token: String) -> Int32? {
        let bytes = Array(token.utf8)
        return id(of: bytes, 0..<bytes.count)
    }

    /// The UTF-8 of a token; nil when no token has that number.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        guard id >= 0, Int(id) < entries.count, entries[Int(id)] != 0 else { return nil }
        return bytes[range(of: Int(entries[Int(id)]) - 1)]
    }

    func token(of id: Int32) -> String? { bytes(of: id).map { String(decoding: $0, as: UTF8.self) } }

    /// Calls `body` with each token's number and its UTF-8.
    func forEach(_ body: (Int32, ArraySlice<UInt8>) -> Void) {
        for entry in ids.indices { body(ids[entry], bytes[range(of: entry)]) }
    }

    /// Eight bytes at a time are multiplied into the hash and folded (the idea of Wang Yi's wyhash). Texts are only looked
    /// up, never added, so nobody can fill a chain.
    @inline(__always)
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Int {
        func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
            let product = left.multipliedFullWidth(by: right)
            return product.high ^ product.low
        }
        var hash: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(range.count)
        let raw = UnsafeRawBufferPointer(bytes)
        var index = range.lowerBound
        while index + 8 <= range.upperBound {
            hash = mix(hash ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self), 0xA076_1D64_78BD_642F)
            index += 8
        }
        var rest: UInt64 = 0
        while index < range.upperBound {
            rest = rest << 8 | UInt64(raw[index])
            index += 1
        }
        return Int(truncatingIfNeeded: mix(hash ^ rest, 0xE703_7ED1_A0B4_28DB))
    }
}
