/// The bytes of the scalars of a set, as a deterministic machine without loops. Equal endings are shared, so that even
/// `\pL`, with its 660 ranges, has fewer than 300 nodes.
struct UTF8Automaton {
    struct Edge: Hashable {
        var low: UInt8
        var high: UInt8
        /// The node to go on with, or `accepting`.
        var target: Int
    }

    static let accepting = -1

    /// Edges in order of bytes. Targets come before the nodes that lead to them; the root is last.
    private(set) var nodes: [[Edge]] = []
    private var places: [[Edge]: Int] = [:]

    init(_ set: ScalarSet) {
        // What each length of UTF-8 can hold. The surrogates are no scalars.
        let spans: [(first: UInt32, last: UInt32, length: UInt32, lead: UInt32)] = [
            (0, 0x7F, 1, 0), (0x80, 0x7FF, 2, 0xC0), (0x800, 0xD7FF, 3, 0xE0), (0xE000, 0xFFFF, 3, 0xE0),
            (0x10000, ScalarSet.last, 4, 0xF0),
        ]
        var root: [Edge] = []
        for span in spans {
            let ranges = set.ranges.compactMap { range -> ScalarSet.Range? in
                let low = max(range.low, span.first)
                let high = min(range.high, span.last)
                return low <= high ? ScalarSet.Range(low: low, high: high) : nil
            }
            root += edges(for: ranges, following: span.length - 1, lead: span.lead)
        }
        nodes.append(root)
    }

    /// The edges for numbers of which the last `following` times 6 bits go into bytes of their own, and those above
    /// them into the first byte, with `lead`.
    private mutating func edges(for ranges: [ScalarSet.Range], following: UInt32, lead: UInt32) -> [Edge] {
        let bits = 6 * following
        var edges: [Edge] = []
        // Numbers that begin with the same byte and do not have all endings.
        var pending: (block: UInt32, ranges: [ScalarSet.Range])?
        func add(_ low: UInt32, _ high: UInt32, _ target: Int) {
            if let last = edges.last, last.target == target, UInt32(last.high) + 1 == lead + low {
                edges[edges.count - 1].high = UInt8(lead + high)
            } else {
                edges.append(Edge(low: UInt8(lead + low), high: UInt8(lead + high), target: target))
            }
        }
        func flush(_ automaton: inout UTF8Automaton) {
            guard let (block, ranges) = pending else { return }
            pending = nil
            add(block, block, automaton.node(for: ranges, length: following))
        }
        for range in ranges {
            var low = range.low
            while low <= range.high {
                let block = low >> bits
                let blockStart = block << bits
                let blockEnd = blockStart + (1 << bits - 1)
                if low == blockStart, range.high >= blockEnd {
                    flush(&self)
                    let lastBlock = (range.high + 1) >> bits - 1
                    add(block, lastBlock, node(for: [.init(low: 0, high: 1 << bits - 1)], length: following))
                    low = (lastBlock + 1) << bits
                } else {
                    if pending?.block != block { flush(&self) }
                    let high = min(range.high, blockEnd)
                    if pending == nil { pending = (block, []) }
                    pending?.ranges.append(.init(low: low - blockStart, high: high - blockStart))
                    low = high + 1
                }
            }
        }
        flush(&self)
        return edges
    }

    /// The node that takes `length` continuation bytes with the numbers in `ranges`.
    private mutating func node(for ranges: [ScalarSet.Range], length: UInt32) -> Int {
        guard length > 0 else { return Self.accepting }
        let edges = edges(for: ranges, following: length - 1, lead: 0x80)
        if let place = places[edges] { return place }
        nodes.append(edges)
        places[edges] = nodes.count - 1
        return nodes.count - 1
    }
}
