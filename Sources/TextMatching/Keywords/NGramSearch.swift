/// One text's pass over an `NGramIndex`.
struct NGramSearch {
    private let index: NGramIndex
    private let text: UTF8Text
    private let threshold: Float
    private let arity: Int
    /// The smallest shared / all that reaches the threshold, a little less for rounding; 0 if any does.
    private let leastRatio: Double

    private var found: KeywordSet
    private var matches: [Int] = []
    private var seen = SeenWords()
    /// The windows searched, of each length.
    private var seenWindows = SeenWords()

    // Counters, all zero between searches.
    private var sharedOfEntry: [Int32]
    private var timesOfGram: [Int32]
    private var touched: [Int32] = []
    private var hits: [Int32] = []
    /// A search's characters between blanks.
    private var padded: [UInt32] = []
    /// The characters of a word with CJK.
    private var stretch: [UInt32] = []
    /// Where each of them begins in the text, and the word's end.
    private var offsets: [Int] = []

    init(index: NGramIndex, text: UTF8Text, threshold: Float) {
        self.index = index
        self.text = text
        self.threshold = threshold
        arity = index.arity
        // similarity = 1 − (1 − ratio)² ≥ threshold
        leastRatio = threshold > 0 ? max(0, 1 - (1 - Double(threshold)).squareRoot() - 1e-6) : 0
        found = KeywordSet(capacity: index.count)
        sharedOfEntry = [Int32](repeating: 0, count: index.entries.count)
        timesOfGram = [Int32](repeating: 0, count: index.gramCount)
    }

    mutating func run() -> [Int] {
        let length = searchWords()
        if found.count < index.count && length <= longestQuery {
            pad(0..<text.bytes.count)
            search(cjkLength: nil)
        }
        return matches
    }

    /// The most characters, without padding, that a query may have and reach the threshold.
    ///
    /// A keyword of padded length K has K − arity + 1 grams, so shared is at most that. For a query of padded length Q,
    /// all = Q + K − 2·arity + 2 − shared is at least Q − arity + 1. ratio = shared / all is then at most
    /// (K − arity + 1) / (Q − arity + 1), which is below `leastRatio` once Q exceeds
    /// (K − arity + 1) / leastRatio + arity − 1.
    private var longestQuery: Int {
        guard leastRatio > 0 else { return .max }
        let bound = Double(index.longestPadded - arity + 1) / leastRatio + Double(arity - 1)
        return Int(min(bound, 1e12)) - 2 * (arity - 1)
    }

    /// The fewest shared grams with which a query of padded length Q can reach the threshold against a keyword of
    /// padded length K: shared ≥ ratio · all, with all + shared = Q + K − 2·arity + 2.
    private func fewestShared(_ query: Int, _ keyword: Int) -> Int {
        let sum = Double(query + keyword - 2 * arity + 2)
        return max(1, Int((leastRatio / (1 + leastRatio) * sum - 1e-6).rounded(.up)))
    }

    // MARK: Words

    /// Every word is a search. Returns the text's length in characters.
    private mutating func searchWords() -> Int {
        let end = text.bytes.count
        let longest = longestQuery
        var position = 0
        var characters = 0
        while position < end {
            let start = position
            let before = characters
            var hasCJK = false
            var hasOther = false
            while position < end {
                let (scalar, size) = text.scalar(at: position)
                let scalarClass = ScalarClass.of(scalar)
                guard isWordCharacter(scalar, scalarClass) else { break }
                if scalarClass.isCJK { hasCJK = true } else { hasOther = true }
                position += size
                characters += 1
            }
            if position > start, found.count < index.count {
                let length = characters - before
                if (length <= longest || hasCJK) && seen.insert(start..<position, in: text.bytes) {
                    searchWord(start..<position, length <= longest, hasCJK, hasOther)
                }
            }
            // Over what ended the word.
            if position < end {
                position += text.scalar(at: position).length
                characters += 1
            }
        }
        return characters
    }

    @inline(__always)
    private func isWordCharacter(_ scalar: UInt32, _ scalarClass: ScalarClass) -> Bool {
        scalarClass.isAlphanumeric || scalar == 0x5F || scalar == 0x2D  // _ -
    }

    private mutating func searchWord(_ word: Range<Int>, _ mayMatch: Bool, _ hasCJK: Bool, _ hasOther: Bool) {
        if mayMatch {
            pad(word)
            search(cjkLength: nil)
        }
        guard hasCJK else { return }
        if hasOther { searchStretches(word) }
        searchWindows(word)
    }

    /// The parts of a word between its CJK characters.
    private mutating func searchStretches(_ word: Range<Int>) {
        let longest = longestQuery
        var position = word.lowerBound
        var start = position
        var length = 0
        while position <= word.upperBound {
            let isEnd = position == word.upperBound
            let (scalar, size) = isEnd ? (0, 1) : text.scalar(at: position)
            if isEnd || ScalarClass.of(scalar).isCJK {
                if length > 0 && length <= longest {
                    pad(start..<position)
                    search(cjkLength: nil)
                }
                start = position + size
                length = 0
            } else {
                length += 1
            }
            position += size
        }
    }

    // MARK: Windows

