import Synchronization

/// Which traces are kept: chosen at their beginning, or for what came of them.
package final class Sampler: Sendable {
    /// How a trace is chosen at its beginning.
    package enum Choice: Sendable, Equatable {
        case always
        case never
        /// This share of all traces, by their ids: every process with the same share chooses the same ones, and one
        /// with a larger share those and more (OpenTelemetry's TraceIdRatioBased).
        case ratio(Double)
        /// So many in a second, at most one second's worth at once.
        case perSecond(Double)
    }

    private let choice: Choice
    /// Whether the sender's choice holds where there is one.
    private let followsParent: Bool
    private let keepsErrors: Bool
    /// Traces that take longer than so many nanoseconds are kept; 0 keeps none for that.
    private let slowNanoseconds: UInt64
    /// For `ratio`: ids whose fraction of 63 bits is below are chosen.
    private let threshold: UInt64
    private let bucket: Mutex<Bucket>
    private let clock: @Sendable () -> UInt64

    /// What may be chosen at the moment: fills up with time, to at most one second's worth.
    private struct Bucket: Sendable {
        var tokens: Double
        var filled: UInt64
    }

    /// - Parameters:
    ///   - followsParent: whether the sender's choice holds where there is one.
    ///   - keepsErrors: whether traces with a failed span are kept, chosen or not.
    ///   - slowerThan: traces that take longer are kept, chosen or not.
    ///   - clock: nanoseconds that only grow.
    package init(
        _ choice: Choice,
        followsParent: Bool = true,
        keepsErrors: Bool = false,
        slowerThan: Duration? = nil,
        clock: @escaping @Sendable () -> UInt64 = { TraceClock.monotonic }
    ) {
        self.choice = choice
        self.followsParent = followsParent
        self.keepsErrors = keepsErrors
        slowNanoseconds = slowerThan.map { UInt64(max(1, $0 / .nanoseconds(1))) } ?? 0
        self.clock = clock
        // Not a number fails both comparisons and chooses nothing.
        threshold = if case .ratio(let share) = choice, share > 0 { UInt64(min(share, 1) * 0x1p63) } else { 0 }
        bucket = Mutex(Bucket(tokens: 1, filled: clock()))
    }

    /// Whether a trace may be kept that was not chosen at its beginning: all are recorded then.
    var keepsByOutcome: Bool { keepsErrors || slowNanoseconds > 0 }

    func samples(_ id: TraceID, parent: TraceContext?) -> Bool {
        if followsParent, let parent { return parent.isSampled }
        switch choice {
        case .always: return true
        case .never: return false
        case .ratio:
            // The lower half's upper 63 bits as a fraction: the way of OpenTelemetry's Go and Python SDKs, with which
            // upstream's routers and vLLM choose.
            return id.low >> 1 < threshold
        case .perSecond(let rate): return take(rate)
        }
    }

    func keeps(_ trace: Trace.Finished) -> Bool {
        if keepsErrors, trace.spans.contains(where: { $0.failure != nil }) { return true }
        guard slowNanoseconds > 0, let root = trace.spans.first else { return false }
        return root.end &- root.start > slowNanoseconds
    }

    private func take(_ rate: Double) -> Bool {
        guard rate > 0 else { return false }
        let now = clock()
        return bucket.withLock { bucket in
            // Whoever read the clock first may come second.
            if now > bucket.filled {
                bucket.tokens = min(max(1, rate), bucket.tokens + Double(now - bucket.filled) / 1e9 * rate)
                bucket.filled = now
            }
            guard bucket.tokens >= 1 else { return false }
            bucket.tokens -= 1
            return true
        }
    }
}
