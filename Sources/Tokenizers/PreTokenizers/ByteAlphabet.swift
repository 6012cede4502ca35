/// GPT-2's alphabet: a printable character for each byte, so that tokens of bytes can be written as text.
///
/// Bytes that are printable in Latin-1 stand for themselves, the others for U+0100 and what follows, in order.
struct ByteAlphabet: Sendable {
    static let standard = ByteAlphabet()

    /// The character of each byte.
    let scalars: [UInt32]

    private init() {
        var scalars: [UInt32] = []
        var next: UInt32 = 0x100
        for byte in UInt32(0)..<256 {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                scalars.append(byte)
            default:
                scalars.append(next)
                next += 1
            }
        }
        self.scalars = scalars
    }

    /// What stands for a space: Ġ.
    var space: UInt32 { scalars[0x20] }

    /// Writes the rest of the part with a character for each byte.
    func map(_ rewriter: inout TextRewriter) {
        while let scalar = rewriter.peek() {
            if scalar < 0x80 {
                rewriter.replace(by: scalars[Int(scalar)])
            } else {
                rewriter.replaceByBytes(scalars)
            }
        }
    }
}

extension TextRewriter {
    /// Writes for each byte of the next character what `scalars` has for it.
    @inline(__always)
    mutating func replaceByBytes(_ scalars: [UInt32]) {
        let bytes = nextBytes
        for (position, byte) in bytes.enumerated() {
            if position == 0 { replace(by: scalars[Int(byte)]) } else { insert(scalars[Int(byte)]) }
        }
    }
}
