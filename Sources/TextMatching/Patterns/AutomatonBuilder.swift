/// Makes the automaton of a program by letting the simulation take every byte in every state.
struct AutomatonBuilder: ~Copyable {
    /// What tells states apart.
    private struct State: Hashable {
        /// Where ways begin. If the program has no assertions, the threads themselves or a match, which do not depend
        /// on what comes next and of which there are fewer.
        var places: [Int32]
        /// What was taken last, as far as an assertion looks at it.
        var before: Surrounding
        /// Whether a match ended before that.
        var isMatched: Bool
    }

    private let program: PatternProgram
    private let limits: PatternLimits
    private let classes: ContiguousArray<UInt8>
    /// A byte of each class.
    private let samples: [UInt8]
    private var simulation: PatternSimulation
    /// In order of discovery; the state without places is first.
    private var states: [State] = []
    private var numbers: [State: Int] = [:]
    /// The numbers of the states that each state leads to, by class.
    private var rows: [[Int]] = []

    private init(_ program: PatternProgram, limits: PatternLimits) {
        self.program = program
        self.limits = limits
        (classes, samples) = Self.classify(program)
        simulation = PatternSimulation(program)
    }

    /// The automaton, or nil if it, or the work to make it, exceeds the limits.
    ///
    /// - Complexity: at most `constructionSteps`, and one more state.
    static func build(_ program: PatternProgram, limits: PatternLimits) -> PatternAutomaton? {
        var builder = AutomatonBuilder(program, limits: limits)
        return builder.build()
    }

    private mutating func build() -> PatternAutomaton? {
        _ = number(of: [], before: .other, isMatched: false)
        let starts = Surrounding.allCases.map { number(of: [program.search], before: $0, isMatched: false) }
        let rowLength = samples.count + 1
        let most = min(limits.states, limits.tableBytes / (rowLength * MemoryLayout<UInt32>.size))
        while rows.count < states.count {
            rows.append(makeRow(for: states[rows.count]))
            guard states.count <= most, simulation.steps <= limits.constructionSteps else { return nil }
        }
        return number(starts: starts)
    }

    private mutating func makeRow(for state: State) -> [Int] {
        var expansions: [Surrounding: (takes: [Int32], isMatch: Bool)] = [:]
        for after in Surrounding.allCases {
            let holding = Assertions(before: state.before, after: after)
            // Without assertions, what comes next makes no difference.
            expansions[after] =
                program.assertions.isEmpty && after != .edge
                ? expansions[.edge] : simulation.expand(state.places, holding: holding)
        }
        var row: [Int] = []
        for byte in samples {
            let surrounding = Surrounding(byte)
            guard let (takes, isMatch) = expansions[surrounding] else { continue }
            let places = simulation.targets(of: takes, taking: byte)
            row.append(number(of: places, before: surrounding, isMatched: isMatch))
        }
        row.append(number(of: [], before: .other, isMatched: expansions[.edge]?.isMatch ?? false))
        return row
    }

    private mutating func number(of places: [Int32], before: Surrounding, isMatched: Bool) -> Int {
        var places = places
        if program.assertions.isEmpty, !places.isEmpty {
            let (takes, isMatch) = simulation.expand(places, holding: [])
            // The match is the program's first instruction.
            places = isMatch ? takes + [0] : takes
        }
        let state = State(places: places, before: relevant(places.isEmpty ? .other : before), isMatched: isMatched)
        if let number = numbers[state] { return number }
        numbers[state] = states.count
        states.append(state)
        return states.count - 1
    }

    /// `surrounding` as far as the program's assertions can see it on their left.
    private func relevant(_ surrounding: Surrounding) -> Surrounding {
        let words: Assertions = [.wordBoundary, .noWordBoundary]
        switch surrounding {
        case .edge where program.assertions.contains(.textStart): return .edge
        case .edge where program.assertions.contains(.lineStart): return .newline
        case .newline where program.assertions.contains(.lineStart): return .newline
        case .word where !program.assertions.isDisjoint(with: words): return .word
        default: return .other
        }
    }
}

// Numbering
extension AutomatonBuilder {
    /// Writes the table down with the states in the order that `PatternAutomaton` asks for.
    private mutating func number(starts: [Int]) -> PatternAutomaton {
        let idle = starts[Int(Surrounding.other.rawValue)]
        let matchedEnd = State(places: [], before: .other, isMatched: true)
        let matched = states.indices.filter { states[$0].isMatched && states[$0] != matchedEnd }
        let others = states.indices.dropFirst().filter { !states[$0].isMatched && $0 != idle }
        // A pattern that nothing matches has no such state; its row is left empty.
        let order: [Int?] = [0, numbers[matchedEnd]] + matched + [idle] + others
        let rowLength = samples.count + 1
        var names = Array(repeating: UInt32(0), count: states.count)
        for (position, state) in order.enumerated() {
            if let state { names[state] = UInt32(position * rowLength) }
        }
        var transitions = ContiguousArray<UInt32>()
        transitions.reserveCapacity(order.count * rowLength)
        for state in order {
            transitions += state.map { rows[$0].map { names[$0] } } ?? Array(repeating: 0, count: rowLength)
        }
        let idleRow = rows[idle]
        return PatternAutomaton(
            classes: classes,
            transitions: transitions,
            rowLength: rowLength,
            starts: starts.map { names[$0] },
            matchedEnd: UInt32(rowLength),
            idle: names[idle],
            idleStops: ByteStops { [classes] in idleRow[Int(classes[Int($0)])] != idle }
        )
    }
}

// Classes
extension AutomatonBuilder {
    /// Numbers the bytes so that those which no instruction and no assertion tells apart have one number.
    private static func classify(_ program: PatternProgram) -> (ContiguousArray<UInt8>, samples: [UInt8]) {
        var begins = Array(repeating: false, count: 257)
        for edge in program.edges {
            begins[Int(edge.low)] = true
            begins[Int(edge.high) + 1] = true
        }
        if !program.assertions.isEmpty {
            for byte in 1...255 where Surrounding(UInt8(byte)) != Surrounding(UInt8(byte - 1)) { begins[byte] = true }
        }
        var classes: ContiguousArray<UInt8> = [0]
        var samples: [UInt8] = [0]
        for byte in 1...255 {
            if begins[byte] { samples.append(UInt8(byte)) }
            classes.append(UInt8(samples.count - 1))
        }
        return (classes, samples)
    }
}
