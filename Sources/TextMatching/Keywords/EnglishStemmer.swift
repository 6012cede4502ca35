/// The Porter2 stemmer for English, from the description at snowballstem.org/algorithms/english/stemmer.html as it
/// stood until Snowball 3.0 (2025).
///
/// Works on lower-case ASCII letters and apostrophes in place; a stem is never longer than its word. Other bytes count
/// as consonants. Words of one or two bytes stay as they are.
package struct EnglishStemmer {
    /// The word, shortened step by step: bytes `0..<end`. A `y` that stands for a consonant is written `Y` meanwhile.
    private let word: UnsafeMutablePointer<UInt8>
    private var end: Int
    /// Where the regions R1 and R2 begin: behind the first, and the second, consonant that follows a vowel.
    private var r1 = 0
    private var r2 = 0

    /// The length of the stem, which takes the place of the word at the start of its bytes.
    package static func stem(_ word: UnsafeMutableBufferPointer<UInt8>) -> Int {
        guard word.count > 2, let base = word.baseAddress else { return word.count }
        var stemmer = EnglishStemmer(word: base, end: word.count)
        stemmer.run()
        return stemmer.end
    }

    private init(word: UnsafeMutablePointer<UInt8>, end: Int) {
        self.word = word
        self.end = end
    }

    private mutating func run() {
        if replaceException() { return }
        markConsonantY()
        markRegions()
        possessive()
        plural()
        if !isInvariantAfterPlural() {
            pastAndParticiple()
            finalY()
            derivation()
            adjective()
            residue()
            finalEOrL()
        }
        for index in 0..<end where word[index] == UInt8(ascii: "Y") { word[index] = UInt8(ascii: "y") }
    }

    // MARK: Words with a stem of their own

    private static let exceptions: [(StaticString, StaticString)] = [
        ("skis", "ski"), ("skies", "sky"), ("dying", "die"), ("lying", "lie"), ("tying", "tie"), ("idly", "idl"),
        ("gently", "gentl"), ("ugly", "ugli"), ("early", "earli"), ("only", "onli"), ("singly", "singl"),
        ("sky", "sky"), ("news", "news"), ("howe", "howe"), ("atlas", "atlas"), ("cosmos", "cosmos"),
        ("bias", "bias"), ("andes", "andes"),
    ]

    /// They end here when the plural is off.
    private static let invariantAfterPlural: [StaticString] = [
        "inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed",
    ]

    private mutating func replaceException() -> Bool {
        // The longest has six letters.
        guard end <= 6 else { return false }
        for (exception, stem) in EnglishStemmer.exceptions
        where exception.utf8CodeUnitCount == end && hasSuffix(exception) {
            write(stem, at: 0)
            return true
        }
        return false
    }

    private func isInvariantAfterPlural() -> Bool {
        guard 6...7 ~= end else { return false }
        return EnglishStemmer.invariantAfterPlural.contains { $0.utf8CodeUnitCount == end && hasSuffix($0) }
    }

    // MARK: Preparation

    private mutating func markConsonantY() {
        if word[0] == UInt8(ascii: "'") {
            for index in 1..<end { word[index - 1] = word[index] }
            end -= 1
        }
        for index in 0..<end where word[index] == UInt8(ascii: "y") && (index == 0 || isVowel(index - 1)) {
            word[index] = UInt8(ascii: "Y")
        }
    }

    private mutating func markRegions() {
        if hasPrefix("gener") || hasPrefix("arsen") {
            r1 = 5
        } else if hasPrefix("commun") {
            r1 = 6
        } else {
            r1 = behindVowelAndConsonant(from: 0)
        }
        r2 = behindVowelAndConsonant(from: r1)
    }

    private func behindVowelAndConsonant(from start: Int) -> Int {
        var index = start
        while index < end && !isVowel(index) { index += 1 }
        while index < end && isVowel(index) { index += 1 }
        return min(index + 1, end)
    }

    // MARK: Steps 0, 1a, 1b, 1c

    private mutating func possessive() {
        for suffix: StaticString in ["'s'", "'s", "'"] where hasSuffix(suffix) {
            end -= suffix.utf8CodeUnitCount
            return
        }
    }

    private mutating func plural() {
        if hasSuffix("sses") {
            end -= 2
        } else if hasSuffix("ied") || hasSuffix("ies") {
            end -= end > 4 ? 2 : 1
        } else if hasSuffix("us") || hasSuffix("ss") {
            return
        } else if hasSuffix("s") && hasVowel(before: end - 2) {
            end -= 1
        }
    }

    private mutating func pastAndParticiple() {
        for suffix: StaticString in ["eedly", "eed"] where hasSuffix(suffix) {
            if isInR1(suffix) { replace(suffix, by: "ee") }
            return
        }
        for suffix: StaticString in ["ingly", "edly", "ing", "ed"] where hasSuffix(suffix) {
            let start = end - suffix.utf8CodeUnitCount
            guard hasVowel(before: start) else { return }
            end = start
            if hasSuffix("at") || hasSuffix("bl") || hasSuffix("iz") {
                append(UInt8(ascii: "e"))
            } else if endsInDouble {
                end -= 1
            } else if r1 >= end && endsInShortSyllable(end) {
                append(UInt8(ascii: "e"))
            }
            return
        }
    }

    private mutating func finalY() {
        let last = end - 1
        guard last > 1, word[last] | 0x20 == UInt8(ascii: "y"), !isVowel(last - 1) else { return }
        word[last] = UInt8(ascii: "i")
    }

    // MARK: Steps 2 to 5

    /// Longer suffixes before the ones they end in.
    private static let derivations: [(StaticString, StaticString)] = [
        ("ational", "ate"), ("ization", "ize"), ("fulness", "ful"), ("ousness", "ous"), ("iveness", "ive"),
        ("tional", "tion"), ("biliti", "ble"), ("lessli", "less"), ("entli", "ent"), ("ation", "ate"),
        ("alism", "al"), ("aliti", "al"), ("ousli", "ous"), ("iviti", "ive"), ("fulli", "ful"), ("enci", "ence"),
        ("anci", "ance"), ("abli", "able"), ("izer", "ize"), ("ator", "ate"), ("alli", "al"), ("bli", "ble"),
    ]

    private mutating func derivation() {
        guard end > 2, word[end - 1] != UInt8(ascii: "e") else { return }
        for (suffix, stem) in EnglishStemmer.derivations where hasSuffix(suffix) {
            if isInR1(suffix) { replace(suffix, by: stem) }
            return
        }
        if hasSuffix("ogi") {
            if isInR1("ogi"), end > 3, word[end - 4] == UInt8(ascii: "l") { end -= 1 }
        } else if hasSuffix("li"), isInR1("li"), end > 2 {
            switch word[end - 3] {
            case UInt8(ascii: "c"), UInt8(ascii: "d"), UInt8(ascii: "e"), UInt8(ascii: "g"), UInt8(ascii: "h"),
                UInt8(ascii: "k"), UInt8(ascii: "m"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                end -= 2
            default:
                return
            }
        }
    }

    private static let adjectives: [(StaticString, StaticString)] = [
        ("ational", "ate"), ("tional", "tion"), ("alize", "al"), ("icate", "ic"), ("iciti", "ic"), ("ical", "ic"),
        ("ness", ""), ("ful", ""),
    ]

    private mutating func adjective() {
        for (suffix, stem) in EnglishStemmer.adjectives where hasSuffix(suffix) {
            if isInR1(suffix) { replace(suffix, by: stem) }
            return
        }
        if hasSuffix("ative") && isInR2("ative") { end -= 5 }
    }

    private static let residues: [StaticString] = [
        "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize", "al",
        "er", "ic",
    ]

    private mutating func residue() {
        for suffix in EnglishStemmer.residues where hasSuffix(suffix) {
            if isInR2(suffix) { end -= suffix.utf8CodeUnitCount }
            return
        }
        if hasSuffix("sion") || hasSuffix("tion"), isInR2("ion") { end -= 3 }
    }

    private mutating func finalEOrL() {
        guard end > 0 else { return }
        let last = end - 1
        if word[last] == UInt8(ascii: "e") {
            if last >= r2 || (last >= r1 && !endsInShortSyllable(last)) { end = last }
        } else if word[last] == UInt8(ascii: "l"), last >= r2, last > 0, word[last - 1] == UInt8(ascii: "l") {
            end = last
        }
    }

    // MARK: Letters

    private func isVowel(_ index: Int) -> Bool {
        switch word[index] {
        case UInt8(ascii: "a"), UInt8(ascii: "e"), UInt8(ascii: "i"), UInt8(ascii: "o"), UInt8(ascii: "u"),
            UInt8(ascii: "y"):
            true
        default: false
        }
    }

    private func hasVowel(before end: Int) -> Bool {
        var index = 0
        while index < end {
            if isVowel(index) { return true }
            index += 1
        }
        return false
    }

    private var endsInDouble: Bool {
        guard end > 1, word[end - 1] == word[end - 2] else { return false }
        switch word[end - 1] {
        case UInt8(ascii: "b"), UInt8(ascii: "d"), UInt8(ascii: "f"), UInt8(ascii: "g"), UInt8(ascii: "m"),
            UInt8(ascii: "n"), UInt8(ascii: "p"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        default: return false
        }
    }

    /// Consonant, vowel, and a consonant other than w, x and Y; or a whole word of vowel and consonant.
    private func endsInShortSyllable(_ end: Int) -> Bool {
        guard end > 1, !isVowel(end - 1), isVowel(end - 2) else { return false }
        if end == 2 { return true }
        switch word[end - 1] {
        case UInt8(ascii: "w"), UInt8(ascii: "x"), UInt8(ascii: "Y"): return false
        default: return !isVowel(end - 3)
        }
    }

    // MARK: Suffixes

    @inline(__always)
    private func hasSuffix(_ suffix: StaticString) -> Bool {
        let count = suffix.utf8CodeUnitCount
        guard count <= end else { return false }
        let bytes = suffix.utf8Start
        var index = 0
        while index < count {
            if word[end - 1 - index] != bytes[count - 1 - index] { return false }
            index += 1
        }
        return true
    }

    private func hasPrefix(_ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard count <= end else { return false }
        for index in 0..<count where word[index] != prefix.utf8Start[index] { return false }
        return true
    }

    private func isInR1(_ suffix: StaticString) -> Bool { end - suffix.utf8CodeUnitCount >= r1 }

    private func isInR2(_ suffix: StaticString) -> Bool { end - suffix.utf8CodeUnitCount >= r2 }

    private mutating func replace(_ suffix: StaticString, by stem: StaticString) {
        write(stem, at: end - suffix.utf8CodeUnitCount)
    }

    /// Every replacement is no longer than what it replaces, so that the bytes are there.
    private mutating func write(_ text: StaticString, at start: Int) {
        for index in 0..<text.utf8CodeUnitCount { word[start + index] = text.utf8Start[index] }
        end = start + text.utf8CodeUnitCount
    }

    private mutating func append(_ byte: UInt8) {
        word[end] = byte
        end += 1
    }
}
