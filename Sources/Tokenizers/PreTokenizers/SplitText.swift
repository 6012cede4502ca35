/// A text in pieces: what pre-tokenizers cut, and models turn into tokens.
struct SplitText {
    var text: AlignedText
    /// In the order of the text. What lies between them has been removed.
    var pieces: [Piece]

    struct Piece {
        var range: Range<Int>
        /// The added token that the piece is; nil for text.
        var token: Int32?
    }

    /// Replaces each piece of text by the parts that `split` hands on; empty ones are left out.
    mutating func cut(_ split: (_ bytes: [UInt8], _ range: Range<Int>, _ part: (Range<Int>) -> Void) -> Void) {
        var parts: [Piece] = []
        parts.reserveCapacity(pieces.count + text.count / 4)
        for piece in pieces {
            guard piece.token == nil else {
                parts.append(piece)
                continue
            }
            split(text.bytes, piece.range) { part in
                if !part.isEmpty { parts.append(Piece(range: part, token: nil)) }
            }
        }
        pieces = parts
    }

    /// Writes each piece of text anew.
    mutating func rewrite(_ body: (inout TextRewriter) -> Void) {
        var rewriter = TextRewriter(of: text, capacity: text.count + text.count / 4)
        for index in pieces.indices {
            let range = pieces[index].range
            let start = rewriter.written
            let origin = range.isEmpty ? text.base : Int(text.source(at: range.lowerBound).start)
            rewriter.move(to: range, origin: origin)
            if pieces[index].token == nil { body(&rewriter) } else { rewriter.keep(upTo: range.upperBound) }
            pieces[index].range = start..<rewriter.written
        }
        text = rewriter.output
    }
}

/// What becomes of a separator that a text is split at.
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"

    /// Hands on the parts of a text whose separators and stretches between them come in by `add`.
    struct Joiner {
        let behavior: SplitBehavior
        /// The part that may still grow.
        private var open: Range<Int>?
        private var wasSeparator = false

        init(_ behavior: SplitBehavior) { self.behavior = behavior }

        /// Takes the next stretch, which is not empty and begins where the last one ended.
        mutating func add(_ range: Range<Int>, isSeparator: Bool, _ part: (Range<Int>) -> Void) {
            let joins =
                switch behavior {
                case .removed, .isolated: false
                case .mergedWithPrevious: isSeparator && !wasSeparator
                case .mergedWithNext: !isSeparator && wasSeparator
                case .contiguous: isSeparator == wasSeparator
                }
            wasSeparator = isSeparator
            if let start = open?.lowerBound, joins {
                open = start..<range.upperBound
                return
            }
            finish(part)
            if behavior != .removed || !isSeparator { open = range }
        }

        mutating func finish(_ part: (Range<Int>) -> Void) {
            if let range = open { part(range) }
            open = nil
        }
    }
}
