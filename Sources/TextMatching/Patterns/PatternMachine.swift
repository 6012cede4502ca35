/// A compiled pattern and the choice of how to run it.
final class PatternMachine: Sendable {
    let program: PatternProgram
    let automaton: PatternAutomaton?
    private let rescansPerByte: Int

    init(program: PatternProgram, limits: PatternLimits) {
        self.program = program
        automaton = AutomatonBuilder.build(program, limits: limits)
        rescansPerByte = limits.rescansPerByte
    }

    /// At each place, the simulation moves the threads, arrives at most once from each thread and each way of a fork,
    /// and after a match marks the threads and arrives again: 4 steps per instruction cover that. The automaton reads
    /// each byte and the rescans, with one byte and one step more per match and one rescan that exceeds its budget.
    var worstCaseStepsPerByte: Int { 4 * program.instructions.count + (automaton == nil ? 0 : 4 + rescansPerByte) }

    /// Nil where the simulation would take more than `stepLimit` steps.
    func isFound(in text: UnsafeRawBufferPointer, stepLimit: Int = .max, steps: inout Int) -> Bool? {
        if let automaton {
            var idleRun = 0..<0
            return automaton.search(in: text, from: 0, idleRun: &idleRun, steps: &steps)
        }
        var simulation = PatternSimulation(program, stepLimit: stepLimit)
        defer { steps += simulation.steps }
        let isFound = simulation.isFound(in: text)
        return isFound || !simulation.isExhausted ? isFound : nil
    }

    /// With an automaton, the simulation only runs from a place shortly before the match.
    func firstMatch(in text: UnsafeRawBufferPointer, from start: Int, steps: inout Int) -> Range<Int>? {
        var start = max(0, start)
        guard start <= text.count else { return nil }
        if let automaton {
            var idleRun = start..<start
            guard automaton.search(in: text, from: start, idleRun: &idleRun, steps: &steps) else { return nil }
            start = freshPlace(in: idleRun, of: text, steps: &steps) ?? start
        }
        var simulation = PatternSimulation(program)
        defer { steps += simulation.steps }
        return simulation.firstMatch(in: text, from: start)
    }

    /// The last place in a run through the idle state at which all threads are new: behind a byte that no match begins
    /// with. Threads before such a byte are where new ones would be, so that it ends them.
    private func freshPlace(in idleRun: Range<Int>, of text: UnsafeRawBufferPointer, steps: inout Int) -> Int? {
        guard let firstBytes = program.firstBytes else { return nil }
        let last = idleRun.last { !firstBytes.contains(text[$0]) }
        steps += idleRun.upperBound - (last ?? idleRun.lowerBound)
        return last.map { $0 + 1 }
    }

    /// The automaton searches again behind each match, as Go does (regexp.go, allMatches). What it reads behind a match
    /// it reads twice; when that becomes too much, the simulation goes on, which never does.
    ///
    /// Nil where the simulation would take more than `stepLimit` steps.
    func countMatches(in text: UnsafeRawBufferPointer, stepLimit: Int = .max, steps: inout Int) -> Int? {
        var count = 0
        var start = 0
        var previousEnd = -1
        if let automaton {
            var rescans = rescansPerByte * text.count
            while rescans >= 0 {
                guard start <= text.count else { return count }
                var readEnd = start
                let end = automaton.matchEnd(in: text, from: start, readEnd: &readEnd)
                steps += readEnd - start + 1
                guard let end else { return count }
                if end > start || start != previousEnd { count += 1 }
                previousEnd = end
                // The byte that ended the match is read again in any case.
                rescans -= max(0, readEnd - end - 1)
                start = end > start ? end : start + 1
            }
            guard start <= text.count else { return count }
        }
        var simulation = PatternSimulation(program, stepLimit: stepLimit)
        defer { steps += simulation.steps }
        let all = simulation.countMatches(in: text, from: start, after: count, previousEnd: previousEnd)
        return simulation.isExhausted ? nil : all
    }
}
