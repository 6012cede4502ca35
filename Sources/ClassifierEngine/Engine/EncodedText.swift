import Tokenizers

/// A text as one model's tokenizer has it.
package struct EncodedText: BatchInput {
    /// As far as the model can look at it.
    let text: String
    let encoding: Encoding
    /// Whose tokens these are. A model that has been put in the place of another makes its own.
    let encoder: UInt64
    package let stableHash: UInt64

    package var length: Int { max(1, encoding.count) }

    init(_ text: String, _ encoding: Encoding, encoder: UInt64) {
        self.text = text
        self.encoding = encoding
        self.encoder = encoder
        // The same in every process: no secret, and nothing is kept by it.
        stableHash = KeyedHash(first: 0, second: 0)("", text).low
    }

    var sequence: TokenSequence { TokenSequence(ids: encoding.ids, types: encoding.typeIDs) }
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

    /// What is wrong with it; nil when nothing is.
    var fault: String? {
        let numbers: [Float] =
            switch self {
            case .vector(let numbers): numbers
            case .classes(let classes): classes.probabilities
            case .spans(let spans): spans.map(\.probability)
            }
        return numbers.allSatisfy(\.isFinite) ? nil : "it answers with numbers that are none"
    }
}
