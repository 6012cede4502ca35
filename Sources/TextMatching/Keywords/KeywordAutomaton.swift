/// Many literal keywords, searched in one pass over the text.
///
/// An Aho–Corasick automaton over bytes. Bytes that occur in no keyword share a column, and every state that fits in
/// `denseEntries` has a row of ready transitions: one table look-up per byte. States beyond that, the deepest ones,
/// keep only their children and a link to a shorter suffix.
///
/// Boundaries: a keyword without any CJK scalar counts only where neither the scalar just before it nor the one just
/// after it is a letter or decimal digit outside CJK. Only the neighbours are looked at, not the keyword's own ends:
/// "c++" is found in "use c++, now", not in "c++x" or "objc++". `_`, `-`, emoji and combining marks do not block. A
/// keyword with a CJK scalar counts anywhere. The empty keyword is in every text.
///
/// Text and keywords are compared byte for byte: whoever wants case ignored gives both in lower case.
package struct KeywordAutomaton: Sendable {
    /// Rows for the states nearest to the root: 4 MiB of four-byte transitions. 200 keywords of 12 bytes need 0.4 MiB.
    package static let denseEntries = 1 << 20

    /// Marks a transition into a state that needs a closer look: keywords end in it, or it has no row.
    private static let flag: UInt32 = 1 << 31

    private let trie: KeywordTrie
    /// The rows: for state and class the next state's row offset, flagged or not.
    private let dense: [UInt32]
    /// States below this have a row.
    private let denseStates: Int
    /// Per spelling: its bytes, whether it needs boundaries, and the first keyword spelled so.
    private let spellings: [Spelling]
    /// The next keyword of the same spelling, or -1.
    private let sameSpelling: [Int]
    /// Empty keywords.
    private let everywhere: [Int]

    /// Keywords, as `find` numbers them.
    package var count: Int { sameSpelling.count }

    private struct Spelling {
        let length: Int
        let isBounded: Bool
        let firstKeyword: Int
    }

    /// - Parameter keywords: in the case in which texts are given; together at most 8 MB.
    /// - Complexity: O(bytes of the keywords · different bytes in them).
    package init(_ keywords: [String]) {
        self.init(keywords, denseEntries: KeywordAutomaton.denseEntries)
    }

    /// - Parameter denseEntries: bound of the table's size, in transitions. At least the root has a row.
    package init(_ keywords: [String], denseEntries: Int) {
        var ofBytes: [[UInt8]: Int] = [:]
        var bytes: [[UInt8]] = []
        var spellings: [Spelling] = []
        var last: [Int] = []
        var same = [Int](repeating: -1, count: keywords.count)
        var everywhere: [Int] = []
        for (keyword, text) in keywords.enumerated() {
            let utf8 = Array(text.utf8)
            if utf8.isEmpty {
                everywhere.append(keyword)
            } else if let spelling = ofBytes[utf8] {
                same[last[spelling]] = keyword
                last[spelling] = keyword
            } else {
                ofBytes[utf8] = spellings.count
                let hasCJK = text.unicodeScalars.contains { ScalarClass.of($0.value).isCJK }
                spellings.append(Spelling(length: utf8.count, isBounded: !hasCJK, firstKeyword: keyword))
                bytes.append(utf8)
                last.append(keyword)
            }
        }
        let trie = KeywordTrie(bytes)
        precondition(trie.states * trie.classes < Int(KeywordAutomaton.flag), "more than 8 MB of keywords")
        denseStates = min(trie.states, max(1, denseEntries / trie.classes))
        dense = KeywordAutomaton.rows(trie, denseStates)
        self.trie = trie
        self.spellings = spellings
        sameSpelling = same
        self.everywhere = everywhere
    }

    /// Adds the keywords that `text` holds to `found`, and ends early when all are in it.
    ///
    /// `found` is for this automaton's keywords only. What it holds from earlier texts stays.
    ///
    /// - Parameter text: UTF-8 in the keywords' case; ill-formed bytes count as neither letters nor digits.
    /// - Complexity: O(bytes of the text + hits). At most as many hits end at one byte as the longest keyword has
    ///   bytes.
    package func find(in text: UnsafeRawBufferPointer, into found: inout KeywordSet) {
        for keyword in everywhere { found.insert(keyword) }
        guard !spellings.isEmpty else { return }
        trie.classOf.withUnsafeBufferPointer { classOf in
            dense.withUnsafeBufferPointer { rows in
                search(text, classOf, rows) { report($0, endingAt: $1, in: text, &found) }
            }
        }
    }

    /// Every occurrence of every keyword within its boundaries, overlapping ones too, by where they end. Empty keywords
    /// are left out.
    ///
    /// - Complexity: as `find`.
    package func forEachHit(in text: UnsafeRawBufferPointer, _ body: (_ keyword: Int, _ range: Range<Int>) -> Void) {
        guard !spellings.isEmpty else { return }
        trie.classOf.withUnsafeBufferPointer { classOf in
            dense.withUnsafeBufferPointer { rows in
                search(text, classOf, rows) { state, end in
                    hits(state, endingAt: end, in: text, body)
                    return false
                }
            }
        }
    }

    /// The hits that end at `end`.
    private func hits(
        _ state: Int,
        endingAt end: Int,
        in text: UnsafeRawBufferPointer,
        _ body: (_ keyword: Int, _ range: Range<Int>) -> Void
    ) {
        var state = trie.spelling[state] != KeywordTrie.none ? UInt32(state) : trie.shorter[state]
        while state != KeywordTrie.none {
            let spelling = spellings[Int(trie.spelling[Int(state)])]
            state = trie.shorter[Int(state)]
            let start = end - spelling.length
            if spelling.isBounded {
                if KeywordAutomaton.isBlocked(after: end, in: text) { continue }
                if KeywordAutomaton.isBlocked(before: start, in: text) { continue }
            }
            var keyword = spelling.firstKeyword
            while keyword >= 0 {
                body(keyword, start..<end)
                keyword = sameSpelling[keyword]
            }
        }
    }

    /// Walks over the text; `visit` gets each state in which keywords may end, and the place, and says whether to stop.
    @inline(__always)
    private func search(
        _ text: UnsafeRawBufferPointer,
        _ classOf: UnsafeBufferPointer<UInt8>,
        _ rows: UnsafeBufferPointer<UInt32>,
        _ visit: (_ state: Int, _ end: Int) -> Bool
    ) {
        let classes = trie.classes
        let end = text.count
        var position = 0
        /// The state's row offset.
        var row: UInt32 = 0
        while position < end {
            row = rows[Int(row &+ UInt32(classOf[Int(text[position])]))]
            position &+= 1
            guard row >= KeywordAutomaton.flag else { continue }
            var state = Int(row ^ KeywordAutomaton.flag) / classes
            while true {
                if visit(state, position) { return }
                guard state >= denseStates, position < end else { break }
                state = next(after: state, classOf[Int(text[position])], rows)
                position &+= 1
            }
            row = UInt32(state * classes)
        }
    }

    /// The state behind one that may have no row. Amortised O(1): each link followed undoes an earlier byte.
    private func next(after state: Int, _ label: UInt8, _ rows: UnsafeBufferPointer<UInt32>) -> Int {
        var state = state
        while state >= denseStates {
            if let child = trie.child(of: state, label) { return child }
            state = Int(trie.failure[state])
        }
        return Int(rows[state * trie.classes + Int(label)] & ~KeywordAutomaton.flag) / trie.classes
    }

    /// Notes the keywords that end at `end` within their boundaries. True when there is no keyword left to find.
    private func report(
        _ state: Int,
        endingAt end: Int,
        in text: UnsafeRawBufferPointer,
        _ found: inout KeywordSet
    ) -> Bool {
        var state = trie.spelling[state] != KeywordTrie.none ? UInt32(state) : trie.shorter[state]
        var isBlockedAfter: Bool?
        var isNew = false
        while state != KeywordTrie.none {
            let spelling = spellings[Int(trie.spelling[Int(state)])]
            state = trie.shorter[Int(state)]
            if found.contains(spelling.firstKeyword) { continue }
            if spelling.isBounded {
                let after = isBlockedAfter ?? KeywordAutomaton.isBlocked(after: end, in: text)
                isBlockedAfter = after
                if after || KeywordAutomaton.isBlocked(before: end - spelling.length, in: text) { continue }
            }
            var keyword = spelling.firstKeyword
            while keyword >= 0 {
                found.insert(keyword)
                keyword = sameSpelling[keyword]
            }
            isNew = true
        }
        return isNew && found.count >= count
    }

    private static func isBlocked(before start: Int, in text: UnsafeRawBufferPointer) -> Bool {
        guard let scalar = UTF8Text(text).scalar(before: start) else { return false }
        return ScalarClass.of(scalar).isBlocking
    }

    private static func isBlocked(after end: Int, in text: UnsafeRawBufferPointer) -> Bool {
        guard end < text.count else { return false }
        return ScalarClass.of(UTF8Text(text).scalar(at: end).value).isBlocking
    }

    /// A row is the suffix's row, with the state's own children put in; suffixes have lower numbers.
    private static func rows(_ trie: KeywordTrie, _ denseStates: Int) -> [UInt32] {
        let classes = trie.classes
        var rows = [UInt32](repeating: 0, count: denseStates * classes)
        for state in 0..<denseStates {
            if state > 0 {
                let suffix = Int(trie.failure[state]) * classes
                for column in 0..<classes { rows[state * classes + column] = rows[suffix + column] }
            }
            for child in Int(trie.firstChild[state])..<Int(trie.firstChild[state + 1]) {
                let isEnd = trie.spelling[child] != KeywordTrie.none || trie.shorter[child] != KeywordTrie.none
                let needsLook = isEnd || child >= denseStates
                rows[state * classes + Int(trie.label[child])] = UInt32(child * classes) | (needsLook ? flag : 0)
            }
        }
        return rows
    }
}
