/// Measures what follows one another.
///
/// - Complexity: a reading of the monotonic clock, some 25 ns, for each lap.
package struct Stopwatch: Sendable {
    private let start: UInt64
    private var last: UInt64

    package init() {
        start = TraceClock.monotonic
        last = start
    }

    /// Seconds since the last lap, or since the beginning.
    package mutating func lap() -> Double {
        let now = TraceClock.monotonic
        defer { last = now }
        return Double(now &- last) * 1e-9
    }

    /// Seconds from the beginning to the last lap.
    package var total: Double { Double(last &- start) * 1e-9 }
}
