/// What the reference tokenizer takes each scalar for, ready to be asked: unpacked once from `UnicodeData`.
///
/// Properties lie in blocks of 128 scalars, of which equal ones are kept once; the other facts, which few scalars have, in
/// dictionaries that are asked only after a property says that there is something to find.
final class UnicodeTables: Sendable {
    static let standard = UnicodeTables()

    /// The number of the block of each 128 scalars.
    private let blocks: [UInt16]
    private let properties: [UInt32]
    private let canonical: ScalarSequences
    private let compatible: ScalarSequences
    private let lowercase: ScalarSequences
    /// By first scalar << 32 | second scalar.
    private let compositions: [UInt64: UInt32]

    private init() {
        (blocks, properties) = Self.unpackProperties()
        canonical = ScalarSequences(UnicodeData.canonical)
        compatible = ScalarSequences(UnicodeData.compatible)
        lowercase = ScalarSequences(UnicodeData.lowercase)
        var numbers = PackedNumbers(UnicodeData.compositions)
        var compositions: [UInt64: UInt32] = [:]
        let count = numbers.next()
        compositions.reserveCapacity(Int(count))
        for _ in 0..<count {
            let first = numbers.next()
            let second = numbers.next()
            compositions[UInt64(first) << 32 | UInt64(second)] = numbers.next()
        }
        self.compositions = compositions
    }

    private static func unpackProperties() -> (blocks: [UInt16], properties: [UInt32]) {
        var numbers = PackedNumbers(UnicodeData.properties)
        let values = (0..<numbers.next()).map { _ in numbers.next() }
        let runs = Int(numbers.next())
        var blocks = [UInt16](repeating: 0, count: 0x110000 >> blockBits)
        var properties: [UInt32] = []
        // A block of equal properties is made once for each value.
        var uniform: [UInt32: UInt16] = [:]
        var block: [UInt32] = []
        var start = Int(numbers.next())
        var value = values[Int(numbers.next())]
        for run in 1...runs {
            let next: Int
            let nextValue: UInt32
            if run < runs {
                next = start + Int(numbers.next())
                nextValue = values[Int(numbers.next())]
            } else {
                (next, nextValue) = (0x110000, 0)
            }
            while start < next {
                if block.isEmpty, next - start >= blockSize {
                    let number = uniform[value] ?? UInt16(properties.count >> blockBits)
                    if uniform.updateValue(number, forKey: value) == nil {
                        properties.append(contentsOf: repeatElement(value, count: blockSize))
                    }
                    blocks[start >> blockBits] = number
                    start += blockSize
                    continue
                }
                let count = min(next - start, blockSize - block.count)
                block.append(contentsOf: repeatElement(value, count: count))
                start += count
                if block.count == blockSize {
                    blocks[(start - 1) >> blockBits] = UInt16(properties.count >> blockBits)
                    properties.append(contentsOf: block)
                    block.removeAll(keepingCapacity: true)
                }
            }
            value = nextValue
        }
        return (blocks, properties)
    }

    /// What `scalar` is. Any number that UTF-8 can spell may be asked for.
    @inline(__always)
    func properties(of scalar: UInt32) -> ScalarProperties {
        let block = Int(blocks[Int(scalar) >> Self.blockBits])
        return ScalarProperties(
            bits: properties[block << Self.blockBits | Int(scalar) & (Self.blockSize - 1)]
        )
    }

    private static let blockBits = 7
    private static let blockSize = 1 << blockBits
}

// MARK: - What a scalar is

/// The properties of a scalar, as the reference's parts see them.
struct ScalarProperties {
    let bits: UInt32

    struct Flag: OptionSet {
        let rawValue: UInt32

        /// White_Space.
        static let space = Flag(rawValue: 1 << 5)
        /// `\w` of the expressions that know words: letters, marks, digits and connectors.
        static let word = Flag(rawValue: 1 << 6)
        /// Categories Nd, Nl and No, of Rust's `is_numeric`.
        static let numeric = Flag(rawValue: 1 << 7)
        /// What the pre-tokenizers split at as punctuation: categories P and all of ASCII's signs.
        static let punctuation = Flag(rawValue: 1 << 8)
        /// What BERT's cleaning removes.
        static let control = Flag(rawValue: 1 << 9)
        /// What BERT's stripping of accents removes after decomposition.
        static let accent = Flag(rawValue: 1 << 10)
        /// What `StripAccents` removes.
        static let mark = Flag(rawValue: 1 << 11)
        /// What BERT sets between spaces.
        static let ideograph = Flag(rawValue: 1 << 12)
        /// Has another lower-case form.
        static let lowers = Flag(rawValue: 1 << 13)
        /// Has a canonical decomposition.
        static let decomposes = Flag(rawValue: 1 << 14)
        /// Has a compatibility decomposition, which every canonical one is too.
        static let decomposesCompatibly = Flag(rawValue: 1 << 15)
        /// Nothing before it changes with it or with what follows, in the form of the name.
        static let boundaryD = Flag(rawValue: 1 << 16)
        static let boundaryKD = Flag(rawValue: 1 << 17)
        static let boundaryC = Flag(rawValue: 1 << 18)
        static let boundaryKC = Flag(rawValue: 1 << 19)
    }

