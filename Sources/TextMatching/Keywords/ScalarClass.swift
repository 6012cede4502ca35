/// What the matchers want to know of a Unicode scalar.
struct ScalarClass: OptionSet {
    let rawValue: UInt8

    /// General category L*.
    static var letter: ScalarClass { ScalarClass(rawValue: 1) }
    /// General category Nd.
    static var digit: ScalarClass { ScalarClass(rawValue: 2) }
    /// Alphabetic, or any of the numeric categories Nd, Nl and No.
    static var alphanumeric: ScalarClass { ScalarClass(rawValue: 4) }
    /// Of the scripts Han, Hiragana, Katakana or Hangul, whose words stand without blanks between them.
    static var cjk: ScalarClass { ScalarClass(rawValue: 8) }
    /// General category M*.
    static var mark: ScalarClass { ScalarClass(rawValue: 16) }

    /// Beside such a scalar a keyword is part of a longer word: a letter or decimal digit that is not CJK.
    var isBlocking: Bool { isLetterOrDigit && !isCJK }

    /// A letter or decimal digit.
    var isLetterOrDigit: Bool { rawValue & (ScalarClass.letter.rawValue | ScalarClass.digit.rawValue) != 0 }

    var isAlphanumeric: Bool { rawValue & ScalarClass.alphanumeric.rawValue != 0 }

    var isCJK: Bool { rawValue & ScalarClass.cjk.rawValue != 0 }

    var isMark: Bool { rawValue & ScalarClass.mark.rawValue != 0 }

    /// - Complexity: O(1): a table below U+3000, ranges for most of CJK, the standard library's properties for the
    ///   rest.
    @inline(__always)
    static func of(_ scalar: UInt32) -> ScalarClass {
        scalar < tableEnd ? ScalarClass(rawValue: table[Int(scalar)]) : ofHighScalar(scalar)
    }

    /// The table holds the alphabets (Latin, Greek, Cyrillic, the Indic and Arabic blocks); what lies above is CJK, or
    /// rare.
    private static let tableEnd: UInt32 = 0x3000

    /// Filled at the first use: 12,288 look-ups of properties.
    private static let table: [UInt8] = (0..<tableEnd).map { computed($0).rawValue }

    private static var cjkLetter: ScalarClass {
        ScalarClass(rawValue: letter.rawValue | alphanumeric.rawValue | cjk.rawValue)
    }

    @inline(never)
    private static func ofHighScalar(_ scalar: UInt32) -> ScalarClass {
        switch scalar {
        // Assigned as letters (Lo) from end to end: Hiragana, Katakana, unified ideographs, Hangul syllables.
        case 0x3041...0x3096, 0x30A1...0x30FA, 0x4E00...0x9FFF, 0xAC00...0xD7A3: cjkLetter
        default: computed(scalar)
        }
    }

    private static func computed(_ value: UInt32) -> ScalarClass {
        guard let scalar = Unicode.Scalar(value) else { return [] }
        var result: ScalarClass = isCJK(value) ? .cjk : []
        if scalar.properties.isAlphabetic { result.insert(.alphanumeric) }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            result.insert(.letter)
        case .decimalNumber:
            result.formUnion([.digit, .alphanumeric])
        case .letterNumber, .otherNumber:
            result.insert(.alphanumeric)
        case .nonspacingMark, .spacingMark, .enclosingMark:
            result.insert(.mark)
        default:
            break
        }
        return result
    }

    /// Scripts.txt of Unicode 17 for Han, Hiragana, Katakana and Hangul, and the prolonged sound marks U+30FC and
    /// U+FF70: these are of script Common, but by ScriptExtensions.txt belong to kana, and stand inside Japanese words.
    static func isCJK(_ scalar: UInt32) -> Bool {
        switch scalar {
        case ..<0x1100: false
        // Han
        case 0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005, 0x3007, 0x3021...0x3029, 0x3038...0x303B,
            0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D, 0xFA70...0xFAD9, 0x16FE2...0x16FE3, 0x16FF0...0x16FF6,
            0x20000...0x2A6DF, 0x2A700...0x2B81E, 0x2B820...0x2CEAD, 0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D,
            0x2F800...0x2FA1D, 0x30000...0x3134A, 0x31350...0x33479:
            true
        // Hiragana
        case 0x3041...0x3096, 0x309D...0x309F, 0x1B001...0x1B11F, 0x1B123, 0x1B132, 0x1B150...0x1B152, 0x1F200:
            true
        // Katakana
        case 0x30A1...0x30FA, 0x30FC...0x30FF, 0x31F0...0x31FF, 0x32D0...0x32FE, 0x3300...0x3357, 0xFF66...0xFF9D,
            0x1AFF0...0x1AFF3, 0x1AFF5...0x1AFFB, 0x1AFFD...0x1AFFE, 0x1B000, 0x1B120...0x1B122, 0x1B124...0x1B128,
            0x1B155, 0x1B164...0x1B168:
            true
        // Hangul
        case 0x1100...0x11FF, 0x302E...0x302F, 0x3131...0x318E, 0x3200...0x321E, 0x3260...0x327E, 0xA960...0xA97C,
            0xAC00...0xD7A3, 0xD7B0...0xD7C6, 0xD7CB...0xD7FB, 0xFFA0...0xFFBE, 0xFFC2...0xFFC7, 0xFFCA...0xFFCF,
            0xFFD2...0xFFD7, 0xFFDA...0xFFDC:
            true
        default: false
        }
    }
}
