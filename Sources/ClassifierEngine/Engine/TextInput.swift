import Tokenizers

/// A text that a model is asked about. Its tokens are made where the model runs, apart from event loops.
package struct TextInput: BatchInput {
    /// What is looked at of it: its beginning.
    let text: String
    /// Whether there is more of it.
    let isCut: Bool
    package let length: Int
    /// Whether it is answered however little of it the model knows: for measuring.
    let isSample: Bool

    /// - Parameter maxTokens: what the model cuts texts to.
    package init(_ text: String, maxTokens: Int, isSample: Bool = false) {
        self.text = Self.beginning(of: text)
        self.isSample = isSample
        isCut = text.utf8.count > Self.longest
        length = Self.estimatedTokens(bytes: self.text.utf8.count, maxTokens: maxTokens)
    }

    /// 256 KiB: what lies behind is not looked at, so that a text of megabytes costs no more. Of texts that consist of
    /// words it is far more than any model reads.
    private static let longest = 256 << 10

    /// The first bytes, up to the end of a scalar.
    private static func beginning(of text: String) -> String {
        guard text.utf8.count > longest else { return text }
        var end = text.utf8.index(text.utf8.startIndex, offsetBy: longest)
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return String(text.unicodeScalars[..<end])
    }

    /// 4 bytes for a token, and 2 tokens for the marks at both ends.
    ///
    /// English prose has 4 to 5 bytes a token. Of the tokenizers' test corpus (code, other scripts, odd signs) four in five
    /// texts have 1.8 to 6.0 with BERT's vocabulary, 3.1 in the middle.
    static func estimatedTokens(bytes: Int, maxTokens: Int) -> Int {
        min(2 + (bytes + 3) / 4, maxTokens)
    }
}

extension Tokenizer {
    /// More of a text than this share unknown, and no model judges it: 15 %.
    private static let mostUnknown = 0.15

    /// The tokens by which a model may judge a text: its first `maxTokens`.
    ///
    /// - Throws: `unknownText` where too much of them is unknown, or none is the text's own; `tooLong` where a text begins with so
    ///   much that becomes no token (spaces, say) that the rest was not looked at: that could be anything.
    func judge(
        _ input: TextInput,
        maxTokens: Int,
        addsSpecialTokens: Bool = true
    ) throws(ComputeError) -> Encoding {
        let encoding = encode(input.text, maxTokens: maxTokens, addsSpecialTokens: addsSpecialTokens)
        guard !input.isSample else { return encoding }
        guard !encoding.isCut, !input.isCut || encoding.count == maxTokens else { throw .tooLong }
        guard encoding.isSpecial.contains(false), unknownShare(of: encoding) <= Self.mostUnknown else {
            throw .unknownText
        }
        return encoding
    }
}

/// What a model says of a text.
package enum TextAnswer: Sendable {
    case vector([Float])
    case classes(Classification)
    case spans([TaggedSpan])

    /// About what it takes in memory.
    var sizeBytes: Int {
        switch self {
        case .vector(let numbers): 32 + 4 * numbers.count
        case .classes(let classes): 64 + 4 * classes.probabilities.count
        case .spans(let spans): 32 + 64 * spans.count
        }
    }
}
