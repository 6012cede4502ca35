/// What a metric is: its name, meaning, labels and limits. One value per metric, listed in its module's catalogue, from
/// which both the recorders and the documentation are made.
package struct MetricDefinition: Hashable, Sendable {
    package enum Kind: String, Sendable {
        /// A sum that only grows.
        case counter
        /// A value that goes up and down.
        case gauge
        /// How often values fell below each of the fixed bounds, and their sum.
        case histogram
    }

    /// The name as exposed. May hold colons, as vLLM's names do (`vllm:num_requests_running`).
    package let name: String
    package let kind: Kind
    /// One sentence: what is measured, in which unit.
    package let help: String
    /// Label names, in the order in which `with` takes their values.
    package let labels: [String]
    /// The upper bounds of a histogram's buckets, ascending, without +Inf; empty for the other kinds.
    package let buckets: [Double]
    /// The most label sets kept at once. Further ones are counted together under `overflowLabel`, so that a label whose
    /// values come from clients cannot eat the memory.
    package let seriesLimit: Int

    /// The label value under which the label sets beyond `seriesLimit` are counted.
    package static let overflowLabel = "other"

    /// 1,000 series: far above the label sets of any one metric here, far below what a scrape notices.
    package static let defaultSeriesLimit = 1_000

    /// A counter's exposed name ends in `_total`, as Prometheus asks; the ending is added unless `name` has it.
    package static func counter(
        _ name: String,
        _ help: String,
        labels: [String] = [],
        seriesLimit: Int = defaultSeriesLimit
    ) -> MetricDefinition {
        let exposed = name.hasSuffix("_total") ? name : name + "_total"
        return MetricDefinition(exposed, .counter, help, labels, [], seriesLimit)
    }

    package static func gauge(
        _ name: String,
        _ help: String,
        labels: [String] = [],
        seriesLimit: Int = defaultSeriesLimit
    ) -> MetricDefinition {
        MetricDefinition(name, .gauge, help, labels, [], seriesLimit)
    }

    package static func histogram(
        _ name: String,
        _ help: String,
        labels: [String] = [],
        buckets: [Double],
        seriesLimit: Int = defaultSeriesLimit
    ) -> MetricDefinition {
        MetricDefinition(name, .histogram, help, labels, buckets, seriesLimit)
    }

    /// Definitions are written by us, so a wrong one is a broken invariant.
    private init(
        _ name: String,
        _ kind: Kind,
        _ help: String,
        _ labels: [String],
        _ buckets: [Double],
        _ seriesLimit: Int
    ) {
        precondition(Self.isName(name, colons: true), "\(name) is not a Prometheus metric name")
        for label in labels {
            precondition(Self.isName(label, colons: false), "\(name): \(label) is not a Prometheus label name")
            precondition(!label.hasPrefix("__") && label != "le", "\(name): the label name \(label) is reserved")
        }
        precondition(Set(labels).count == labels.count, "\(name): a label name occurs twice")
        precondition((kind == .histogram) == !buckets.isEmpty, "\(name): buckets are for histograms, which need some")
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy(<), "\(name): bucket bounds must ascend")
        precondition(buckets.allSatisfy(\.isFinite), "\(name): +Inf is implied, and NaN is no bound")
        precondition(seriesLimit >= 1, "\(name): at least one series must fit")
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.buckets = buckets
        self.seriesLimit = seriesLimit
    }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`, with colons too for metric names
    /// (https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels).
    private static func isName(_ text: String, colons: Bool) -> Bool {
        guard let first = text.utf8.first, !isDigit(first) else { return false }
        return text.utf8.allSatisfy { byte in
            isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) && byte >= 0x41
                || byte == UInt8(ascii: "_") || (colons && byte == UInt8(ascii: ":"))
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

extension MetricDefinition {
    /// The name of the family in OpenMetrics, where `_total` belongs to a counter's sample only.
    var familyName: String {
        kind == .counter ? String(name.dropLast("_total".count)) : name
    }

    /// The unit that the family's name ends in, or nil.
    var unit: String? {
        Self.units.first { familyName.hasSuffix("_" + $0) }
    }

    /// Prometheus's base units that we use (https://prometheus.io/docs/practices/naming/#base-units).
    private static let units = ["seconds", "bytes", "ratio"]

    /// 5 ms to 10 s, the bounds of Prometheus's own client libraries for request latency.
    package static let latencyBuckets: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
}
