/// Which keywords of a list were found: one bit per keyword, named by its place in the list.
///
/// Kept by the caller from one text to the next: `removeAll` leaves the storage in place, so that a search into a set
/// that has been used before allocates nothing.
package struct KeywordSet: Sendable {
    private var words: [UInt64]
    /// Members, each counted once.
    package private(set) var count = 0

    /// A set without members, with room for keywords `0..<capacity`. It grows when a higher one is inserted.
    package init(capacity: Int = 0) {
        words = [UInt64](repeating: 0, count: (capacity + 63) / 64)
    }

    package var isEmpty: Bool { count == 0 }

    package func contains(_ keyword: Int) -> Bool {
        let word = keyword >> 6
        guard word < words.count else { return false }
        return words[word] & (1 << UInt64(keyword & 63)) != 0
    }

    /// Whether none of the keywords of a range is a member.
    package func isDisjoint(with keywords: Range<Int>) -> Bool {
        var keyword = keywords.lowerBound
        while keyword < keywords.upperBound {
            let word = keyword >> 6
            guard word < words.count else { return true }
            let first = keyword & 63
            let count = min(64 - first, keywords.upperBound - keyword)
            let mask: UInt64 = (count == 64 ? ~0 : (1 << UInt64(count)) - 1) << UInt64(first)
            if words[word] & mask != 0 { return false }
            keyword += count
        }
        return true
    }

    /// Whether the keyword is new.
    @discardableResult
    package mutating func insert(_ keyword: Int) -> Bool {
        let word = keyword >> 6
        if word >= words.count {
            words.append(contentsOf: repeatElement(0, count: word + 1 - words.count))
        }
        let bit: UInt64 = 1 << UInt64(keyword & 63)
        guard words[word] & bit == 0 else { return false }
        words[word] |= bit
        count += 1
        return true
    }

    package mutating func removeAll() {
        guard count > 0 else { return }
        for word in words.indices { words[word] = 0 }
        count = 0
    }

    /// The members in ascending order.
    package var indices: [Int] {
        var members: [Int] = []
        members.reserveCapacity(count)
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                members.append(index << 6 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
        return members
    }
}
