/// What has been counted so far, at moments of the last 24 hours: what happened within a window is the difference between
/// now and its beginning.
///
/// Moments are kept every 10 seconds for a quarter of an hour, every minute for an hour, every quarter of an hour for a
/// day: about 250, however much is counted. Where nothing happens, moments share their memory.
struct TotalsHistory<Totals: Equatable & Sendable>: Sendable {
    struct Moment: Sendable {
        /// Nanoseconds of the monotonic clock.
        let time: UInt64
        let totals: Totals
    }

    /// The last so many moments, at most one in each interval.
    private struct Ring: Sendable {
        let interval: UInt64
        let capacity: Int
        private(set) var moments: [Moment] = []
        private var oldest = 0

        init(seconds: UInt64, reach: UInt64) {
            interval = seconds * 1_000_000_000
            // One for the interval that has begun, one as moments lie anywhere in their intervals.
            capacity = Int(reach / seconds) + 2
        }

        mutating func note(_ moment: Moment) {
            if let last, last.time / interval >= moment.time / interval { return }
            if moments.count < capacity {
                moments.append(moment)
            } else {
                moments[oldest] = moment
                oldest = (oldest + 1) % capacity
            }
        }

        private var last: Moment? {
            moments.isEmpty ? nil : moments[(oldest + moments.count - 1) % moments.count]
        }

        /// The latest moment that is not after `time`.
        func latest(notAfter time: UInt64) -> Moment? {
            moments.lazy.filter { $0.time <= time }.max { $0.time < $1.time }
        }
    }

    private let start: Moment
    private var last: Moment
    private var rings = [
        Ring(seconds: 10, reach: 15 * 60), Ring(seconds: 60, reach: 60 * 60),
        Ring(seconds: 15 * 60, reach: 24 * 60 * 60),
    ]

    /// - Parameter totals: before anything was counted.
    init(_ totals: Totals, at now: UInt64) {
        start = Moment(time: now, totals: totals)
        last = start
    }

    /// Remembers the totals of a moment. Called more often than every 10 seconds it does nothing.
    mutating func note(_ totals: Totals, at now: UInt64) {
        last = Moment(time: now, totals: totals == last.totals ? last.totals : totals)
        for index in rings.indices { rings[index].note(last) }
    }

    /// The latest moment that is kept and not after `time`; the start where there is none.
    func moment(notAfter time: UInt64) -> Moment {
        rings.compactMap { $0.latest(notAfter: time) }.max { $0.time < $1.time } ?? start
    }
}
