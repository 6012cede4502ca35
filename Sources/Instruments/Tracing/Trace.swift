import Synchronization

/// What one process does for one request, as spans in a tree. Recorded in memory, handed on as a whole at the end.
///
/// Safe from any thread. What a span costs is mostly its two readings of the clock: definitions are held by pointer,
/// ids are computed, and all statements of a trace are in one array.
package final class Trace: Sendable {
    /// A span of this trace. The first is the root: what this process does for the request, from its arrival on.
    package struct Span: Hashable, Sendable {
        let index: Int

        package static let root = Span(index: 0)
        /// Stands for a span that there was no room for.
        static let dropped = Span(index: -1)
    }

    /// One span as it was recorded.
    package struct Record: Sendable {
        package fileprivate(set) var definition: SpanDefinition
        /// What the name says beyond the definition's, such as the path; one of few.
        package let detail: String?
        package let id: SpanID
        /// Of the span that it is part of; of the root, the sender's span, if there is one.
        package let parent: SpanID?
        /// Nanoseconds since 1970.
        package let start: UInt64
        /// Nanoseconds since 1970; 0 while it lasts.
        package fileprivate(set) var end: UInt64 = 0
        /// A short word for what went wrong, such as an error's code; nil when nothing did.
        package fileprivate(set) var failure: String?
        /// How many statements were made of it.
        fileprivate var statements: UInt32 = 0

        /// The span's whole name.
        package var name: String { detail.map { "\(definition.name) \($0)" } ?? definition.name }

        /// How many statements there was no room for.
        package var droppedAttributes: Int { max(0, Int(statements) - Trace.mostAttributes) }
    }

    /// A fact of a span.
    package struct Statement: Sendable {
        fileprivate let span: Int
        package let key: SpanAttribute
        package let value: SpanAttribute.Value
    }

    /// A trace that is over.
    package struct Finished: Sendable {
        package let id: TraceID
        /// The sender's `tracestate`.
        package let state: String
        /// Whether it was chosen at its beginning, and the next processes were told so.
        package let isSampled: Bool
        /// The root first, the others in the order of their beginnings.
        package let spans: [Record]
        /// What was stated, in that order, of all spans together.
        package let statements: [Statement]
        /// How many spans there was no room for.
        package let droppedSpans: Int

        /// What was stated of each span. What was stated twice has the last value.
        package var attributes: [[Statement]] {
            var attributes = [[Statement]](repeating: [], count: spans.count)
            for statement in statements {
                let index = attributes[statement.span].firstIndex { $0.key === statement.key }
                if let index {
                    attributes[statement.span][index] = statement
                } else {
                    attributes[statement.span].append(statement)
                }
            }
            return attributes
        }
    }

    /// 128: more than any request should need; one that retries for ever must not fill the memory.
    package static let mostSpans = 128
    /// 32 statements of a span, a quarter of OpenTelemetry's default.
    package static let mostAttributes = 32

    package let id: TraceID
    /// Whether it was chosen at its beginning. One that was not may still be kept for what came of it.
    package let isSampled: Bool
    private let parentState: String
    private let tracer: RequestTracer
    private let wallOffset: UInt64
    /// What the spans' ids are computed from.
    private let spanSeed: UInt64
    private let state: Mutex<State>

    private struct State: Sendable {
        var spans: [Record] = []
        var statements: [Statement] = []
        var droppedSpans = 0
        var isFinished = false

        func isRecording(_ span: Span) -> Bool {
            span.index >= 0 && span.index < spans.count && !isFinished
        }

        mutating func begin(_ definition: SpanDefinition, in parent: Span, at now: UInt64, seed: UInt64) -> Span {
            let index = spans.count
            guard index < Trace.mostSpans, !isFinished else {
                droppedSpans += 1
                return .dropped
            }
            let above = parent.index >= 0 && parent.index < index ? parent.index : 0
            let id = Trace.spanID(index, seed: seed)
            spans.append(Record(definition: definition, detail: nil, id: id, parent: spans[above].id, start: now))
            return Span(index: index)
        }

        mutating func end(_ span: Span, at now: UInt64) {
            guard isRecording(span), spans[span.index].end == 0 else { return }
            spans[span.index].end = now
        }
    }

    init(
        id: TraceID,
        isSampled: Bool,
        parent: TraceContext?,
        definition: SpanDefinition,
        detail: String?,
        spanSeed: UInt64,
        tracer: RequestTracer
    ) {
        self.id = id
        self.isSampled = isSampled
        self.tracer = tracer
        self.spanSeed = spanSeed
        parentState = parent?.state ?? ""
        wallOffset = TraceClock.wallOffset
        let now = TraceClock.monotonic
        var state = State()
        state.spans.reserveCapacity(Self.usualSpans)
        state.spans.append(
            Record(
                definition: definition,
                detail: detail,
                id: Self.spanID(0, seed: spanSeed),
                parent: parent?.spanID,
                start: now &+ wallOffset
            )
        )
        self.state = Mutex(state)
    }

    /// 12: room for a request's usual spans without growing.
    private static let usualSpans = 12

    /// The id of the `index`th span: unlike all others of the trace, since SplitMix64 is one to one.
    private static func spanID(_ index: Int, seed: UInt64) -> SpanID {
        SpanID(SplitMix64.mixed(seed, step: UInt64(index))) ?? .fallback
    }

    /// The id, if a collector gets to see the trace: what an exemplar may point to.
    package var exemplar: TraceID? { isSampled ? id : nil }

    // MARK: Recording

    /// Begins a span that is part of another. Past the most spans of a trace it is counted only, and what is said of it
    /// is dropped.
    package func begin(_ definition: SpanDefinition, in parent: Span = .root) -> Span {
        let now = now
        return state.withLock { $0.begin(definition, in: parent, at: now, seed: spanSeed) }
    }

    /// Ends a span; the first end counts.
    package func end(_ span: Span) {
        let now = now
        state.withLock { $0.end(span, at: now) }
    }

    /// States a fact of a span.
    package func set(_ key: SpanAttribute, _ value: SpanAttribute.Value, on span: Span = .root) {
        state.withLock { state in
            guard state.isRecording(span) else { return }
            state.spans[span.index].statements += 1
            guard state.spans[span.index].statements <= Self.mostAttributes else { return }
            if state.statements.isEmpty { state.statements.reserveCapacity(Self.usualSpans) }
            state.statements.append(Statement(span: span.index, key: key, value: value))
        }
    }

    /// Says that a span failed, by a short word that names the kind of failure; the first word counts.
    package func fail(_ span: Span = .root, _ reason: String) {
        state.withLock { state in
            guard state.isRecording(span), state.spans[span.index].failure == nil else { return }
            state.spans[span.index].failure = reason
        }
    }

    /// Gives a span another name and kind.
    package func rename(_ span: Span, _ definition: SpanDefinition) {
        state.withLock { state in
            guard state.isRecording(span) else { return }
            state.spans[span.index].definition = definition
        }
    }

    /// What the next process is told when it is asked as part of `span`.
    package func context(of span: Span = .root) -> TraceContext {
        // A span that was dropped speaks for the root.
        TraceContext(
            traceID: id,
            spanID: Self.spanID(max(0, span.index), seed: spanSeed),
            isSampled: isSampled,
            state: parentState
        )
    }

    /// Ends what has not ended and hands the trace on, if it is to be kept. Only the first call does anything.
    package func finish() {
        let now = now
        let finished: Finished? = state.withLock { state in
            guard !state.isFinished else { return nil }
            state.isFinished = true
            for index in state.spans.indices where state.spans[index].end == 0 { state.spans[index].end = now }
            return Finished(
                id: id,
                state: parentState,
                isSampled: isSampled,
                spans: state.spans.taken(),
                statements: state.statements.taken(),
                droppedSpans: state.droppedSpans
            )
        }
        if let finished { tracer.finish(finished) }
    }

    /// Ends it without handing it on: nothing has happened that would be worth a trace.
    package func discard() {
        state.withLock { $0.isFinished = true }
    }

    /// Nobody is left who could end it: the client has gone before its request was whole, for example.
    deinit {
        if state.withLock(\.isFinished) { return }
        fail(.root, "abandoned")
        finish()
    }

    /// Wall-clock time of the beginning, carried on by the monotonic clock: no span ends before it begins.
    private var now: UInt64 { TraceClock.monotonic &+ wallOffset }
}

extension Array {
    /// The elements, which are gone from here.
    fileprivate mutating func taken() -> [Element] {
        let elements = self
        self = []
        return elements
    }
}
