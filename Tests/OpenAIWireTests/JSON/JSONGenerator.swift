import TestRandom

/// Random JSON documents, valid and broken, most of them a few dozen bytes long.
struct JSONGenerator {
    var random: SeededRandom
    private(set) var bytes: [UInt8] = []

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// A document for the fuzzer: one in three as generated, the others mutated.
    mutating func document() -> [UInt8] {
        valid()
        if !random.once(in: 3) {
            for _ in 0...random.below(3) { mutate() }
        }
        return bytes
    }

    /// A valid document, made from scratch.
    @discardableResult
    mutating func valid(budget: Int = 12) -> [UInt8] {
        bytes.removeAll(keepingCapacity: true)
        var budget = budget
        space()
        value(&budget, depth: 0)
        space()
        return bytes
    }

    // MARK: Values

    private mutating func value(_ budget: inout Int, depth: Int) {
        budget -= 1
        guard budget > 0, depth < 8 else { return scalar() }
        switch random.below(depth == 0 ? 4 : 6) {
        case 0, 1: object(&budget, depth: depth)
        case 2: array(&budget, depth: depth)
        default: scalar()
        }
    }

    private mutating func object(_ budget: inout Int, depth: Int) {
        put("{")
        space()
        for index in 0..<random.below(5) {
            if index > 0 {
                put(",")
                space()
            }
            key()
            space()
            put(":")
            space()
            value(&budget, depth: depth + 1)
            space()
        }
        put("}")
    }

    private mutating func array(_ budget: inout Int, depth: Int) {
        put("[")
        space()
        for index in 0..<random.below(5) {
            if index > 0 {
                put(",")
                space()
            }
            value(&budget, depth: depth + 1)
            space()
        }
        put("]")
    }

    private mutating func scalar() {
        switch random.below(8) {
        case 0: put("true")
        case 1: put("false")
        case 2: put("null")
        case 3, 4: number()
        default: string()
        }
    }

    /// Few names, so that duplicates and differently escaped duplicates are common.
    private mutating func key() {
        if random.once(in: 4) { return string() }
        put(random.pick(JSONGenerator.keys))
    }

    private static let keys = [
        #""a""#, #""\u0061""#, #""b""#, #""model""#, #""mod\u0065l""#, #""messages""#, #""""#, "\"\u{E9}\"",
        "\"e\u{301}\"", #""\u00e9""#, #""e\u0301""#, #""\n""#, #""\u0000""#, #""a\u0000""#, #""\ud83d\ude00""#, "\"😀\"",
    ]

    private mutating func number() {
        if random.once(in: 4) { return put(random.pick(JSONGenerator.numbers)) }
        if random.once(in: 3) { put("-") }
        put(random.once(in: 4) ? "0" : String(random.below(1 << (1 + random.below(40))) + 1))
        if random.once(in: 3) { put(".\(random.below(100_000))") }
        if random.once(in: 4) {
            put(random.pick(["e", "E"]) + random.pick(["", "+", "-"]) + String(random.below(20)))
        }
    }

    private static let numbers = [
        "0", "-0", "-0.0", "0e0", "1E+2", "1e-7", "1.0", "9007199254740993", "9223372036854775807",
        "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
        "18446744073709551616", "123456789012345678901234567890", "0.1", "1e308", "1.7976931348623157e308",
        "2e308", "1e999", "-1e400", "5e-324", "1e-999", "0e999", "0.30000000000000004", "1e23", "8.5e-45",
    ]

    private mutating func string() {
        put("\"")
        for _ in 0..<random.below(6) { piece() }
        put("\"")
    }

    private mutating func piece() {
        switch random.below(12) {
        case 0: put(random.pick(JSONGenerator.escapes))
        case 1: put(random.pick(JSONGenerator.characters))
        case 2: put("\\u" + hex(random.below(0x10000)))
        case 3 where random.once(in: 4):
            put("\\u" + hex(0xD800 + random.below(0x400)) + "\\u" + hex(0xDC00 + random.below(0x400)))
        case 4: put("hello, world! ")
        default:
            for _ in 0...random.below(4) { bytes.append(UInt8(ascii: "a") + UInt8(random.below(26))) }
        }
    }

