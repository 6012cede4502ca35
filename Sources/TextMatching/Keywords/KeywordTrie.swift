/// The trie of a list of keywords' bytes with the links of Aho and Corasick (CACM 18, 1975), states in breadth-first
/// order: 0 is the root, every state's children are neighbours, and links lead to lower numbers.
struct KeywordTrie {
    /// Bytes that occur in no keyword are class 0; every other byte has a class of its own.
    private(set) var classOf = [UInt8](repeating: 0, count: 256)
    private(set) var classes = 1
    /// Children of state s: `firstChild[s]..<firstChild[s + 1]`, in ascending order of class.
    private(set) var firstChild: [UInt32] = []
    /// The class of the byte that leads into a state.
    private(set) var label: [UInt8] = []
    /// The state of the longest proper suffix that is also in the trie.
    private(set) var failure: [UInt32] = []
    /// The spelling that ends in a state, or `none`.
    private(set) var spelling: [UInt32] = []
    /// The next shorter suffix in which a spelling ends, or `none`.
    private(set) var shorter: [UInt32] = []

    static let none = UInt32.max

    var states: Int { label.count }

    /// - Parameter spellings: distinct and not empty.
    init(_ spellings: [[UInt8]]) {
        // UTF-8 uses 243 byte values, so that classes fit in a byte.
        for byte in Set(spellings.joined()).sorted() {
            classOf[Int(byte)] = UInt8(truncatingIfNeeded: classes)
            classes += 1
        }
        number(spellings)
        link()
    }

    /// Numbers the states level by level. Sorted spellings with one prefix are neighbours: a state is a range of them.
    private mutating func number(_ spellings: [[UInt8]]) {
        let order = spellings.indices.sorted { spellings[$0].lexicographicallyPrecedes(spellings[$1]) }
        var ranges: [Range<Int>] = [0..<order.count]
        label = [0]
        var state = 0
        var depth = 0
        var levelEnd = 1
        while state < ranges.count {
            if state == levelEnd {
                depth += 1
                levelEnd = ranges.count
            }
            var range = ranges[state]
            firstChild.append(UInt32(ranges.count))
            // The shortest sorts first: it ends here.
            if let first = range.first, spellings[order[first]].count == depth {
                spelling.append(UInt32(order[first]))
                range.removeFirst()
            } else {
                spelling.append(KeywordTrie.none)
            }
            while let first = range.first {
                let byte = spellings[order[first]][depth]
                var end = first + 1
                while end < range.upperBound && spellings[order[end]][depth] == byte { end += 1 }
                ranges.append(first..<end)
                label.append(classOf[Int(byte)])
                range = end..<range.upperBound
            }
            state += 1
        }
        firstChild.append(UInt32(ranges.count))
    }

    private mutating func link() {
        failure = [UInt32](repeating: 0, count: states)
        shorter = [UInt32](repeating: KeywordTrie.none, count: states)
        for parent in 0..<states {
            for child in Int(firstChild[parent])..<Int(firstChild[parent + 1]) {
                if parent > 0 {
                    var suffix = Int(failure[parent])
                    while suffix > 0 && self.child(of: suffix, label[child]) == nil { suffix = Int(failure[suffix]) }
                    failure[child] = UInt32(self.child(of: suffix, label[child]) ?? 0)
                }
                let link = Int(failure[child])
                shorter[child] = spelling[link] != KeywordTrie.none ? UInt32(link) : shorter[link]
            }
        }
    }

    func child(of state: Int, _ label: UInt8) -> Int? {
        var child = Int(firstChild[state])
        let end = Int(firstChild[state + 1])
        while child < end {
            if self.label[child] == label { return child }
            child += 1
        }
        return nil
    }
}
