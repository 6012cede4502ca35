/// SentencePiece's unigram model: of all ways to take a text apart, the one whose tokens' scores add up to most (Kudo,
/// "Subword regularization", ACL 2018), found by dynamic programming from left to right.
struct UnigramModel: Sendable {
    let vocabulary: Vocabulary
    let unknown: Int32
    private let trie: TokenTrie
    /// By number.
    private let scores: [Double]
    private let unknownScore: Double
    /// The tokens for each byte of what no token covers; nil when the unknown token covers it.
    private let byteTokens: [Int32?]?

    /// A character that no token covers costs so much more than the least likely token (SentencePiece's `kUnkPenalty`).
    private static let unknownPenalty = 10.0

    init(vocabulary: Vocabulary, scores: [Double], unknown: Int32, byteFallback: Bool) {
        self.vocabulary = vocabulary
        self.unknown = unknown
        self.scores = scores
        unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
        var tokens: [TokenTrie.Token] = []
        tokens.reserveCapacity(vocabulary.count)
        vocabulary.forEach { id, bytes in tokens.append((bytes, id)) }
        trie = TokenTrie(tokens)
        byteTokens = byteFallback ? vocabulary.byteTokens : nil
    }

    /// The best way to each place in a text; kept between texts.
    struct Workspace {
        fileprivate struct Step {
            var score = 0.0
            /// How long the last token is, in bytes; 0 while there is no way here.
            var length: Int32 = 0
            var id: Int32 = 0
        }

        fileprivate var steps: [Step] = []
    }

    /// - Complexity: O(bytes × longest token), 16 bytes of memory for each.
    func tokenize(_ bytes: [UInt8], _ range: Range<Int>, into found: inout FoundTokens) {
        let before = found.tokens.count
        findBest(bytes, range, &found.unigrams.steps)
        // From the last token back to the first; unknown characters in a row are one token.
        var end = range.upperBound
        var unknownEnd: Int?
        while end > range.lowerBound {
            let step = found.unigrams.steps[end - range.lowerBound]
            if step.id == unknown {
                if unknownEnd == nil { unknownEnd = end }
            } else {
                if let last = unknownEnd { addUnknown(bytes, end..<last, into: &found) }
                unknownEnd = nil
                found.add(step.id, end - Int(step.length), end)
            }
            end -= Int(step.length)
        }
        if let last = unknownEnd { addUnknown(bytes, end..<last, into: &found) }
        found.tokens[before...].reverse()
    }

    private func findBest(_ bytes: [UInt8], _ range: Range<Int>, _ steps: inout [Workspace.Step]) {
        steps.removeAll(keepingCapacity: true)
        steps.append(contentsOf: repeatElement(Workspace.Step(), count: range.count + 1))
        var start = range.lowerBound
        while start < range.upperBound {
            let score = steps[start - range.lowerBound].score
            let next = start + UTF8Scalars.length(of: bytes[start])
            var coversCharacter = false
            var node = TokenTrie.root
            var index = start
            while index < range.upperBound {
                node = trie.child(of: node, bytes[index])
                guard node >= 0 else { break }
                index += 1
                let id = trie.id(at: node)
                guard id >= 0 else { continue }
                let candidate = scores[Int(id)] + score
                let target = index - range.lowerBound
                if steps[target].length == 0 || candidate > steps[target].score {
                    steps[target] = Workspace.Step(score: candidate, length: Int32(index - start), id: id)
                }
                if index == next { coversCharacter = true }
            }
            if !coversCharacter {
                let candidate = unknownScore + score
                let target = next - range.lowerBound
                if steps[target].length == 0 || candidate > steps[target].score {
                    steps[target] = Workspace.Step(score: candidate, length: Int32(next - start), id: unknown)
                }
            }
            start = next
        }
    }

    /// Adds what no token covers, last byte first.
    private func addUnknown(_ bytes: [UInt8], _ range: Range<Int>, into found: inout FoundTokens) {
        if let id = vocabulary.id(of: bytes, range) {
            return found.add(id, range.lowerBound, range.upperBound)
        }
        if let byteTokens, bytes[range].allSatisfy({ byteTokens[Int($0)] != nil }) {
            for byte in bytes[range].reversed() {
                found.add(byteTokens[Int(byte)] ?? unknown, range.lowerBound, range.upperBound)
            }
            return
        }
        found.add(unknown, range.lowerBound, range.upperBound)
    }
}

extension Vocabulary {
    /// The tokens that stand for single bytes: `<0x00>` to `<0xFF>`.
    var byteTokens: [Int32?] {
        let digits = Array("0123456789ABCDEF")
        return (0..<256).map { id(of: "<0x\(digits[$0 >> 4])\(digits[$0 & 15])>") }
    }
}