    private static let escapes = [#"\""#, #"\\"#, #"\/"#, #"\b"#, #"\f"#, #"\n"#, #"\r"#, #"\t"#, #"\u0000"#]
    private static let characters = [
        "\u{7F}", "\u{80}", "\u{E9}", "e\u{301}", "\u{7FF}", "\u{800}", "中文", "\u{FFFD}", "\u{FFFF}", "\u{D7FF}",
        "\u{E000}", "\u{10000}", "😀", "\u{10FFFF}", "\u{FEFF}", "\u{2028}",
    ]

    private mutating func space() {
        guard random.once(in: 6) else { return }
        put(random.pick([" ", "\n", "\t", "\r\n", "  ", "\n        \n", "          "]))
    }

    // MARK: Mutations

    private mutating func mutate() {
        guard !bytes.isEmpty else { return put(random.pick(["[]", "{}", "1", "\"a\""])) }
        let place = random.below(bytes.count + 1)
        switch random.below(20) {
        case 0, 1:
            bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
        case 2, 3:
            bytes.insert(UInt8(random.below(256)), at: place)
        case 4, 5:
            bytes.insert(random.pick(JSONGenerator.structure), at: place)
        case 6, 7, 8:
            bytes.remove(at: random.below(bytes.count))
        case 9:
            bytes.removeSubrange(place...)
        case 10, 11:
            // A piece of the document once more, somewhere.
            let start = random.below(bytes.count + 1)
            let stop = min(bytes.count, start + random.below(12))
            bytes.insert(contentsOf: bytes[start..<stop], at: place)
        case 12:
            bytes[random.below(bytes.count)] = UInt8(random.below(256))
        case 13 where random.once(in: 8):
            wide()
        case 14 where random.once(in: 4):
            bytes.insert(contentsOf: random.pick(JSONGenerator.marks), at: 0)
        case 15 where random.once(in: 400):
            deep()
        case 16:
            bytes.insert(UInt8(ascii: ","), at: place)
        default:
            bytes.insert(contentsOf: random.pick(JSONGenerator.nasty), at: place)
        }
    }

    private static let structure = Array(#"{}[]:,"\-+.eE0123456789tfnu /"#.utf8)

    /// Byte order marks of UTF-8, UTF-16 and UTF-32.
    private static let marks: [[UInt8]] = [
        [0xEF, 0xBB, 0xBF], [0xFE, 0xFF], [0xFF, 0xFE], [0, 0, 0xFE, 0xFF], [0xFF, 0xFE, 0, 0], [0xEF, 0xBB],
    ]

    private static let nasty: [[UInt8]] =
        [
            #"\ud800"#, #"\udc00"#, #"\ud800\ud800"#, #"\udc00\ud800"#, #"\udc00\udc00"#, #"\ud83d\ude00"#,
            #"\ud800\n"#, #"\ud800x"#,
            #"\u12"#, #"\u"#, #"\x41"#, #"\U0041"#, #"\uD83"#, "\\", "\\\"", "\"", "\"\"", "01", "-", "--1", "1.", ".5",
            "1e", "1e+", "+1", "0x10", "1_000", "NaN", "Infinity", "-Infinity", "nul", "True", "truefalse", "//",
            "/**/",
            "'a'", ",,", ",]", ",}", "[,", "{,", "{}", "[]", "][", "}{", "::", ":", "null", "true", "\u{A0}",
            "\u{2028}",
            "\u{FEFF}", "\u{85}", "\u{0C}", "\u{0B}", "1e999", "-1e999", "1e-999", "0e99999999999999999999",
            "99999999999999999999999999999999999999999999999999", "0.00000000000000000000000000000000000000000000001",
        ].map { Array($0.utf8) } + [
            [0], [0x1F], [0x7F], [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xE2, 0x82], [0xEF, 0xBF, 0xBE], [0xF0, 0x80, 0x80, 0x80],
            [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x9F, 0x98], [0xF4, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xE4, 0xB8, 0xAD, 0xE6],
        ]

    /// The document in another encoding, if it is text at all.
    private mutating func wide() {
        let text = String(decoding: bytes, as: UTF8.self)
        let isBig = random.once(in: 2)
        func pack<Unit: FixedWidthInteger>(_ units: some Sequence<Unit>) -> [UInt8] {
            units.flatMap { unit in
                withUnsafeBytes(of: isBig ? unit.bigEndian : unit.littleEndian) { Array($0) }
            }
        }
        bytes = random.once(in: 2) ? pack(text.utf16) : pack(text.unicodeScalars.map(\.value))
    }

    /// Arrays and objects around the document, close to the depth that is allowed.
    private mutating func deep() {
        let depth = 500 + random.below(20)
        var opening: [UInt8] = []
        var closing: [UInt8] = []
        for _ in 0..<depth {
            let isArray = random.once(in: 2)
            opening += isArray ? [UInt8(ascii: "[")] : Array(#"{"":"#.utf8)
            closing.append(UInt8(ascii: isArray ? "]" : "}"))
        }
        bytes = opening + bytes + closing.reversed()
    }

    private mutating func put(_ text: String) { bytes += text.utf8 }

    private func hex(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 4 - digits.count) + digits
    }
}
