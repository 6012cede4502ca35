/// What a pre-tokenizer splits at or a normalizer replaces: a plain text, or an expression of the kind that tokenizers use.
///
/// Expressions consist of characters, classes (`\s \d \w \p{L} [^\r\n\p{L}]`), groups, alternatives, `? * +` and `{m,n}`, all
/// of them greedy, `(?i:…)` for letters of ASCII, and a look ahead at one class (`(?!\S)`). The first alternative that matches
/// counts, as in the backtracking engines that the files are written for.
///
/// - Complexity: a repeated class remembers one number, whatever its length, so the stack is bounded by the pattern; the
///   expressions of GPT-2, Llama 3 and Qwen look at a run of characters at most once an alternative.
struct ScalarPattern: Sendable {
    private enum Kind: Sendable {
        case text([UInt8])
        case program([Instruction])
    }

    /// Why a pattern is refused.
    struct Unsupported: Error {
        let problem: String
    }

    private let kind: Kind

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
    func forEachMatch(in bytes: [UInt8], _ range: Range<Int>, _ found: (Range<Int>) -> Void) {
        var machine = PatternMachine()
        var start = range.lowerBound
        while start < range.upperBound {
            let end =
                switch kind {
                case .text(let text): Self.end(of: text, in: bytes, at: start, limit: range.upperBound)
                case .program(let program): machine.run(program, bytes, at: start, in: range)
                }
            if let end, end > start {
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

/// A step of a compiled expression.
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

/// Runs compiled expressions; keeps its stack between runs.
struct PatternMachine {
    /// A place to go on when what was tried fails.
    private struct Choice {
        var instruction: Int
        var position: Int
        /// How far back a repetition may still be shortened; `position` for other choices.
        var least: Int
    }

    private var choices: [Choice] = []
    private let tables = UnicodeTables.standard

    /// Where the match ends that begins at `start`.
    mutating func run(_ program: [Instruction], _ bytes: [UInt8], at start: Int, in range: Range<Int>) -> Int? {
        choices.removeAll(keepingCapacity: true)
        var position = start
        var next = 0
        while true {
            var fails = false
            switch program[next] {
            case .match:
                return position
            case .jump(let target):
                next = target
            case .split(let other):
                choices.append(Choice(instruction: other, position: position, least: position))
                next += 1
            case .lookAhead(let set, let isNegated):
                let follows = position < range.upperBound && contains(set, bytes, at: position)
                fails = follows == isNegated
                next += 1
            case .repeated(let set, let least, let most):
                var count = 0
                var shortest = position
                while count < most, position < range.upperBound, contains(set, bytes, at: position) {
                    position += UTF8Scalars.length(of: bytes[position])
                    count += 1
                    if count == least { shortest = position }
                }
                next += 1
                fails = count < least
                if !fails, position > shortest {
                    choices.append(Choice(instruction: next, position: position, least: shortest))
                }
            }
            guard fails else { continue }
            // Goes back to the last choice; a repetition gives up one scalar at a time.
            while true {
                guard var choice = choices.popLast() else { return nil }
                next = choice.instruction
                if choice.position == choice.least {
                    position = choice.position
                    break
                }
                position = UTF8Scalars.start(before: choice.position, in: bytes)
                choice.position = position
                if position > choice.least { choices.append(choice) }
                break
            }
        }
    }

    @inline(__always)
    private func contains(_ set: ScalarSet, _ bytes: [UInt8], at position: Int) -> Bool {
        let scalar = UTF8Scalars.decode(bytes, at: position)
        return set.contains(scalar, tables.properties(of: scalar))
    }
}
