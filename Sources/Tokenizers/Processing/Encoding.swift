/// A text, or a pair of texts, as tokens: columns of equal length.
package struct Encoding: Hashable, Sendable {
    /// The tokens' numbers.
    package private(set) var ids: [Int32] = []
    /// Which of a pair's texts each token belongs to, as the model is told it.
    package private(set) var typeIDs: [Int32] = []
    /// The bytes of UTF-8 in the original text (the first or the second) that each token stands for; empty at 0 for tokens
    /// that stand for none.
    package private(set) var offsets: [Range<Int>] = []
    /// Whether a token was set around the text. A special token that stands in the text is text.
    package private(set) var isSpecial: [Bool] = []
    /// The number of the piece (a word, mostly) that each token is a part of, counted in each text from 0; nil for tokens
    /// set around the text.
    package private(set) var words: [Int32?] = []

    /// Whether there are fewer tokens than there is room for although not all of the text has been looked at. What the rest
    /// holds is unknown: who must not miss anything refuses to judge.
    package internal(set) var isCut = false

    /// Where the tokens of each text begin; offsets are counted from there.
    private(set) var starts: [Int] = []

    package var count: Int { ids.count }

    package init() {}

    mutating func appendSpecial(_ id: Int32, typeID: Int32) {
        append(id, typeID, 0..<0, isSpecial: true, word: nil)
    }

    mutating func append(_ text: TokenizedText, first count: Int, typeID: Int32) {
        starts.append(ids.count)
        for index in 0..<count {
            append(text.ids[index], typeID, text.offsets[index], isSpecial: false, word: text.words[index])
        }
    }

    private mutating func append(
        _ id: Int32,
        _ typeID: Int32,
        _ offsets: Range<Int>,
        isSpecial: Bool,
        word: Int32?
    ) {
        ids.append(id)
        typeIDs.append(typeID)
        self.offsets.append(offsets)
        self.isSpecial.append(isSpecial)
        words.append(word)
    }

    mutating func reserve(_ count: Int) {
        ids.reserveCapacity(count)
        typeIDs.reserveCapacity(count)
        offsets.reserveCapacity(count)
        isSpecial.reserveCapacity(count)
        words.reserveCapacity(count)
    }
}

/// The tokens of one text, before anything is set around them.
struct TokenizedText {
    var ids: [Int32] = []
    var offsets: [Range<Int>] = []
    var words: [Int32] = []
    /// The spaces that each added token in the text begins and ends with, by position; model tokens have them in a table.
    var addedSpaces: [Int: OuterSpaces] = [:]
    /// Whether not all of the text has been looked at, and there might be more tokens.
    var isCut = false
    /// Whether a part of the text was shifted: see `AlignedText`.
    var isShifted = false
    /// Up to where the tokens are sure whatever follows the stretch that is looked at, when something does.
    var sureEnd = Int.max
    /// How many tokens are sure, when not all are.
    private var sureCount: Int?

    /// The tokens from a position on might be others if more of the text were looked at.
    mutating func noteUnsure(from position: Int) { sureCount = min(sureCount ?? .max, position) }

    /// Ends at a stretch's end behind which the text goes on.
    mutating func cutToSure(limit: Int) {
        let count = sureCount ?? ids.count
        guard count < limit else { return }
        isCut = true
        ids.removeSubrange(count...)
        offsets.removeSubrange(count...)
        words.removeSubrange(count...)
    }
}

/// How many spaces a token begins and ends with, in characters.
struct OuterSpaces: Sendable {
    var leading: Int
    var trailing: Int

    /// Counts white space, and what stands for a space in GPT-2's alphabet.
    init(of bytes: ArraySlice<UInt8>) {
        let tables = UnicodeTables.standard
        let scalars = String(decoding: bytes, as: UTF8.self).unicodeScalars
        func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar.value == ByteAlphabet.standard.space || tables.properties(of: scalar.value).has(.space)
        }
        leading = scalars.prefix(while: isSpace).count
        trailing = scalars.reversed().prefix(while: isSpace).count
    }
}
