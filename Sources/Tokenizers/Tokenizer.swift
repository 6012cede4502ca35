/// A tokenizer as its `tokenizer.json` describes it: text in, tokens out, the same that Hugging Face's reference finds.
///
/// A text goes through five steps: added tokens are taken out, the rest is normalised, added tokens are looked for again,
/// the text is cut into pieces, the model turns each piece into tokens; then special tokens are set around them. Each byte
/// keeps account of where in the original it comes from.
///
/// Immutable: any number of threads may use one at a time. A call takes time linear in the text's length (BPE: O(n log n)
/// for a word without end), and up to a hundred bytes of memory for each byte of the normalised text, which is as long as
/// the text but for compatibility forms that stand for whole phrases (eleven times as long at worst). Callers that take
/// texts from strangers cut them first.
package struct Tokenizer: Sendable {
    private let addedInOriginal: AddedTokens
    private let addedInNormalized: AddedTokens
    private let normalizer: Normalizer?
    private let preTokenizer: PreTokenizer?
    private let model: TokenModel
    private let postProcessor: PostProcessor
    private let added: [AddedToken]
    private let addedIDs: [String: Int32]
    /// By number; empty when offsets are not trimmed.
    private let spaces: [OuterSpaces]

    init(
        added: [AddedToken],
        normalizer: Normalizer?,
        preTokenizer: PreTokenizer?,
        model: TokenModel,
        postProcessor: PostProcessor
    ) {
        self.added = added
        self.normalizer = normalizer
        self.preTokenizer = preTokenizer
        self.model = model
        self.postProcessor = postProcessor
        addedIDs = Dictionary(added.map { ($0.content, $0.id) }) { $1 }
        let original = added.filter { !$0.isNormalized }
        addedInOriginal = AddedTokens(original, contents: original.map { Array($0.content.utf8) })
        let normalized = added.filter(\.isNormalized)
        addedInNormalized = AddedTokens(
            normalized,
            contents: normalized.map { Self.normalize($0.content, with: normalizer) }
        )
        guard !postProcessor.trims.isEmpty else {
            spaces = []
            return
        }
        let none = OuterSpaces(of: [])
        var spaces = [OuterSpaces](repeating: none, count: Int(model.vocabulary.end))
        model.vocabulary.forEach { spaces[Int($0)] = OuterSpaces(of: $1) }
        self.spaces = spaces
    }

    /// What an added token is looked for as.
    static func normalize(_ content: String, with normalizer: Normalizer?) -> [UInt8] {
        var text = AlignedText(Array(content.utf8), base: 0)
        normalizer?.apply(to: &text)
        return text.bytes
    }
}

// MARK: - Encoding

extension Tokenizer {
    /// The tokens of `text`.
    ///
    /// - Parameters:
    ///   - maxTokens: how many tokens there may be, special ones included; what is too much goes at the end. When not even
    ///     the special tokens have room, there are only those.
    ///   - addsSpecialTokens: whether the tokens are set around the text that the model was trained with.
    package func encode(_ text: String, maxTokens: Int? = nil, addsSpecialTokens: Bool = true) -> Encoding {
        postProcessor.join(tokenize(text), nil, maxTokens: maxTokens, addsSpecialTokens: addsSpecialTokens)
    }

    /// The tokens of two texts that the model compares. Of `maxTokens`, the longer text gives up its share first.
    package func encode(
        _ first: String,
        _ second: String,
        maxTokens: Int? = nil,
        addsSpecialTokens: Bool = true
    ) -> Encoding {
        postProcessor.join(
            tokenize(first),
            tokenize(second),
            maxTokens: maxTokens,
            addsSpecialTokens: addsSpecialTokens
        )
    }

    /// What the normalizer makes of `text`, to find out why it has the tokens it has. Added tokens are not left out.
    package func normalized(_ text: String) -> String {
        String(decoding: Self.normalize(text, with: normalizer), as: UTF8.self)
    }

