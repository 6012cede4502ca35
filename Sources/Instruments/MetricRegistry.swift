import Synchronization

/// The metrics of one process (or of one test): makes recorders from definitions and shows them to a scrape.
///
/// There is no shared registry; whoever records is handed one through its `init`. Asking twice for the same definition
/// gives the same recorders, so that two parts may count into one metric.
package final class MetricRegistry: Sendable {
    enum Family: Sendable {
        case counter(CounterFamily)
        case gauge(GaugeFamily)
        case histogram(HistogramFamily)
        /// Read anew at every scrape.
        case sampled(MetricDefinition, @Sendable () -> Double)
        case collected(MetricDefinition, @Sendable () -> [Sample])

        var definition: MetricDefinition {
            switch self {
            case .counter(let family): family.definition
            case .gauge(let family): family.definition
            case .histogram(let family): family.definition
            case .sampled(let definition, _): definition
            case .collected(let definition, _): definition
            }
        }
    }

    /// One series at one moment.
    package struct Sample: Hashable, Sendable {
        package let labels: [String]
        package let value: Double

        package init(labels: [String], value: Double) {
            self.labels = labels
            self.value = value
        }
    }

    private struct State {
        var families: [String: Family] = [:]
        var beforeScrape: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())
    private let isRecording: Bool

    /// - Parameter isRecording: whether counters and histograms keep anything; gauges always show what is.
    package init(isRecording: Bool = true) {
        self.isRecording = isRecording
    }

    /// - Precondition: for all the makers here, a name is always asked for with the same definition.
    package func counters(_ definition: MetricDefinition) -> CounterFamily {
        let family = family(definition, .counter) { [isRecording] in
            .counter(CounterFamily(definition) { Counter(isRecording: isRecording) })
        }
        guard case .counter(let counters) = family else { preconditionFailure("\(definition.name) is sampled") }
        return counters
    }

    package func gauges(_ definition: MetricDefinition) -> GaugeFamily {
        let family = family(definition, .gauge) { .gauge(GaugeFamily(definition) { Gauge() }) }
        guard case .gauge(let gauges) = family else { preconditionFailure("\(definition.name) is sampled") }
        return gauges
    }

    package func histograms(_ definition: MetricDefinition) -> HistogramFamily {
        let family = family(definition, .histogram) {
            .histogram(
                HistogramFamily(definition) { [isRecording] in
                    Histogram(bounds: definition.buckets, isRecording: isRecording)
                }
            )
        }
        guard case .histogram(let histograms) = family else { preconditionFailure("\(definition.name) is sampled") }
        return histograms
    }

    /// The only counter of a metric without labels.
    package func counter(_ definition: MetricDefinition) -> Counter {
        counters(definition).with()
    }

    /// The only gauge of a metric without labels.
    package func gauge(_ definition: MetricDefinition) -> Gauge {
        gauges(definition).with()
    }

    /// The only histogram of a metric without labels.
    package func histogram(_ definition: MetricDefinition) -> Histogram {
        histograms(definition).with()
    }

    /// A counter or gauge without labels whose value `read` gives at every scrape; a second `read` replaces the first.
    ///
    /// `read` runs on the scraping thread: it must not block.
    package func sample(_ definition: MetricDefinition, read: @escaping @Sendable () -> Double) {
        precondition(definition.labels.isEmpty && definition.kind != .histogram, "\(definition.name) cannot be sampled")
        state.withLock { state in
            if let old = state.families[definition.name] {
                guard case .sampled(definition, _) = old else {
                    preconditionFailure("\(definition.name) is defined twice, differently")
                }
            }
            state.families[definition.name] = .sampled(definition, read)
        }
    }

    /// A counter or gauge all of whose series `read` gives at every scrape; a second `read` replaces the first. For what
    /// has series at some times only. `read` gives each label set once, and at most `seriesLimit` of them.
    ///
    /// `read` runs on the scraping thread: it must not block.
    package func collect(_ definition: MetricDefinition, read: @escaping @Sendable () -> [Sample]) {
        precondition(definition.kind != .histogram, "\(definition.name) cannot be collected")
        state.withLock { state in
            if let old = state.families[definition.name] {
                guard case .collected(definition, _) = old else {
                    preconditionFailure("\(definition.name) is defined twice, differently")
                }
            }
            state.families[definition.name] = .collected(definition, read)
        }
    }

    /// What has been asked for or is sampled so far, ordered by name.
    package var definitions: [MetricDefinition] {
        state.withLock { $0.families.values.map(\.definition) }.sorted { $0.name < $1.name }
    }

    /// Runs `update` before every scrape, to set gauges that are cheaper to compute then than to keep up to date.
    ///
    /// `update` runs on the scraping thread: it must not block.
    package func onScrape(_ update: @escaping @Sendable () -> Void) {
        state.withLock { $0.beforeScrape.append(update) }
    }

    /// Every family, ordered by name, after the `onScrape` updates have run (outside the lock: they may make series).
    func scrape() -> [Family] {
        let updates = state.withLock(\.beforeScrape)
        for update in updates { update() }
        return state.withLock { Array($0.families.values) }.sorted { $0.definition.name < $1.definition.name }
    }

    private func family(
        _ definition: MetricDefinition,
        _ kind: MetricDefinition.Kind,
        make: () -> Family
    ) -> Family {
        precondition(definition.kind == kind, "\(definition.name) is a \(definition.kind.rawValue)")
        return state.withLock { state in
            if let family = state.families[definition.name] {
                precondition(family.definition == definition, "\(definition.name) is defined twice, differently")
                return family
            }
            let family = make()
            state.families[definition.name] = family
            return family
        }
    }
}

extension MetricRegistry {
    /// What a scrape would show for one series, for tests and status pages: a counter's or gauge's value, a histogram's
    /// count. Nil if there is no such series.
    package func value(of name: String, labels: [String: String] = [:]) -> Double? {
        guard let family = scrape().first(where: { $0.definition.name == name }) else { return nil }
        guard let values = Self.values(of: labels, in: family.definition) else { return nil }
        switch family {
        case .counter(let family): return family.recorder(of: values)?.value
        case .gauge(let family): return family.recorder(of: values)?.value
        case .histogram(let family): return (family.recorder(of: values)?.snapshot.count).map(Double.init)
        case .sampled(_, let read): return read()
        case .collected(_, let read): return read().first { $0.labels == values }?.value
        }
    }

    /// The contents of one histogram series, or nil if there is no such series.
    package func histogram(of name: String, labels: [String: String] = [:]) -> HistogramSnapshot? {
        let family = state.withLock { $0.families[name] }
        guard case .histogram(let family) = family else { return nil }
        return Self.values(of: labels, in: family.definition).flatMap { family.recorder(of: $0)?.snapshot }
    }

    private static func values(of labels: [String: String], in definition: MetricDefinition) -> [String]? {
        let values = definition.labels.compactMap { labels[$0] }
        return values.count == definition.labels.count && labels.count == values.count ? values : nil
    }
}
