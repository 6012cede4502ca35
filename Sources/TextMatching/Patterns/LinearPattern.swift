/// A regular expression that never takes more than a constant time per byte of the text.
///
/// Patterns have Go's syntax (RE2), so that what runs in vLLM Semantic Router runs here, with the same matches. Without
/// back-references and look-arounds, which RE2 lacks too, a text need never be tried twice: all ways to match are
/// followed side by side, in one pass (R. Cox, "Regular Expression Matching Can Be Simple And Fast").
///
/// A pattern is compiled once into a program over bytes. If the program has a deterministic automaton within
/// `PatternLimits`, one table look-up per byte runs it; otherwise the program is simulated. Both give the same answers.
///
/// A loop round that takes nothing ends as in RE2, not as in Perl: `(?:b|(?:|a))+` takes all of "baa".
///
/// Where this differs from Go:
/// - A byte that is not part of valid UTF-8 matches nothing, as in RE2; Go reads it as U+FFFD.
/// - `\pC` leaves unassigned scalars out, as RE2 and Go before 1.25 do; `\p{Cn}` names them.
/// - General categories and case come from the Swift runtime's Unicode version, and of the scripts only those in
///   `UnicodeScripts` are known.
/// - Property names are those of Go before 1.25: exact, without aliases such as `Letter`.
/// - Groups nest at most 100 deep instead of 1000, and programs are smaller; see `PatternLimits`.
///
/// Copying a pattern copies a reference. It is immutable and may be used from anywhere at once.
///
/// - Complexity: time O(text × `worstCaseStepsPerByte`) at worst, O(text) with a small constant where there is an
///   automaton; memory O(program) per call, nothing per byte of the text.
package struct LinearPattern: Sendable {
    private let machine: PatternMachine

    /// - Parameter caseInsensitive: as if the pattern began with `(?i)`.
    package init(_ pattern: String, caseInsensitive: Bool = false) throws(PatternError) {
        try self.init(pattern, caseInsensitive: caseInsensitive, limits: .standard)
    }

    package init(_ pattern: String, caseInsensitive: Bool = false, limits: PatternLimits) throws(PatternError) {
        var parser = PatternParser(pattern, caseInsensitive: caseInsensitive, limits: limits)
        let program = try ProgramCompiler.compile(try parser.parse(), limits: limits)
        machine = PatternMachine(program: program, limits: limits)
    }

    /// Whether the pattern matches anywhere in `text`.
    package func isFound(in text: UnsafeRawBufferPointer) -> Bool {
        var steps = 0
        return machine.isFound(in: text, steps: &steps) ?? false
    }

    /// How many times the pattern matches: non-overlapping, leftmost first, with the empty matches that Go's
    /// `FindAllStringIndex` finds, which are those that do not touch the match before them.
    package func countMatches(in text: UnsafeRawBufferPointer) -> Int {
        var steps = 0
        return machine.countMatches(in: text, steps: &steps) ?? 0
    }

    /// As `isFound(in:)`, paid for from a budget; nil where that does not suffice.
    package func isFound(in text: UnsafeRawBufferPointer, budget: inout StepBudget) -> Bool? {
        guard budget.steps > 0 else { return nil }
        var steps = 0
        defer { budget.steps -= steps }
        return machine.isFound(in: text, stepLimit: budget.steps, steps: &steps)
    }

    /// As `countMatches(in:)`, paid for from a budget; nil where that does not suffice.
    package func countMatches(in text: UnsafeRawBufferPointer, budget: inout StepBudget) -> Int? {
        guard budget.steps > 0 else { return nil }
        var steps = 0
        defer { budget.steps -= steps }
        return machine.countMatches(in: text, stepLimit: budget.steps, steps: &steps)
    }

    /// The leftmost match that begins at byte `start` or later; of those that begin at one place, the one that the
    /// order of alternatives and the greed of repetitions prefer. `^` and `\b` see the text before `start`.
    ///
    /// - Complexity: O(text behind `start`), also for a match nearby. Do not loop over it to count.
    package func firstMatch(in text: UnsafeRawBufferPointer, from start: Int = 0) -> Range<Int>? {
        var steps = 0
        return machine.firstMatch(in: text, from: start, steps: &steps)
    }

    package func isFound(in text: [UInt8]) -> Bool { text.withUnsafeBytes { isFound(in: $0) } }

    package func countMatches(in text: [UInt8]) -> Int { text.withUnsafeBytes { countMatches(in: $0) } }

    package func firstMatch(in text: [UInt8], from start: Int = 0) -> Range<Int>? {
        text.withUnsafeBytes { firstMatch(in: $0, from: start) }
    }
}

extension LinearPattern {
    /// An upper bound of the steps that any call takes per byte of the text, its end counted as a byte.
    ///
    /// A step is one look-up in the automaton (about 1 ns) or one visit of an instruction (about 5 ns). Texts from
    /// practice take far fewer: 1 with an automaton, and about as many as there are ways to go on without.
    package var worstCaseStepsPerByte: Int { machine.worstCaseStepsPerByte }

    /// Whether an automaton runs the pattern. If not, `isFound` too may take up to `worstCaseStepsPerByte`.
    package var hasAutomaton: Bool { machine.automaton != nil }

    /// The number of the automaton's states, 0 without one.
    package var automatonStates: Int { machine.automaton?.stateCount ?? 0 }

    /// What a text cost, for tests of the bound.
    package func measure(_ text: [UInt8]) -> (isFound: Int, countMatches: Int, firstMatch: Int) {
        var steps = (isFound: 0, countMatches: 0, firstMatch: 0)
        text.withUnsafeBytes { bytes in
            _ = machine.isFound(in: bytes, steps: &steps.isFound)
            _ = machine.countMatches(in: bytes, steps: &steps.countMatches)
            _ = machine.firstMatch(in: bytes, from: 0, steps: &steps.firstMatch)
        }
        return steps
    }
}

/// How many steps searches may take together: what bounds the time of several patterns over one text.
package struct StepBudget: Sendable {
    /// What is left; 0 or less: nothing.
    package fileprivate(set) var steps: Int

    /// - Parameter steps: about 1 ns each with an automaton, 5 ns without.
    package init(steps: Int) { self.steps = steps }

    /// Takes the steps, if there are as many.
    package mutating func spend(_ steps: Int) -> Bool {
        guard steps <= self.steps else { return false }
        self.steps -= steps
        return true
    }
}
