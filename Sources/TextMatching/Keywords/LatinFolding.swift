/// Letters with marks to the ASCII letters they are written with when there are no others: à to a, ß to ss.
enum LatinFolding {
    /// One or two ASCII bytes; the second is 0 when there is one.
    typealias Letters = (first: UInt8, second: UInt8)

    /// The ASCII letters, digits or sign for `scalar`, in lower case, or nil if it is to be kept as it is.
    ///
    /// Covers Latin-1, Latin Extended-A, the marked letters of Latin Extended-B and Latin Extended Additional (Pinyin,
    /// Vietnamese), full-width forms, and the typographic apostrophes.
    static func fold(_ scalar: UInt32) -> Letters? {
        switch scalar {
        case 0..<0x80: return (lowercase(UInt8(scalar)), 0)
        case 0xC0..<0x250:
            if let pair = ligature(scalar) { return pair }
            return base(latin, at: Int(scalar - 0xC0))
        case 0x1E00..<0x1F00:
            if scalar == 0x1E9E { return letters("s", "s") }
            return base(latinAdditional, at: Int(scalar - 0x1E00))
        case 0x2018, 0x2019: return (UInt8(ascii: "'"), 0)
        // Full-width ! to ~.
        case 0xFF01...0xFF5E: return (lowercase(UInt8(scalar - 0xFEE0)), 0)
        default: return nil
        }
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 {
        0x41...0x5A ~= byte ? byte | 0x20 : byte
    }

    private static func base(_ table: StaticString, at index: Int) -> Letters? {
        let letter = table.utf8Start[index]
        return letter == UInt8(ascii: "-") ? nil : (letter, 0)
    }

    private static func letters(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Letters {
        (UInt8(ascii: first), UInt8(ascii: second))
    }

    /// Letters without a canonical decomposition.
    private static func ligature(_ scalar: UInt32) -> Letters? {
        switch scalar {
        case 0xC6, 0xE6, 0x1E2, 0x1E3, 0x1FC, 0x1FD: letters("a", "e")  // æ
        case 0xDE, 0xFE: letters("t", "h")  // þ
        case 0xDF: letters("s", "s")  // ß
        case 0x132, 0x133: letters("i", "j")  // ĳ
        case 0x14A, 0x14B: letters("n", "g")  // ŋ
        case 0x152, 0x153: letters("o", "e")  // œ
        case 0x1C4...0x1C6, 0x1F1...0x1F3: letters("d", "z")  // ǆ ǳ
        case 0x1C7...0x1C9: letters("l", "j")  // ǉ
        case 0x1CA...0x1CC: letters("n", "j")  // ǌ
        case 0xD0, 0xF0, 0x110, 0x111: (UInt8(ascii: "d"), 0)  // ð đ
        case 0xD8, 0xF8, 0x1FE, 0x1FF: (UInt8(ascii: "o"), 0)  // ø
        case 0x126, 0x127: (UInt8(ascii: "h"), 0)  // ħ
        case 0x131: (UInt8(ascii: "i"), 0)  // ı
        case 0x138: (UInt8(ascii: "k"), 0)  // ĸ
        case 0x13F...0x142: (UInt8(ascii: "l"), 0)  // ŀ ł
        case 0x149: (UInt8(ascii: "n"), 0)  // ŉ
        case 0x166, 0x167: (UInt8(ascii: "t"), 0)  // ŧ
        default: nil
        }
    }

    /// U+00C0 to U+024F: the one ASCII letter of the compatibility decomposition (UnicodeData.txt), or `-`.
    private static let latin: StaticString = """
        aaaaaa-ceeeeiiii-nooooo--uuuuy--aaaaaa-ceeeeiiii-nooooo--uuuuy-yaaaaaaccccccccdd--eeeeeeeeeegggggggg\
        hh--iiiiiiiii---jjkk-llllll----nnnnnn---oooooo--rrrrrrsssssssstttt--uuuuuuuuuuuuwwyyyzzzzzzs--------\
        ------------------------oo-------------uu----------------------------aaiioouuuuuuuuuu-aaaa----ggkkoo\
        oo--j---gg--nnaa----aaaaeeeeiiiioooorrrruuuusstt--hh------aaeeooooooooyy----------------------------
        """

    /// U+1E00 to U+1EFF, likewise.
    private static let latinAdditional: StaticString = """
        aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppprrrrrrrrssss\
        ssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwy-s----aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeee\
        iiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy------
        """
}
