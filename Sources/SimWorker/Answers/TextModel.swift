/// Makes up answers.
struct TextModel: Sendable {
    let mode: SimConfig.Mode
    let seed: UInt64
    /// The length of an answer when the request sets none.
    let outputTokens: Int
    let maxModelTokens: Int

    /// Words of three letters: with the space before it, each is one token of `SimTokenizer`.
    private static let words = [
        "the", "and", "for", "are", "but", "not", "you", "all", "can", "had", "her", "was", "one", "our", "out", "day",
        "get", "has", "him", "his", "how", "man", "new", "now", "old", "see", "two", "way", "who", "boy", "did", "its",
        "let", "put", "say", "she", "too", "use", "dad", "mom", "sun", "sea", "sky", "map", "car", "dog", "cat", "bed",
        "red", "big", "hot", "ice", "key", "law", "leg", "oil", "pay", "pen", "run", "sad", "six", "ten", "top", "war",
    ]

    /// The answers to `request`, prompt by prompt.
    ///
    /// An answer has exactly as many tokens as the request allows, and ends for its length; without a limit it has
    /// `outputTokens`, and ends by itself. An echo, a tool call and JSON end by themselves when they are complete.
    func choices(_ request: GenerationRequest) -> [Answer.Choice] {
        var choices: [Answer.Choice] = []
        for (index, prompt) in request.prompts.enumerated() {
            for choice in 0..<request.choicesPerPrompt {
                let lead = request.echoesPrompt ? SimTokenizer.decode(prompt) : ""
                choices.append(
                    self.choice(request, prompt, request.lastUserTexts[index], lead: lead, number: UInt64(choice))
                )
            }
        }
        return choices
    }

    /// The most tokens that an answer to a prompt of so many tokens may have.
    func limit(_ request: GenerationRequest, promptTokens: Int) -> Int {
        max(1, min(request.maxTokens ?? .max, maxModelTokens - promptTokens))
    }

    private func choice(
        _ request: GenerationRequest,
        _ prompt: [UInt32],
        _ userText: String,
        lead: String,
        number: UInt64
    ) -> Answer.Choice {
        let limit = limit(request, promptTokens: prompt.count)
        switch request.demand {
        case .toolCall(let name, let arguments):
            return cut(SimTokenizer.pieces(SimTokenizer.encode(arguments)), .toolCall(name: name), limit, [], lead)
        case .json(let text):
            return cut(SimTokenizer.pieces(SimTokenizer.encode(text)), .text, limit, [], lead)
        case nil:
            switch mode {
            case .echo:
                let pieces = SimTokenizer.pieces(SimTokenizer.encode(userText))
                return cut(pieces.isEmpty ? ["."] : pieces, .text, limit, request.stops, lead)
            case .random:
                // With a limit, one token more than fits, so that the limit ends the answer.
                let count = request.maxTokens == nil ? min(outputTokens, limit) : limit + 1
                return cut(words(count, prompt, request.seed, number), .text, limit, request.stops, lead)
            }
        }
    }

    private func words(_ count: Int, _ prompt: [UInt32], _ requestSeed: UInt64, _ number: UInt64) -> [String] {
        var mixed = seed &* 31 &+ requestSeed &* 17 &+ number
        for token in prompt.suffix(64) { mixed = mixed &* 0x0000_0100_0000_01B3 ^ UInt64(token) }
        var random = SimRandom(seed: mixed)
        return (0..<count).map { index in
            let word = Self.words[Int(random.next() >> 58)]
            return index == 0 ? word : " " + word
        }
    }

    /// Ends `pieces` at the limit, or before the first stop string.
    private func cut(
        _ pieces: [String],
        _ content: Answer.Choice.Content,
        _ limit: Int,
        _ stops: [String],
        _ lead: String
    ) -> Answer.Choice {
        var kept = Array(pieces.prefix(limit))
        var finish: Answer.Finish = pieces.count > limit ? .length : .stop
        var stopSequence: String?
        if !stops.isEmpty, let (end, stop) = Self.firstStop(in: kept.joined(), stops) {
            kept = Self.prefix(of: kept, bytes: end)
            finish = .stop
            stopSequence = stop
        }
        if case .toolCall = content, finish == .stop { finish = .toolCalls }
        return Answer.Choice(content: content, pieces: kept, finish: finish, lead: lead, stopSequence: stopSequence)
    }

    /// Where the earliest stop string begins, in bytes.
    private static func firstStop(in text: String, _ stops: [String]) -> (Int, String)? {
        let bytes = Array(text.utf8)
        var first: (Int, String)?
        for stop in stops {
            let wanted = Array(stop.utf8)
            guard wanted.count <= bytes.count else { continue }
            let start = (0...(bytes.count - wanted.count)).first {
                bytes[$0..<($0 + wanted.count)].elementsEqual(wanted)
            }
            if let start, start < first?.0 ?? .max { first = (start, stop) }
        }
        return first
    }

    /// The pieces of the first `bytes` bytes; at least one, if empty, because an answer has a last token.
    private static func prefix(of pieces: [String], bytes: Int) -> [String] {
        var kept: [String] = []
        var left = bytes
        for piece in pieces {
            guard piece.utf8.count < left else {
                kept.append(String(decoding: piece.utf8.prefix(left), as: UTF8.self))
                return kept
            }
            kept.append(piece)
            left -= piece.utf8.count
        }
        return kept
    }
}
