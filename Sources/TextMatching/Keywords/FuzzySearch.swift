/// One text's pass of a `FuzzyMatcher`.
struct FuzzySearch {
    private struct Word {
        let start: Int
        let length: Int
        let letters: LetterSet
        /// Words up to here, this one included, that stand one blank apart.
        let chain: Int
        /// Whether the text has had the same word before.
        let isRepeated: Bool
    }

    private let matcher: FuzzyMatcher
    private let text: UTF8Text
    private var found: KeywordSet
    /// The text's letters and digits, with one blank for whatever stands between.
    private var scalars: [UInt32] = []
    /// The words in it that are not CJK.
    private var words: [Word] = []
    private var hasCJK = false

    private static let blank = UInt32(UInt8(ascii: " "))

    init(matcher: FuzzyMatcher, text: UTF8Text) {
        self.matcher = matcher
        self.text = text
        found = KeywordSet(capacity: matcher.count)
    }

    mutating func run() -> [Int] {
        read()
        let scalars = scalars
        scalars.withUnsafeBufferPointer { scalars in
            let longest = max(
                matcher.byWords.joined().map(\.lengths.upperBound).max() ?? 0,
                matcher.cjk.lengths.last?.length ?? 0
            )
            // A candidate is never longer than the text.
            let cells = min(longest, scalars.count) + 1
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: cells) { row in
                for keywords in matcher.byWords where !keywords.isEmpty { compareWords(keywords, scalars, row) }
                if hasCJK { compareWindows(scalars, row) }
            }
        }
        return found.indices
    }

    // MARK: Reading

    private mutating func read() {
        let end = text.bytes.count
        var seen = SeenWords()
        scalars.reserveCapacity(end + 1)
        var position = 0
        /// Where the word began: in `scalars` and in the text.
        var start: (scalar: Int, byte: Int)?
        var letters = LetterSet()
        while position < end {
            let (scalar, size) = text.scalar(at: position)
            let scalarClass = ScalarClass.of(scalar)
            let isLetter = scalarClass.isLetterOrDigit
            let isCJK = isLetter && scalarClass.isCJK
            if let begun = start, !isLetter || isCJK {
                endWord(begun, at: position, letters, &seen)
                start = nil
            }
            if isLetter {
                if isCJK {
                    hasCJK = true
                } else if start == nil {
                    start = (scalars.count, position)
                    letters = LetterSet()
                }
                letters.insert(scalar)
                scalars.append(scalar)
            } else if let last = scalars.last, last != FuzzySearch.blank {
                scalars.append(FuzzySearch.blank)
            }
            position += size
        }
        if let start { endWord(start, at: end, letters, &seen) }
    }

    private mutating func endWord(
        _ start: (scalar: Int, byte: Int),
        at end: Int,
        _ letters: LetterSet,
        _ seen: inout SeenWords
    ) {
        var chain = 1
        if let last = words.last, last.start + last.length + 1 == start.scalar,
            scalars[start.scalar - 1] == FuzzySearch.blank
        {
            chain = last.chain + 1
        }
        words.append(
            Word(
                start: start.scalar,
                length: scalars.count - start.scalar,
                letters: letters,
                chain: chain,
                isRepeated: !seen.insert(start.byte..<end, in: text.bytes)
            )
        )
    }

    // MARK: Words

    /// Compares keywords of one number of words, by length, with all stretches of as many words.
    private mutating func compareWords(
        _ keywords: [FuzzyMatcher.Keyword],
        _ scalars: UnsafeBufferPointer<UInt32>,
        _ row: UnsafeMutableBufferPointer<Int32>
    ) {
        let count = keywords[0].words
        var probes = keywords.map { Probe(lengths: $0.lengths, length: $0.scalars.count, letters: $0.letters) }
        let shortest = keywords[0].lengths.lowerBound
        let longest = keywords.map(\.lengths.upperBound).max() ?? 0
        guard words.count >= count else { return }
        for last in count - 1..<words.count where words[last].chain >= count {
            if count == 1 && words[last].isRepeated { continue }
            let start = words[last + 1 - count].start
            let length = words[last].start + words[last].length - start
            guard length >= shortest, length <= longest else { continue }
            var letters = words[last].letters
            if count > 1 {
                for word in last + 1 - count..<last { letters.formUnion(words[word].letters) }
                letters.insert(FuzzySearch.blank)
            }
            let candidate = UnsafeBufferPointer(rebasing: scalars[start..<start + length])
            compare(candidate, letters, keywords, &probes, row)
        }
    }

    private mutating func compare(
        _ candidate: UnsafeBufferPointer<UInt32>,
        _ letters: LetterSet,
        _ keywords: [FuzzyMatcher.Keyword],
        _ probes: inout [Probe],
        _ row: UnsafeMutableBufferPointer<Int32>
    ) {
        for index in probes.indices {
            let probe = probes[index]
            // By length: from here on all are too long. The bounds of lengths ascend with the keywords' lengths.
            if probe.shortest > candidate.count { return }
            guard probe.longest >= candidate.count else { continue }
            let limit = matcher.limit.distance(keyword: probe.length, candidate: candidate.count)
            guard letters.mayBe(probe.letters, within: limit) else { continue }
            let isNear = keywords[index].scalars.withUnsafeBufferPointer {
                EditDistance.isWithin(limit, $0, candidate, row: row)
            }
            guard isNear else { continue }
            found.insert(keywords[index].index)
            // No longer of any length.
            probes[index].longest = -1
        }
    }

    /// What the inner loop looks at.
    private struct Probe {
        let shortest: Int
        var longest: Int
        let length: Int
        let letters: LetterSet

        init(lengths: ClosedRange<Int>, length: Int, letters: LetterSet) {
            shortest = lengths.lowerBound
            longest = lengths.upperBound
            self.length = length
            self.letters = letters
        }
    }

    // MARK: Windows of CJK

    private mutating func compareWindows(
        _ scalars: UnsafeBufferPointer<UInt32>,
        _ row: UnsafeMutableBufferPointer<Int32>
    ) {
        let symbols = scalars.map { matcher.cjk.symbol($0) }
        var windows = CJKWindows(keywords: matcher.cjk)
        for number in matcher.cjk.lengths.indices {
            windows.slide(lengthNumber: number, over: symbols) { keyword, start in
                let wanted = matcher.cjk.keywords[keyword]
                if found.contains(wanted.index) { return true }
                let candidate = UnsafeBufferPointer(rebasing: scalars[start..<start + wanted.scalars.count])
                guard FuzzySearch.isStretch(candidate, words: wanted.words) else { return false }
                let isNear = wanted.scalars.withUnsafeBufferPointer {
                    EditDistance.isWithin(matcher.cjk.edits[keyword], $0, candidate, row: row)
                }
                if isNear { found.insert(wanted.index) }
                return isNear
            }
        }
    }

    /// Whether a window has some CJK, as many words as wanted, and no blank at its ends.
    private static func isStretch(_ candidate: UnsafeBufferPointer<UInt32>, words: Int) -> Bool {
        guard candidate.first != blank, candidate.last != blank else { return false }
        var blanks = 0
        var hasCJK = false
        for scalar in candidate {
            if scalar == blank { blanks += 1 }
            hasCJK = hasCJK || ScalarClass.isCJK(scalar)
        }
        return blanks == words - 1 && hasCJK
    }
}

