/// What a pre-tokenizer splits at or a normalizer replaces: a plain text, or an expression of the kind that tokenizers use.
///
/// Expressions consist of characters, classes (`\s \d \w \p{L} [^\r\n\p{L}]`), groups, alternatives, `? * +` and `{m,n}`, all
/// of them greedy, `(?i:…)` for letters of ASCII, and a look ahead at one class (`(?!\S)`). The first alternative that matches
/// counts, as in the backtracking engines that the files are written for. An expression that may match nothing is refused.
///
/// Known gap: under `(?i:…)` the reference also takes `ß` for `ss`, and the ligatures for the letters they consist of.
///
/// `PatternMachine` runs them.
struct ScalarPattern: Sendable {
    enum Kind: Sendable {
        case text([UInt8])
        case program([Instruction])
    }

    /// Why a pattern is refused.
    struct Unsupported: Error {
        let problem: String
    }

    let kind: Kind

    /// Matches exactly `text`.
    init(text: String) throws(Unsupported) {
        guard !text.isEmpty else { throw Unsupported(problem: "is empty") }
        kind = .text(Array(text.utf8))
    }

    init(expression: String) throws(Unsupported) {
        var parser = PatternParser(expression)
        kind = .program(try parser.parse())
    }

    /// Calls `found` with each match in `range`, from left to right. Matches do not overlap and are never empty.
    /// - Complexity: O(bytes × pattern).
    func forEachMatch(in bytes: [UInt8], _ range: Range<Int>, _ found: (Range<Int>) -> Void) {
        var machine = PatternMachine()
        var start = range.lowerBound
        while start < range.upperBound {
            let end =
                switch kind {
                case .text(let text): Self.end(of: text, in: bytes, at: start, limit: range.upperBound)
                case .program(let program): machine.end(program, bytes, from: start, in: range)
                }
            if let end {
                found(start..<end)
                start = end
            } else {
                start += UTF8Scalars.length(of: bytes[start])
            }
        }
    }

    private static func end(of text: [UInt8], in bytes: [UInt8], at start: Int, limit: Int) -> Int? {
        guard bytes[start] == text[0], start + text.count <= limit else { return nil }
        for index in text.indices where bytes[start + index] != text[index] { return nil }
        return start + text.count
    }
}

/// A set of scalars.
struct ScalarSet: Sendable {
    /// General categories, as `ScalarCategories`.
    var categories: UInt32 = 0
    var flags: ScalarProperties.Flag = []
    var ranges: [ClosedRange<UInt32>] = []
    /// Sets such as `\S`, of which a scalar in none belongs to this set.
    var complements: [ScalarSet] = []
    var isNegated = false

    @inline(__always)
    func contains(_ scalar: UInt32, _ properties: ScalarProperties) -> Bool {
        let isMember =
            properties.categoryBit & categories != 0 || properties.bits & flags.rawValue != 0
            || ranges.contains { $0.contains(scalar) }
            || complements.contains { !$0.contains(scalar, properties) }
        return isMember != isNegated
    }
}

/// A step of a compiled expression. Steps lead to later ones only.
enum Instruction: Sendable {
    /// As many scalars of the set as possible, at least and at most so many.
    case repeated(ScalarSet, least: Int, most: Int)
    /// Goes on at the next step; when that fails, at the other.
    case split(other: Int)
    case jump(Int)
    /// What follows is, or is not, a scalar of the set. At the end nothing follows.
    case lookAhead(ScalarSet, isNegated: Bool)
    case match
}
