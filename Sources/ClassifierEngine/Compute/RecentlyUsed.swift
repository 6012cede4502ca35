/// Values by hash, bounded by number and bytes; what was not asked for longest makes room.
///
/// A list through an array of nodes: no allocation for a look-up, one slot for an entry.
package struct RecentlyUsed<Value: Sendable>: Sendable {
    private struct Node: Sendable {
        var key: KeyedHash.Value
        var value: Value?
        var sizeBytes: Int
        /// Towards the one used last; -1 at the end.
        var newer: Int
        var older: Int
    }

    private let entryLimit: Int
    private let byteLimit: Int
    private var nodes: [Node] = []
    private var places: [KeyedHash.Value: Int] = [:]
    private var free: [Int] = []
    private var newest = -1
    private var oldest = -1
    package private(set) var sizeBytes = 0

    package init(entryLimit: Int, byteLimit: Int) {
        self.entryLimit = entryLimit
        self.byteLimit = byteLimit
    }

    package var count: Int { places.count }

    /// The value, which thereby becomes the one used last.
    package mutating func value(for key: KeyedHash.Value) -> Value? {
        guard let place = places[key] else { return nil }
        unlink(place)
        linkNewest(place)
        return nodes[place].value
    }

    /// Keeps a value of `sizeBytes`, unless it is larger than all that may be kept.
    ///
    /// - Returns: how many others made room.
    package mutating func insert(_ value: Value, for key: KeyedHash.Value, sizeBytes size: Int) -> Int {
        if let place = places[key] { remove(place) }
        guard entryLimit > 0, size <= byteLimit else { return 0 }
        var evicted = 0
        while count >= entryLimit || sizeBytes + size > byteLimit {
            remove(oldest)
            evicted += 1
        }
        let node = Node(key: key, value: value, sizeBytes: size, newer: -1, older: -1)
        let place: Int
        if let reused = free.popLast() {
            place = reused
            nodes[place] = node
        } else {
            place = nodes.count
            nodes.append(node)
        }
        places[key] = place
        sizeBytes += size
        linkNewest(place)
        return evicted
    }

    package mutating func removeAll() {
        self = RecentlyUsed(entryLimit: entryLimit, byteLimit: byteLimit)
    }

    private mutating func remove(_ place: Int) {
        unlink(place)
        places[nodes[place].key] = nil
        sizeBytes -= nodes[place].sizeBytes
        nodes[place].value = nil
        free.append(place)
    }

    private mutating func unlink(_ place: Int) {
        let (newer, older) = (nodes[place].newer, nodes[place].older)
        if newer >= 0 { nodes[newer].older = older } else { newest = older }
        if older >= 0 { nodes[older].newer = newer } else { oldest = newer }
    }

    private mutating func linkNewest(_ place: Int) {
        nodes[place].newer = -1
        nodes[place].older = newest
        if newest >= 0 { nodes[newest].newer = place } else { oldest = place }
        newest = place
    }
}
