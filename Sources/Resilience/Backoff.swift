/// Exponential back-off with full jitter: the wait before retry `n` is uniform in 0…min(cap, base·2ⁿ).
///
/// Full jitter, rather than a fraction of it, spreads clients that failed together best
/// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
package struct Backoff: Hashable, Sendable {
    /// The longest first wait.
    package let base: Duration
    /// No wait is longer.
    package let cap: Duration

    /// - Precondition: `base` is not negative and not longer than `cap`.
    package init(base: Duration, cap: Duration) {
        precondition(base >= .zero && base <= cap, "a back-off's base must lie in 0…cap")
        self.base = base
        self.cap = cap
    }

    /// The longest wait before retry `attempt` (0 is the first retry): base·2^attempt, at most `cap`.
    package func ceiling(attempt: Int) -> Duration {
        precondition(attempt >= 0, "attempts count from 0")
        let base = base.wholeNanoseconds
        let cap = cap.wholeNanoseconds
        guard base > 0 else { return .zero }
        // Once base·2^attempt no longer fits 63 bits it is above any cap.
        guard attempt < base.leadingZeroBitCount - 1 else { return .nanoseconds(cap) }
        return .nanoseconds(min(base << Int64(attempt), cap))
    }

    /// A wait before retry `attempt` (0 is the first retry), drawn from `random`.
    package func delay(attempt: Int, using random: inout some RandomNumberGenerator) -> Duration {
        .nanoseconds(Int64.random(in: 0...ceiling(attempt: attempt).wholeNanoseconds, using: &random))
    }
}