    private func tokenize(_ string: String) -> TokenizedText {
        let bytes = Array(string.utf8)
        var text = TokenizedText()
        text.ids.reserveCapacity(bytes.count / 4 + 8)
        text.offsets.reserveCapacity(bytes.count / 4 + 8)
        text.words.reserveCapacity(bytes.count / 4 + 8)
        var found = FoundTokens()
        var word: Int32 = 0
        addedInOriginal.split(bytes) { range, token in
            if let token {
                add(token, bytes[range], range, word, to: &text)
                word += 1
            } else {
                let isWhole = range.count == bytes.count
                tokenize(
                    AlignedText(isWhole ? bytes : Array(bytes[range]), base: range.lowerBound),
                    &word,
                    &found,
                    to: &text
                )
            }
        }
        if !postProcessor.trims.isEmpty { postProcessor.trim(&text, in: bytes, spaces) }
        return text
    }

    /// Adds the tokens of a stretch between added tokens.
    private func tokenize(
        _ original: AlignedText,
        _ word: inout Int32,
        _ found: inout FoundTokens,
        to text: inout TokenizedText
    ) {
        var normalized = original
        normalizer?.apply(to: &normalized)
        var pieces: [SplitText.Piece] = []
        var addedTokens: [AddedToken] = []
        addedInNormalized.split(normalized.bytes) { range, token in
            guard !range.isEmpty else { return }
            pieces.append(SplitText.Piece(range: range, token: token == nil ? nil : Int32(addedTokens.count)))
            if let token { addedTokens.append(token) }
        }
        var split = SplitText(text: normalized, pieces: pieces)
        preTokenizer?.apply(to: &split)
        for piece in split.pieces {
            if let token = piece.token {
                let offsets = split.text.original(of: piece.range)
                add(addedTokens[Int(token)], split.text.bytes[piece.range], offsets, word, to: &text)
            } else {
                found.tokens.removeAll(keepingCapacity: true)
                model.tokenize(split.text.bytes, piece.range, into: &found)
                for token in found.tokens {
                    text.ids.append(token.id)
                    text.offsets.append(split.text.original(of: token.start..<token.end))
                    text.words.append(word)
                }
            }
            word += 1
        }
    }

    private func add(
        _ token: AddedToken,
        _ bytes: ArraySlice<UInt8>,
        _ offsets: Range<Int>,
        _ word: Int32,
        to text: inout TokenizedText
    ) {
        if !postProcessor.trims.isEmpty { text.addedSpaces[text.ids.count] = OuterSpaces(of: bytes) }
        text.ids.append(token.id)
        text.offsets.append(offsets)
        text.words.append(word)
    }
}

// MARK: - The vocabulary

extension Tokenizer {
    /// The token that stands for what the vocabulary does not have; nil when there is none, as in vocabularies of bytes.
    package var unknownID: Int32? { model.unknown }

    /// One more than the largest number of a token.
    package var vocabularySize: Int {
        added.reduce(Int(model.vocabulary.end)) { max($0, Int($1.id) + 1) }
    }

    /// The number of a token, written as in its file.
    package func id(of token: String) -> Int32? { addedIDs[token] ?? model.vocabulary.id(of: token) }

    /// A token as its file writes it; nil when no token has that number.
    package func token(of id: Int32) -> String? {
        added.last { $0.id == id }?.content ?? model.vocabulary.token(of: id)
    }

    /// The tokens of an encoding as their file writes them.
    package func tokens(of encoding: Encoding) -> [String] { encoding.ids.map { token(of: $0) ?? "" } }

    /// The share of a text's tokens that are unknown, in 0…1; 0 when there are no tokens but special ones. Tokens that
    /// spell unknown characters byte by byte are known.
    package func unknownShare(of encoding: Encoding) -> Double {
        var (all, unknown) = (0, 0)
        for (id, isSpecial) in zip(encoding.ids, encoding.isSpecial) where !isSpecial {
            all += 1
            if id == unknownID { unknown += 1 }
        }
        return all == 0 ? 0 : Double(unknown) / Double(all)
    }
}
