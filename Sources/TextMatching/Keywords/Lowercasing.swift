/// Lower case by Unicode's default mappings (`Unicode.Scalar.Properties.lowercaseMapping`), scalar by scalar. Greek's final
/// sigma and the long s, which are lower case already, become σ and s, as simple case folding has it.
package enum Lowercasing {
    package static func lowercased(_ text: String) -> String {
        String(decoding: lowercased(Array(text.utf8)), as: UTF8.self)
    }

    /// The text in lower case.
    ///
    /// - Parameter text: valid UTF-8.
    /// - Complexity: O(bytes): one pass that compilers vectorise for ASCII; a look-up for each scalar of a script with case.
    package static func lowercased(_ text: [UInt8]) -> [UInt8] {
        guard isASCII(text) else { return text.withUnsafeBytes(general) }
        return [UInt8](unsafeUninitializedCapacity: text.count) { target, count in
            for index in text.indices { target[index] = folded(text[index]) }
            count = text.count
        }
    }

    private static func isASCII(_ text: [UInt8]) -> Bool {
        text.withUnsafeBufferPointer { bytes in bytes.reduce(0, |) < 0x80 }
    }

    @inline(__always)
    private static func folded(_ byte: UInt8) -> UInt8 { byte | (byte &- 0x41 < 26 ? 0x20 : 0) }

    private static func general(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        let text = UTF8Text(bytes)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 16)
        var offset = 0
        while offset < bytes.count {
            let first = bytes[offset]
            guard first >= 0x80 else {
                result.append(folded(first))
                offset += 1
                continue
            }
            let (value, length) = text.scalar(at: offset)
            if value == 0x3C2 {
                result.append(contentsOf: "σ".utf8)
            } else if value == 0x17F {
                result.append(UInt8(ascii: "s"))
            } else if isCaseless(value) {
                result.append(contentsOf: bytes[offset..<(offset + length)])
            } else {
                result.append(contentsOf: (Unicode.Scalar(value) ?? "\u{FFFD}").properties.lowercaseMapping.utf8)
            }
            offset += length
        }
        return result
    }

    /// Blocks without a letter that has case: general punctuation, and U+3000 to U+9FFF (kana, ideographs), Hangul.
    private static func isCaseless(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x2000...0x206F, 0x3000...0x9FFF, 0xAC00...0xD7A3: true
        default: false
        }
    }
}
