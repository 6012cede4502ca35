/// Whole numbers to small numbers: an open hash table for look-ups in inner loops.
struct IntegerTable {
    private var keys = [UInt64](repeating: 0, count: 16)
    /// -1 where the slot is free. At most half of the slots are taken.
    private var values = [Int32](repeating: -1, count: 16)
    private(set) var count = 0

    @inline(__always)
    func find(_ key: UInt64) -> Int? {
        var slot = start(key)
        while values[slot] >= 0 {
            if keys[slot] == key { return Int(values[slot]) }
            slot = (slot + 1) & (keys.count - 1)
        }
        return nil
    }

    /// The key's value; a new key gets `count`, so that keys are numbered in the order they are added.
    mutating func insert(_ key: UInt64) -> Int {
        if let value = find(key) { return value }
        let value = count
        count += 1
        if count * 2 > keys.count {
            let (oldKeys, oldValues) = (keys, values)
            keys = [UInt64](repeating: 0, count: oldKeys.count * 2)
            values = [Int32](repeating: -1, count: oldKeys.count * 2)
            for (key, value) in zip(oldKeys, oldValues) where value >= 0 { place(key, value) }
        }
        place(key, Int32(value))
        return value
    }

    private mutating func place(_ key: UInt64, _ value: Int32) {
        var slot = start(key)
        while values[slot] >= 0 { slot = (slot + 1) & (keys.count - 1) }
        keys[slot] = key
        values[slot] = value
    }

    /// Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): the high bits of a product with 2^64 / φ.
    @inline(__always)
    private func start(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & (keys.count - 1)
    }
}
