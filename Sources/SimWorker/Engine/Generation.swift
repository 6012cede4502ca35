/// A request that takes model time: what it asks of the load model, and what it answers.
struct Generation: Sendable {
    enum Payload: Sendable {
        case answer(Answer, any AnswerFormat)
        /// An answer without generated tokens, ready after the prefill.
        case fixed(SimResponse)
    }

    /// One per prompt, with the prompt's tokens in it.
    let hashers: [BlockHasher]
    /// Tokens per prompt.
    let promptTokens: [Int]
    /// The most tokens that a prompt's answers have together.
    let outputTokens: [Int]
    /// The prompt was computed elsewhere: its tokens take no prefill time.
    let isPrefilled: Bool
    /// What its span says of it; nil where nothing is traced.
    let facts: RequestFacts?
    var payload: Payload

    var sequences: [LoadModel.Sequence] {
        hashers.indices.map { index in
            LoadModel.Sequence(
                hashes: hashers[index].hashes,
                promptTokens: promptTokens[index],
                outputTokens: outputTokens[index]
            )
        }
    }

    var totalPromptTokens: Int { promptTokens.reduce(0, +) }

    /// The blocks to remember when it is complete: prompt and answer, where there is one answer to a prompt.
    var finalHashes: [[UInt64]] {
        guard case .answer(let answer, _) = payload, answer.choices.count == hashers.count else {
            return hashers.map(\.hashes)
        }
        return zip(hashers, answer.choices).map { hasher, choice in
            var hasher = hasher
            hasher.append(SimTokenizer.encode(choice.pieces.joined()))
            return hasher.hashes
        }
    }
}
