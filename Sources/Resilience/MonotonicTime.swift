#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A reading of the monotonic clock, in nanoseconds since an arbitrary origin.
///
/// Eight bytes and integer arithmetic, where `ContinuousClock.Instant` is 128-bit: the machines of this module are asked
/// on every request. The origin is CLOCK_MONOTONIC's, the one that SwiftNIO's `NIODeadline` counts from, so that
/// `NIODeadline.uptimeNanoseconds` converts without a second clock read.
package struct MonotonicTime: Hashable, Comparable, Sendable {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// Reads the clock. Only owners of machines call it; the machines themselves are handed the time.
    package static func now() -> MonotonicTime {
        var time = timespec()
        // CLOCK_MONOTONIC with a valid pointer cannot fail (clock_gettime(2)).
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// The end of time: later than every reading.
    package static let distantFuture = MonotonicTime(nanoseconds: .max)

    package static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// `duration` later, stopping at the ends of the clock instead of wrapping; a negative duration goes back.
    package static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
        let nanoseconds = duration.wholeNanoseconds
        if nanoseconds >= 0 {
            let (sum, overflow) = time.nanoseconds.addingReportingOverflow(UInt64(nanoseconds))
            return overflow ? .distantFuture : MonotonicTime(nanoseconds: sum)
        }
        let (difference, overflow) = time.nanoseconds.subtractingReportingOverflow(nanoseconds.magnitude)
        return MonotonicTime(nanoseconds: overflow ? 0 : difference)
    }

    /// How long `later` is after this time; zero if it is not after it.
    package func elapsed(until later: MonotonicTime) -> Duration {
        guard later > self else { return .zero }
        return .nanoseconds(Int64(clamping: later.nanoseconds - nanoseconds))
    }
}

extension Duration {
    /// The length in nanoseconds, rounded towards zero and clamped to `Int64` (292 years).
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard !overflowed else { return seconds < 0 ? .min : .max }
        return sum
    }
}
