/// Judges a new model by a share of the real calls, beside the one in force. Pure: it is told what happened and when.
///
/// Which calls the candidate gets depends on their texts alone, so that a text is always answered by the same model.
/// A candidate that fails too often is rolled back at once, and one that is slower than allowed once there are enough
/// calls to tell; one that has answered enough calls by the end of the period is promoted.
package struct Canary: Sendable {
    package struct Settings: Hashable, Sendable {
        /// The share of texts that the candidate answers, 0…1. With 0 it is compared by its sample only.
        package var share: Double
        /// How long it is watched.
        package var period: Duration
        /// The fewest calls to judge by; with fewer, the period goes on, four times as long at most.
        package var enoughCalls: Int
        /// The most errors among its calls, beyond those of the model in force, 0…1.
        package var errorShare: Double
        /// How many times as long as the model in force it may take for the same work.
        package var slowdown: Double

        /// 5 % for a minute is 60 s × 5 calls at a hundred calls a second; 1 % and half as slow again would be noticed.
        package init(
            share: Double = 0.05,
            period: Duration = .seconds(60),
            enoughCalls: Int = 100,
            errorShare: Double = 0.01,
            slowdown: Double = 1.5
        ) {
            precondition((0...1).contains(share) && (0...1).contains(errorShare), "a share lies in 0…1")
            precondition(enoughCalls >= 1 && slowdown > 0, "a candidate is judged by at least one call")
            self.share = share
            self.period = period
            self.enoughCalls = enoughCalls
            self.errorShare = errorShare
            self.slowdown = slowdown
        }
    }

    package enum Verdict: Hashable, Sendable {
        case watching
        case promote
        /// With the reason, for people.
        case rollBack(String)
    }

    /// What one of the two models did.
    private struct Record: Sendable {
        var calls = 0
        var errors = 0
        /// What its runs took, as multiples of what was expected of the model in force.
        var expected = 0.0
        var taken = 0.0

        var errorShare: Double { calls == 0 ? 0 : Double(errors) / Double(calls) }
        var slowness: Double? { expected > 0 ? taken / expected : nil }
    }

    package let settings: Settings
    private let start: Duration
    private let threshold: UInt64
    private var current = Record()
    private var candidate = Record()

    /// - Parameter now: the time since some fixed moment.
    package init(_ settings: Settings, at now: Duration) {
        self.settings = settings
        start = now
        // 2^64 does not fit; the highest hash is one in 2^64 of all.
        threshold = settings.share >= 1 ? .max : UInt64(settings.share * 0x1p64)
    }

    /// Whether the candidate answers the text with this hash.
    package func takes(_ stableHash: UInt64) -> Bool {
        // Hashes need not be spread well in their high bits: SplitMix64's last steps see to that.
        var mixed = (stableHash ^ (stableHash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return threshold == .max || mixed < threshold
    }

    /// One of the two was run.
    ///
    /// - Parameters:
    ///   - calls: how many calls it was run for.
    ///   - errors: how many of them have no output.
    ///   - seconds: what it took.
    ///   - expected: what the model in force would take for the same batch.
    package mutating func ran(isCandidate: Bool, calls: Int, errors: Int, seconds: Double, expected: Double) {
        var record = isCandidate ? candidate : current
        record.calls += calls
        record.errors += errors
        // What fails takes less time, or none.
        if errors == 0 {
            record.taken += seconds
            record.expected += expected
        }
        if isCandidate { candidate = record } else { current = record }
    }

    package func verdict(at now: Duration) -> Verdict {
        let enough = candidate.calls >= settings.enoughCalls
        // Before enough calls have come, only failures that even `enoughCalls` good calls could not make up for count.
        let judged = max(candidate.calls, settings.enoughCalls)
        let allowed = settings.errorShare + current.errorShare
        if Double(candidate.errors) > allowed * Double(judged) {
            return .rollBack("\(candidate.errors) of \(candidate.calls) calls failed")
        }
        if enough, let slowness = candidate.slowness, slowness > settings.slowdown * (current.slowness ?? 1) {
            let times = (slowness / (current.slowness ?? 1) * 100).rounded() / 100
            return .rollBack("it takes \(times) times as long")
        }
        let elapsed = now - start
        guard elapsed >= settings.period else { return .watching }
        guard enough else {
            guard elapsed >= settings.period * 4 else { return .watching }
            return .rollBack("only \(candidate.calls) calls came to judge it by")
        }
        return .promote
    }
}
