/// Renders definitions as documentation, so that the pages cannot disagree with the code.
package enum MetricCatalogue {
    /// A Markdown table of the metrics, ordered by name.
    package static func markdown(_ definitions: [MetricDefinition]) -> String {
        var text = "| Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n"
        for definition in definitions.sorted(by: { $0.name < $1.name }) {
            let labels = definition.labels.map { "`\($0)`" }.joined(separator: ", ")
            var meaning = escaped(definition.help)
            if !definition.buckets.isEmpty {
                let bounds = definition.buckets.map { bound in
                    Int64(exactly: bound).map { String($0) } ?? String(bound)
                }
                meaning += " Buckets: \(bounds.joined(separator: ", "))."
            }
            text += "| `\(definition.name)` | \(definition.kind.rawValue) | \(labels) | \(meaning) |\n"
        }
        return text
    }

    /// A Markdown table of the spans, ordered by name.
    package static func markdown(_ definitions: [SpanDefinition]) -> String {
        var text = "| Span | Kind | Attributes | Meaning |\n|---|---|---|---|\n"
        for definition in definitions.sorted(by: { $0.name < $1.name }) {
            let attributes = definition.attributes.map { "`\($0.name)`: \(escaped($0.help))" }.joined(separator: "<br>")
            text +=
                "| `\(definition.name)` | \(definition.kind.rawValue) | \(attributes) | \(escaped(definition.help)) |\n"
        }
        return text
    }

    /// A cell may hold neither a bar nor a line break.
    private static func escaped(_ text: String) -> String {
        text.split(separator: "\n").joined(separator: " ").split(separator: "|", omittingEmptySubsequences: false)
            .joined(separator: "\\|")
    }
}
