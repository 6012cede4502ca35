import Synchronization

/// The recorders of one metric, one per set of label values.
///
/// `with` takes a lock and hashes the label values: call it where the labels become known (a worker joins, a
/// configuration is built) and keep the handle, not once per request.
package final class MetricFamily<Recorder: AnyObject & Sendable>: Sendable {
    package let definition: MetricDefinition
    private let make: @Sendable () -> Recorder
    private let series = Mutex<[[String]: Recorder]>([:])

    init(_ definition: MetricDefinition, make: @escaping @Sendable () -> Recorder) {
        self.definition = definition
        self.make = make
    }

    /// The recorder of these label values, in the order of `definition.labels`.
    ///
    /// When the family is full, new label values get the recorder whose label values are all `other`.
    /// - Precondition: as many values as the definition has labels.
    package func with(_ values: String...) -> Recorder {
        with(values)
    }

    package func with(_ values: [String]) -> Recorder {
        precondition(values.count == definition.labels.count, "\(definition.name) has labels \(definition.labels)")
        return series.withLock { series in
            if let recorder = series[values] { return recorder }
            let overflow = values.map { _ in MetricDefinition.overflowLabel }
            // The overflow series does not count: it is there exactly when the others have filled the family.
            let kept = series[overflow] == nil ? series.count : series.count - 1
            let key = kept < definition.seriesLimit ? values : overflow
            if let recorder = series[key] { return recorder }
            let recorder = make()
            series[key] = recorder
            return recorder
        }
    }

    /// Takes a series out of the exposition, for a worker or model that is gone. Handles that are still held keep
    /// recording, into nothing; a later `with` starts a new series from zero.
    package func remove(_ values: String...) {
        series.withLock { _ = $0.removeValue(forKey: values) }
    }

    /// All series, ordered by label values.
    package var snapshot: [(labels: [String], recorder: Recorder)] {
        series.withLock { series in series.map { (labels: $0.key, recorder: $0.value) } }
            .sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
    }

    func recorder(of values: [String]) -> Recorder? {
        series.withLock { $0[values] }
    }
}

package typealias CounterFamily = MetricFamily<Counter>
package typealias GaugeFamily = MetricFamily<Gauge>
package typealias HistogramFamily = MetricFamily<Histogram>
