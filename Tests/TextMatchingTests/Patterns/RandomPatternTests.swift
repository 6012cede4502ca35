import TestRandom
import Testing
import TextMatching

/// A pattern as the tests make it, with the matcher that everybody knows: it tries one way after the other.
private indirect enum Tree {
    case scalar(Character)
    case set([Character], isNegated: Bool)
    case dot
    case word
    case assertion(String)
    case sequence([Tree])
    case choice([Tree])
    case loop(Tree, minimum: Int, maximum: Int?, isLazy: Bool)
    case ignoringCase(Tree)

    var isNullable: Bool {
        switch self {
        case .scalar, .set, .dot, .word: false
        case .assertion: true
        case .sequence(let parts): parts.allSatisfy(\.isNullable)
        case .choice(let parts): parts.contains(where: \.isNullable)
        case .loop(let part, let minimum, _, _): minimum == 0 || part.isNullable
        case .ignoringCase(let part): part.isNullable
        }
    }

    var source: String {
        switch self {
        case .scalar("\n"): return "\\n"
        case .scalar(let character): return String(character)
        case .set(let members, let isNegated):
            let names = members.map { $0 == "\n" ? "\\n" : String($0) }
            return "[\(isNegated ? "^" : "")\(names.joined())]"
        case .dot: return "."
        case .word: return "\\w"
        case .assertion(let name): return name
        case .sequence(let parts): return parts.map(\.source).joined()
        case .choice(let parts): return "(?:\(parts.map(\.source).joined(separator: "|")))"
        case .loop(let part, let minimum, let maximum, let isLazy):
            let count =
                switch (minimum, maximum) {
                case (0, nil): "*"
                case (1, nil): "+"
                case (0, 1): "?"
                case (_, nil): "{\(minimum),}"
                case (_, let maximum?): "{\(minimum),\(maximum)}"
                }
            return "(?:\(part.source))\(count)\(isLazy ? "?" : "")"
        case .ignoringCase(let part): return "(?i:\(part.source))"
        }
    }
}

private struct TooManySteps: Error {}

/// Backtracking over scalars; knows nothing of bytes, programs and automata.
private struct Backtracker {
    let text: [Character]
    var steps = 0

    init(_ text: [Character]) { self.text = text }

    private func isWord(_ index: Int) -> Bool {
        guard text.indices.contains(index) else { return false }
        return text[index].isASCII && (text[index].isLetter || text[index].isNumber || text[index] == "_")
    }

    private func holds(_ name: String, at index: Int) -> Bool {
        switch name {
        case "^", "\\A": index == 0
        case "$", "\\z": index == text.count
        case "(?m:^)": index == 0 || text[index - 1] == "\n"
        case "(?m:$)": index == text.count || text[index] == "\n"
        case "\\b": isWord(index - 1) != isWord(index)
        default: isWord(index - 1) == isWord(index)
        }
    }

    private func equal(_ one: Character, _ other: Character, _ ignoresCase: Bool) -> Bool {
        one == other || ignoresCase && one.lowercased() == other.lowercased()
    }

    mutating func match(
        _ tree: Tree,
        at index: Int,
        ignoresCase: Bool = false,
        then next: (inout Backtracker, Int) throws -> Int?
    ) throws -> Int? {
        steps += 1
        guard steps < 50_000 else { throw TooManySteps() }
        switch tree {
        case .scalar(let character):
            guard index < text.count, equal(text[index], character, ignoresCase) else { return nil }
            return try next(&self, index + 1)
        case .set(let members, let isNegated):
            guard index < text.count else { return nil }
            let isMember = members.contains { equal(text[index], $0, ignoresCase) }
            return isMember != isNegated ? try next(&self, index + 1) : nil
        case .dot:
            return index < text.count && text[index] != "\n" ? try next(&self, index + 1) : nil
        case .word:
            return isWord(index) ? try next(&self, index + 1) : nil
        case .assertion(let name):
            return holds(name, at: index) ? try next(&self, index) : nil
        case .sequence(let parts):
            guard let first = parts.first else { return try next(&self, index) }
            return try match(first, at: index, ignoresCase: ignoresCase) { machine, index in
                try machine.match(.sequence(Array(parts.dropFirst())), at: index, ignoresCase: ignoresCase, then: next)
            }
        case .choice(let parts):
            for part in parts {
                if let end = try match(part, at: index, ignoresCase: ignoresCase, then: next) { return end }
            }
            return nil
        case .ignoringCase(let part):
            return try match(part, at: index, ignoresCase: true, then: next)
        case .loop(let part, let minimum, let maximum, let isLazy):
            let loop = Loop(part: part, isLazy: isLazy, ignoresCase: ignoresCase)
            if minimum > 0, maximum != nil || minimum > 1 {
                let rest = Tree.loop(
                    part,
                    minimum: minimum - 1,
                    maximum: maximum.map { $0 - 1 },
                    isLazy: isLazy
                )
                return try match(part, at: index, ignoresCase: ignoresCase) { machine, end in
                    try machine.match(rest, at: end, ignoresCase: ignoresCase, then: next)
                }
            }
            if minimum == 1 { return try enter(loop, at: index, decidedAt: nil, then: next) }
            if maximum == nil, !part.isNullable {
                return try decide(loop, at: index, enteredAt: nil, decidedAt: nil, then: next)
            }
            if maximum == 0 { return try next(&self, index) }
            if isLazy, let end = try next(&self, index) { return end }
            let end =
                if let maximum {
                    try match(part, at: index, ignoresCase: ignoresCase) { machine, end in
                        let rest = Tree.loop(part, minimum: 0, maximum: maximum - 1, isLazy: isLazy)
                        return try machine.match(rest, at: end, ignoresCase: ignoresCase, then: next)
                    }
                } else {
                    try enter(loop, at: index, decidedAt: nil, then: next)
                }
            if let end { return end }
            return isLazy ? nil : try next(&self, index)
        }
    }

