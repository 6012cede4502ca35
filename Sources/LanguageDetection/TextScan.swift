/// One pass over a text's UTF-8: counts its letters by script and sums the features of its words.
///
/// What is not prose is passed over: fenced code, URLs, and words that touch a digit or a sign of code. Where that
/// leaves nothing, a second scan takes code for prose.
struct TextScan {
    /// A longer text is judged by its first and its last bytes, half of the limit each.
    static let maxBytes = 4096

    /// Rows after which a script's words are only counted: some 800 letters, past which the decision no longer changes.
    /// The second half of `maxBytes` may add as many as fit into the sum.
    private static let headFeatures = 2400

    private let text: UnsafeRawBufferPointer
    private let letters: LetterTable
    private let rows = FeatureSum.Rows()
    /// Whether to pass over what looks like code.
    private let skipsCode: Bool

    /// The sum of each modelled script's words.
    private(set) var sums = (FeatureSum(), FeatureSum(), FeatureSum(), FeatureSum())
    /// Per script, the sum of its letters' weights.
    private let weights: UnsafeMutableBufferPointer<Int>

    /// The word being read: its folded letters, as many as count.
    private let word: UnsafeMutableBufferPointer<UInt16>
    private var wordScript = Script.latin
    /// Letters of the word, also those that do not count.
    private var wordLetters = 0
    private var wordIsCode = false
    private var wordIsCapitalised = false
    private var lastIsLower = false
    /// Whether a word has been counted: the first word of a text is capitalised in prose too.
    private var hasWords = false
    private var featureLimit = TextScan.headFeatures

    /// - Parameters:
    ///   - weights: zeros, one per script.
    ///   - word: room for `FeatureSum.maxLetters` letters.
    init(
        _ text: UnsafeRawBufferPointer,
        letters: LetterTable,
        skipsCode: Bool,
        weights: UnsafeMutableBufferPointer<Int>,
        word: UnsafeMutableBufferPointer<UInt16>
    ) {
        self.text = text
        self.letters = letters
        self.skipsCode = skipsCode
        self.weights = weights
        self.word = word
    }

    /// Reads the text, or both its ends.
    /// - Complexity: O(min(bytes, `maxBytes`)).
    mutating func run() {
        guard text.count > TextScan.maxBytes else { return scan(0..<text.count) }
        scan(0..<TextScan.maxBytes / 2)
        featureLimit = FeatureSum.maxFeatures
        scan(text.count - TextScan.maxBytes / 2..<text.count)
    }

    private mutating func scan(_ range: Range<Int>) {
        var position = range.lowerBound
        var end = range.upperBound
        if position > 0 { position = afterWhitespace(position, limit: position + 64) ?? position }
        // A word that the cut goes through is left out.
        if end < text.count { end = beforeWhitespace(end, limit: end - 64) ?? end }
        // The ASCII character before the position, 0 for others.
        var previous: UInt8 = 0
        while position < end {
            let byte = text[position]
            if byte < 0x80 {
                if TextScan.isASCIILetter(byte) {
                    read(.latin, folded: UInt16(byte | 0x20), after: previous, isUpper: byte & 0x20 == 0)
                    position += 1
                } else {
                    if wordLetters > 0 { endWord(at: position, next: byte) }
                    position = afterMark(byte, at: position, end: end)
                }
                previous = byte
                continue
            }
            let (code, length) = decode(at: position, end: end)
            switch letters.kind(code) {
            case .letter(let script, let folded):
                if script.isModelled {
                    read(script, folded: folded, after: previous, isUpper: UInt32(folded) != code)
                } else {
                    if wordLetters > 0 { endWord(at: position, next: 0) }
                    weights[Int(script.rawValue)] += script.letterWeight
                }
            case .dropped: break
            case .other: if wordLetters > 0 { endWord(at: position, next: 0) }
            }
            previous = 0
            position += length
        }
        if wordLetters > 0 { endWord(at: end, next: end < text.count ? text[end] : 0) }
    }

    // Words

    @inline(__always)
    private mutating func read(_ script: Script, folded: UInt16, after previous: UInt8, isUpper: Bool) {
        if wordLetters > 0, script != wordScript { endWord(at: 0, next: 0) }
        if wordLetters == 0 {
            wordScript = script
            wordIsCapitalised = isUpper
            wordIsCode = CodeMarks.joined.contains(previous)
        } else if isUpper, lastIsLower {
            // camelCase
            wordIsCode = true
        }
        lastIsLower = !isUpper
        if wordLetters < FeatureSum.maxLetters { word[wordLetters] = folded }
        wordLetters += 1
    }

