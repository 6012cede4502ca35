/// Compiles the expressions of `ScalarPattern`.
struct PatternParser {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var program: [Instruction] = []
    private var ignoresCase = false

    /// 64 groups inside groups are more than any tokenizer has, and the parser recurses.
    private static let deepest = 64
    /// A repetition of a group is written out so many times at most, and the expression in so many steps, where each count
    /// of a repetition is one too: what a byte of text costs at most.
    private static let mostCopies = 16
    private static let mostSteps = 4096

    init(_ expression: String) { scalars = Array(expression.unicodeScalars) }

    mutating func parse() throws(ScalarPattern.Unsupported) -> [Instruction] {
        try alternatives(depth: 0)
        guard position == scalars.count else { throw refuse("has a ) too many") }
        program.append(.match)
        guard program.reduce(0, { $0 + $1.states }) <= Self.mostSteps else {
            throw refuse("repeats something too often")
        }
        // The reference acts on matches of nothing, which no family needs.
        guard !ScalarPattern.mayBeEmpty(program) else { throw refuse("may match nothing") }
        return program
    }

    private func refuse(_ problem: String) -> ScalarPattern.Unsupported {
        let text = String(String.UnicodeScalarView(scalars))
        return ScalarPattern.Unsupported(problem: "\(problem) at character \(position + 1): \(text)")
    }

