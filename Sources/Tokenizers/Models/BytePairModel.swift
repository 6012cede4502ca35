/// Byte-pair encoding (Sennrich, Haddow and Birch, ACL 2016): a piece begins as its characters, and of all neighbours that
/// may be merged those of the lowest rank, and of them the leftmost, are merged until none is left.
struct BytePairModel: Sendable {
    let vocabulary: Vocabulary
    let unknown: Int32?
    private let options: Options
    private let merges: MergeTable
    private let symbols: SymbolTable
    private let neighbours: NeighbourFilter
    /// A bit for each token whose text, as a piece, becomes that token: such a piece needs no merging.
    private var wholePieces: [UInt64] = []
    /// In bytes; a longer piece is no token.
    private var longestToken = 0

    struct Options: Sendable {
        /// Unknown characters in a row are one token.
        var fusesUnknown = false
        /// Unknown characters are spelt in tokens for bytes.
        var byteFallback = false
        /// A piece that is a token is not taken apart.
        var ignoresMerges = false
        /// Set before each character but the piece's first.
        var continuationPrefix = ""
        /// Set after the piece's last character.
        var wordSuffix = ""
    }

    /// - Parameter merges: by rank.
    init(vocabulary: Vocabulary, merges: MergeTable, unknown: Int32?, options: Options) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.unknown = unknown
        self.options = options
        symbols = SymbolTable(vocabulary, options)
        neighbours = NeighbourFilter(
            vocabulary,
            isUsable: options.continuationPrefix.isEmpty && options.wordSuffix.isEmpty
        )
        if options.ignoresMerges {
            vocabulary.forEach { longestToken = max(longestToken, $1.count) }
        } else if !options.byteFallback {
            // Models that fall back to bytes mostly see whole texts, which are no tokens.
            findWholePieces()
        }
    }

    private mutating func findWholePieces() {
        var found = FoundTokens()
        var bits = [UInt64](repeating: 0, count: (Int(vocabulary.end) + 63) / 64)
        var longest = 0
        vocabulary.forEach { id, token in
            longest = max(longest, token.count)
            let bytes = Array(token)
            found.tokens.removeAll(keepingCapacity: true)
            merge(bytes, 0..<bytes.count, into: &found)
            if found.tokens.count == 1, found.tokens[0].id == id, found.tokens[0].end == bytes.count {
                bits[Int(id) >> 6] |= 1 << UInt64(id & 63)
            }
        }
        wholePieces = bits
        longestToken = longest
    }

    /// - Complexity: O(n log n) for n bytes.
    func tokenize(_ bytes: [UInt8], _ range: Range<Int>, into found: inout FoundTokens) {
        if range.count <= longestToken, let id = vocabulary.id(of: bytes, range),
            options.ignoresMerges || wholePieces[Int(id) >> 6] & 1 << UInt64(id & 63) != 0
        {
            return found.add(id, range.lowerBound, range.upperBound)
        }
        merge(bytes, range, into: &found)
    }

    /// Tokens are as long as their characters, and stand side by side from the piece's start on, even when characters that
    /// are unknown to a model without unknown token were left out: so does the reference.
    private func merge(_ bytes: [UInt8], _ range: Range<Int>, into found: inout FoundTokens) {
        var position = range.lowerBound
        var pendingUnknown = 0
        var lastKnown: UInt32?
        var index = range.lowerBound
        let looksForCuts = neighbours.isUsable && range.count > Self.shortPiece
        found.bytePairs.removeAll()
        while index < range.upperBound {
            let scalar = UTF8Scalars.decode(bytes, at: index)
            let end = index + UTF8Scalars.length(of: bytes[index])
            let id = symbols.id(
                of: scalar,
                bytes,
                index..<end,
                isFirst: index == range.lowerBound,
                isLast: end == range.upperBound,
                vocabulary
            )
            if id >= 0 {
                if pendingUnknown > 0, let unknown {
                    found.bytePairs.append(unknown, length: pendingUnknown)
                    pendingUnknown = 0
                } else if looksForCuts, let lastKnown, !neighbours.mayMeet(lastKnown, scalar) {
                    // No token holds these two side by side, so no merge goes over them.
                    flush(&position, into: &found)
                }
                found.bytePairs.append(id, length: end - index)
                lastKnown = scalar
            } else {
                lastKnown = nil
                if let byteTokens = symbols.byteTokens,
                    bytes[index..<end].allSatisfy({ byteTokens[Int($0)] != nil })
                {
                    for byte in bytes[index..<end] {
                        if let token = byteTokens[Int(byte)] { found.bytePairs.append(token, length: 1) }
                    }
                } else if let unknown {
                    if pendingUnknown > 0, !options.fusesUnknown {
                        found.bytePairs.append(unknown, length: pendingUnknown)
                        pendingUnknown = 0
                    }
                    pendingUnknown += end - index
                }
            }
            index = end
        }
        if pendingUnknown > 0, let unknown { found.bytePairs.append(unknown, length: pendingUnknown) }
        flush(&position, into: &found)
    }

    /// Merges what has been gathered, and adds the tokens.
    private func flush(_ position: inout Int, into found: inout FoundTokens) {
        found.bytePairs.merge(with: merges)
        for index in 0..<found.bytePairs.count {
            let end = position + Int(found.bytePairs.lengths[index])
            found.add(found.bytePairs.ids[index], position, end)
            position = end
        }
        found.bytePairs.removeAll()
    }

    /// In bytes: shorter pieces are merged as they are.
    private static let shortPiece = 24
}

