/// A reversible stand-in for a model's tokenizer: the same bytes always give the same ids, and ids give the bytes back.
///
/// Text is cut at changes between words and other characters, words further into pieces of at most four bytes, a
/// preceding space counted in, which comes near the usual four characters a token for English. An id *is* its piece:
/// up to four ASCII bytes in base 128, or up to three other bytes in base 256, so that no vocabulary is needed.
package enum SimTokenizer {
    /// The most bytes of one piece.
    private static let pieceBytes = 4

    /// The first id of each length of ASCII piece, then of each length of other piece.
    private static let asciiStart: [UInt32] = [0, 0, 128, 16_512, 2_113_664]
    private static let otherStart: [UInt32] = [0, 270_549_120, 270_549_376, 270_614_912]
    /// One past the largest id.
    package static let vocabularySize: UInt32 = 270_614_912 + (1 << 24)

    /// - Complexity: O(bytes).
    package static func encode(_ text: String) -> [UInt32] {
        var text = text
        return text.withUTF8 { encode(UnsafeRawBufferPointer($0)) }
    }

    package static func encode(_ bytes: UnsafeRawBufferPointer) -> [UInt32] {
        var tokens: [UInt32] = []
        tokens.reserveCapacity(bytes.count / 3 + 1)
        var start = 0
        while start < bytes.count {
            var end = start
            if bytes[start] >= 0x80 {
                end = endOfCharacter(bytes, from: start)
                tokens.append(id(of: bytes, start, end, isASCII: false))
            } else {
                if bytes[start] == 0x20 { end += 1 }
                let wordStart = end
                while end < bytes.count, end - start < pieceBytes, isWord(bytes[end]) { end += 1 }
                // A character that belongs to no word stands alone; a space before it does too.
                if end == wordStart { end = start + 1 }
                tokens.append(id(of: bytes, start, end, isASCII: true))
            }
            start = end
        }
        return tokens
    }

    /// The text of these ids; ids that no text gives are left out, and bytes that are no UTF-8 are repaired.
    package static func decode(_ tokens: some Sequence<UInt32>) -> String {
        var bytes: [UInt8] = []
        for token in tokens { append(token, to: &bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text that each token adds. A character that needs two tokens appears whole with the second, so that every
    /// piece is valid UTF-8; a character that is cut off at the end is repaired.
    package static func pieces(_ tokens: some Sequence<UInt32>) -> [String] {
        var pieces: [String] = []
        var pending: [UInt8] = []
        for token in tokens {
            append(token, to: &pending)
            if missingBytes(atEndOf: pending) > 0 {
                pieces.append("")
            } else {
                pieces.append(String(decoding: pending, as: UTF8.self))
                pending.removeAll(keepingCapacity: true)
            }
        }
        if !pending.isEmpty, !pieces.isEmpty {
            pieces[pieces.count - 1] = String(decoding: pending, as: UTF8.self)
        }
        return pieces
    }

    /// The bytes of one token.
    static func append(_ token: UInt32, to bytes: inout [UInt8]) {
        let isASCII = token < otherStart[1]
        let starts = isASCII ? asciiStart : otherStart
        let bits: UInt32 = isASCII ? 7 : 8
        guard token < vocabularySize, let length = (1..<starts.count).last(where: { starts[$0] <= token }) else {
            return
        }
        let value = token - starts[length]
        for position in (0..<UInt32(length)).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: value >> (position * bits)) & (isASCII ? 0x7F : 0xFF))
        }
    }

    private static func id(of bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int, isASCII: Bool) -> UInt32 {
        var value: UInt32 = 0
        for index in start..<end { value = value << (isASCII ? 7 : 8) | UInt32(bytes[index]) }
        return value + (isASCII ? asciiStart[end - start] : otherStart[end - start])
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte >= 0x61 && byte <= 0x7A || byte >= 0x41 && byte <= 0x5A || byte >= 0x30 && byte <= 0x39 || byte == 0x5F
    }

    /// The end of the non-ASCII character at `start`, at most three bytes on: the fourth byte of a character that has
    /// four is a piece of its own.
    private static func endOfCharacter(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var end = start + 1
        while end < bytes.count, end - start < 3, bytes[end] & 0xC0 == 0x80 { end += 1 }
        return end
    }

    /// How many bytes the last character still lacks (RFC 3629, section 3).
    private static func missingBytes(atEndOf bytes: [UInt8]) -> Int {
        for (distance, byte) in bytes.suffix(3).reversed().enumerated() where byte & 0xC0 != 0x80 {
            let length =
                switch byte {
                case 0xF0...: 4
                case 0xE0...: 3
                case 0xC0...: 2
                default: 1
                }
            return max(0, length - distance - 1)
        }
        return 0
    }
}
