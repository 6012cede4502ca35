import TestRandom
import Testing
import TextMatching

/// Calls `body` with the text's bytes.
func withBytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withBytes(Array(text.utf8), body)
}

func withBytes<Result>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    bytes.withUnsafeBytes(body)
}

extension SeededRandom {
    mutating func string(_ alphabet: [String], _ lengths: ClosedRange<Int>) -> String {
        (0..<Int.random(in: lengths, using: &self)).map { _ in alphabet.randomElement(using: &self) ?? "" }.joined()
    }
}

/// Han, Hiragana, Katakana and Hangul of the tests' alphabets, by block.
func isCJK(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x3041...0x30FF, 0x4E00...0x9FFF, 0xAC00...0xD7A3: true
    default: false
    }
}

func isLetterOrDigit(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber: true
    default: false
    }
}
