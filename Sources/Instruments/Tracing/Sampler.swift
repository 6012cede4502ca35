import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Which traces are kept: chosen at their beginning, or for what came of them.
package final class Sampler: Sendable {
    /// How a trace is chosen at its beginning.
    package enum Choice: Sendable, Equatable {
        case always
        case never
        /// This share of all traces, by their ids: every process with the same share chooses the same ones
        /// (OpenTelemetry's TraceIdRatioBased).
        case ratio(Double)
        /// At most so many in a second.
        case perSecond(Double)
    }

    private let choice: Choice
    /// Whether the sender's choice holds where there is one.
    private let followsParent: Bool
    private let keepsErrors: Bool
    /// Traces that take longer than so many nanoseconds are kept; 0 keeps none for that.
    private let slowNanoseconds: UInt64
    private let bucket: Mutex<Bucket>

    /// What may be chosen at the moment: fills up with time, to at most one second's worth.
    private struct Bucket: Sendable {
        var tokens: Double
        var filled: UInt64
    }

    /// - Parameters:
    ///   - followsParent: whether the sender's choice holds where there is one.
    ///   - keepsErrors: whether traces with a failed span are kept, chosen or not.
    ///   - slowerThan: traces that take longer are kept, chosen or not.
    package init(
        _ choice: Choice,
        followsParent: Bool = true,
        keepsErrors: Bool = false,
        slowerThan: Duration? = nil
    ) {
        self.choice = choice
        self.followsParent = followsParent
        self.keepsErrors = keepsErrors
        slowNanoseconds = slowerThan.map { UInt64(max(1, $0 / .nanoseconds(1))) } ?? 0
        bucket = Mutex(Bucket(tokens: 1, filled: Self.now))
    }

    /// Whether a trace may be kept that was not chosen at its beginning: all are recorded then.
    var keepsByOutcome: Bool { keepsErrors || slowNanoseconds > 0 }

    func samples(_ id: TraceID, parent: TraceContext?) -> Bool {
        if followsParent, let parent { return parent.isSampled }
        switch choice {
        case .always: return true
        case .never: return false
        case .ratio(let share):
            // The lower 63 bits as a fraction: OpenTelemetry's way, so that processes agree.
            return Double(id.low & (1 << 63 - 1)) < share * 0x1p63
        case .perSecond(let rate): return take(rate)
        }
    }

    func keeps(_ trace: Trace.Finished) -> Bool {
        if keepsErrors, trace.spans.contains(where: { $0.failure != nil }) { return true }
        guard slowNanoseconds > 0, let root = trace.spans.first else { return false }
        return root.end &- root.start > slowNanoseconds
    }

    private func take(_ rate: Double) -> Bool {
        let now = Self.now
        return bucket.withLock { bucket in
            let seconds = Double(now &- bucket.filled) / 1e9
            bucket.tokens = min(max(1, rate), bucket.tokens + seconds * rate)
            bucket.filled = now
            guard bucket.tokens >= 1 else { return false }
            bucket.tokens -= 1
            return true
        }
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
