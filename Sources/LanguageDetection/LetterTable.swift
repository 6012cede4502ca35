/// Which script a code point belongs to, and what it is folded to before hashing.
///
/// Folding is lower case, plus what writers of one language mix: comma and cedilla in Romanian, the Arabic and Persian
/// yeh and kaf. The model is trained on text folded alike (`fold_tables` in scripts/train-language-model).
struct LetterTable: Sendable {
    /// One entry per code point below `limit`: the folded letter in the low half, the script plus one above it; 0 for
    /// what is no letter, `dropped` for what is passed over inside a word.
    private let entries: [UInt32]

    /// Everything modelled lies below U+2000; the scripts above are told by range.
    private static let limit: UInt32 = 0x2000
    private static let dropped: UInt32 = 0xFF << 16

    /// What one code point is.
    enum Kind {
        case letter(Script, folded: UInt16)
        /// Combining marks, vowel signs of Arabic, soft hyphens: neither a letter nor the end of a word.
        case dropped
        case other
    }

    init() {
        var table = [UInt32](repeating: 0, count: Int(LetterTable.limit))
        for (range, script) in LetterTable.blocks {
            for code in range { table[Int(code)] = UInt32(script.rawValue + 1) << 16 | code }
        }
        for code: UInt32 in [0xD7, 0xF7, 0x640, 0x6D4] { table[Int(code)] = 0 }
        for range in LetterTable.numbersAndMarks { for code in range { table[Int(code)] = 0 } }
        for range: ClosedRange<UInt32> in [0x300...0x36F, 0x64B...0x65F, 0x640...0x640, 0x670...0x670, 0xAD...0xAD] {
            for code in range { table[Int(code)] = LetterTable.dropped }
        }
        for (code, folded) in LetterTable.folds {
            table[Int(code)] = table[Int(code)] & 0xFFFF_0000 | folded
        }
        entries = table
    }

    /// What `code` is.
    /// - Complexity: O(1); one load below U+2000.
    @inline(__always)
    func kind(_ code: UInt32) -> Kind {
        guard code < LetterTable.limit else { return LetterTable.kindAbove(code) }
        let entry = entries.withUnsafeBufferPointer { $0[Int(code)] }
        guard entry != 0 else { return .other }
        guard entry < LetterTable.dropped, let script = Script(rawValue: UInt8(entry >> 16) - 1) else {
            return .dropped
        }
        return .letter(script, folded: UInt16(truncatingIfNeeded: entry))
    }

    private static func kindAbove(_ code: UInt32) -> Kind {
        switch code {
        case 0x3041...0x3096, 0x309D...0x309F, 0x30A1...0x30FA, 0x30FC...0x30FF, 0x31F0...0x31FF, 0xFF66...0xFF9F:
            .letter(.kana, folded: 0)
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x3FFFF, 0xF900...0xFAFF, 0x3005, 0x3007, 0x3105...0x312F:
            .letter(.han, folded: 0)
        case 0xAC00...0xD7A3, 0x3131...0x318E, 0xA960...0xA97C, 0xD7B0...0xD7FB: .letter(.hangul, folded: 0)
        // Full-width Latin and the presentation forms of Arabic, folded as if they were the plain letters' neighbours.
        case 0xFF21...0xFF3A: .letter(.latin, folded: UInt16(code - 0xFF21 + 0x61))
        case 0xFF41...0xFF5A: .letter(.latin, folded: UInt16(code - 0xFF41 + 0x61))
        case 0x2D00...0x2D25: .letter(.georgian, folded: 0)
        case 0x2D80...0x2DDE, 0xAB01...0xAB2E: .letter(.ethiopic, folded: 0)
        default: .other
        }
    }

