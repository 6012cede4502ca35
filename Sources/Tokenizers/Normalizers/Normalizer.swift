/// A step that changes the text before it is split.
indirect enum Normalizer: Sendable {
    case bert(BertNormalizer)
    case form(NormalForm)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case replace(ScalarPattern, by: [UInt32])
    case prepend([UInt32])
    case precompiled(CharacterMap)
    case nmt
    case byteLevel
    case sequence([Normalizer])

    func apply(to text: inout AlignedText) {
        guard text.count > 0 else { return }
        switch self {
        case .bert(let bert): bert.apply(to: &text)
        case .form(let form): form.apply(to: &text)
        case .lowercase: Self.lower(&text)
        case .stripAccents: Self.remove(.mark, from: &text)
        case .strip(let left, let right): Self.strip(&text, left: left, right: right)
        case .replace(let pattern, let content): Self.replace(pattern, by: content, in: &text)
        case .prepend(let prefix): text.rewrite { $0.prepend(prefix) }
        case .precompiled(let map): map.apply(to: &text)
        case .nmt: Self.applyNmt(to: &text)
        case .byteLevel: text.rewrite { ByteAlphabet.standard.map(&$0) }
        case .sequence(let steps): for step in steps { step.apply(to: &text) }
        }
    }
}

extension TextRewriter {
    /// Writes `prefix` before the text, as coming from its first character, and the rest as it is. An empty text stays so.
    mutating func prepend(_ prefix: [UInt32]) {
        guard let first = peek(), let head = prefix.first else { return keep(upTo: end) }
        replace(by: head)
        for scalar in prefix.dropFirst() { insert(scalar) }
        insert(first)
        keep(upTo: end)
    }
}

// MARK: - Steps

extension Normalizer {
    /// Lower case, scalar by scalar: a final sigma is none.
    static func lower(_ text: inout AlignedText) {
        let tables = UnicodeTables.standard
        var changes = false
        for index in text.bytes.indices {
            let byte = text.bytes[index]
            if byte &- 65 < 26 { text.bytes[index] = byte | 0x20 }
            if byte >= 0xC0, !changes {
                changes = tables.properties(of: UTF8Scalars.decode(text.bytes, at: index)).has(.lowers)
            }
        }
        guard changes else { return }
        text.rewrite { rewriter in
            while let scalar = rewriter.peek() {
                guard scalar >= 0x80, tables.properties(of: scalar).has(.lowers) else {
                    rewriter.keep()
                    continue
                }
                for (position, lower) in tables.lowercase(of: scalar).enumerated() {
                    if position == 0 { rewriter.replace(by: lower) } else { rewriter.insert(lower) }
                }
            }
        }
    }

    /// Takes out the scalars that have `flag`.
    static func remove(_ flag: ScalarProperties.Flag, from text: inout AlignedText) {
        let tables = UnicodeTables.standard
        var index = 0
        while index < text.count, !tables.properties(of: UTF8Scalars.decode(text.bytes, at: index)).has(flag) {
            index += UTF8Scalars.length(of: text.bytes[index])
        }
        guard index < text.count else { return }
        text.rewrite { rewriter in
            rewriter.keep(upTo: index)
            while let scalar = rewriter.peek() {
                if tables.properties(of: scalar).has(flag) { rewriter.skip() } else { rewriter.keep() }
            }
        }
    }

    private static func strip(_ text: inout AlignedText, left: Bool, right: Bool) {
        var start = 0
        var end = text.count
        while left, start < end, isSpace(text.bytes, at: start) { start += UTF8Scalars.length(of: text.bytes[start]) }
        while right, end > start {
            let last = UTF8Scalars.start(before: end, in: text.bytes)
            guard isSpace(text.bytes, at: last) else { break }
            end = last
        }
        guard start > 0 || end < text.count else { return }
        text.rewrite { rewriter in
            while rewriter.position < start { rewriter.skip() }
            rewriter.keep(upTo: end)
        }
    }

    static func isSpace(_ bytes: [UInt8], at index: Int) -> Bool {
        UnicodeTables.standard.properties(of: UTF8Scalars.decode(bytes, at: index)).has(.space)
    }

    static func replace(_ pattern: ScalarPattern, by content: [UInt32], in text: inout AlignedText) {
        let bytes = text.bytes
        var matches: [Range<Int>] = []
        pattern.forEachMatch(in: bytes, 0..<bytes.count) { matches.append($0) }
        guard !matches.isEmpty else { return }
        text.rewrite { rewriter in
            for match in matches {
                rewriter.keep(upTo: match.lowerBound)
                while rewriter.position < match.upperBound { rewriter.skip() }
                for scalar in content { rewriter.insert(scalar) }
            }
            rewriter.keep(upTo: bytes.count)
        }
    }

    /// The cleaning of neural machine translation (SentencePiece's `nmt` rules).
    private static func applyNmt(to text: inout AlignedText) {
        text.rewrite { rewriter in
            while let scalar = rewriter.peek() {
                switch scalar {
                case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F:
                    rewriter.skip()
                case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD:
                    rewriter.replace(by: 0x20)
                default:
                    rewriter.keep()
                }
            }
        }
    }
}
