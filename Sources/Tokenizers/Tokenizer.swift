/// A tokenizer as its `tokenizer.json` describes it: text in, tokens out, the same that Hugging Face's reference finds.
///
/// A text goes through five steps: added tokens are taken out, the rest is normalised, added tokens are looked for again,
/// the text is cut into pieces, the model turns each piece into tokens; then special tokens are set around them. Each byte
/// keeps account of where in the original it comes from.
///
/// Immutable: any number of threads may use one at a time. A text is looked at from its start, and only as far as it takes to
/// have the tokens that are asked for; see `encode`. That takes time linear in what is looked at (BPE: O(n log n) for a word
/// without end), and up to a hundred bytes of memory for each byte of a stretch between two places where the text may be cut.
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
    /// Whether a long text may be cut where `TextBorder` says.
    package let cutsTexts: Bool
    /// How much of a text is looked at before its tokens are counted; then follows the rest up to the next border. In bytes.
    /// 4 KiB: about the tokens that encoders take, and they stay in the processor's nearest caches.
    package var chunkBytes = 4096

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
        cutsTexts = TextBorder.isSafe(
            inOriginal: original,
            normalizer,
            inNormalized: normalized.map { ($0, Self.normalize($0.content, with: normalizer)) },
            preTokenizer
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
    /// They are the first of the whole text's tokens, but the whole text is not looked at. Where the tokenizer's components
    /// allow it (`cutsTexts`), it is taken up to the first space between two words that lies behind `chunkBytes` bytes, then
    /// up to the next one, until there are tokens enough. A stretch without such a place is taken as one, as long as it has no
    /// more than 128 KiB or 64 bytes for each of `maxTokens`: what follows a longer one is not looked at. Tokens that might
    /// be others if it were are left out: those of the word at the stretch's end, and those of its last 256 bytes, which is
    /// more than expressions look around for. Where there are then not tokens enough, `isCut` tells so. (A model that sees
    /// such a stretch as one piece, and chooses by sums over it as unigrams do, may choose others for one letter many
    /// thousand times over.) 64 bytes are ten times what tokens have on average.
    ///
    /// - Parameters:
    ///   - maxTokens: how many tokens there may be, special ones included; what is too much goes at the end. When not even
    ///     the special tokens have room, there are only those. Without it, all of the text is looked at.
    ///   - addsSpecialTokens: whether the tokens are set around the text that the model was trained with.
    /// - Complexity: O(bytes looked at).
    package func encode(_ text: String, maxTokens: Int? = nil, addsSpecialTokens: Bool = true) -> Encoding {
        let parts = postProcessor.parts(ofPair: false, addsSpecialTokens: addsSpecialTokens)
        let room = PostProcessor.room(in: maxTokens, for: parts)
        return PostProcessor.join(parts, tokenize(text, limit: room), nil, room: room)
    }

    /// The tokens of two texts that the model compares. Of `maxTokens`, the longer text gives up its share first; where both
    /// are cut to halves, the longer one has the odd token, or the second of equal ones. Texts that are both more than four
    /// times as long as what there is room for, and than 32 Ki tokens, are not compared to their ends, nor are longer
    /// stretches looked at for it: the odd token is left out where that does not tell, and `isCut` says so.
    package func encode(
        _ first: String,
        _ second: String,
        maxTokens: Int? = nil,
        addsSpecialTokens: Bool = true
    ) -> Encoding {
        let parts = postProcessor.parts(ofPair: true, addsSpecialTokens: addsSpecialTokens)
        let room = PostProcessor.room(in: maxTokens, for: parts)
        // One token more tells that a text is too long for the room alone.
        var limit = room == .max ? room : room + 1
        let mostCompared = room > .max / 4 ? .max : max(Self.mostCompared, 4 * room)
        var texts = (tokenize(first, limit: limit), tokenize(second, limit: limit))
        while room % 2 == 1, min(texts.0.ids.count, texts.1.ids.count) > room / 2,
            !Self.isLongerKnown(texts.0, texts.1, limit: limit)
        {
            guard limit < mostCompared, !texts.0.isCut, !texts.1.isCut else {
                var encoding = PostProcessor.join(parts, texts.0, texts.1, room: room - 1)
                encoding.isCut = true
                return encoding
            }
            limit = limit > mostCompared / 4 ? mostCompared : 4 * limit
            texts = (tokenize(first, limit: limit, asked: room + 1), tokenize(second, limit: limit, asked: room + 1))
        }
        return PostProcessor.join(parts, texts.0, texts.1, room: room)
    }

    /// In tokens, of each text.
    private static let mostCompared = 32 << 10

    /// Whether the tokens, at least `limit` or all where the text is not cut, tell which text has more.
    private static func isLongerKnown(_ first: TokenizedText, _ second: TokenizedText, limit: Int) -> Bool {
        let isFirstWhole = !first.isCut && first.ids.count < limit
        let isSecondWhole = !second.isCut && second.ids.count < limit
        return isFirstWhole && (isSecondWhole || first.ids.count <= second.ids.count)
            || isSecondWhole && second.ids.count < first.ids.count
    }

    /// What the normalizer makes of `text`, to find out why it has the tokens it has. Added tokens are not left out.
    package func normalized(_ text: String) -> String {
        String(decoding: Self.normalize(text, with: normalizer), as: UTF8.self)
    }

    /// - Parameter asked: how many tokens stretches are as long for; `limit` without it.
    private func tokenize(_ string: String, limit: Int, asked: Int? = nil) -> TokenizedText {
        let longest = longestStretch(for: asked ?? limit)
        var string = string
        return string.withUTF8 { bytes in
            var text = TokenizedText()
            if !tokenize(bytes, limit: limit, longest, cutsText: cutsTexts, to: &text) {
                text = TokenizedText()
                _ = tokenize(bytes, limit: limit, longest, cutsText: false, to: &text)
            }
            if !postProcessor.trims.isEmpty { postProcessor.trim(&text, in: bytes, spaces) }
            return text
        }
    }

    /// Finds at least `limit` tokens, or all. Answers false when the text has turned out to be one that must not be cut.
    private func tokenize(
        _ bytes: UnsafeBufferPointer<UInt8>,
        limit: Int,
        _ longestStretch: Int,
        cutsText: Bool,
        to text: inout TokenizedText
    ) -> Bool {
        let expected = min(limit, bytes.count / 4) + 8
        text.ids.reserveCapacity(expected)
        text.offsets.reserveCapacity(expected)
        text.words.reserveCapacity(expected)
        var found = FoundTokens()
        var word: Int32 = 0
        var start = 0
        while start < bytes.count, text.ids.count < limit {
            let (end, isBorder) = end(ofChunkFrom: start, in: bytes, longestStretch, cutsText: cutsText)
            let isOpen = !isBorder && end < bytes.count
            let chunk = Array(bytes[start..<end])
            text.sureEnd = isOpen ? start + Self.sureEnd(of: chunk) : .max
            tokenize(chunk, base: start, limit: limit, &word, &found, to: &text)
            if text.isShifted, cutsText, end < bytes.count { return false }
            guard isBorder else {
                if isOpen { text.cutToSure(limit: limit) }
                break
            }
            start = end
        }
        return true
    }

    /// Where the text is cut next: at a border, at its end, or where the longest stretch ends.
    private func end(
        ofChunkFrom start: Int,
        in bytes: UnsafeBufferPointer<UInt8>,
        _ longestStretch: Int,
        cutsText: Bool
    ) -> (end: Int, isBorder: Bool) {
        let longest = min(bytes.count - start, longestStretch)
        var end = start + longest
        if cutsText, chunkBytes < longest {
            for index in (start + max(1, chunkBytes))..<end where TextBorder.isCandidate(bytes, index) {
                return (index, true)
            }
        }
        while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return (end, false)
    }

    /// How far a stretch is the same whatever follows it, but for the piece at its end: up to its last characters, and what
    /// stands before these without being of a word, such as spaces that an added token takes along, and marks.
    private static func sureEnd(of stretch: [UInt8]) -> Int {
        let tables = UnicodeTables.standard
        var end = max(0, stretch.count - widestLook)
        while end > 0, stretch[end] & 0xC0 == 0x80 { end -= 1 }
        while end > 0 {
            let start = UTF8Scalars.start(before: end, in: stretch)
            let properties = tables.properties(of: UTF8Scalars.decode(stretch, at: start))
            guard properties.has([.space, .mark, .control, .accent]) else { break }
            end = start
        }
        return end
    }

    /// In bytes: more than the expressions of tokenizers look at beyond a piece, and than added tokens have.
    private static let widestLook = 256

    /// In bytes.
    private func longestStretch(for tokens: Int) -> Int {
        tokens > .max / Self.longestToken ? .max : max(Self.longestStretch, tokens * Self.longestToken)
    }

    /// In bytes; of tokens, as far as a stretch of a text goes that must not be cut.
    private static let longestStretch = 128 << 10
    private static let longestToken = 64

    /// Adds the tokens of a chunk of a text, which begins at `base`.
    private func tokenize(
        _ bytes: [UInt8],
        base: Int,
        limit: Int,
        _ word: inout Int32,
        _ found: inout FoundTokens,
        to text: inout TokenizedText
    ) {
        addedInOriginal.split(bytes) { range, token in
            guard text.ids.count < limit else { return }
            let original = base + range.lowerBound
            if let token {
                if base + range.upperBound > text.sureEnd { text.noteUnsure(from: text.ids.count) }
                add(token, bytes[range], original..<(base + range.upperBound), word, to: &text)
                word += 1
            } else {
                let isWhole = range.count == bytes.count
                let stretch = AlignedText(isWhole ? bytes : Array(bytes[range]), base: original)
                tokenize(stretch, limit: limit, &word, &found, to: &text)
            }
        }
    }

    /// Adds the tokens of a stretch between added tokens.
    private func tokenize(
        _ original: AlignedText,
        limit: Int,
        _ word: inout Int32,
        _ found: inout FoundTokens,
        to text: inout TokenizedText
    ) {
        var normalized = original
        normalizer?.apply(to: &normalized)
        if normalized.isShifted { text.isShifted = true }
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
            guard text.ids.count < limit else { return }
            let first = text.ids.count
            let isUnsure = text.sureEnd < .max && isUnsure(piece, in: split.text, text.sureEnd)
            if isUnsure, piece.range.count <= Self.longWord { text.noteUnsure(from: first) }
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
            if isUnsure, let unsure = text.offsets[first...].firstIndex(where: { $0.upperBound > text.sureEnd }) {
                text.noteUnsure(from: unsure)
            }
            word += 1
        }
    }

    /// Whether a piece might be another if what follows its stretch were looked at.
    private func isUnsure(_ piece: SplitText.Piece, in text: AlignedText, _ sureEnd: Int) -> Bool {
        guard !piece.range.isEmpty else { return false }
        return piece.range.upperBound == text.count || text.original(of: piece.range).upperBound > sureEnd
    }

    /// 4 KiB: a piece that is longer is no word, but a text that the model sees as one.
    private static let longWord = 4 << 10

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

    /// The share of a text that is unknown, in 0…1: of its tokens or of its bytes, whichever is more, for a token may stand
    /// for a run of unknown characters. 0 when there are no tokens but special ones. Tokens that spell unknown characters
    /// byte by byte are known.
    package func unknownShare(of encoding: Encoding) -> Double {
        guard let unknownID else { return 0 }
        var (tokens, unknownTokens) = (0, 0)
        var (all, unknown) = (Coverage(), Coverage())
        for index in 0..<encoding.count where !encoding.isSpecial[index] {
            if encoding.starts.contains(index) {
                all.nextText()
                unknown.nextText()
            }
            tokens += 1
            all.add(encoding.offsets[index])
            if encoding.ids[index] == unknownID {
                unknownTokens += 1
                unknown.add(encoding.offsets[index])
            }
        }
        let bytes = Double(unknown.bytes) / Double(max(1, all.bytes))
        return max(Double(unknownTokens) / Double(max(1, tokens)), bytes)
    }
}

/// How many bytes tokens stand for. Those that one character becomes all stand for the whole of it, which counts once.
private struct Coverage {
    var bytes = 0
    private var end = 0

    mutating func nextText() { end = 0 }

    /// Adds a token's bytes; tokens come in the order of their text.
    mutating func add(_ offsets: Range<Int>) {
        bytes += max(0, offsets.upperBound - max(offsets.lowerBound, end))
        end = max(end, offsets.upperBound)
    }
}