    /// Blocks of the Unicode standard with the letters that count. Thai and the Indic blocks include their vowel signs.
    private static let blocks: [(ClosedRange<UInt32>, Script)] = [
        (0x41...0x5A, .latin), (0x61...0x7A, .latin), (0xC0...0x2AF, .latin), (0x1E00...0x1EFF, .latin),
        (0x370...0x3FF, .greek), (0x1F00...0x1FFF, .greek),
        (0x400...0x481, .cyrillic), (0x48A...0x52F, .cyrillic),
        (0x531...0x556, .armenian), (0x561...0x587, .armenian), (0x5D0...0x5EA, .hebrew),
        (0x620...0x64A, .arabic), (0x66E...0x66F, .arabic), (0x671...0x6D3, .arabic), (0x6D5...0x6D5, .arabic),
        (0x6EE...0x6EF, .arabic), (0x6FA...0x6FF, .arabic), (0x750...0x77F, .arabic),
        (0x900...0x97F, .devanagari), (0x980...0x9FF, .bengali), (0xA00...0xA7F, .gurmukhi), (0xA80...0xAFF, .gujarati),
        (0xB00...0xB7F, .odia), (0xB80...0xBFF, .tamil), (0xC00...0xC7F, .telugu), (0xC80...0xCFF, .kannada),
        (0xD00...0xD7F, .malayalam), (0xD80...0xDFF, .sinhala), (0xE01...0xE3A, .thai), (0xE40...0xE4E, .thai),
        (0xE81...0xECD, .lao), (0xF40...0xFBC, .tibetan), (0x1000...0x103F, .myanmar), (0x1050...0x108F, .myanmar),
        (0x10A0...0x10FF, .georgian), (0x1100...0x11FF, .hangul), (0x1200...0x135F, .ethiopic),
        (0x1380...0x138F, .ethiopic), (0x1780...0x17D3, .khmer), (0x1C90...0x1CBF, .georgian),
    ]

    /// Digits, currency and punctuation inside the blocks above.
    private static let numbersAndMarks: [ClosedRange<UInt32>] = [
        0x37E...0x37E, 0x387...0x387, 0x964...0x970, 0x9E6...0x9EF, 0x9F2...0x9FB, 0xA66...0xA6F, 0xAE6...0xAF1,
        0xB66...0xB6F, 0xBE6...0xBFA, 0xC66...0xC6F, 0xC78...0xC7F, 0xCE6...0xCEF, 0xD66...0xD79, 0xDE6...0xDEF,
        0x10FB...0x10FB,
    ]

    /// Letters that are not folded to themselves.
    private static var folds: [(UInt32, UInt32)] {
        var folds: [(UInt32, UInt32)] = []
        /// In `range` upper and lower case take turns; the upper case is the even one, or the odd one.
        func pairs(_ range: ClosedRange<UInt32>, upperIsOdd: Bool = false) {
            for code in range where (code & 1 == 1) == upperIsOdd { folds.append((code, code + 1)) }
        }
        func shift(_ range: ClosedRange<UInt32>, by distance: UInt32) {
            for code in range where code != 0xD7 { folds.append((code, code + distance)) }
        }
        shift(0x41...0x5A, by: 0x20)
        shift(0xC0...0xDE, by: 0x20)
        pairs(0x100...0x12F)
        pairs(0x132...0x137)
        pairs(0x139...0x148, upperIsOdd: true)
        pairs(0x14A...0x177)
        pairs(0x179...0x17E, upperIsOdd: true)
        pairs(0x1E00...0x1E95)
        pairs(0x1EA0...0x1EFF)
        shift(0x400...0x40F, by: 0x50)
        shift(0x410...0x42F, by: 0x20)
        pairs(0x460...0x481)
        pairs(0x48A...0x4BF)
        pairs(0x4C1...0x4CE, upperIsOdd: true)
        pairs(0x4D0...0x52F)
        folds += [
            (0x130, 0x69), (0x178, 0xFF), (0x17F, 0x73), (0x18F, 0x259), (0x1A0, 0x1A1), (0x1AF, 0x1B0), (0x1E9E, 0xDF),
            (0x218, 0x15F), (0x219, 0x15F), (0x21A, 0x163), (0x21B, 0x163), (0x4C0, 0x4CF),
            (0x643, 0x6A9), (0x649, 0x6CC), (0x64A, 0x6CC), (0x6C0, 0x6C1),
        ]
        return folds
    }
}
