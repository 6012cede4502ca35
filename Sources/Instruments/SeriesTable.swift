import Synchronization

/// The recorders of one metric by label values.
///
/// Every thread looks into one of several copies, so that threads on different cores rarely want the same lock; a series
/// that a copy lacks is fetched from the whole, once for each copy.
///
/// Not generic, so that looking up is compiled for these very types wherever it is called from.
final class SeriesTable: Sendable {
    typealias Recorder = AnyObject & Sendable

    /// One series as a scrape needs it.
    final class Series: Sendable {
        let key: LabelValues
        let labels: [String]
        /// `model="a",status="ok"`, escaped; empty without labels.
        let text: [UInt8]
        let recorder: any Recorder

        fileprivate init(_ definition: MetricDefinition, key: LabelValues, recorder: any Recorder) {
            self.key = key
            self.recorder = recorder
            labels = key.all
            text = Exposition.labelText(names: definition.labels, values: labels)
        }
    }

    private struct Whole {
        var series = SeriesIndex()
        /// How often series have come or gone.
        var generation = 0
        /// Kept between scrapes, as series seldom come or go.
        var ordered: [Series]?

        mutating func changed() {
            generation += 1
            ordered = nil
        }
    }

    private final class Copy: Sendable {
        let series = Mutex(SeriesIndex())
        /// Keeps the next copy's lock off this one's cache line.
        private let padding = (0, 0, 0, 0, 0, 0, 0, 0)
    }

    /// As many as the recorders have rows.
    private static let copyCount = 8

    private let definition: MetricDefinition
    private let overflow: LabelValues
    private let make: @Sendable () -> any Recorder
    private let whole = Mutex(Whole())
    private let copies: [Copy]

    init(_ definition: MetricDefinition, make: @escaping @Sendable () -> any Recorder) {
        self.definition = definition
        self.make = make
        overflow = LabelValues(definition.labels.map { _ in MetricDefinition.overflowLabel })
        copies = (0..<Self.copyCount).map { _ in Copy() }
    }

    /// The recorder of these label values, made if need be; the overflow's when there is no room.
    ///
    /// - Complexity: O(1); takes one lock that few threads share.
    func recorder(_ values: LabelValues) -> any Recorder {
        let copy = copies[Int(truncatingIfNeeded: threadHash()) & (Self.copyCount - 1)]
        if let known = copy.series.withLock({ $0.find(values) }) { return known.recorder }
        return fetch(values, into: copy)
    }

    private func fetch(_ values: LabelValues, into copy: Copy) -> any Recorder {
        precondition(values.count == definition.labels.count, "\(definition.name) has labels \(definition.labels)")
        return whole.withLock { whole in
            if let series = whole.series.find(values) {
                // Within the lock, so that `remove` finds what is put here.
                copy.series.withLock { if $0.find(values) == nil { $0.insert(series) } }
                return series.recorder
            }
            // The overflow series does not count: it is there exactly when the others have filled the family. What
            // overflows is in no copy, as there is no bound to how many label sets that may be.
            let others = whole.series.find(overflow) == nil ? whole.series.count : whole.series.count - 1
            let key = others < definition.seriesLimit ? values : overflow
            if let series = whole.series.find(key) { return series.recorder }
            let series = Series(definition, key: key, recorder: make())
            whole.series.insert(series)
            whole.changed()
            return series.recorder
        }
    }

    func existing(_ values: LabelValues) -> (any Recorder)? {
        whole.withLock { $0.series.find(values)?.recorder }
    }

    func remove(_ values: LabelValues) {
        whole.withLock { whole in
            guard whole.series.remove(values) else { return }
            whole.changed()
            for copy in copies { copy.series.withLock { _ = $0.remove(values) } }
        }
    }

    /// All series, ordered by label values. Sorts outside the lock, and only if series have come or gone.
    var ordered: [Series] {
        let (known, series, generation) = whole.withLock { ($0.ordered, $0.series, $0.generation) }
        if let known { return known }
        let sorted = series.all.sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
        whole.withLock { if $0.generation == generation { $0.ordered = sorted } }
        return sorted
    }
}

/// Series by label values: a hash table with linear probing, which unlike `Dictionary` compares keys in place instead of
/// retaining a copy of every value in them.
private struct SeriesIndex {
    private(set) var count = 0
    /// Powers of two, at most half full. 0 is an empty place.
    private var hashes: [UInt64] = Array(repeating: 0, count: 4)
    private var series: [SeriesTable.Series?] = Array(repeating: nil, count: 4)

    var all: [SeriesTable.Series] { series.compactMap(\.self) }

    func find(_ key: LabelValues) -> SeriesTable.Series? {
        let hash = key.hash
        let mask = hashes.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while hashes[place] != 0 {
            if hashes[place] == hash, let found = series[place], found.key.isSame(as: key) { return found }
            place = (place + 1) & mask
        }
        return nil
    }

    /// - Precondition: the key is not there yet.
    mutating func insert(_ new: SeriesTable.Series) {
        if (count + 1) * 2 > hashes.count { rebuild(all, places: hashes.count * 2) }
        put(new)
    }

    /// Whether the key was there.
    mutating func remove(_ key: LabelValues) -> Bool {
        guard find(key) != nil else { return false }
        rebuild(all.filter { !$0.key.isSame(as: key) }, places: hashes.count)
        return true
    }

    private mutating func rebuild(_ kept: [SeriesTable.Series], places: Int) {
        count = 0
        hashes = Array(repeating: 0, count: places)
        series = Array(repeating: nil, count: places)
        for one in kept { put(one) }
    }

    private mutating func put(_ new: SeriesTable.Series) {
        let mask = hashes.count - 1
        var place = Int(truncatingIfNeeded: new.key.hash) & mask
        while hashes[place] != 0 { place = (place + 1) & mask }
        hashes[place] = new.key.hash
        series[place] = new
        count += 1
    }
}
