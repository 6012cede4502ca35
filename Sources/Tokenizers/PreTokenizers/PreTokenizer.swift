/// A step that cuts a text into the pieces that the model sees one by one.
indirect enum PreTokenizer: Sendable {
    /// BERT's: at white space, which is removed, and around each sign of punctuation.
    case bert
    case byteLevel(addsPrefixSpace: Bool, splits: Bool)
    case metaspace(Metaspace)
    /// Words and runs of other characters (`\w+|[^\w\s]+`).
    case words
    case whiteSpace
    case punctuation(SplitBehavior)
    case digits(individually: Bool)
    case split(ScalarPattern, SplitBehavior, isInverted: Bool)
    case sequence([PreTokenizer])

    func apply(to text: inout SplitText) {
        switch self {
        case .bert: text.cut(Self.cutAsBERT)
        case .byteLevel(let addsPrefixSpace, let splits):
            if addsPrefixSpace { Self.addPrefixSpace(to: &text) }
            if splits { text.cut(GPT2Words.cut) }
            text.rewrite { ByteAlphabet.standard.map(&$0) }
        case .metaspace(let metaspace): metaspace.apply(to: &text)
        case .words: text.cut(Self.cutIntoWords)
        case .whiteSpace: Self.cut(&text, .removed) { $0.has(.space) }
        case .punctuation(let behavior): Self.cut(&text, behavior) { $0.has(.punctuation) }
        case .digits(let individually):
            Self.cut(&text, individually ? .isolated : .contiguous) { $0.has(.numeric) }
        case .split(let pattern, let behavior, let isInverted):
            Self.cut(&text, at: pattern, behavior, isInverted: isInverted)
        case .sequence(let steps): for step in steps { step.apply(to: &text) }
        }
    }
}

/// SentencePiece's way with spaces: each becomes a visible character, and words begin with it.
struct Metaspace: Sendable {
    /// When a text that begins without one gets one.
    enum Prepending: String, Sendable {
        case always, never
        /// Only where the original text begins.
        case first
    }

    let replacement: Unicode.Scalar
    let prepending: Prepending
    let splits: Bool

    func apply(to text: inout SplitText) {
        let mark = replacement.value
        text.rewrite { rewriter in
            guard let first = rewriter.peek() else { return }
            if first != mark, first != 0x20, prepending == .always || prepending == .first && rewriter.origin == 0 {
                rewriter.replace(by: mark)
                rewriter.insert(first)
            }
            while let scalar = rewriter.peek() {
                if scalar == 0x20 { rewriter.replace(by: mark) } else { rewriter.keep() }
            }
        }
        guard splits else { return }
        text.cut { bytes, range, part in
            var start = range.lowerBound
            var index = start
            while index < range.upperBound {
                if index > start, UTF8Scalars.decode(bytes, at: index) == mark {
                    part(start..<index)
                    start = index
                }
                index += UTF8Scalars.length(of: bytes[index])
            }
            part(start..<range.upperBound)
        }
    }
}

// MARK: - Ways to cut

extension PreTokenizer {
    private static func cutAsBERT(_ bytes: [UInt8], _ range: Range<Int>, _ part: (Range<Int>) -> Void) {
        let tables = UnicodeTables.standard
        var start = range.lowerBound
        var index = start
        while index < range.upperBound {
            let end = index + UTF8Scalars.length(of: bytes[index])
            let properties = tables.properties(of: UTF8Scalars.decode(bytes, at: index))
            if properties.has([.space, .punctuation]) {
                part(start..<index)
                if !properties.has(.space) { part(index..<end) }
                start = end
            }
            index = end
        }
        part(start..<range.upperBound)
    }

    private static func cutIntoWords(_ bytes: [UInt8], _ range: Range<Int>, _ part: (Range<Int>) -> Void) {
        let tables = UnicodeTables.standard
        var start = range.lowerBound
        var index = start
        var wasWord = false
        while index < range.upperBound {
            let properties = tables.properties(of: UTF8Scalars.decode(bytes, at: index))
            let end = index + UTF8Scalars.length(of: bytes[index])
            let isWord = properties.has(.word)
            if properties.has(.space), !isWord {
                part(start..<index)
                start = end
            } else if isWord != wasWord {
                part(start..<index)
                start = index
            }
            wasWord = isWord
            index = end
        }
        part(start..<range.upperBound)
    }

    /// Splits at each scalar that `isSeparator` names.
    private static func cut(
        _ text: inout SplitText,
        _ behavior: SplitBehavior,
        _ isSeparator: (ScalarProperties) -> Bool
    ) {
        let tables = UnicodeTables.standard
        text.cut { bytes, range, part in
            var joiner = SplitBehavior.Joiner(behavior)
            var start = range.lowerBound
            var index = start
            while index < range.upperBound {
                let end = index + UTF8Scalars.length(of: bytes[index])
                if isSeparator(tables.properties(of: UTF8Scalars.decode(bytes, at: index))) {
                    if start < index { joiner.add(start..<index, isSeparator: false, part) }
                    joiner.add(index..<end, isSeparator: true, part)
                    start = end
                }
                index = end
            }
            if start < range.upperBound { joiner.add(start..<range.upperBound, isSeparator: false, part) }
            joiner.finish(part)
        }
    }

    private static func cut(
        _ text: inout SplitText,
        at pattern: ScalarPattern,
        _ behavior: SplitBehavior,
        isInverted: Bool
    ) {
        text.cut { bytes, range, part in
            var joiner = SplitBehavior.Joiner(behavior)
            var start = range.lowerBound
            pattern.forEachMatch(in: bytes, range) { match in
                if start < match.lowerBound {
                    joiner.add(start..<match.lowerBound, isSeparator: isInverted, part)
                }
                joiner.add(match, isSeparator: !isInverted, part)
                start = match.upperBound
            }
            if start < range.upperBound { joiner.add(start..<range.upperBound, isSeparator: isInverted, part) }
            joiner.finish(part)
        }
    }

    /// Sets a space before each piece that begins without one.
    private static func addPrefixSpace(to text: inout SplitText) {
        let bytes = text.text.bytes
        guard text.pieces.contains(where: { $0.token == nil && bytes[$0.range.lowerBound] != 0x20 }) else { return }
        text.rewrite { rewriter in
            if rewriter.peek() == 0x20 { rewriter.keep(upTo: rewriter.end) } else { rewriter.prepend([0x20]) }
        }
    }
}
