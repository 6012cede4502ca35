/// A text that a model is asked about. Its tokens are made where the model runs, apart from event loops.
package struct TextInput: BatchInput {
    /// As far as the model looks at it.
    package let text: String
    package let length: Int
    /// Whether it is answered however little of it the model knows: for measuring.
    let isSample: Bool

    /// - Parameter maxTokens: what the model cuts texts to.
    package init(_ text: String, maxTokens: Int, isSample: Bool = false) {
        self.text = text
        self.isSample = isSample
        length = Self.estimatedTokens(bytes: text.utf8.count, maxTokens: maxTokens)
    }

    /// 4 bytes for a token, and 2 tokens for the marks at both ends.
    ///
    /// English prose has 4 to 5 bytes a token. Of the tokenizers' test corpus (code, other scripts, odd signs) four in five
    /// texts have 1.8 to 6.0 with BERT's vocabulary, 3.1 in the middle.
    static func estimatedTokens(bytes: Int, maxTokens: Int) -> Int {
        min(2 + (bytes + 3) / 4, maxTokens)
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