/// Windows that slide over a text and tell which CJK keywords have enough characters in common with them.
struct CJKWindows {
    private let keywords: CJKKeywords
    /// How often the window has each character.
    private var times: [Int32]
    /// For each keyword the characters that the window has in common with it.
    private var common: [Int32]
    /// Keywords with enough, and where each stands among them, or -1.
    private var active: [Int32] = []
    private var place: [Int32]

    init(keywords: CJKKeywords) {
        self.keywords = keywords
        times = [Int32](repeating: 0, count: keywords.characters)
        common = [Int32](repeating: 0, count: keywords.keywords.count)
        place = [Int32](repeating: -1, count: keywords.keywords.count)
    }

    /// Calls `isDone` with a keyword of the length and where a window begins, for all that have enough in common.
    /// A keyword that is done is not offered again.
    mutating func slide(lengthNumber: Int, over symbols: [Int32], isDone: (Int, Int) -> Bool) {
        let (length, group) = keywords.lengths[lengthNumber]
        guard symbols.count >= length else { return }
        /// Keywords not done yet.
        var open = group.count
        for end in 0..<symbols.count {
            if end >= length { leave(symbols[end - length], lengthNumber) }
            enter(symbols[end], lengthNumber)
            guard end + 1 >= length else { continue }
            var index = 0
            while index < active.count {
                let keyword = active[index]
                if isDone(Int(keyword), end + 1 - length) {
                    deactivate(keyword)
                    // Never enough from now on.
                    common[Int(keyword)] = .min / 2
                    open -= 1
                } else {
                    index += 1
                }
            }
            if open == 0 { break }
        }
        // The window at the end leaves: the counters are for the next length.
        active.removeAll(keepingCapacity: true)
        for index in times.indices { times[index] = 0 }
    }

    private mutating func enter(_ symbol: Int32, _ lengthNumber: Int) {
        guard symbol >= 0 else { return }
        times[Int(symbol)] += 1
        let now = times[Int(symbol)]
        for member in keywords.having(symbol, lengthNumber: lengthNumber) where now <= member.times {
            let keyword = Int(member.keyword)
            common[keyword] += 1
            if common[keyword] == keywords.needed[keyword] { activate(member.keyword) }
        }
    }

    private mutating func leave(_ symbol: Int32, _ lengthNumber: Int) {
        guard symbol >= 0 else { return }
        let before = times[Int(symbol)]
        times[Int(symbol)] -= 1
        for member in keywords.having(symbol, lengthNumber: lengthNumber) where before <= member.times {
            let keyword = Int(member.keyword)
            common[keyword] -= 1
            if common[keyword] == keywords.needed[keyword] - 1 { deactivate(member.keyword) }
        }
    }

    private mutating func activate(_ keyword: Int32) {
        place[Int(keyword)] = Int32(active.count)
        active.append(keyword)
    }

    /// The last one takes its place.
    private mutating func deactivate(_ keyword: Int32) {
        let free = Int(place[Int(keyword)])
        guard free >= 0, let last = active.popLast() else { return }
        if last != keyword {
            active[free] = last
            place[Int(last)] = Int32(free)
        }
        place[Int(keyword)] = -1
    }
}
