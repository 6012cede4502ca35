/// Writes a parsed pattern down as a program, from its end to its start, so that each part knows what comes after it.
///
/// - Complexity: O(size of the program), which the limits bound; recursion as deep as the tree.
struct ProgramCompiler {
    private let limits: PatternLimits
    private var instructions: ContiguousArray<PatternProgram.Instruction> = []
    private var edges: ContiguousArray<PatternProgram.Edge> = []
    private var assertions: Assertions = []
    private var automata: [ScalarSet: UTF8Automaton] = [:]
    /// Where the pattern asks for the outermost repetition that is being written.
    private var repetitionOffset: Int?

    private init(limits: PatternLimits) { self.limits = limits }

    static func compile(_ pattern: PatternNode, limits: PatternLimits) throws(PatternError) -> PatternProgram {
        var compiler = ProgramCompiler(limits: limits)
        let match = try compiler.write(.match)
        var start = try compiler.write(pattern, then: match)
        if pattern.matchesEmpty { start = try compiler.write(.scalarBoundary, then: start) }
        var search = start
        if !pattern.isAnchored {
            search = try compiler.write(.fork, first: start)
            let any = try compiler.write([PatternProgram.Edge(low: 0, high: 0xFF, target: search)])
            compiler.instructions[Int(search)].second = any
        }
        return PatternProgram(
            instructions: compiler.instructions,
            edges: compiler.edges,
            start: start,
            search: search,
            assertions: compiler.assertions,
            isAnchored: pattern.isAnchored,
            firstBytes: pattern.matchesEmpty ? nil : compiler.firstBytes(from: start)
        )
    }

    /// Writes `node` so that it goes on at `next`. Returns where it begins.
    private mutating func write(_ node: PatternNode, then next: Int32) throws(PatternError) -> Int32 {
        switch node.form {
        case .empty: return next
        case .scalar(let scalar): return try write(scalar, then: next)
        case .scalars(let set): return try write(set, then: next)
        case .assertion(let assertion): return try write(assertion, then: next)
        case .sequence(let parts):
            var entry = next
            for part in parts.reversed() { entry = try write(part, then: entry) }
            return entry
        case .choice(let parts):
            var entry: Int32?
            for part in parts.reversed() {
                let alternative = try write(part, then: next)
                if let other = entry {
                    entry = try write(.fork, first: alternative, second: other)
                } else {
                    entry = alternative
                }
            }
            return entry ?? next
        case .repetition(let part, let minimum, let maximum, let isLazy, let offset):
            let isOutermost = repetitionOffset == nil
            if isOutermost { repetitionOffset = offset }
            defer { if isOutermost { repetitionOffset = nil } }
            return try write(part, minimum: minimum, maximum: maximum, isLazy: isLazy, then: next)
        }
    }

    /// As Go does (regexp/syntax/simplify.go): x{2,4} is xx(x(x)?)?, x{2,} is xx+.
    private mutating func write(
        _ part: PatternNode,
        minimum: Int,
        maximum: Int?,
        isLazy: Bool,
        then next: Int32
    ) throws(PatternError) -> Int32 {
        var entry = next
        var required = minimum
        if let maximum {
            for _ in minimum..<maximum {
                let body = try write(part, then: entry)
                entry = try writeFork(to: body, orTo: next, isLazy: isLazy)
            }
        } else if minimum > 0 || part.matchesEmpty {
            entry = try writeLoop(part, isLazy: isLazy, then: next).body
            // x* with an x that may be empty is (x+)?, which keeps the order of preference (golang.org/issue/46123).
            if minimum == 0 { entry = try writeFork(to: entry, orTo: next, isLazy: isLazy) }
            required = max(0, minimum - 1)
        } else {
            entry = try writeLoop(part, isLazy: isLazy, then: next).fork
        }
        for _ in 0..<required { entry = try write(part, then: entry) }
        return entry
    }

    /// Writes a fork into `part`, which comes back to it, or to `next`.
    private mutating func writeLoop(
        _ part: PatternNode,
        isLazy: Bool,
        then next: Int32
    ) throws(PatternError) -> (fork: Int32, body: Int32) {
        let fork = try write(.fork)
        let body = try write(part, then: fork)
        instructions[Int(fork)].first = isLazy ? next : body
        instructions[Int(fork)].second = isLazy ? body : next
        return (fork, body)
    }

    private mutating func writeFork(
        to body: Int32,
        orTo next: Int32,
        isLazy: Bool
    ) throws(PatternError) -> Int32 {
        try write(.fork, first: isLazy ? next : body, second: isLazy ? body : next)
    }

    private mutating func write(_ assertion: Assertions, then next: Int32) throws(PatternError) -> Int32 {
        assertions.formUnion(assertion)
        return try write(.check, first: next, second: Int32(assertion.rawValue))
    }

    private mutating func write(_ scalar: UInt32, then next: Int32) throws(PatternError) -> Int32 {
        // The parser lets surrogates through, which `\x{D800}` names and no text has.
        guard let scalar = Unicode.Scalar(scalar) else { return try write([]) }
        var entry = next
        for byte in scalar.utf8.reversed() {
            entry = try write([PatternProgram.Edge(low: byte, high: byte, target: entry)])
        }
        return entry
    }

    private mutating func write(_ set: ScalarSet, then next: Int32) throws(PatternError) -> Int32 {
        let automaton = automata[set] ?? UTF8Automaton(set)
        automata[set] = automaton
        let base = Int32(instructions.count)
        var entry = next
        for node in automaton.nodes {
            entry = try write(
                node.map { edge in
                    let target = edge.target == UTF8Automaton.accepting ? next : base + Int32(edge.target)
                    return PatternProgram.Edge(low: edge.low, high: edge.high, target: target)
                }
            )
        }
        return entry
    }

    private mutating func write(_ taken: [PatternProgram.Edge]) throws(PatternError) -> Int32 {
        guard edges.count + taken.count <= limits.edges else { throw tooLarge() }
        edges += taken
        return try write(.take, first: Int32(edges.count - taken.count), second: Int32(taken.count))
    }

    private mutating func write(
        _ operation: PatternProgram.Instruction.Operation,
        first: Int32 = 0,
        second: Int32 = 0
    ) throws(PatternError) -> Int32 {
        guard instructions.count < limits.instructions else { throw tooLarge() }
        instructions.append(PatternProgram.Instruction(operation: operation, first: first, second: second))
        return Int32(instructions.count - 1)
    }

    private func tooLarge() -> PatternError {
        let advice =
            repetitionOffset == nil
            ? "split it into several patterns" : "lower the counts of this repetition, or write `*` or `+`"
        let message = "the pattern compiles to more than \(limits.instructions) instructions; \(advice)"
        return PatternError(message, offset: repetitionOffset ?? 0)
    }

    /// The bytes of all edges that can be reached from `start` without taking a byte, as if all assertions held.
    private func firstBytes(from start: Int32) -> ByteStops {
        var stops = Array(repeating: false, count: 256)
        var isSeen = Array(repeating: false, count: instructions.count)
        var open = [start]
        while let place = open.popLast() {
            guard !isSeen[Int(place)] else { continue }
            isSeen[Int(place)] = true
            let instruction = instructions[Int(place)]
            switch instruction.operation {
            case .take:
                for edge in edges[Int(instruction.first)..<Int(instruction.first + instruction.second)] {
                    for byte in edge.low...edge.high { stops[Int(byte)] = true }
                }
            case .fork: open += [instruction.second, instruction.first]
            case .check: open.append(instruction.first)
            case .match: break
            }
        }
        return ByteStops { stops[Int($0)] }
    }
}
