/// The moment by which something must be done.
///
/// Made once, where the work enters, and handed down: a stage that waits asks for `remaining` instead of starting a
/// time-out of its own, so that time-outs of nested stages never add up.
package struct Deadline: Hashable, Comparable, Sendable {
    package let time: MonotonicTime

    package init(at time: MonotonicTime) {
        self.time = time
    }

    /// `timeout` after `start`; a time-out of zero or less has passed at once.
    package init(after timeout: Duration, from start: MonotonicTime) {
        time = start + timeout
    }

    /// A deadline that never passes.
    package static let never = Deadline(at: .distantFuture)

    package static func < (left: Deadline, right: Deadline) -> Bool {
        left.time < right.time
    }

    package func hasPassed(at now: MonotonicTime) -> Bool {
        self != .never && now >= time
    }

    /// The time left, zero once it has passed; nil for `never`.
    package func remaining(at now: MonotonicTime) -> Duration? {
        self == .never ? nil : now.elapsed(until: time)
    }

    /// The earlier of this deadline and one that is `timeout` from `now`.
    package func shortened(to timeout: Duration, from now: MonotonicTime) -> Deadline {
        min(self, Deadline(after: timeout, from: now))
    }
}