    private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[position...].starts(with: wanted) else { return false }
        position += wanted.count
        return true
    }

    private mutating func alternatives(depth: Int) throws(ScalarPattern.Unsupported) {
        guard depth < Self.deepest else { throw refuse("has too many groups inside groups") }
        var jumps: [Int] = []
        while true {
            let start = program.count
            try sequence(depth: depth)
            guard take("|") else { break }
            program.insert(.split(other: program.count + 2), at: start)
            shift(from: start + 1, by: 1)
            jumps.append(program.count)
            program.append(.jump(0))
        }
        for jump in jumps { program[jump] = .jump(program.count) }
    }

    /// Corrects the targets of the steps from `start` on after `count` steps have been set in before them.
    private mutating func shift(from start: Int, by count: Int) {
        for index in start..<program.count {
            switch program[index] {
            case .split(let other): program[index] = .split(other: other + count)
            case .jump(let target): program[index] = .jump(target + count)
            default: break
            }
        }
    }

    private mutating func sequence(depth: Int) throws(ScalarPattern.Unsupported) {
        while let scalar = next, scalar != "|", scalar != ")" {
            let start = program.count
            if take("(") {
                try group(depth: depth)
                try repeatGroup(from: start)
            } else {
                let set = try item()
                let (least, most) = try repetition()
                program.append(.repeated(set, least: least, most: most))
            }
        }
    }

    private mutating func group(depth: Int) throws(ScalarPattern.Unsupported) {
        if take("?!") || take("?=") {
            let isNegated = scalars[position - 1] == "!"
            let set = try item()
            guard take(")") else { throw refuse("looks ahead at more than one character") }
            program.append(.lookAhead(set, isNegated: isNegated))
            return
        }
        let outer = ignoresCase
        if take("?i:") {
            ignoresCase = true
        } else if !take("?:"), next == "?" {
            throw refuse("has a group of a kind that is not supported")
        }
        try alternatives(depth: depth + 1)
        guard take(")") else { throw refuse("has a ( too many") }
        ignoresCase = outer
    }

    /// Repeats the steps from `start` on as the expression says.
    private mutating func repeatGroup(from start: Int) throws(ScalarPattern.Unsupported) {
        let (least, most) = try repetition()
        guard (least, most) != (1, 1) else { return }
        guard most <= Self.mostCopies else { throw refuse("repeats a group without end") }
        let steps = Array(program[start...])
        program.removeSubrange(start...)
        var splits: [Int] = []
        for copy in 0..<most {
            if copy >= least {
                splits.append(program.count)
                program.append(.split(other: 0))
            }
            guard program.count + steps.count <= Self.mostSteps else { throw refuse("is too long") }
            let offset = program.count - start
            let from = program.count
            program.append(contentsOf: steps)
            shift(from: from, by: offset)
        }
        for split in splits { program[split] = .split(other: program.count) }
    }

    private mutating func repetition() throws(ScalarPattern.Unsupported) -> (least: Int, most: Int) {
        let found: (Int, Int)
        if take("?") {
            found = (0, 1)
        } else if take("*") {
            found = (0, .max)
        } else if take("+") {
            found = (1, .max)
        } else if take("{") {
            guard let least = number() else { throw refuse("has a { without a number") }
            let most = take(",") ? number() ?? .max : least
            guard take("}"), most >= least, most > 0 else { throw refuse("has a { that is no repetition") }
            found = (least, most)
        } else {
            return (1, 1)
        }
        if next == "?" || next == "+" || next == "*" { throw refuse("has a repetition that is not greedy") }
        return found
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let scalar = next, let digit = scalar.properties.numericType == .decimal ? scalar.value &- 48 : nil,
            digit < 10, (value ?? 0) < 10_000
        {
            value = (value ?? 0) * 10 + Int(digit)
            position += 1
        }
        return value
    }

    /// A character, an escape or a class.
    private mutating func item() throws(ScalarPattern.Unsupported) -> ScalarSet {
        guard let scalar = next else { throw refuse("ends too early") }
        switch scalar {
        case "[":
            position += 1
            return try brackets()
        case "\\":
            return try escape()
        case ".":
            position += 1
            // Everything but the end of a line.
            return ScalarSet(ranges: [10...10], isNegated: true)
        case "^", "$", "*", "+", "?", "{", "}", "]":
            throw refuse("has a \(scalar) that is not supported")
        default:
            position += 1
            return try single(scalar)
        }
    }

    private func single(_ scalar: Unicode.Scalar) throws(ScalarPattern.Unsupported) -> ScalarSet {
        var set = ScalarSet(ranges: [scalar.value...scalar.value])
        let folded = scalar.value | 0x20
        let properties = scalar.properties
        if ignoresCase, !scalar.isASCII,
            properties.isCased || properties.changesWhenCaseMapped || properties.changesWhenCaseFolded
        {
            throw refuse("folds letters outside ASCII")
        }
        if ignoresCase, folded >= 97, folded <= 122 {
            set.ranges = [folded...folded, (folded ^ 0x20)...(folded ^ 0x20)]
            // The other scalars whose case is folded to these letters: long s and the Kelvin sign.
            if folded == 115 { set.ranges.append(0x17F...0x17F) }
            if folded == 107 { set.ranges.append(0x212A...0x212A) }
        }
        return set
    }

    /// Oniguruma's `\w` in brackets: unlike Rust's, it leaves out the joiners.
    private static let wordInBrackets = ScalarSet(
        complements: [ScalarSet(ranges: [0x200C...0x200D], complements: [ScalarSet(flags: .word)])]
    )

    /// By itself it has the raised digits and the fractions of Latin-1 too.
    private static let word = ScalarSet(
        ranges: [0xB2...0xB3, 0xB9...0xB9, 0xBC...0xBE],
        complements: wordInBrackets.complements
    )

    private mutating func escape(inBrackets: Bool = false) throws(ScalarPattern.Unsupported) -> ScalarSet {
        position += 1
        guard let scalar = next else { throw refuse("ends with a \\") }
        position += 1
        switch scalar {
        case "s": return ScalarSet(flags: .space)
        case "S": return ScalarSet(flags: .space, isNegated: true)
        case "w", "W":
            var set = inBrackets ? Self.wordInBrackets : Self.word
            set.isNegated = scalar == "W"
            return set
        case "d": return ScalarSet(categories: ScalarCategories.mask(of: "Nd") ?? 0)
        case "D": return ScalarSet(categories: ScalarCategories.mask(of: "Nd") ?? 0, isNegated: true)
        case "p", "P":
            guard take("{") else { throw refuse("has a \\p without {") }
            var name = ""
            while let letter = next, letter != "}" {
                name.unicodeScalars.append(letter)
                position += 1
            }
            guard take("}"), let mask = ScalarCategories.mask(of: name) else {
                throw refuse("names a class that is not known")
            }
            return ScalarSet(categories: mask, isNegated: scalar == "P")
        case "n": return ScalarSet(ranges: [10...10])
        case "r": return ScalarSet(ranges: [13...13])
        case "t": return ScalarSet(ranges: [9...9])
        case "f": return ScalarSet(ranges: [12...12])
        case "v": return ScalarSet(ranges: [11...11])
        case "a"..."z", "A"..."Z", "0"..."9": throw refuse("has an escape that is not supported")
        default: return try single(scalar)
        }
    }

    private mutating func brackets() throws(ScalarPattern.Unsupported) -> ScalarSet {
        var set = ScalarSet()
        set.isNegated = take("^")
        var isFirst = true
        while let scalar = next, scalar != "]" || isFirst {
            isFirst = false
            if scalar == "[" || scalars[position...].starts(with: ["&", "&"]) {
                throw refuse("has a class inside a class")
            }
            var part = ScalarSet()
            if scalar == "\\" {
                part = try escape(inBrackets: true)
            } else {
                position += 1
                part = try single(scalar)
            }
            if next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" {
                position += 1
                guard part.complements.isEmpty, let low = part.ranges.first?.lowerBound, let end = next else {
                    throw refuse("has a broken range")
                }
                let last: ScalarSet
                if end == "\\" {
                    last = try escape(inBrackets: true)
                } else {
                    position += 1
                    last = try single(end)
                }
                guard !ignoresCase, last.complements.isEmpty, let high = last.ranges.first?.upperBound, low <= high
                else {
                    throw refuse("has a broken range")
                }
                part = ScalarSet(ranges: [low...high])
            }
            if part.isNegated {
                part.isNegated = false
                set.complements.append(part)
            } else {
                set.categories |= part.categories
                set.flags.formUnion(part.flags)
                set.ranges += part.ranges
                set.complements += part.complements
            }
        }
        guard take("]") else { throw refuse("has a [ too many") }
        return set
    }
}
