/// Cuts a text into the units that `BM25Index` counts: folded words, and characters and pairs of CJK.
///
/// Words are cut as UAX #29 does on ASCII: letters, digits and `_` stick together; `'`, `.` and `:` join letters; `'`,
/// `.`, `,` and `;` join digits. A word has at least one letter or digit. Marked Latin letters are folded to ASCII
/// first, and combining accents dropped; other alphabets stay as they are.
struct BM25Tokenizer {
    enum Token {
        /// A word before its stem is taken.
        case word
        /// One CJK character.
        case character
        /// Two CJK characters beside each other.
        case pair
    }

    /// Longer words are cut: two that agree up to here are one.
    static let maxWordBytes = 255

    /// Calls `body` with every token's kind and bytes, which are valid, and may be overwritten, until it returns.
    ///
    /// - Parameter isDocument: CJK runs as a document has them: a single character stands for itself only where it is
    ///   the whole run. A query yields every character and every pair.
    static func forEachToken(
        in text: UnsafeRawBufferPointer,
        isDocument: Bool,
        _ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void
    ) {
        // Folding yields two bytes at most, and a scalar has four.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: maxWordBytes + 4) { buffer in
            var run = Run(text: UTF8Text(text), buffer: buffer, isDocument: isDocument)
            run.scan(body)
        }
    }

    /// What a scalar does to a word.
    private enum Kind: UInt8 {
        case other, letter, digit, underscore
        /// `.` and `'` join letters and digits, `:` letters, `,` and `;` digits.
        case joiner, letterJoiner, digitJoiner
        case accent, cjk
    }

    private static let asciiKinds: [Kind] = (UInt8(0)..<0x80).map { byte in
        switch byte {
        case 0x30...0x39: .digit
        case 0x41...0x5A, 0x61...0x7A: .letter
        case UInt8(ascii: "_"): .underscore
        case UInt8(ascii: "."), UInt8(ascii: "'"): .joiner
        case UInt8(ascii: ":"): .letterJoiner
        case UInt8(ascii: ","), UInt8(ascii: ";"): .digitJoiner
        default: .other
        }
    }

    private struct Run {
        let text: UTF8Text
        let buffer: UnsafeMutableBufferPointer<UInt8>
        let isDocument: Bool
        /// Bytes of the word in `buffer`.
        var length = 0
        var hasLetterOrDigit = false
        /// What the word ends in: a letter, a digit or `_`.
        var last = Kind.other
        /// A sign that joins if what follows is of the kind of `last`.
        var joiner: UInt8?
        /// Where the CJK character before this one begins, and how many there were in this run.
        var previous = 0
        var characters = 0

        init(text: UTF8Text, buffer: UnsafeMutableBufferPointer<UInt8>, isDocument: Bool) {
            self.text = text
            self.buffer = buffer
            self.isDocument = isDocument
        }

        mutating func scan(_ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void) {
            let end = text.bytes.count
            BM25Tokenizer.asciiKinds.withUnsafeBufferPointer { asciiKinds in
                var position = 0
                while position < end {
                    let (scalar, size) = text.scalar(at: position)
                    if scalar < 0x80 {
                        let byte = UInt8(truncatingIfNeeded: scalar)
                        let isUpper = byte &- 0x41 < 26
                        take(asciiKinds[Int(byte)], isUpper ? byte | 0x20 : byte, 0, body)
                    } else if let folded = LatinFolding.fold(scalar) {
                        take(asciiKinds[Int(folded.first)], folded.first, folded.second, body)
                    } else {
                        takeOther(scalar, at: position, size, body)
                    }
                    position += size
                }
            }
            endWord(body)
            endCharacters(body)
        }

        /// A scalar that is, or is folded to, one or two ASCII bytes.
        @inline(__always)
        private mutating func take(
            _ kind: Kind,
            _ byte: UInt8,
            _ second: UInt8,
            _ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void
        ) {
            if characters > 0 { endCharacters(body) }
            switch kind {
            case .letter, .digit:
                if joiner != nil { join(kind, body) }
                append(byte)
                if second != 0 { append(second) }
                last = kind
                hasLetterOrDigit = true
            case .underscore:
                if joiner != nil { endWord(body) }
                append(byte)
                last = .underscore
            case .joiner, .letterJoiner, .digitJoiner:
                let joins =
                    joiner == nil
                    && (last == .letter && kind != .digitJoiner || last == .digit && kind != .letterJoiner)
                if joins { joiner = byte } else { endWord(body) }
            case .other, .accent, .cjk:
                if length > 0 { endWord(body) }
            }
        }

        private mutating func takeOther(
            _ scalar: UInt32,
            at position: Int,
            _ size: Int,
            _ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void
        ) {
            // Combining Diacritical Marks: the accents of a decomposed letter.
            if 0x300..<0x370 ~= scalar { return }
            let scalarClass = ScalarClass.of(scalar)
            guard scalarClass.isAlphanumeric || scalarClass.isMark else {
                endWord(body)
                endCharacters(body)
                return
            }
            if scalarClass.isCJK && scalarClass.isAlphanumeric {
                endWord(body)
                takeCharacter(at: position, size, body)
                return
            }
            endCharacters(body)
            let isMark = !scalarClass.isAlphanumeric
            if isMark && length == 0 { return }
            let kind = scalarClass.contains(.digit) ? Kind.digit : .letter
            if joiner != nil { isMark ? endWord(body) : join(kind, body) }
            for index in 0..<size { append(text.bytes[position + index]) }
            if !isMark {
                last = kind
                hasLetterOrDigit = true
            }
        }

        /// Past the sign, if the word goes on with the kind of scalar that it had before.
        private mutating func join(_ kind: Kind, _ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void) {
            guard let sign = joiner else { return }
            if kind == last {
                append(sign)
                joiner = nil
            } else {
                endWord(body)
            }
        }

        private mutating func append(_ byte: UInt8) {
            guard length < BM25Tokenizer.maxWordBytes else { return }
            buffer[length] = byte
            length += 1
        }

        private mutating func endWord(_ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void) {
            if hasLetterOrDigit {
                body(.word, UnsafeMutableBufferPointer(rebasing: buffer[..<length]))
            }
            length = 0
            hasLetterOrDigit = false
            last = .other
            joiner = nil
        }

        // MARK: CJK

        private var previousEnd: Int { previous + text.scalar(at: previous).length }

        private mutating func takeCharacter(
            at position: Int,
            _ size: Int,
            _ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void
        ) {
            // An accent may stand between two characters: they are no neighbours then.
            if characters > 0 && previousEnd != position { endCharacters(body) }
            if !isDocument { emit(.character, position..<position + size, body) }
            if characters > 0 { emit(.pair, previous..<position + size, body) }
            previous = position
            characters += 1
        }

        private mutating func endCharacters(_ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void) {
            if isDocument && characters == 1 { emit(.character, previous..<previousEnd, body) }
            characters = 0
        }

        private func emit(
            _ token: Token,
            _ range: Range<Int>,
            _ body: (Token, UnsafeMutableBufferPointer<UInt8>) -> Void
        ) {
            let count = range.count
            for index in 0..<count { buffer[index] = text.bytes[range.lowerBound + index] }
            body(token, UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
