/// The text that a simulated model gives to one request, worked out before the first token is sent.
struct Answer: Sendable {
    /// One answer of a request.
    struct Choice: Sendable {
        enum Content: Sendable, Equatable {
            case text
            /// The pieces are the arguments, in JSON.
            case toolCall(name: String)
        }

        let content: Content
        /// What each token adds; a piece may be empty while a character is incomplete.
        let pieces: [String]
        let finish: Finish
        /// What stands before the answer: the prompt, for a completion that echoes it.
        let lead: String
        /// The stop string that ended it.
        var stopSequence: String?

        var text: String { lead + pieces.joined() }
    }

    enum Finish: Sendable {
        case stop
        case length
        case toolCalls
    }

    let id: String
    /// Seconds since 1970.
    let created: Int
    let model: String
    let choices: [Choice]
    let promptTokens: Int
    /// Known when the request is admitted.
    var cachedTokens = 0
    /// What a reasoning model would show of its thoughts: here, the settings that asked for them.
    let reasoning: String?
    let isStream: Bool
    let includesUsage: Bool
    let hasContinuousUsage: Bool
    /// Ready-made JSON for `kv_transfer_params`, for the prefill leg of a disaggregated pair.
    let transferParameters: String?

    /// The tokens of all choices.
    var completionTokens: Int { choices.reduce(0) { $0 + $1.pieces.count } }
    /// How many token times the answer takes: that of its longest choice.
    var steps: Int { choices.reduce(0) { max($0, $1.pieces.count) } }

    var finishReason: SimMetrics.FinishReason {
        choices.contains { if case .length = $0.finish { true } else { false } } ? .length : .stop
    }
}
