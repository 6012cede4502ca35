import Instruments
import Testing

@Suite struct RecorderTests {
    private static let threads = 8
    private static let rounds = 20_000

    /// Runs `work` on eight tasks at once and waits for them.
    private func concurrently(_ work: @escaping @Sendable (Int) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<Self.threads {
                group.addTask {
                    for _ in 0..<Self.rounds { work(index) }
                }
            }
        }
    }

    @Test("A counter loses no increment under eight writers")
    func counterIsExact() async {
        let counter = Counter()
        await concurrently { index in
            counter.increment()
            counter.increment(by: index)
            counter.add(0.25)
        }
        let perRound = Double(Self.threads) + Double((0..<Self.threads).reduce(0, +)) + 0.25 * Double(Self.threads)
        #expect(counter.value == perRound * Double(Self.rounds))
    }

    @Test("A histogram's count, buckets and sum are exact under eight writers")
    func histogramIsExact() async {
        let histogram = Histogram(bounds: [1, 2, 4])
        // Halves add up without rounding, so the sum must be exact too.
        await concurrently { histogram.record(Double($0) + 0.5) }
        let snapshot = histogram.snapshot
        #expect(snapshot.counts == [1, 1, 2, 4].map { $0 * Self.rounds })
        #expect(snapshot.count == Self.threads * Self.rounds)
        #expect(snapshot.sum == 32 * Double(Self.rounds))
    }

    @Test("A gauge that every writer raises and lowers ends where it began")
    func gaugeIsExact() async {
        let gauge = Gauge()
        gauge.set(5)
        await concurrently { index in
            gauge.add(Double(index))
            gauge.add(-Double(index))
        }
        #expect(gauge.value == 5)
    }

    @Test(
        "A value belongs to the first bucket whose bound is not below it",
        arguments: [
            (-1.0, 0), (0.1, 0), (1, 0), (1.000001, 1), (2, 1), (3.999, 2), (4, 2), (4.1, 3), (.infinity, 3), (.nan, 3),
        ]
    )
    func buckets(value: Double, bucket: Int) {
        let histogram = Histogram(bounds: [1, 2, 4])
        histogram.record(value)
        #expect(histogram.snapshot.counts.firstIndex(of: 1) == bucket)
    }

    @Test("Durations are recorded in seconds")
    func durations() {
        let histogram = Histogram(bounds: [0.001, 1])
        histogram.record(.microseconds(1_500))
        #expect(histogram.snapshot.counts == [0, 1, 0])
        #expect(abs(histogram.snapshot.sum - 0.0015) < 1e-12)
    }

    @Test("A bucket keeps the exemplar that fell into it, as a whole, under eight writers")
    func exemplars() async throws {
        let histogram = Histogram(bounds: [10, 20])
        await concurrently { index in
            // Value, and both halves of the trace, say who wrote.
            let id = UInt64(index + 1)
            histogram.record(Double(id), exemplar: TraceID(high: id, low: id << 32))
            histogram.record(100)
        }
        let exemplar = try #require(histogram.exemplar(ofBucket: 0))
        #expect(exemplar.value == Double(exemplar.trace.high))
        #expect(exemplar.trace.low == exemplar.trace.high << 32)
        #expect(histogram.exemplar(ofBucket: 1) == nil)
        #expect(histogram.exemplar(ofBucket: 2) == nil)
        #expect(histogram.snapshot.counts == [Self.threads * Self.rounds, 0, Self.threads * Self.rounds])
    }

    @Test("A counter's exemplar is the trace of what it counted")
    func counterExemplar() throws {
        let counter = Counter()
        counter.increment(exemplar: nil)
        #expect(counter.exemplar == nil)
        counter.increment(exemplar: TraceID(high: 1, low: 2))
        #expect(counter.exemplar?.trace == TraceID(high: 1, low: 2))
        #expect(counter.value == 2)
    }
}
