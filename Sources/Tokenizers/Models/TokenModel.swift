/// What turns a piece of text into tokens.
enum TokenModel: Sendable {
    case bytePairs(BytePairModel)
    case wordPieces(WordPieceModel)
    case unigrams(UnigramModel)
    case words(WordModel)

    /// Appends the tokens of the piece of `bytes` in `range`.
    func tokenize(_ bytes: [UInt8], _ range: Range<Int>, into found: inout FoundTokens) {
        guard !range.isEmpty else { return }
        switch self {
        case .bytePairs(let model): model.tokenize(bytes, range, into: &found)
        case .wordPieces(let model): model.tokenize(bytes, range, into: &found)
        case .unigrams(let model): model.tokenize(bytes, range, into: &found)
        case .words(let model): model.tokenize(bytes, range, into: &found)
        }
    }

    var vocabulary: Vocabulary {
        switch self {
        case .bytePairs(let model): model.vocabulary
        case .wordPieces(let model): model.vocabulary
        case .unigrams(let model): model.vocabulary
        case .words(let model): model.vocabulary
        }
    }

    /// The token for what the vocabulary does not have; nil when there is none.
    var unknown: Int32? {
        switch self {
        case .bytePairs(let model): model.unknown
        case .wordPieces(let model): model.unknown
        case .unigrams(let model): model.unknown
        case .words(let model): model.unknown
        }
    }
}

/// The tokens of a text that a model is asked for piece by piece, and the room that it works in.
struct FoundTokens {
    var tokens: [Token] = []
    var bytePairs = BytePairModel.Workspace()
    var unigrams = UnigramModel.Workspace()

    /// A token and the bytes of the normalised text that it stands for.
    struct Token {
        var id: Int32
        var start: Int
        var end: Int
    }

    mutating func add(_ id: Int32, _ start: Int, _ end: Int) {
        tokens.append(Token(id: id, start: start, end: end))
    }
}

/// Whole words only.
struct WordModel: Sendable {
    let vocabulary: Vocabulary
    let unknown: Int32

    func tokenize(_ bytes: [UInt8], _ range: Range<Int>, into found: inout FoundTokens) {
        found.add(vocabulary.id(of: bytes, range) ?? unknown, range.lowerBound, range.upperBound)
    }
}