// MARK: - Merging

extension BytePairModel {
    /// The symbols of a piece that are still to be merged.
    struct Workspace {
        fileprivate(set) var ids: [Int32] = []
        /// In bytes.
        fileprivate(set) var lengths: [Int32] = []
        /// What each symbol and the next one become; `MergeTable.none` when nothing.
        private var ranks: [UInt64] = []
        private var next: [Int32] = []
        private var previous: [Int32] = []
        private var heap = MergeHeap()

        /// Up to so many symbols are searched for the lowest rank one by one: about where a heap begins to be faster.
        private static let fewSymbols = 48

        var count: Int { ids.count }

        mutating func append(_ id: Int32, length: Int) {
            ids.append(id)
            lengths.append(Int32(truncatingIfNeeded: length))
        }

        mutating func removeAll() {
            ids.removeAll(keepingCapacity: true)
            lengths.removeAll(keepingCapacity: true)
        }

        mutating func merge(with merges: MergeTable) {
            guard ids.count > 1 else { return }
            ranks.removeAll(keepingCapacity: true)
            for index in 1..<ids.count { ranks.append(merges.rank(of: ids[index - 1], ids[index])) }
            if ids.count <= Self.fewSymbols { mergeFew(merges) } else { mergeMany(merges) }
        }

        private mutating func mergeFew(_ merges: MergeTable) {
            while let (position, merge) = lowest() {
                ids[position] = MergeTable.token(of: merge)
                lengths[position] += lengths[position + 1]
                ids.remove(at: position + 1)
                lengths.remove(at: position + 1)
                ranks.remove(at: position)
                if position > 0 { ranks[position - 1] = merges.rank(of: ids[position - 1], ids[position]) }
                if position < ranks.count { ranks[position] = merges.rank(of: ids[position], ids[position + 1]) }
            }
        }

        private func lowest() -> (position: Int, merge: UInt64)? {
            var found = 0
            var best = MergeTable.none
            for position in ranks.indices where ranks[position] < best {
                best = ranks[position]
                found = position
            }
            return best == MergeTable.none ? nil : (found, best)
        }

        private mutating func mergeMany(_ merges: MergeTable) {
            let count = ids.count
            next.removeAll(keepingCapacity: true)
            previous.removeAll(keepingCapacity: true)
            heap.removeAll()
            for position in 0..<count {
                next.append(Int32(position + 1 < count ? position + 1 : -1))
                previous.append(Int32(position - 1))
                if position + 1 < count, ranks[position] != MergeTable.none { heap.push(ranks[position], position) }
            }
            ranks.append(MergeTable.none)
            while let (merge, position) = heap.pop() {
                // The pair has changed since.
                guard ranks[position] == merge else { continue }
                let right = Int(next[position])
                ids[position] = MergeTable.token(of: merge)
                lengths[position] += lengths[right]
                ids[right] = -1
                ranks[right] = MergeTable.none
                let after = next[right]
                next[position] = after
                if after >= 0 { previous[Int(after)] = Int32(position) }
                renew(position, merges)
                if previous[position] >= 0 { renew(Int(previous[position]), merges) }
            }
            var written = 0
            for position in 0..<count where ids[position] >= 0 {
                ids[written] = ids[position]
                lengths[written] = lengths[position]
                written += 1
            }
            ids.removeSubrange(written...)
            lengths.removeSubrange(written...)
        }

        /// Finds out again what a symbol and the next one become.
        private mutating func renew(_ position: Int, _ merges: MergeTable) {
            let right = next[position]
            let merge = right < 0 ? MergeTable.none : merges.rank(of: ids[position], ids[Int(right)])
            ranks[position] = merge
            if merge != MergeTable.none { heap.push(merge, position) }
        }
    }
}

/// The merge of lowest rank first, of equal ones the leftmost: a binary heap.
private struct MergeHeap {
    private var items: [(merge: UInt64, position: Int)] = []

    mutating func removeAll() { items.removeAll(keepingCapacity: true) }

    mutating func push(_ merge: UInt64, _ position: Int) {
        items.append((merge, position))
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard items[child] < items[parent] else { break }
            items.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> (merge: UInt64, position: Int)? {
        guard let first = items.first, let last = items.popLast() else { return nil }
        guard !items.isEmpty else { return first }
        items[0] = last
        var parent = 0
        while true {
            var child = parent * 2 + 1
            guard child < items.count else { break }
            if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
            guard items[child] < items[parent] else { break }
            items.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
