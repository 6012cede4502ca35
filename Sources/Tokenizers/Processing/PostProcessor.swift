/// What is set around a text's tokens, and how their offsets are trimmed.
struct PostProcessor: Sendable {
    var single: [Part] = [.first(typeID: 0)]
    var pair: [Part] = [.first(typeID: 0), .second(typeID: 1)]
    /// For each step that trims: whether a first token's one space is left alone, because the pre-tokenizer has set it.
    var trims: [Bool] = []

    enum Part: Sendable {
        case first(typeID: Int32)
        case second(typeID: Int32)
        case special(Int32, typeID: Int32)

        var isSpecial: Bool {
            if case .special = self { return true }
            return false
        }
    }

    /// Sets the parts together, with so many tokens of each text.
    func join(
        _ first: TokenizedText,
        _ second: TokenizedText?,
        maxTokens: Int?,
        addsSpecialTokens: Bool
    ) -> Encoding {
        var parts = second == nil ? single : pair
        if !addsSpecialTokens { parts = second == nil ? Self().single : Self().pair }
        let room = maxTokens.map { max(0, $0 - parts.count(where: \.isSpecial)) }
        let counts = Self.truncated(first.ids.count, second?.ids.count ?? 0, to: room ?? .max)
        var encoding = Encoding()
        encoding.reserve(counts.first + counts.second + parts.count)
        for part in parts {
            switch part {
            case .first(let typeID): encoding.append(first, first: counts.first, typeID: typeID)
            case .second(let typeID): if let second { encoding.append(second, first: counts.second, typeID: typeID) }
            case .special(let id, let typeID): encoding.appendSpecial(id, typeID: typeID)
            }
        }
        return encoding
    }

    /// How many tokens are left of two texts: the longer one is shortened first, then both alike.
    static func truncated(_ first: Int, _ second: Int, to room: Int) -> (first: Int, second: Int) {
        // Written so that no sum overflows.
        guard first > room || second > room - first else { return (first, second) }
        let shorter = min(first, second)
        var longer = shorter > room ? shorter : max(shorter, room - shorter)
        var rest = shorter
        if rest > room - longer || longer > room {
            rest = room / 2
            longer = room - rest
        }
        return first <= second ? (rest, longer) : (longer, rest)
    }

    /// Takes the spaces at both ends of tokens out of their offsets, as GPT-2's and RoBERTa's processors do.
    ///
    /// - Parameters:
    ///   - text: the tokens.
    ///   - bytes: the original text.
    ///   - spaces: of each model token.
    func trim(_ text: inout TokenizedText, in bytes: [UInt8], _ spaces: [OuterSpaces]) {
        for keepsPrefix in trims {
            for index in text.ids.indices {
                let own = text.addedSpaces[index] ?? spaces[Int(text.ids[index])]
                guard own.leading > 0 || own.trailing > 0 else { continue }
                var (start, end) = (text.offsets[index].lowerBound, text.offsets[index].upperBound)
                let isFirst = index == 0 || start == 0
                if !(isFirst && keepsPrefix && own.leading == 1) {
                    for _ in 0..<own.leading where start < end { start += UTF8Scalars.length(of: bytes[start]) }
                }
                for _ in 0..<own.trailing where end > start { end = UTF8Scalars.start(before: end, in: bytes) }
                text.offsets[index] = start..<max(start, end)
            }
        }
    }
}
