/// BERT's normalizer: cleaning, spaces around ideographs, accents, case, each of which may be off.
struct BertNormalizer: Sendable {
    let cleansText: Bool
    let separatesIdeographs: Bool
    let stripsAccents: Bool
    let lowercases: Bool

    func apply(to text: inout AlignedText) {
        // A text of ASCII keeps its length unless it holds control characters, and has neither ideographs nor accents.
        guard !applyToASCII(&text) else { return }
        if cleansText { clean(&text) }
        if separatesIdeographs { separateIdeographs(&text) }
        if stripsAccents {
            NormalForm.canonicalDecomposition.apply(to: &text)
            Normalizer.remove(.accent, from: &text)
        }
        if lowercases { Normalizer.lower(&text) }
    }

    /// Answers false, with the text unchanged, when it takes more than replacing byte by byte.
    private func applyToASCII(_ text: inout AlignedText) -> Bool {
        for byte in text.bytes {
            let isControl = byte < 0x20 && !Self.isASCIISpace(byte) || byte == 0x7F
            if byte >= 0x80 || isControl && cleansText { return false }
        }
        for index in text.bytes.indices {
            let byte = text.bytes[index]
            if lowercases, byte &- 65 < 26 { text.bytes[index] = byte | 0x20 }
            if cleansText, Self.isASCIISpace(byte) { text.bytes[index] = 0x20 }
        }
        return true
    }

    /// Tab, line feed and carriage return are no control characters here.
    private static func isASCIISpace(_ byte: UInt8) -> Bool { byte == 9 || byte == 10 || byte == 13 }

    private func clean(_ text: inout AlignedText) {
        let tables = UnicodeTables.standard
        text.rewrite { rewriter in
            while let scalar = rewriter.peek() {
                let properties = tables.properties(of: scalar)
                if properties.has(.control) {
                    rewriter.skip()
                } else if properties.has(.space) {
                    rewriter.replace(by: 0x20)
                } else {
                    rewriter.keep()
                }
            }
        }
    }

    private func separateIdeographs(_ text: inout AlignedText) {
        let tables = UnicodeTables.standard
        // The first ideograph lies at or after U+3400, which takes three bytes.
        guard text.bytes.contains(where: { $0 >= 0xE3 }) else { return }
        text.rewrite { rewriter in
            while let scalar = rewriter.peek() {
                guard tables.properties(of: scalar).has(.ideograph) else {
                    rewriter.keep()
                    continue
                }
                rewriter.replace(by: 0x20)
                rewriter.insert(scalar)
                rewriter.insert(0x20)
            }
        }
    }
}
