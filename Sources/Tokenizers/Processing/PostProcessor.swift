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

    /// What is set around one text or two. Without special tokens, texts keep their types.
    func parts(ofPair isPair: Bool, addsSpecialTokens: Bool) -> [Part] {
        let parts = isPair ? pair : single
        return addsSpecialTokens ? parts : parts.filter { !$0.isSpecial }
    }

    /// How many of `maxTokens` are left to the texts.
    static func room(in maxTokens: Int?, for parts: [Part]) -> Int {
        maxTokens.map { max(0, $0 - parts.count(where: \.isSpecial)) } ?? .max
    }

    /// Sets the parts together, with `room` tokens of the texts at most.
    static func join(_ parts: [Part], _ first: TokenizedText, _ second: TokenizedText?, room: Int) -> Encoding {
        let counts = truncated(first.ids.count, second?.ids.count ?? 0, to: room)
        var encoding = Encoding()
        // What a text has beyond its share is not missed.
        encoding.isCut =
            first.isCut && counts.first == first.ids.count
            || second.map { $0.isCut && counts.second == $0.ids.count } ?? false
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
    ///   - bytes: the original text, valid UTF-8.
    ///   - spaces: of each model token.
    func trim(_ text: inout TokenizedText, in bytes: UnsafeBufferPointer<UInt8>, _ spaces: [OuterSpaces]) {
        for keepsPrefix in trims {
            for index in text.ids.indices {
                let own = text.addedSpaces[index] ?? spaces[Int(text.ids[index])]
                guard own.leading > 0 || own.trailing > 0 else { continue }
                var (start, end) = (text.offsets[index].lowerBound, text.offsets[index].upperBound)
                let isFirst = index == 0 || start == 0
                if !(isFirst && keepsPrefix && own.leading == 1) {
                    for _ in 0..<own.leading where start < end { start += UTF8Scalars.length(of: bytes[start]) }
                }
                // A second step finds offsets without the spaces that it takes out of them. As in the reference, what is
                // taken out goes down to the token's start, and nothing is when the text has not so many characters.
                var trimmed = end
                var left = own.trailing
                while left > 0, trimmed > 0 {
                    repeat { trimmed -= 1 } while bytes[trimmed] & 0xC0 == 0x80
                    left -= 1
                }
                if left == 0 { end = trimmed }
                text.offsets[index] = start..<max(start, end)
            }
        }
    }
}