    /// The word ends before `position`, where the ASCII character `next` stands, or 0.
    private mutating func endWord(at position: Int, next: UInt8) {
        let count = wordLetters
        wordLetters = 0
        if skipsCode, wordIsCode || isCode(next, at: position) { return }
        // The scheme of a URL, which itself is passed over in any case.
        if next == UInt8(ascii: ":"), isRun(UInt8(ascii: "/"), 2, at: position + 1, end: text.count) { return }
        let isName = wordScript == .latin && wordIsCapitalised && hasWords
        weights[Int(wordScript.rawValue)] += count * (isName ? 1 : wordScript.letterWeight)
        hasWords = true
        let counted = UnsafeBufferPointer(rebasing: word[..<min(count, FeatureSum.maxLetters)])
        switch wordScript {
        case .latin: add(counted, to: &sums.0)
        case .cyrillic: add(counted, to: &sums.1)
        case .arabic: add(counted, to: &sums.2)
        default: add(counted, to: &sums.3)
        }
    }

    private func add(_ word: UnsafeBufferPointer<UInt16>, to sum: inout FeatureSum) {
        guard sum.features < featureLimit, !sum.isFull else { return }
        sum.add(word, rows: rows)
    }

    // Code

    /// Whether what follows a word makes it code: `word(`, `word.word`, `word:word`, a sign of code or a digit.
    private func isCode(_ next: UInt8, at position: Int) -> Bool {
        guard next != 0 else { return false }
        if CodeMarks.joined.contains(next) || next == UInt8(ascii: "(") { return true }
        guard next == UInt8(ascii: ".") || next == UInt8(ascii: ":"), position + 1 < text.count else { return false }
        return TextScan.isASCIILetter(text[position + 1]) || text[position + 1] == UInt8(ascii: "/")
    }

    /// Where to go on after the ASCII character `mark` that is no letter: past a URL or fenced code, else the next
    /// byte.
    private func afterMark(_ mark: UInt8, at position: Int, end: Int) -> Int {
        switch mark {
        case UInt8(ascii: ":") where isRun(UInt8(ascii: "/"), 2, at: position + 1, end: end):
            var position = position + 3
            while position < end, CodeMarks.url.contains(text[position]) { position += 1 }
            return position
        case UInt8(ascii: "`") where skipsCode && isRun(mark, 3, at: position, end: end):
            var position = position + 3
            while position < end {
                if text[position] == mark, isRun(mark, 3, at: position, end: end) { return position + 3 }
                position += 1
            }
            return end
        default:
            return position + 1
        }
    }

    private func isRun(_ byte: UInt8, _ count: Int, at position: Int, end: Int) -> Bool {
        guard position + count <= end else { return false }
        return text[position..<position + count].allSatisfy { $0 == byte }
    }

    // Bytes

    /// The code point at `position` and its length; U+FFFD and 1 where the bytes are not UTF-8.
    @inline(__always)
    private func decode(at position: Int, end: Int) -> (code: UInt32, length: Int) {
        let lead = UInt32(text[position])
        func tail(_ offset: Int) -> UInt32? {
            guard position + offset < end else { return nil }
            let byte = text[position + offset]
            return byte & 0xC0 == 0x80 ? UInt32(byte & 0x3F) : nil
        }
        switch lead {
        case 0xC2...0xDF:
            guard let second = tail(1) else { break }
            return ((lead & 0x1F) << 6 | second, 2)
        case 0xE0...0xEF:
            guard let second = tail(1), let third = tail(2) else { break }
            return ((lead & 0x0F) << 12 | second << 6 | third, 3)
        case 0xF0...0xF4:
            guard let second = tail(1), let third = tail(2), let fourth = tail(3) else { break }
            return ((lead & 0x07) << 18 | second << 12 | third << 6 | fourth, 4)
        default: break
        }
        return (0xFFFD, 1)
    }

    private func afterWhitespace(_ start: Int, limit: Int) -> Int? {
        (start..<min(limit, text.count)).first { text[$0] <= 0x20 }.map { $0 + 1 }
    }

    private func beforeWhitespace(_ end: Int, limit: Int) -> Int? {
        (max(limit, 0)..<end).last { text[$0] <= 0x20 }
    }

    @inline(__always)
    private static func isASCIILetter(_ byte: UInt8) -> Bool {
        byte | 0x20 &- 0x61 < 26
    }
}

/// Sets of ASCII characters.
private struct CodeMarks {
    private let low: UInt64
    private let high: UInt64

    init(_ characters: StaticString) {
        var low: UInt64 = 0
        var high: UInt64 = 0
        characters.withUTF8Buffer { bytes in
            for byte in bytes {
                if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
            }
        }
        self.low = low
        self.high = high
    }

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        guard byte < 0x80 else { return false }
        return (byte < 64 ? low : high) >> UInt64(byte & 63) & 1 != 0
    }

    /// A word that touches one of these is part of an identifier, a path, an address, a tag or an expression.
    static let joined = CodeMarks("/\\@_$={}<>#~^|+&%[]0123456789")

    /// What a URL may hold, RFC 3986 section 2, less the closing bracket that ends a Markdown link.
    static let url = CodeMarks(
        "-._~:/?#@!$&'*+,;=%0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    )
}
