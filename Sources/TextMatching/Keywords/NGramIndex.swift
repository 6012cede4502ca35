/// Keywords compared with the words of a text by the character n-grams they share, so that a misspelling is found.
///
/// The similarity is that of the crate ngrammatic 0.7 (after Python's ngram) with warp 2: both sides are padded with
/// `arity - 1` blanks at either end and cut into windows of `arity` characters. With L the padded lengths and `shared`
/// the windows in common, counted as often as both have them,
///
///     all = L(text) + L(keyword) − 2 · arity + 2 − shared        similarity = 1 − ((all − shared) / all)²
///
/// A word has 1 with itself, "urgnet" 0.56 with "urgent" at arity 3.
///
/// Words are runs of alphanumeric characters, `_` and `-`. Each word of the text is a search that yields its ten best
/// keywords; if keywords are left, the text as a whole is one more, by which a phrase is found in a text that is little
/// longer. CJK has no blanks between words, so a run that holds CJK is also searched in parts: its stretches of other
/// characters, and, for each keyword with a CJK character, every window of as many characters as the keyword has.
///
/// Text and keywords are compared as they are: whoever wants case ignored gives both in lower case.
package struct NGramIndex: Sendable {
    /// Bounds of `arity`. A window of more than 32 characters is longer than most keywords.
    package static let arities = 2...32
    /// The best entries that one search yields, as in the original.
    static let bestPerSearch = 10

    /// One spelling, of one or more keywords.
    struct Entry {
        let keywords: [Int]
        /// Characters with the padding.
        let paddedLength: Int
        /// Characters, for a spelling with CJK; else 0.
        let cjkLength: Int
    }

    struct Posting {
        let entry: Int32
        /// How often the entry has the gram.
        let count: Int32
    }

    package let arity: Int
    /// Keywords, as `matches` numbers them.
    package let count: Int
    let entries: [Entry]
    /// Characters of keywords: the blank is 0.
    private let alphabet: IntegerTable
    /// Grams of keywords by `key`.
    private let grams: IntegerTable
    /// Postings of gram g: `starts[g]..<starts[g + 1]`.
    let starts: [Int]
    let postings: [Posting]
    /// The different lengths of CJK keywords, ascending.
    let cjkLengths: [Int]
    let shortestPadded: Int
    let longestPadded: Int

    /// A character that no keyword has.
    static let unknown = UInt32.max

    var gramCount: Int { starts.count - 1 }

    /// - Parameter arity: characters per gram, brought into 2…32.
    package init(_ keywords: [String], arity: Int) {
        let arity = min(max(arity, NGramIndex.arities.lowerBound), NGramIndex.arities.upperBound)
        var ofScalars: [[UInt32]: Int] = [:]
        var spellings: [[UInt32]] = []
        var members: [[Int]] = []
        var alphabet = IntegerTable()
        _ = alphabet.insert(NGramIndex.blank)
        for (keyword, text) in keywords.enumerated() {
            let scalars = text.unicodeScalars.map(\.value)
            if let entry = ofScalars[scalars] {
                members[entry].append(keyword)
            } else {
                ofScalars[scalars] = spellings.count
                spellings.append(scalars)
                members.append([keyword])
                for scalar in scalars { _ = alphabet.insert(UInt64(scalar)) }
            }
        }
        let base = NGramIndex.base(alphabet)
        let padding = [UInt32](repeating: 0, count: arity - 1)
        var grams = IntegerTable()
        var lists: [[Posting]] = []
        var entries: [Entry] = []
        for (entry, scalars) in spellings.enumerated() {
            let padded = padding + scalars.map { UInt32(alphabet.find(UInt64($0)) ?? 0) } + padding
            let hasCJK = scalars.contains { ScalarClass.of($0).isCJK }
            entries.append(
                Entry(
                    keywords: members[entry],
                    paddedLength: padded.count,
                    cjkLength: hasCJK ? scalars.count : 0
                )
            )
            for start in 0...padded.count - arity {
                let gram = grams.insert(NGramIndex.key(padded[start..<start + arity], base: base))
                if gram == lists.count { lists.append([]) }
                if let last = lists[gram].last, last.entry == Int32(entry) {
                    lists[gram][lists[gram].count - 1] = Posting(entry: last.entry, count: last.count + 1)
                } else {
                    lists[gram].append(Posting(entry: Int32(entry), count: 1))
                }
            }
        }
        self.arity = arity
        count = keywords.count
        self.alphabet = alphabet
        self.grams = grams
        starts = lists.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }
        postings = Array(lists.joined())
        cjkLengths = Set(entries.map(\.cjkLength)).subtracting([0]).sorted()
        shortestPadded = entries.map(\.paddedLength).min() ?? 0
        longestPadded = entries.map(\.paddedLength).max() ?? 0
        self.entries = entries
    }

    /// The keywords that reach `threshold`, in the order in which words of the text matched them; for one word by
    /// similarity, highest first, and by place in the list where it is equal.
    ///
    /// - Parameter text: UTF-8 in the keywords' case.
    /// - Complexity: O(characters of the text · different lengths of CJK keywords), and per different word the keywords
    ///   that share a gram with it. A word so long that it cannot reach a threshold above 0 is passed over.
    package func matches(in text: UnsafeRawBufferPointer, threshold: Float) -> [Int] {
        guard count > 0, threshold <= 1 else { return [] }
        var search = NGramSearch(index: self, text: UTF8Text(text), threshold: threshold)
        return search.run()
    }

    /// In single precision, step by step as the original has it. The squares are exact up to lengths of 4,096.
    package static func similarity(shared: Int, all: Int) -> Float {
        guard all > 0 else { return 0 }
        let square = Float(all) * Float(all)
        let difference = Float(all) - Float(shared)
        return (square - difference * difference) / square
    }

    // MARK: Grams

    private static let blank = UInt64(UInt8(ascii: " "))

    /// The character's number in the alphabet, or `unknown`.
    @inline(__always)
    func symbol(_ scalar: UInt32) -> UInt32 {
        guard let symbol = alphabet.find(UInt64(scalar)) else { return NGramIndex.unknown }
        return UInt32(truncatingIfNeeded: symbol)
    }

    /// The gram of known characters, with blanks before them to fill it, or nil if no keyword has it.
    @inline(__always)
    func gram(_ symbols: ArraySlice<UInt32>, blanksAfter: Int = 0) -> Int? {
        let base = NGramIndex.base(alphabet)
        var key = NGramIndex.key(symbols, base: base)
        for _ in 0..<blanksAfter { key = key &* base }
        return grams.find(key)
    }

    private static func base(_ alphabet: IntegerTable) -> UInt64 { UInt64(alphabet.count) | 1 }

    /// The characters as digits of a number in 64 bits: exact while alphabet^arity is below 2^64 (40 letters: arity 12,
    /// 2,000 ideographs: arity 5). Above that two grams collide by chance only, which would count as one shared gram.
    @inline(__always)
    private static func key(_ symbols: ArraySlice<UInt32>, base: UInt64) -> UInt64 {
        var key: UInt64 = 0
        for symbol in symbols { key = key &* base &+ UInt64(symbol) }
        return key
    }
}
