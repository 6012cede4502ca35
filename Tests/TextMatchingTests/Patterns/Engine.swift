import TextMatching

/// The ways to run a pattern. All must agree.
enum Engine: CaseIterable {
    case standard
    /// No automaton.
    case simulation
    /// An automaton whose counts change over to the simulation at the first byte that is read again.
    case changeover

    var limits: PatternLimits {
        var limits = PatternLimits()
        switch self {
        case .standard: break
        case .simulation: limits.states = 0
        case .changeover: limits.rescansPerByte = 0
        }
        return limits
    }

    func pattern(_ source: String, caseInsensitive: Bool = false) throws(PatternError) -> LinearPattern {
        try LinearPattern(source, caseInsensitive: caseInsensitive, limits: limits)
    }
}

/// What part of the random and recorded cases a test runs: all in release builds, every tenth in debug builds, which
/// take about twenty times as long for each.
let caseStride: Int = {
    #if DEBUG
    10
    #else
    1
    #endif
}()

extension LinearPattern {
    /// All matches, with Go's rule for empty ones, from one call of `firstMatch` each.
    func spans(in text: [UInt8]) -> [[Int]] {
        var spans: [[Int]] = []
        var start = 0
        var previousEnd = -1
        while let match = firstMatch(in: text, from: start) {
            if match.upperBound > start || match.lowerBound != previousEnd {
                spans.append([match.lowerBound, match.upperBound])
            }
            previousEnd = match.upperBound
            start = match.upperBound > start ? match.upperBound : start + 1
        }
        return spans
    }
}
