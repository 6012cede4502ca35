/// A span of a trace, as it is handed from stage to stage.
package struct TracePoint: Sendable {
    package let trace: Trace
    package let span: Trace.Span

    package init(trace: Trace, span: Trace.Span = .root) {
        self.trace = trace
        self.span = span
    }

    /// Begins a span that is part of this one.
    package func begin(_ definition: SpanDefinition) -> TracePoint {
        TracePoint(trace: trace, span: trace.begin(definition, in: span))
    }

    package func end() { trace.end(span) }
    package func set(_ key: SpanAttribute, _ value: SpanAttribute.Value) { trace.set(key, value, on: span) }
    package func fail(_ reason: String) { trace.fail(span, reason) }

    /// The trace's id, if a collector gets to see it.
    package var exemplar: TraceID? { trace.exemplar }

    /// Ends the whole trace.
    package func finish() { trace.finish() }

    /// What the next process is told when it is asked as part of this span.
    package var context: TraceContext { trace.context(of: span) }
}
