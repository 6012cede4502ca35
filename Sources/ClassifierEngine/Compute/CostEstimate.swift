/// The time of a run as a straight line over the padded tokens of its batch.
package struct CostLine: Hashable, Sendable {
    /// Seconds of a run however small; above 0.
    package let base: Double
    /// Seconds that each padded token adds.
    package let perToken: Double

    package init(base: Double, perToken: Double) {
        // A line through nothing would admit everything.
        self.base = max(base.isFinite ? base : 0, 1e-7)
        self.perToken = max(perToken.isFinite ? perToken : 0, 0)
    }

    /// The line closest to `runs` by least squares. One point alone is taken for tokens only: to underrate a large batch
    /// is worse than to underrate a small one.
    package init(fitting runs: [(paddedTokens: Int, seconds: Double)]) {
        let count = Double(runs.count)
        let meanTokens = runs.reduce(0) { $0 + Double($1.paddedTokens) } / max(count, 1)
        let meanSeconds = runs.reduce(0) { $0 + $1.seconds } / max(count, 1)
        var variance = 0.0
        var covariance = 0.0
        for run in runs {
            let offset = Double(run.paddedTokens) - meanTokens
            variance += offset * offset
            covariance += offset * (run.seconds - meanSeconds)
        }
        let slope = variance > 0 ? max(covariance / variance, 0) : meanSeconds / max(meanTokens, 1)
        self.init(base: meanSeconds - slope * meanTokens, perToken: slope)
    }

    package func seconds(paddedTokens: Int) -> Double {
        base + perToken * Double(paddedTokens)
    }
}

/// What a run of a model will take, learned from the runs before it.
///
/// A line gives the shape; a factor for each kind of batch (its size and padded tokens, in powers of two) follows what is
/// measured. Kinds not seen yet take the factor of all runs together.
package struct CostEstimate: Sendable {
    /// The ratio of measured to predicted time, well above its middle: an answer that comes late is worth nothing.
    private struct Factor {
        var value = 1.0
        var runs = 0
        /// How many runs of all kinds there had been at the last one.
        var last = 0

        /// Follows a run that took `ratio` times what the line says.
        ///
        /// The weights make it an expectile at 0.2 / (0.2 + 0.02) = 0.91 of ordinary scatter. A run that was held up
        /// (a page fault, another process) counts as at most 25 % too slow, so that it moves the factor by 5 %.
        /// Nothing makes a run faster than it is: one that took less than half shows that the factor is wrong.
        mutating func follow(_ ratio: Double) {
            runs += 1
            if ratio > value {
                value += 0.2 * min(ratio - value, 0.25 * value)
            } else {
                value += (ratio < value / 2 ? 0.5 : 0.02) * (ratio - value)
            }
        }
    }

    package let line: CostLine
    private var overall = Factor()
    private var kinds: [Factor]
    private static let tokenKinds = 24
    private static let sizeKinds = 8
    /// Runs of a kind before its own factor is trusted.
    private static let enough = 4
    /// Runs of other kinds after which a factor is forgotten: one that has become too high keeps its kind from being run,
    /// and so from being corrected.
    private static let stale = 256

    package init(_ line: CostLine) {
        self.line = line
        kinds = Array(repeating: Factor(), count: Self.tokenKinds * Self.sizeKinds)
    }

    /// Nanoseconds of a run of `count` inputs padded to `longest` tokens.
    package func nanoseconds(count: Int, longest: Int) -> UInt64 {
        let kind = kinds[Self.kind(count: count, longest: longest)]
        let isKnown = kind.runs >= Self.enough && overall.runs - kind.last <= Self.stale
        return nanoseconds(count * longest, isKnown ? kind.value : overall.value)
    }

    /// The same by the line and all runs together: without the steps between kinds, which would make the next call of a
    /// batch look dear.
    package func smoothNanoseconds(count: Int, longest: Int) -> UInt64 {
        nanoseconds(count * longest, overall.value)
    }

    private func nanoseconds(_ paddedTokens: Int, _ factor: Double) -> UInt64 {
        // An hour is as good as never.
        UInt64(min(line.seconds(paddedTokens: paddedTokens) * factor, 3_600) * 1e9)
    }

    /// Nanoseconds of a run that do not depend on what is in it.
    package var baseNanoseconds: UInt64 { UInt64(min(line.base * overall.value, 3_600) * 1e9) }

    /// A run of such a batch took `nanoseconds`.
    package mutating func observe(count: Int, longest: Int, nanoseconds: UInt64) {
        let ratio = Double(nanoseconds) * 1e-9 / line.seconds(paddedTokens: count * longest)
        let index = Self.kind(count: count, longest: longest)
        if kinds[index].runs == 0 || overall.runs - kinds[index].last > Self.stale { kinds[index] = overall }
        kinds[index].follow(ratio)
        overall.follow(ratio)
        kinds[index].last = overall.runs
    }

    private static func kind(count: Int, longest: Int) -> Int {
        let size = min(count.bitWidth - count.leadingZeroBitCount, sizeKinds - 1)
        let tokens = count * longest
        return min(tokens.bitWidth - tokens.leadingZeroBitCount, tokenKinds - 1) * sizeKinds + size
    }
}

extension BatchModel {
    /// Measures what the model costs, by runs on the calling thread.
    ///
    /// - Parameter samples: batches of different sizes, within the model's limits. Each is run once to warm up and then
    ///   `repetitions` times, of which the fastest counts.
    package func measureCost(of samples: [[Input]], repetitions: Int = 3) throws -> CostLine {
        var runs: [(paddedTokens: Int, seconds: Double)] = []
        for sample in samples where !sample.isEmpty {
            _ = try run(sample)
            var best = Duration.seconds(3_600)
            for _ in 0..<max(repetitions, 1) {
                let clock = ContinuousClock()
                let start = clock.now
                _ = try run(sample)
                best = min(best, start.duration(to: clock.now))
            }
            let longest = sample.reduce(1) { max($0, $1.length) }
            runs.append((sample.count * longest, best / .seconds(1)))
        }
        return CostLine(fitting: runs)
    }
}
