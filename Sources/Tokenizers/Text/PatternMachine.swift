/// Runs a compiled expression over a text, by going back and trying the next way where one fails, which is quickest on the
/// texts that expressions are written for. On others it may take time without bound; so after a few steps a byte for each
/// step of the program the rest of the text is given to `PatternTable`, which finds the same in time that is certain.
struct PatternMachine {
    /// A place to go on when what was tried fails.
    private struct Choice {
        var instruction: Int
        var position: Int
        /// How far back a repetition may still be shortened; `position` for other choices.
        var least: Int
    }

    /// One for each repetition or split on the way, however long what is repeated.
    private var choices: [Choice] = []
    private var steps = 0
    private var table: PatternTable?
    private let tables = UnicodeTables.standard

    /// The expressions of GPT-2, Llama 3 and Qwen take about one step a byte for each of their own at most.
    private static let stepsPerByte = 4

    /// Where the match ends that begins at `start`; to be asked for in order, for one text.
    mutating func end(_ program: [Instruction], _ bytes: [UInt8], from start: Int, in range: Range<Int>) -> Int? {
        if let table { return table.end(from: start) }
        let mostSteps = Self.stepsPerByte * program.count * (range.count + 1)
        let end = run(program, bytes, from: start, in: range, mostSteps: mostSteps)
        guard steps >= mostSteps else { return end }
        let made = PatternTable(program, bytes, start..<range.upperBound)
        table = made
        return made.end(from: start)
    }

    /// What this answers counts only while there are fewer than `mostSteps`.
    private mutating func run(
        _ program: [Instruction],
        _ bytes: [UInt8],
        from start: Int,
        in range: Range<Int>,
        mostSteps: Int
    ) -> Int? {
        var steps = steps
        defer { self.steps = steps }
        choices.removeAll(keepingCapacity: true)
        var position = start
        var next = 0
        while steps < mostSteps {
            steps += 1
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
                let follows = position < range.upperBound && set.contains(bytes, at: position, tables)
                fails = follows == isNegated
                next += 1
            case .repeated(let set, let least, let most):
                var count = 0
                var shortest = position
                while count < most, position < range.upperBound, set.contains(bytes, at: position, tables) {
                    position += UTF8Scalars.length(of: bytes[position])
                    count += 1
                    if count == least { shortest = position }
                }
                steps += count
                next += 1
                fails = count < least
                if !fails, position > shortest {
                    choices.append(Choice(instruction: next, position: position, least: shortest))
                }
            }
            guard fails else { continue }
            // Goes back to the last choice; a repetition gives up one scalar at a time.
            guard var choice = choices.popLast() else { return nil }
            next = choice.instruction
            position = choice.position
            guard choice.position > choice.least else { continue }
            position = UTF8Scalars.start(before: choice.position, in: bytes)
            choice.position = position
            if position > choice.least { choices.append(choice) }
        }
        return nil
    }
}

/// Where the matches of an expression end, for all places of a text at once.
///
/// Nothing is captured and nothing looks back, so how a match goes on depends on the step and the place alone, not on how it
/// came there; and steps lead to later steps or places only. So the ends are found from the text's last place to its first,
/// and at each place from the last step to the first, with the choice that going back would have made.
struct PatternTable {
    private let start: Int
    /// By place; negative where no match begins.
    private let ends: [Int32]

    private static let none: Int32 = -1

    /// - Complexity: O(bytes × states), four bytes of memory a byte.
    init(_ program: [Instruction], _ bytes: [UInt8], _ range: Range<Int>) {
        let tables = UnicodeTables.standard
        var states: [Int] = []
        var count = 0
        for instruction in program {
            states.append(count)
            count += instruction.states
        }
        var ends = [Int32](repeating: Self.none, count: range.count)
        // Where a match ends from each state, at the place after the one that is worked on and at that.
        var after = [Int32](repeating: Self.none, count: count)
        var here = after
        var place = range.upperBound
        while true {
            for step in program.indices.reversed() {
                let state = states[step]
                switch program[step] {
                case .match:
                    here[state] = Int32(truncatingIfNeeded: place - range.lowerBound)
                case .jump(let target):
                    here[state] = here[states[target]]
                case .split(let other):
                    let first = here[states[step + 1]]
                    here[state] = first != Self.none ? first : here[states[other]]
                case .lookAhead(let set, let isNegated):
                    let follows = place < range.upperBound && set.contains(bytes, at: place, tables)
                    here[state] = follows == isNegated ? Self.none : here[states[step + 1]]
                case .repeated(let set, let least, let most):
                    let takes = place < range.upperBound && set.contains(bytes, at: place, tables)
                    for done in 0..<program[step].states {
                        var end = Self.none
                        if takes {
                            let isLast = done + 1 == most
                            end =
                                after[
                                    isLast ? states[step + 1] : state + (most == .max ? min(done + 1, least) : done + 1)
                                ]
                        }
                        if end == Self.none, done >= least { end = here[states[step + 1]] }
                        here[state + done] = end
                    }
                }
            }
            if place < range.upperBound { ends[place - range.lowerBound] = here[0] }
            guard place > range.lowerBound else { break }
            place = UTF8Scalars.start(before: place, in: bytes)
            swap(&here, &after)
        }
        (start, self.ends) = (range.lowerBound, ends)
    }

    /// Where the match ends that begins at `place`.
    func end(from place: Int) -> Int? {
        let end = ends[place - start]
        return end == Self.none ? nil : start + Int(end)
    }
}

extension Instruction {
    /// How far a match may have come in this step: a repetition counts.
    var states: Int {
        guard case .repeated(_, let least, let most) = self else { return 1 }
        return most == .max ? least + 1 : most
    }
}

extension ScalarSet {
    @inline(__always)
    fileprivate func contains(_ bytes: [UInt8], at position: Int, _ tables: UnicodeTables) -> Bool {
        let scalar = UTF8Scalars.decode(bytes, at: position)
        return contains(scalar, tables.properties(of: scalar))
    }
}
