/// The recorders of one metric, one per set of label values.
///
/// `with` hashes the label values and takes a lock that few threads share, about 50 ns: where the labels are known
/// beforehand (a worker joins, a configuration is built), keep the recorder that it gives.
package final class MetricFamily<Recorder: AnyObject & Sendable>: Sendable {
    package let definition: MetricDefinition
    let table: SeriesTable

    init(_ definition: MetricDefinition, make: @escaping @Sendable () -> Recorder) {
        self.definition = definition
        table = SeriesTable(definition, make: make)
    }

    /// The recorder of these label values, in the order of `definition.labels`.
    ///
    /// When the family is full, new label values get the recorder whose label values are all `other`.
    /// - Precondition: as many values as the definition has labels.
    package func with(_ values: [String]) -> Recorder {
        recorder(LabelValues(values))
    }

    package func with() -> Recorder {
        recorder(LabelValues())
    }

    package func with(_ value: String) -> Recorder {
        recorder(LabelValues(value))
    }

    package func with(_ first: String, _ second: String) -> Recorder {
        recorder(LabelValues(first, second))
    }

    package func with(_ first: String, _ second: String, _ third: String) -> Recorder {
        recorder(LabelValues(first, second, third))
    }

    package func with(_ first: String, _ second: String, _ third: String, _ more: String...) -> Recorder {
        recorder(LabelValues([first, second, third] + more))
    }

    /// Takes a series out of the exposition, for a worker or model that is gone. Handles that are still held keep
    /// recording, into nothing; a later `with` starts a new series from zero.
    package func remove(_ values: String...) {
        table.remove(LabelValues(values))
    }

    /// All series, ordered by label values.
    package var snapshot: [(labels: [String], recorder: Recorder)] {
        table.ordered.map { (labels: $0.labels, recorder: typed($0.recorder)) }
    }

    func recorder(of values: [String]) -> Recorder? {
        table.existing(LabelValues(values)).map { typed($0) }
    }

    private func recorder(_ values: LabelValues) -> Recorder {
        typed(table.recorder(values))
    }

    /// The table holds what `make` made, and nothing else.
    private func typed(_ recorder: any SeriesTable.Recorder) -> Recorder {
        unsafeDowncast(recorder, to: Recorder.self)
    }
}

package typealias CounterFamily = MetricFamily<Counter>
package typealias GaugeFamily = MetricFamily<Gauge>
package typealias HistogramFamily = MetricFamily<Histogram>
