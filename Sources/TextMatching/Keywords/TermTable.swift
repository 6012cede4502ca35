/// Numbers byte strings in the order they are added: 0, 1, 2, … An open hash table that is read without making strings.
struct TermTable {
    /// For each slot the term's number, or -1. At most half of the slots are taken.
    private var slots = [Int32](repeating: -1, count: 16)
    private var hashes: [UInt64] = []
    /// Where each term ends in `bytes`; it begins where the one before it ends.
    private var ends: [Int] = []
    private var bytes: [UInt8] = []

    var count: Int { ends.count }

    func find(_ term: UnsafeRawBufferPointer) -> Int? {
        let hash = TermTable.hash(term)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] >= 0 {
            let number = Int(slots[slot])
            if hashes[number] == hash && isTerm(number, term) { return number }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The term's number, a new one if it is new.
    mutating func insert(_ term: [UInt8]) -> Int {
        term.withUnsafeBytes { term in
            if let number = find(term) { return number }
            hashes.append(TermTable.hash(term))
            bytes.append(contentsOf: term)
            ends.append(bytes.count)
            if ends.count * 2 > slots.count {
                slots = [Int32](repeating: -1, count: slots.count * 2)
                for number in ends.indices { place(number) }
            } else {
                place(ends.count - 1)
            }
            return ends.count - 1
        }
    }

    private mutating func place(_ number: Int) {
        var slot = Int(truncatingIfNeeded: hashes[number]) & (slots.count - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(number)
    }

    private func isTerm(_ number: Int, _ term: UnsafeRawBufferPointer) -> Bool {
        let start = number == 0 ? 0 : ends[number - 1]
        guard ends[number] - start == term.count else { return false }
        for index in 0..<term.count where bytes[start + index] != term[index] { return false }
        return true
    }

    /// FNV-1a, 64 bits, with its high bits folded down: tables are indexed by the low ones.
    private static func hash(_ term: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in term { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash ^ (hash >> 32)
    }
}
