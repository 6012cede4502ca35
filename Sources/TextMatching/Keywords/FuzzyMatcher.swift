/// Keywords found in a text although some letters differ.
///
/// The distance is Levenshtein's (insert, delete or replace one scalar). Words are runs of letters and decimal digits,
/// cut where CJK begins and ends; everything between them separates. A keyword of one word is compared with each word
/// of the text, one of k words with each k neighbouring words, joined by one blank. Signs inside a keyword count as one
/// blank ("node.js" is two words), those around it remain ("c++" is three letters long, and "c" too far from it). A
/// keyword without any letter or digit matches nothing.
///
/// A keyword with CJK is compared with every stretch of as many characters as it has, and as many blanks, anywhere in a
/// run of letters and digits that holds CJK: there the words have no blanks between them.
///
/// Case is ignored: keywords are lower-cased here, texts by the caller.
package struct FuzzyMatcher: Sendable {
    /// How far a match may be from its keyword.
    package enum Limit: Hashable, Sendable {
        /// At most so many edits, and never more than (keyword's length − 1) / 2: a keyword of two letters would
        /// otherwise match every word of two letters. A negative number matches nothing.
        case edits(Int)
        /// 100 · (1 − distance / length of the longer) at least so many percent. Less than 1 counts as 1: something
        /// must be in common.
        case similarity(percent: Int)

        /// The largest distance allowed between a keyword and a candidate of these lengths, or -1.
        func distance(keyword: Int, candidate: Int) -> Int {
            switch self {
            case .edits(let edits): max(-1, min(edits, (keyword - 1) / 2))
            case .similarity(let percent):
                percent > 100 ? -1 : (100 - max(1, percent)) * max(keyword, candidate) / 100
            }
        }

        /// The lengths of candidates that may be near enough.
        func lengths(keyword: Int) -> ClosedRange<Int> {
            switch self {
            case .edits:
                let edits = max(0, distance(keyword: keyword, candidate: keyword))
                return keyword - edits...keyword + edits
            case .similarity(let percent):
                // The distance is at least the difference of the lengths: shorter / longer ≥ percent / 100.
                let percent = min(max(1, percent), 100)
                return keyword * percent / 100...keyword * 100 / percent
            }
        }
    }

    struct Keyword {
        let index: Int
        let scalars: [UInt32]
        /// Words, or for a CJK keyword one more than its blanks.
        let words: Int
        let lengths: ClosedRange<Int>
        let letters: LetterSet
    }

    package let limit: Limit
    /// Keywords, as `matches` numbers them.
    package let count: Int
    /// Those without CJK by their words (from one), each list by length.
    let byWords: [[Keyword]]
    let cjk: CJKKeywords

    package init(_ keywords: [String], limit: Limit) {
        self.limit = limit
        count = keywords.count
        var byWords: [[Keyword]] = []
        var cjk: [Keyword] = []
        for (index, text) in keywords.enumerated() {
            let (scalars, words) = FuzzyMatcher.normalised(text)
            guard words > 0, limit.distance(keyword: scalars.count, candidate: scalars.count) >= 0 else { continue }
            let keyword = Keyword(
                index: index,
                scalars: scalars,
                words: words,
                lengths: limit.lengths(keyword: scalars.count),
                letters: LetterSet(scalars)
            )
            if scalars.contains(where: { ScalarClass.of($0).isCJK }) {
                cjk.append(keyword)
            } else {
                while byWords.count < words { byWords.append([]) }
                byWords[words - 1].append(keyword)
            }
        }
        self.byWords = byWords.map { $0.sorted { $0.scalars.count < $1.scalars.count } }
        self.cjk = CJKKeywords(cjk, limit: limit)
    }

    /// The keywords that some part of `text` is near enough to, in ascending order.
    ///
    /// - Parameter text: UTF-8 in lower case.
    /// - Complexity: O(text) for given keywords: per different word and keyword of about its length a test of few
    ///   instructions; a distance only where the letters agree. Words longer than any keyword allows are passed over.
    package func matches(in text: UnsafeRawBufferPointer) -> [Int] {
        guard count > 0 else { return [] }
        var search = FuzzySearch(matcher: self, text: UTF8Text(text))
        return search.run()
    }

    /// Lower case, with one blank for whatever separates two words.
    static func normalised(_ keyword: String) -> (scalars: [UInt32], words: Int) {
        var scalars: [UInt32] = []
        var words = 0
        /// Signs since the last word: dropped if another word follows.
        var signs = 0
        var isInWord = false
        for scalar in keyword.lowercased().unicodeScalars {
            let isLetter = ScalarClass.of(scalar.value).isLetterOrDigit
            if isLetter && !isInWord {
                if words > 0 {
                    scalars.removeLast(signs)
                    scalars.append(UInt32(UInt8(ascii: " ")))
                }
                words += 1
            }
            signs = isLetter ? 0 : signs + 1
            isInWord = isLetter
            scalars.append(scalar.value)
        }
        return (scalars, words)
    }
}

/// Which letters a word has, as 64 bits that letters share. Two words within n edits differ in at most n letters each
/// way.
struct LetterSet {
    private var bits: UInt64 = 0

    init() {}

    init(_ scalars: some Sequence<UInt32>) {
        for scalar in scalars { insert(scalar) }
    }

    @inline(__always)
    mutating func insert(_ scalar: UInt32) { bits |= 1 << UInt64(scalar & 63) }

    @inline(__always)
    mutating func formUnion(_ other: LetterSet) { bits |= other.bits }

    /// Whether so many edits may turn the one word into the other.
    @inline(__always)
    func mayBe(_ other: LetterSet, within edits: Int) -> Bool {
        LetterSet.hasAtMost(edits, bits & ~other.bits) && LetterSet.hasAtMost(edits, other.bits & ~bits)
    }

    /// For few bits this takes fewer instructions than counting them all.
    @inline(__always)
    private static func hasAtMost(_ count: Int, _ bits: UInt64) -> Bool {
        var bits = bits
        var left = count
        while bits != 0 {
            if left == 0 { return false }
            bits &= bits &- 1
            left -= 1
        }
        return true
    }
}
