/// The words of a text in any language.
package enum TextUnits {
    /// How many words the text has: each maximal run of letters and decimal digits, and each character of a script
    /// without spaces between words (Han, kana, Hangul). Upstream's denominator of densities.
    ///
    /// - Complexity: O(bytes).
    package static func count(in bytes: UnsafeRawBufferPointer) -> Int {
        let text = UTF8Text(bytes)
        var units = 0
        var isInWord = false
        var offset = 0
        while offset < bytes.count {
            let (scalar, length) = text.scalar(at: offset)
            offset += length
            let kind = ScalarClass.of(scalar)
            if kind.contains(.cjk), kind.isLetterOrDigit {
                units += 1
                isInWord = false
            } else if kind.isLetterOrDigit {
                if !isInWord { units += 1 }
                isInWord = true
            } else {
                isInWord = false
            }
        }
        return units
    }
}
