import CLanguageModel

/// The sum of the model's rows for the words of one script: what a text is to the model.
///
/// Numbers are four bits with an offset of 8, so a byte lane holds 17 of them and a 16-bit lane 4369.
struct FeatureSum {
    /// Letters of a word that count; MAX_LETTERS in scripts/train-language-model.
    static let maxLetters = 24

    /// Rows to add at most. Some 1300 letters: more change no decision, and 4096 · 15 still fits 16 bits.
    static let maxFeatures = 4096

    private static let boundary: UInt64 = 1
    private static let wordSeed: UInt64 = 0x123_4567
    private static let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15
    private static let finaliser: UInt64 = 0xD6E8_FEB8_6659_FD93
    /// Features a word has at most: 2-, 3- and 4-grams with both boundaries, and the word.
    private static let maxWordFeatures = 3 * maxLetters + 1

    /// Dimensions 0…15 and 16…31.
    private(set) var low = SIMD16<UInt16>.zero
    private(set) var high = SIMD16<UInt16>.zero
    /// How many rows are in the sum.
    private(set) var features = 0

    var isFull: Bool { features > FeatureSum.maxFeatures - FeatureSum.maxWordFeatures }

    /// Adds a word's rows: its 2-, 3- and 4-grams with a boundary at either end and, from three letters on, the whole.
    ///
    /// `features` in scripts/train-language-model computes the same numbers.
    /// - Precondition: the sum is not full; `word` has 1…`maxLetters` letters.
    /// - Complexity: O(letters); three rows of 16 bytes per letter.
    mutating func add(_ word: UnsafeBufferPointer<UInt16>, rows: Rows) {
        var lowBytes = SIMD16<UInt8>.zero
        var highBytes = SIMD16<UInt8>.zero
        var key = FeatureSum.boundary
        var hash = FeatureSum.wordSeed
        @inline(__always) func add(_ key: UInt64) {
            let row = rows[key]
            lowBytes &+= row & SIMD16(repeating: 0x0F)
            highBytes &+= row &>> SIMD16(repeating: 4)
        }
        @inline(__always) func carry() {
            low &+= SIMD16<UInt16>(truncatingIfNeeded: lowBytes)
            high &+= SIMD16<UInt16>(truncatingIfNeeded: highBytes)
            lowBytes = .zero
            highBytes = .zero
        }
        for index in 0...word.count {
            let isLast = index == word.count
            let letter = isLast ? FeatureSum.boundary : UInt64(word[index])
            key = key << 16 | letter
            add(key & 0xFFFF_FFFF)
            if index > 0 { add(key & 0xFFFF_FFFF_FFFF) }
            if index > 1 { add(key) }
            if !isLast { hash = (hash ^ letter) &* FeatureSum.multiplier }
            // Five positions are at most 15 rows.
            if index % 5 == 4 { carry() }
        }
        if word.count >= 3 { add(hash) }
        carry()
        // Every position ends a 2-gram, all but one a 3-gram, all but two a 4-gram.
        features += 3 * word.count + (word.count >= 3 ? 1 : 0)
    }

    /// The embedding table, addressed by hash.
    struct Rows {
        private let base: UnsafeRawPointer
        private let count: UInt64

        init() {
            base = UnsafeRawPointer(language_model_rows())
            count = UInt64(language_model_row_count())
        }

        @inline(__always)
        subscript(key: UInt64) -> SIMD16<UInt8> {
            var hash = key &* FeatureSum.multiplier
            hash = (hash ^ hash >> 32) &* FeatureSum.finaliser
            let row = ((hash >> 32) &* count) >> 32
            return base.loadUnaligned(fromByteOffset: Int(truncatingIfNeeded: row) &* 16, as: SIMD16<UInt8>.self)
        }
    }
}
