/// Writes a registry in Prometheus's text format 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
package enum Exposition {
    /// The `content-type` of the text.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"
}

extension MetricRegistry {
    /// All metrics as text, ordered by name and label values; a family without series shows its HELP and TYPE only.
    package func exposition() -> String {
        var text = ""
        for family in scrape() {
            text.writeHead(of: family.definition)
            let definition = family.definition
            switch family {
            case .counter(let family):
                for series in family.snapshot {
                    text.writeSample(definition, labels: series.labels, value: series.recorder.value)
                }
            case .gauge(let family):
                for series in family.snapshot {
                    text.writeSample(definition, labels: series.labels, value: series.recorder.value)
                }
            case .histogram(let family):
                for series in family.snapshot {
                    text.writeHistogram(definition, labels: series.labels, series.recorder.snapshot)
                }
            case .sampled(_, let read):
                text.writeSample(definition, labels: [], value: read())
            }
        }
        return text
    }
}

extension String {
    fileprivate mutating func writeHead(of definition: MetricDefinition) {
        append("# HELP \(definition.name) ")
        for scalar in definition.help.unicodeScalars {
            switch scalar {
            case "\\": append("\\\\")
            case "\n": append("\\n")
            default: unicodeScalars.append(scalar)
            }
        }
        append("\n# TYPE \(definition.name) \(definition.kind.rawValue)\n")
    }

    fileprivate mutating func writeSample(
        _ definition: MetricDefinition,
        suffix: String = "",
        labels: [String],
        bound: Double? = nil,
        value: Double
    ) {
        append(definition.name)
        append(suffix)
        if !labels.isEmpty || bound != nil {
            append("{")
            var separator = ""
            for (name, value) in zip(definition.labels, labels) {
                append("\(separator)\(name)=\"")
                writeLabelValue(value)
                append("\"")
                separator = ","
            }
            if let bound {
                append("\(separator)le=\"\(Self.number(bound))\"")
            }
            append("}")
        }
        append(" \(Self.number(value))\n")
    }

    fileprivate mutating func writeHistogram(
        _ definition: MetricDefinition,
        labels: [String],
        _ snapshot: HistogramSnapshot
    ) {
        var cumulated = 0
        for (bound, count) in zip(snapshot.bounds + [.infinity], snapshot.counts) {
            cumulated += count
            writeSample(definition, suffix: "_bucket", labels: labels, bound: bound, value: Double(cumulated))
        }
        writeSample(definition, suffix: "_sum", labels: labels, value: snapshot.sum)
        writeSample(definition, suffix: "_count", labels: labels, value: Double(cumulated))
    }

    private mutating func writeLabelValue(_ value: String) {
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": append("\\\\")
            case "\"": append("\\\"")
            case "\n": append("\\n")
            default: unicodeScalars.append(scalar)
            }
        }
    }

    /// A number as Prometheus's own client writes it: whole numbers without a fraction, +Inf, -Inf and NaN by name.
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return String(whole) }
        return String(value)
    }
}
