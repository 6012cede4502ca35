/// All tokens that a text goes on with, found byte by byte: a double array (Aoe, "An efficient digital search algorithm by
/// using a double-array structure", 1989).
///
/// The child of a node for a byte lies at the node's base + byte, and names the node as its parent.
struct TokenTrie: Sendable {
    /// A token that can be reached, with its number.
    typealias Token = (bytes: ArraySlice<UInt8>, id: Int32)

    private struct Cell {
        var base: Int32 = 0
        /// The parent's cell; `free` when no node lies here.
        var parent: Int32 = free
        /// The token that ends here; negative when none does.
        var id: Int32 = -1
    }

    /// Where a search begins.
    static let root: Int32 = 0
    private static let free: Int32 = -2
    private var cells: [Cell]

    /// - Complexity: O(n log n) for n bytes of tokens.
    init(_ tokens: [Token]) {
        var builder = Builder(tokens)
        cells = builder.build()
        // A base points at most 255 cells before the end, so that a search needs no other check.
        cells.append(contentsOf: repeatElement(Cell(), count: 256))
    }

    /// The node that follows `node` on `byte`; negative when there is none.
    @inline(__always)
    func child(of node: Int32, _ byte: UInt8) -> Int32 {
        let child = cells[Int(node)].base + Int32(byte)
        return cells[Int(child)].parent == node ? child : -1
    }

    /// The token that ends at `node`; negative when none does.
    @inline(__always)
    func id(at node: Int32) -> Int32 { cells[Int(node)].id }

    /// The node that `bytes` lead to.
    func node(_ bytes: some Sequence<UInt8>) -> Int32? {
        var node = Self.root
        for byte in bytes {
            node = child(of: node, byte)
            if node < 0 { return nil }
        }
        return node
    }

    /// Places nodes, each with all its children at once, depth first.
    private struct Builder {
        private let tokens: [Token]
        /// The numbers of `tokens` in the order of their bytes.
        private let order: [Int32]
        private var cells: [Cell] = [Cell(base: 0, parent: -1)]
        /// Free cells in rising order: each names the next and the one before.
        private var next: [Int32] = [0]
        private var previous: [Int32] = [0]
        private var firstFree: Int32 = -1
        private var lastFree: Int32 = -1

        /// The next cell of one that is free but searched no more.
        private static let givenUp: Int32 = -3
        /// So many free cells are tried before a node's children are set at the end: it bounds the time to build.
        private static let mostTries = 32

        init(_ tokens: [Token]) {
            self.tokens = tokens
            // Most tokens differ in their first eight bytes.
            var keys = tokens.enumerated().map { index, token in
                var head: UInt64 = 0
                for (position, byte) in token.bytes.prefix(8).enumerated() {
                    head |= UInt64(byte) << UInt64(56 - position * 8)
                }
                return (head: head, index: Int32(index))
            }
            keys.sort { left, right in
                if left.head != right.head { return left.head < right.head }
                return tokens[Int(left.index)].bytes.lexicographicallyPrecedes(tokens[Int(right.index)].bytes)
            }
            order = keys.map(\.index)
        }

        mutating func build() -> [Cell] {
            var open: [(node: Int32, keys: Range<Int>, depth: Int)] = [(TokenTrie.root, 0..<order.count, 0)]
            var labels: [UInt8] = []
            var ranges: [Range<Int>] = []
            while let (node, keys, depth) = open.popLast() {
                var start = keys.lowerBound
                // The shortest come first; of equal tokens the last one counts.
                while start < keys.upperBound, tokens[Int(order[start])].bytes.count == depth {
                    cells[Int(node)].id = max(cells[Int(node)].id, tokens[Int(order[start])].id)
                    start += 1
                }
                labels.removeAll(keepingCapacity: true)
                ranges.removeAll(keepingCapacity: true)
                while start < keys.upperBound {
                    let label = byte(of: start, depth)
                    var end = start + 1
                    while end < keys.upperBound, byte(of: end, depth) == label { end += 1 }
                    labels.append(label)
                    ranges.append(start..<end)
                    start = end
                }
                guard !labels.isEmpty else { continue }
                let base = place(labels)
                cells[Int(node)].base = base
                for (label, range) in zip(labels, ranges) {
                    let child = base + Int32(label)
                    take(child)
                    cells[Int(child)].parent = node
                    open.append((child, range, depth + 1))
                }
            }
            return cells
        }

        private func byte(of key: Int, _ depth: Int) -> UInt8 {
            let bytes = tokens[Int(order[key])].bytes
            return bytes[bytes.startIndex + depth]
        }

        /// A base, not negative, for which the cells of all labels are free.
        private mutating func place(_ labels: [UInt8]) -> Int32 {
            let first = Int32(labels[0])
            let last = Int32(labels[labels.count - 1])
            var candidate = firstFree
            var tries = 0
            while candidate >= 0, tries < Self.mostTries {
                let base = candidate - first
                if base >= 0, fits(labels, base) {
                    grow(to: base + last + 1)
                    return base
                }
                candidate = next[Int(candidate)]
                tries += 1
            }
            // Low free cells that keep failing would be tried again and again.
            if tries == Self.mostTries { giveUpFirst(Self.mostTries / 2) }
            let base = max(Int32(cells.count) - first, 0)
            grow(to: base + last + 1)
            return base
        }

        private func fits(_ labels: [UInt8], _ base: Int32) -> Bool {
            for label in labels {
                let cell = Int(base) + Int(label)
                if cell < cells.count, cells[cell].parent != TokenTrie.free { return false }
            }
            return true
        }

        private mutating func grow(to count: Int32) {
            while cells.count < Int(count) {
                let cell = Int32(cells.count)
                cells.append(Cell())
                next.append(-1)
                previous.append(lastFree)
                if lastFree >= 0 { next[Int(lastFree)] = cell } else { firstFree = cell }
                lastFree = cell
            }
        }

        /// Removes a cell from the free ones.
        private mutating func take(_ cell: Int32) {
            guard next[Int(cell)] != Self.givenUp else { return }
            let (before, after) = (previous[Int(cell)], next[Int(cell)])
            if before >= 0 { next[Int(before)] = after } else { firstFree = after }
            if after >= 0 { previous[Int(after)] = before } else { lastFree = before }
        }

        /// Leaves free cells out of the search; they may still be taken for the sake of their neighbours.
        private mutating func giveUpFirst(_ count: Int) {
            for _ in 0..<count where firstFree >= 0 {
                let cell = firstFree
                take(cell)
                next[Int(cell)] = Self.givenUp
            }
        }
    }
}
