/// The texts in which Prometheus and its kin read metrics.
package enum Exposition {
    /// Prometheus's text format 0.0.4, or OpenMetrics 1.0, which has exemplars and units too.
    ///
    /// A histogram's bounds are written alike in both (`1.0`, OpenMetrics' canonical form), so that a series keeps its
    /// name when a scraper changes its mind. OpenMetrics' optional `_created` samples are left out: they would be another
    /// series for each one, and no dashboard of either upstream reads them.
    package enum Format: String, Sendable, CaseIterable {
        /// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
        case text
        /// https://prometheus.io/docs/specs/om/open_metrics_spec/
        case openMetrics

        package var contentType: String {
            switch self {
            case .text: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }

        /// The format that an `Accept` header asks for: OpenMetrics where that is named and not less welcome than text.
        package static func accepted(by header: String?) -> Format {
            guard let header else { return .text }
            var openMetrics = 0.0
            var text = 0.0
            for range in header.split(separator: ",") {
                let parts = range.split(separator: ";").map(Self.trimmed)
                guard let type = parts.first else { continue }
                let parameters = parts.dropFirst()
                let quality = parameters.first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
                switch type {
                case "application/openmetrics-text":
                    let version = parameters.first { $0.hasPrefix("version=") }?.dropFirst("version=".count)
                    if let version, version != "1.0.0", version != "0.0.1" { continue }
                    openMetrics = max(openMetrics, quality)
                case "text/plain", "text/*", "*/*":
                    text = max(text, quality)
                default:
                    continue
                }
            }
            return openMetrics > 0 && openMetrics >= text ? .openMetrics : .text
        }

        private static func trimmed(_ part: Substring) -> String {
            part.filter { $0 != " " && $0 != "\t" && $0 != "\"" }.lowercased()
        }
    }

    /// `model="a",status="ok"`, escaped as both formats have it.
    static func labelText(names: [String], values: [String]) -> [UInt8] {
        var text = ExpositionText(.text)
        for (index, (name, value)) in zip(names, values).enumerated() {
            if index > 0 { text.write(",") }
            text.write(name)
            text.write("=\"")
            text.writeEscaped(value, quotes: true)
            text.write("\"")
        }
        return text.bytes
    }
}

extension MetricRegistry {
    /// All metrics as text, ordered by name and label values; a family without series shows its head only.
    ///
    /// Takes milliseconds for thousands of series: no event loop should.
    package func exposition(_ format: Exposition.Format = .text) -> String {
        String(decoding: expositionBytes(format), as: UTF8.self)
    }

    /// The same as UTF-8.
    package func expositionBytes(_ format: Exposition.Format) -> [UInt8] {
        var text = ExpositionText(format)
        for family in scrape() { text.write(family) }
        text.writeEnd()
        return text.bytes
    }
}

/// The text as it is written.
private struct ExpositionText {
    private let format: Exposition.Format
    private(set) var bytes: [UInt8] = []

    init(_ format: Exposition.Format) {
        self.format = format
    }

    mutating func write(_ family: MetricRegistry.Family) {
        let definition = family.definition
        writeHead(of: definition)
        let name = Array(definition.name.utf8)
        switch family {
        case .counter(let family):
            for series in family.table.ordered {
                guard let counter = series.recorder as? Counter else { continue }
                writeSample(name, labels: series.text, value: counter.value, exemplar: counter.exemplar)
            }
        case .gauge(let family):
            for series in family.table.ordered {
                guard let gauge = series.recorder as? Gauge else { continue }
                writeSample(name, labels: series.text, value: gauge.value)
            }
        case .histogram(let family):
            let bounds = (definition.buckets + [.infinity]).map { Array("le=\"\(Self.bound($0))\"".utf8) }
            for series in family.table.ordered {
                guard let histogram = series.recorder as? Histogram else { continue }
                write(histogram, name: name, labels: series.text, bounds: bounds)
            }
        case .sampled(_, let read):
            writeSample(name, labels: [], value: read())
        case .collected(_, let read):
            let samples = read().map { (labels: $0.labels, value: $0.value) }
            for sample in samples.sorted(by: { $0.labels.lexicographicallyPrecedes($1.labels) }) {
                let labels = Exposition.labelText(names: definition.labels, values: sample.labels)
                writeSample(name, labels: labels, value: sample.value)
            }
        }
    }

    mutating func writeEnd() {
        if format == .openMetrics { write("# EOF\n") }
    }

    private mutating func writeHead(of definition: MetricDefinition) {
        let name = format == .openMetrics ? definition.familyName : definition.name
        write("# HELP \(name) ")
        // OpenMetrics escapes quotes in help too.
        writeEscaped(definition.help, quotes: format == .openMetrics)
        write("\n# TYPE \(name) \(definition.kind.rawValue)\n")
        if format == .openMetrics, let unit = definition.unit { write("# UNIT \(name) \(unit)\n") }
    }

    private mutating func write(_ histogram: Histogram, name: [UInt8], labels: [UInt8], bounds: [[UInt8]]) {
        let snapshot = histogram.snapshot
        var cumulated = 0
        for (index, count) in snapshot.counts.enumerated() {
            cumulated += count
            writeSample(
                name,
                suffix: "_bucket",
                labels: labels,
                bound: bounds[index],
                value: Double(cumulated),
                exemplar: format == .openMetrics ? histogram.exemplar(ofBucket: index) : nil
            )
        }
        writeSample(name, suffix: "_sum", labels: labels, value: snapshot.sum)
        writeSample(name, suffix: "_count", labels: labels, value: Double(cumulated))
    }

    private mutating func writeSample(
        _ name: [UInt8],
        suffix: StaticString = "",
        labels: [UInt8],
        bound: [UInt8] = [],
        value: Double,
        exemplar: Exemplar? = nil
    ) {
        bytes += name
        write(suffix)
        if !labels.isEmpty || !bound.isEmpty {
            write("{")
            bytes += labels
            if !labels.isEmpty, !bound.isEmpty { write(",") }
            bytes += bound
            write("}")
        }
        write(" ")
        writeNumber(value)
        if format == .openMetrics, let exemplar { write(exemplar) }
        write("\n")
    }

    private mutating func write(_ exemplar: Exemplar) {
        write(" # {trace_id=\"\(exemplar.trace.text)\"} ")
        writeNumber(exemplar.value)
        let milliseconds = exemplar.time / 1_000_000
        let fraction = String(milliseconds % 1_000)
        write(" \(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.utf8.count))\(fraction)")
    }

    mutating func write(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func write(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func writeEscaped(_ text: String, quotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): bytes += [byte, byte]
            case UInt8(ascii: "\n"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case UInt8(ascii: "\"") where quotes: bytes += [UInt8(ascii: "\\"), byte]
            default: bytes.append(byte)
            }
        }
    }

    /// A number as Prometheus's own client writes it: whole numbers without a fraction, +Inf, -Inf and NaN by name.
    private mutating func writeNumber(_ value: Double) {
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 {
            write(String(whole))
        } else {
            write(Self.name(ofSpecial: value) ?? String(value))
        }
    }

    /// A bucket's bound in OpenMetrics' canonical form: `1.0`, `0.25`, `+Inf`.
    private static func bound(_ value: Double) -> String {
        name(ofSpecial: value) ?? String(value)
    }

    private static func name(ofSpecial value: Double) -> String? {
        if value.isNaN { return "NaN" }
        return value.isInfinite ? (value < 0 ? "-Inf" : "+Inf") : nil
    }
}