    private struct Loop {
        var part: Tree
        var isLazy: Bool
        var ignoresCase: Bool
    }

    /// One round of a loop without limit, and the decision behind it.
    private mutating func enter(
        _ loop: Loop,
        at index: Int,
        decidedAt: Int?,
        then next: (inout Backtracker, Int) throws -> Int?
    ) throws -> Int? {
        try match(loop.part, at: index, ignoresCase: loop.ignoresCase) { machine, end in
            try machine.decide(loop, at: end, enteredAt: index, decidedAt: decidedAt, then: next)
        }
    }

    /// Whether to go round again. As in RE2, a way ends that comes to one point of the loop, its entry or its decision,
    /// a second time at one place of the text: `(?:b|(?:|a))+` takes all of "baa", where Perl stops behind the b.
    private mutating func decide(
        _ loop: Loop,
        at index: Int,
        enteredAt: Int?,
        decidedAt: Int?,
        then next: (inout Backtracker, Int) throws -> Int?
    ) throws -> Int? {
        if decidedAt == index { return nil }
        if loop.isLazy, let end = try next(&self, index) { return end }
        if enteredAt != index, let end = try enter(loop, at: index, decidedAt: index, then: next) { return end }
        return loop.isLazy ? nil : try next(&self, index)
    }

    mutating func firstMatch(of tree: Tree, from start: Int) throws -> Range<Int>? {
        guard start <= text.count else { return nil }
        for index in start...text.count {
            if let end = try match(tree, at: index, then: { _, end in end }) { return index..<end }
        }
        return nil
    }

    /// Go's loop, in characters.
    mutating func allMatches(of tree: Tree) throws -> [Range<Int>] {
        var matches: [Range<Int>] = []
        var start = 0
        var previousEnd = -1
        while let match = try firstMatch(of: tree, from: start) {
            if match.upperBound > start || match.lowerBound != previousEnd { matches.append(match) }
            previousEnd = match.upperBound
            start = match.upperBound > start ? match.upperBound : start + 1
        }
        return matches
    }
}

@Suite struct RandomPatternTests {
    private static let alphabet: [Character] = ["a", "a", "b", "A", "é", "É", "的", "😀", "_", " ", "\n"]

    private func makeTree(_ depth: Int, _ generator: inout SeededRandom) -> Tree {
        let pick = Int.random(in: 0..<100, using: &generator)
        func some() -> Character { Self.alphabet.randomElement(using: &generator)! }
        if depth == 0 || pick < 25 {
            switch Int.random(in: 0..<12, using: &generator) {
            case 0: return .dot
            case 1: return .word
            case 2, 3:
                let names = ["^", "$", "\\A", "\\z", "(?m:^)", "(?m:$)", "\\b", "\\B"]
                return .assertion(names.randomElement(using: &generator)!)
            case 4, 5: return .set([some(), some()], isNegated: Bool.random(using: &generator))
            default: return .scalar(some())
            }
        }
        func parts(_ range: ClosedRange<Int>) -> [Tree] {
            (0..<Int.random(in: range, using: &generator)).map { _ in makeTree(depth - 1, &generator) }
        }
        switch pick {
        case 25..<50: return .sequence(parts(0...3))
        case 50..<70: return .choice(parts(2...3))
        case 70..<75: return .ignoringCase(makeTree(depth - 1, &generator))
        default:
            let minimum = Int.random(in: 0...2, using: &generator)
            let extra = [0, 1, 2, nil, nil].randomElement(using: &generator)!
            return .loop(
                makeTree(depth - 1, &generator),
                minimum: minimum,
                maximum: extra.map { minimum + $0 },
                isLazy: Int.random(in: 0..<4, using: &generator) == 0
            )
        }
    }

    @Test("Random patterns match what trying every way in turn matches", arguments: [1, 2, 3, 4] as [UInt64])
    func agreesWithBacktracking(seed: UInt64) throws {
        var generator = SeededRandom(seed: seed)
        var compared = 0
        var skipped = 0
        while compared < 6000 / caseStride {
            let tree = makeTree(Int.random(in: 1...4, using: &generator), &generator)
            let length = Int.random(in: 0...10, using: &generator)
            let text = (0..<length).map { _ in Self.alphabet.randomElement(using: &generator)! }
            var backtracker = Backtracker(text)
            guard let expected = try? backtracker.allMatches(of: tree) else {
                skipped += 1
                continue
            }
            compared += 1
            let bytes = Array(String(text).utf8)
            var offsets = [0]
            for character in text { offsets.append(offsets[offsets.count - 1] + character.utf8.count) }
            let spans = expected.map { [offsets[$0.lowerBound], offsets[$0.upperBound]] }
            for engine in Engine.allCases {
                let pattern = try engine.pattern(tree.source)
                let note: Comment =
                    "seed \(seed): \(tree.source.debugDescription) in \(String(text).debugDescription) by \(engine)"
                #expect(pattern.spans(in: bytes) == spans, note)
                #expect(pattern.countMatches(in: bytes) == spans.count, note)
                #expect(pattern.isFound(in: bytes) == !spans.isEmpty, note)
                let steps = pattern.measure(bytes)
                let most = pattern.worstCaseStepsPerByte * (bytes.count + 1)
                #expect(max(steps.isFound, steps.countMatches, steps.firstMatch) <= most, note)
            }
        }
        print("seed \(seed): \(compared) random patterns compared, \(skipped) skipped for steps")
    }
}
