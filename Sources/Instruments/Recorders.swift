import Synchronization

/// How many rows the recorders spread over: enough for the event loops of one process, small enough to keep a series
/// within a few cache lines.
private let recorderStripes = 8

/// A sum that only grows. Take the handle once, where the label values are known, and keep it.
///
/// - Complexity: one relaxed atomic addition per record, on a cache line that few threads share.
package final class Counter: Sendable {
    private let cells = AtomicCells(width: 2, stripes: recorderStripes)
    private let exemplars = AtomicLazyReference<ExemplarSlots>()
    private static let whole = 0
    private static let fraction = 1
    private let isRecording: Bool

    /// - Parameter isRecording: whether anything is kept.
    package init(isRecording: Bool = true) {
        self.isRecording = isRecording
    }

    package func increment() {
        guard isRecording else { return }
        cells.add(1 as UInt64, at: Self.whole)
    }

    /// - Parameter exemplar: the trace of what is counted, kept as an example.
    package func increment(exemplar: TraceID?) {
        increment()
        guard isRecording, let exemplar else { return }
        let slots = exemplars.load() ?? exemplars.storeIfNil(ExemplarSlots(count: 1))
        slots.put(exemplar, value: 1, at: 0)
    }

    /// - Precondition: `amount` is not negative.
    package func increment(by amount: Int) {
        precondition(amount >= 0, "a counter only grows")
        guard isRecording else { return }
        cells.add(UInt64(amount), at: Self.whole)
    }

    /// Adds an amount that is not a whole number (seconds, money).
    /// - Precondition: `amount` is not negative.
    package func add(_ amount: Double) {
        precondition(amount >= 0, "a counter only grows")
        guard isRecording else { return }
        cells.add(amount, at: Self.fraction)
    }

    /// The sum so far; whole amounts stay exact up to 2⁵³.
    package var value: Double {
        Double(cells.sum(at: Self.whole)) + cells.doubleSum(at: Self.fraction)
    }

    package var exemplar: Exemplar? { exemplars.load()?.exemplar(at: 0) }
}

/// A value that goes up and down.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)

    package init() {}

    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    package func set(_ value: Int) {
        set(Double(value))
    }

    /// Adds `amount`, which may be negative.
    package func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if exchanged { return }
            old = original
        }
    }

    package var value: Double {
        Double(bitPattern: bits.load(ordering: .relaxed))
    }
}

/// How many of something there are: raised and lowered by one, on cache lines that few threads share.
package final class Level: Sendable {
    private let cells = AtomicCells(width: 1, stripes: recorderStripes)

    package init() {}

    package func raise() {
        cells.add(1 as UInt64, at: 0)
    }

    package func lower() {
        // Adding the largest word takes one away.
        cells.add(UInt64.max, at: 0)
    }

    /// What has been raised and not lowered. Never negative, even while other threads are between the two.
    package var value: Int {
        max(0, Int(truncatingIfNeeded: cells.sum(at: 0)))
    }
}

/// How often values fell into each of a fixed set of buckets, and their sum.
///
/// - Complexity: a record is a binary search over the bounds and two atomic additions, on cache lines that few threads
///   share. The count is the sum of the buckets, so that a scrape never sees them disagree.
package final class Histogram: Sendable {
    /// The upper bounds of the buckets, ascending; a last bucket without a bound follows.
    package let bounds: [Double]
    private let cells: AtomicCells
    /// Made with the first exemplar: most histograms have none.
    private let exemplars = AtomicLazyReference<ExemplarSlots>()
    private let isRecording: Bool

    /// - Parameter isRecording: whether anything is kept.
    /// - Precondition: `bounds` ascend; `MetricDefinition` has seen to that.
    package init(bounds: [Double], isRecording: Bool = true) {
        self.bounds = bounds
        self.isRecording = isRecording
        // The words of a row: the sum, then the buckets, then the one without a bound.
        cells = AtomicCells(width: bounds.count + 2, stripes: recorderStripes)
    }

    /// - Parameter exemplar: the trace of what is recorded, kept as an example of its bucket.
    package func record(_ value: Double, exemplar: TraceID? = nil) {
        guard isRecording else { return }
        let bucket = bucket(of: value)
        cells.add(1 as UInt64, at: 1 + bucket)
        cells.add(value, at: 0)
        guard let exemplar else { return }
        let slots = exemplars.load() ?? exemplars.storeIfNil(ExemplarSlots(count: bounds.count + 1))
        slots.put(exemplar, value: value, at: bucket)
    }

    /// Records in seconds, the unit that Prometheus asks for.
    package func record(_ duration: Duration, exemplar: TraceID? = nil) {
        record(duration.inSeconds, exemplar: exemplar)
    }

    /// The latest example of bucket `index`, or nil if there is none.
    package func exemplar(ofBucket index: Int) -> Exemplar? { exemplars.load()?.exemplar(at: index) }

    /// The counts and the sum. Records that run at the same time may be in the one and not yet in the other.
    package var snapshot: HistogramSnapshot {
        HistogramSnapshot(
            bounds: bounds,
            counts: (0...bounds.count).map { Int(clamping: cells.sum(at: 1 + $0)) },
            sum: cells.doubleSum(at: 0)
        )
    }

    /// The first bucket whose bound is not below `value`; NaN falls into the last.
    private func bucket(of value: Double) -> Int {
        bounds.withUnsafeBufferPointer { bounds in
            var low = 0
            var high = bounds.count
            while low < high {
                let middle = (low + high) / 2
                if value <= bounds[middle] {
                    high = middle
                } else {
                    low = middle + 1
                }
            }
            return low
        }
    }
}

/// A histogram's contents at one moment.
package struct HistogramSnapshot: Hashable, Sendable {
    package let bounds: [Double]
    /// Values per bucket, not cumulated; one more than `bounds`, for the values above the last bound.
    package let counts: [Int]
    package let sum: Double

    package var count: Int {
        counts.reduce(0, +)
    }
}

extension Duration {
    /// In seconds, the unit of Prometheus.
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
