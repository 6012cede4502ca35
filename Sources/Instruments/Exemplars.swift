import Synchronization

/// One request that a bucket or counter counted: which trace tells more of it.
package struct Exemplar: Hashable, Sendable {
    package let trace: TraceID
    package let value: Double
    /// Nanoseconds since 1970.
    package let time: UInt64
}

/// The latest exemplar of each bucket, in a fixed number of words that are written and read without a lock.
///
/// A slot's version is odd while it is written. Whoever finds it odd, or its exemplar younger than `shortestLife`,
/// leaves the slot alone: an exemplar is an example, any will do.
///
/// `@unchecked Sendable`: the pointer is set once and freed by the sole owner's `deinit`; everything behind it is an
/// atomic, whose methods are safe from any thread.
final class ExemplarSlots: @unchecked Sendable {
    /// A cache line each, so that buckets do not share one: version, trace, value, time.
    private static let slotWords = 8
    private enum Word {
        static let version = 0
        static let high = 1
        static let low = 2
        static let value = 3
        static let time = 4
    }

    /// 100 ms: far more often than any scrape, far more seldom than requests.
    private static let shortestLife: UInt64 = 100_000_000

    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let count: Int

    init(count: Int) {
        self.count = count
        words = .allocate(capacity: count * Self.slotWords)
        for index in 0..<(count * Self.slotWords) { (words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        words.deinitialize(count: count * Self.slotWords)
        words.deallocate()
    }

    func put(_ trace: TraceID, value: Double, at index: Int) {
        put(Exemplar(trace: trace, value: value, time: TraceClock.coarseWall), at: index)
    }

    func put(_ exemplar: Exemplar, at index: Int) {
        let slot = words + index * Self.slotWords
        let version = slot[Word.version].load(ordering: .relaxed)
        let former = slot[Word.time].load(ordering: .relaxed)
        guard version & 1 == 0, version == 0 || exemplar.time &- former >= Self.shortestLife else { return }
        let taken = slot[Word.version].compareExchange(expected: version, desired: version &+ 1, ordering: .acquiring)
        guard taken.exchanged else { return }
        // No word may be seen before the odd version is.
        atomicMemoryFence(ordering: .releasing)
        slot[Word.high].store(exemplar.trace.high, ordering: .relaxed)
        slot[Word.low].store(exemplar.trace.low, ordering: .relaxed)
        slot[Word.value].store(exemplar.value.bitPattern, ordering: .relaxed)
        slot[Word.time].store(exemplar.time, ordering: .relaxed)
        slot[Word.version].store(version &+ 2, ordering: .releasing)
    }

    /// Nil where there is none, or one is being written.
    func exemplar(at index: Int) -> Exemplar? {
        let slot = words + index * Self.slotWords
        let version = slot[Word.version].load(ordering: .acquiring)
        guard version & 1 == 0, version > 0 else { return nil }
        let high = slot[Word.high].load(ordering: .relaxed)
        let low = slot[Word.low].load(ordering: .relaxed)
        let value = slot[Word.value].load(ordering: .relaxed)
        let time = slot[Word.time].load(ordering: .relaxed)
        atomicMemoryFence(ordering: .acquiring)
        guard slot[Word.version].load(ordering: .relaxed) == version else { return nil }
        return TraceID(high: high, low: low).map { Exemplar(trace: $0, value: Double(bitPattern: value), time: time) }
    }
}
