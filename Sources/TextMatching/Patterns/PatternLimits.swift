/// What a pattern may cost to make and to keep. Patterns beyond the limits are refused with an error, except for those
/// of the automaton, beyond which a pattern is simulated instead.
package struct PatternLimits: Sendable {
    /// 64 KiB of source, several times the largest list of words that fits `instructions`.
    package var patternBytes = 65_536
    /// Groups within groups. Keeps recursion over the tree within a small stack; Go allows 1000.
    package var nesting = 100
    /// The largest count of a repetition, and the largest product of nested counts: 1000, as in RE2 and Go.
    package var repetitions = 1000
    /// Scalar ranges of all character classes together: 1.6 MB.
    package var ranges = 200_000
    /// The size of the compiled program, and with it the worst cost of a byte.
    package var instructions = 20_000
    /// Byte ranges of all instructions together: 1.6 MB.
    package var edges = 200_000
    /// States of the automaton. Most patterns from practice stay under 200.
    package var states = 2000
    /// The automaton's table, in bytes: 4 MiB.
    package var tableBytes = 4 << 20
    /// Steps that making the automaton may take, about 10 ns each, so that loading a pattern is bounded too.
    package var constructionSteps = 2_000_000
    /// How many bytes a count may read again after matches that turned out shorter than what was read, per byte of the
    /// text, before it changes over to the simulation.
    package var rescansPerByte = 2

    package static let standard = PatternLimits()

    package init() {}
}