    @inline(__always)
    func has(_ flag: Flag) -> Bool { bits & flag.rawValue != 0 }

    /// One bit, at the number of the general category: see `ScalarCategories`.
    @inline(__always)
    var categoryBit: UInt32 { 1 << (bits & 31) }

    /// The canonical combining class.
    @inline(__always)
    var combiningClass: UInt8 { UInt8(truncatingIfNeeded: bits >> 24) }
}

/// Sets of general categories (UAX #44, table 12) as bits, in the order of `scripts/tokenizers/make-unicode-data`.
enum ScalarCategories {
    private static let names = [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "Sm",
        "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
    ]
    /// L: the first five.
    static let letters: UInt32 = 0b1_1111
    /// N: the ninth to the eleventh.
    static let numbers: UInt32 = 0b111 << 8

    /// The bits of a category such as `Lu` or of a group of them such as `L`; nil when there is none of that name.
    static func mask(of name: String) -> UInt32? {
        let found = names.indices.filter { names[$0] == name || (name.utf8.count == 1 && names[$0].hasPrefix(name)) }
        return found.isEmpty ? nil : found.reduce(0) { $0 | 1 << UInt32($1) }
    }
}

// MARK: - What scalars change to

extension UnicodeTables {
    /// The full decomposition of a scalar that has one (Hangul apart).
    func decomposition(of scalar: UInt32, compatible isCompatible: Bool) -> ArraySlice<UInt32> {
        if isCompatible, let found = compatible[scalar] { return found }
        return canonical[scalar] ?? []
    }

    /// The lower-case form of a scalar that has another one.
    func lowercase(of scalar: UInt32) -> ArraySlice<UInt32> { lowercase[scalar] ?? [] }

    /// What two scalars compose to (Unicode 3.12, Hangul included).
    func composition(of first: UInt32, _ second: UInt32) -> UInt32? {
        if first &- Hangul.leading < Hangul.leadingCount, second &- Hangul.vowel < Hangul.vowelCount {
            let leading = first - Hangul.leading
            return Hangul.syllable + (leading * Hangul.vowelCount + second - Hangul.vowel) * Hangul.trailingCount
        }
        if first &- Hangul.syllable < Hangul.syllableCount, (first - Hangul.syllable) % Hangul.trailingCount == 0,
            second > Hangul.trailing, second < Hangul.trailing + Hangul.trailingCount
        {
            return first + second - Hangul.trailing
        }
        return compositions[UInt64(first) << 32 | UInt64(second)]
    }
}

/// The arithmetic of Korean syllables (Unicode 3.12).
enum Hangul {
    static let syllable: UInt32 = 0xAC00
    static let leading: UInt32 = 0x1100
    static let vowel: UInt32 = 0x1161
    /// One before the first trailing consonant: a syllable may have none.
    static let trailing: UInt32 = 0x11A7
    static let leadingCount: UInt32 = 19
    static let vowelCount: UInt32 = 21
    static let trailingCount: UInt32 = 28
    static let syllableCount: UInt32 = 11172

    /// The parts of a syllable: two, or three.
    @inline(__always)
    static func parts(of scalar: UInt32) -> (leading: UInt32, vowel: UInt32, trailing: UInt32?)? {
        let index = scalar &- syllable
        guard index < syllableCount else { return nil }
        let last = index % trailingCount
        return (
            leading + index / (vowelCount * trailingCount),
            vowel + index % (vowelCount * trailingCount) / trailingCount,
            last == 0 ? nil : trailing + last
        )
    }
}

// MARK: - Unpacking

/// Short sequences of scalars by scalar.
private struct ScalarSequences: Sendable {
    private var ranges: [UInt32: Range<Int32>] = [:]
    private var scalars: [UInt32] = []

    init(_ packed: StaticString) {
        var numbers = PackedNumbers(packed)
        let count = numbers.next()
        ranges.reserveCapacity(Int(count))
        var scalar: UInt32 = 0
        for _ in 0..<count {
            scalar += numbers.next()
            let start = Int32(scalars.count)
            for _ in 0..<numbers.next() { scalars.append(numbers.next()) }
            ranges[scalar] = start..<Int32(scalars.count)
        }
    }

    subscript(scalar: UInt32) -> ArraySlice<UInt32>? {
        ranges[scalar].map { scalars[Int($0.lowerBound)..<Int($0.upperBound)] }
    }
}

/// Reads numbers of seven bits a byte from Base64 that our own script wrote.
private struct PackedNumbers {
    private let bytes: [UInt8]
    private var position = 0

    init(_ packed: StaticString) {
        // The script that writes the literals writes whole groups of four digits, so that there is always an answer.
        bytes = packed.withUTF8Buffer { Base64.decode($0) } ?? []
    }

    mutating func next() -> UInt32 {
        var value: UInt32 = 0
        var shift: UInt32 = 0
        while true {
            let byte = bytes[position]
            position += 1
            value |= UInt32(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }
}