    /// Every window of a CJK keyword's length, by length and place.
    ///
    /// Which grams are known is found once per place, in running sums; a window takes part in a search only if it has
    /// enough of them.
    private mutating func searchWindows(_ word: Range<Int>) {
        stretch.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        var position = word.lowerBound
        while position < word.upperBound {
            let (scalar, size) = text.scalar(at: position)
            stretch.append(index.symbol(scalar))
            offsets.append(position)
            position += size
        }
        offsets.append(position)
        let known = KnownGrams(run: stretch, index: index)
        for length in index.cjkLengths where length <= stretch.count {
            if index.entries.allSatisfy({ $0.cjkLength != length || found.contains($0.keywords[0]) }) { continue }
            let paddedLength = length + 2 * (arity - 1)
            let fewest = fewestShared(paddedLength, paddedLength)
            for start in 0...stretch.count - length where known.atMost(start, length) >= fewest {
                guard seenWindows.insert(offsets[start]..<offsets[start + length], in: text.bytes) else { continue }
                padded.removeAll(keepingCapacity: true)
                padded.append(contentsOf: repeatElement(0, count: arity - 1))
                padded.append(contentsOf: stretch[start..<start + length])
                padded.append(contentsOf: repeatElement(0, count: arity - 1))
                search(cjkLength: length)
            }
        }
    }

    /// For every place of a run, how many of the grams are known that a window would have there.
    private struct KnownGrams {
        private let arity: Int
        /// Known grams inside the run that begin before a place.
        private var inside: [Int32]
        /// Known grams of a window that begins, or ends, at a place and reach into the padding there.
        private var leading: [Int32]
        private var trailing: [Int32]

        init(run: [UInt32], index: NGramIndex) {
            arity = index.arity
            inside = [Int32](repeating: 0, count: run.count + 1)
            leading = inside
            trailing = inside
            for place in 0...run.count {
                if place < run.count {
                    let isKnown = place + arity <= run.count && KnownGrams.isKnown(run[place..<place + arity], index)
                    inside[place + 1] = inside[place] + (isKnown ? 1 : 0)
                }
                for letters in 1..<arity {
                    // Blanks before do not change a gram's key.
                    if place + letters <= run.count, KnownGrams.isKnown(run[place..<place + letters], index) {
                        leading[place] += 1
                    }
                    if letters <= place,
                        KnownGrams.isKnown(run[place - letters..<place], blanksAfter: arity - letters, index)
                    {
                        trailing[place] += 1
                    }
                }
            }
        }

        private static func isKnown(_ gram: ArraySlice<UInt32>, blanksAfter: Int = 0, _ index: NGramIndex) -> Bool {
            !gram.contains(NGramIndex.unknown) && index.gram(gram, blanksAfter: blanksAfter) != nil
        }

        /// A window shorter than a gram has grams with blanks on both sides: all of its grams may be known.
        func atMost(_ start: Int, _ length: Int) -> Int {
            guard length >= arity else { return length + arity - 1 }
            let end = start + length
            return Int(leading[start] + inside[end - arity + 1] - inside[start] + trailing[end])
        }
    }

    // MARK: Search

    /// Brings a stretch of the text between blanks into `padded`.
    private mutating func pad(_ range: Range<Int>) {
        padded.removeAll(keepingCapacity: true)
        padded.append(contentsOf: repeatElement(0, count: arity - 1))
        var position = range.lowerBound
        while position < range.upperBound {
            let (scalar, size) = text.scalar(at: position)
            padded.append(index.symbol(scalar))
            position += size
        }
        padded.append(contentsOf: repeatElement(0, count: arity - 1))
    }

    /// Searches what is in `padded`, among the CJK keywords of one length or among all.
    private mutating func search(cjkLength: Int?) {
        collectHits()
        guard hits.count >= fewestShared(padded.count, index.shortestPadded) else { return }
        for gram in hits {
            timesOfGram[Int(gram)] += 1
            let times = timesOfGram[Int(gram)]
            for posting in index.postings[index.starts[Int(gram)]..<index.starts[Int(gram) + 1]]
            where times <= posting.count {
                let entry = Int(posting.entry)
                if sharedOfEntry[entry] == 0 { touched.append(posting.entry) }
                sharedOfEntry[entry] += 1
            }
        }
        for gram in hits { timesOfGram[Int(gram)] = 0 }
        takeBest(cjkLength)
    }

    /// The grams of `padded` that keywords have.
    private mutating func collectHits() {
        hits.removeAll(keepingCapacity: true)
        /// Characters in a row that are in the alphabet.
        var known = 0
        for end in padded.indices {
            known = padded[end] == NGramIndex.unknown ? 0 : known + 1
            guard known >= arity else { continue }
            if let gram = index.gram(padded[end + 1 - arity...end]) { hits.append(Int32(gram)) }
        }
    }

    private mutating func takeBest(_ cjkLength: Int?) {
        var best: [(similarity: Float, entry: Int)] = []
        for touched in touched {
            let entry = Int(touched)
            let shared = Int(sharedOfEntry[entry])
            sharedOfEntry[entry] = 0
            if let cjkLength, index.entries[entry].cjkLength != cjkLength { continue }
            let all = padded.count + index.entries[entry].paddedLength - 2 * arity + 2 - shared
            let similarity = NGramIndex.similarity(shared: shared, all: all)
            if similarity >= threshold { best.append((similarity, entry)) }
        }
        touched.removeAll(keepingCapacity: true)
        guard !best.isEmpty else { return }
        best.sort { $0.similarity > $1.similarity || ($0.similarity == $1.similarity && $0.entry < $1.entry) }
        for (_, entry) in best.prefix(NGramIndex.bestPerSearch) {
            for keyword in index.entries[entry].keywords where found.insert(keyword) { matches.append(keyword) }
        }
    }
}
