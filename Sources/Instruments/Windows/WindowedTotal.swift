import Synchronization

/// How often something happened and what it came to, now and within the last minutes.
///
/// Recording takes two relaxed atomic additions; `note` remembers how far things are, and a window begins at such a
/// moment.
package final class WindowedTotal: Sendable {
    private let cells = AtomicCells(width: 2, stripes: 8)
    private let history: Mutex<TotalsHistory<Totals>>

    private struct Totals: Equatable, Sendable {
        var count: UInt64 = 0
        var sum = 0.0
    }

    /// What happened within a window.
    package struct Figures: Hashable, Sendable {
        package let count: Int
        package let sum: Double
        /// How long the window is.
        package let seconds: Double

        package init(count: Int, sum: Double, seconds: Double) {
            self.count = count
            self.sum = sum
            self.seconds = seconds
        }

        /// Per second; 0 in no time at all.
        package var rate: Double { seconds > 0 ? Double(count) / seconds : 0 }
        /// Nil when nothing happened.
        package var mean: Double? { count > 0 ? sum / Double(count) : nil }
    }

    /// - Parameter now: nanoseconds of the monotonic clock.
    package init(at now: UInt64 = TraceClock.monotonic) {
        history = Mutex(TotalsHistory(Totals(), at: now))
    }

    package func record(_ value: Double = 0) {
        cells.add(1 as UInt64, at: 0)
        if value != 0 { cells.add(value, at: 1) }
    }

    /// What happened since the last moment that is at least `window` ago, and remembers this one.
    package func within(_ window: Duration, at now: UInt64 = TraceClock.monotonic) -> Figures {
        let totals = Totals(count: cells.sum(at: 0), sum: cells.doubleSum(at: 1))
        let length = UInt64(window / .nanoseconds(1))
        let start = history.withLock { history in
            defer { history.note(totals, at: now) }
            return history.moment(notAfter: now > length ? now - length : 0)
        }
        return Figures(
            count: Int(clamping: totals.count &- start.totals.count),
            sum: totals.sum - start.totals.sum,
            seconds: Double(now &- start.time) / 1e9
        )
    }
}
