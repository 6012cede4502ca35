import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// What one process does for one request, as spans in a tree. Recorded in memory, handed on as a whole at the end.
///
/// Safe from any thread; a lock that nobody else holds costs about as much as the clock that each span reads twice.
package final class Trace: Sendable {
    /// A span of this trace. The first is the root: what this process does for the request, from its arrival on.
    package struct Span: Hashable, Sendable {
        let index: Int

        package static let root = Span(index: 0)
    }

    /// One span as it was recorded.
    package struct Record: Sendable {
        package let definition: SpanDefinition
        package let id: SpanID
        /// Of the span that it is part of; of the root, the sender's span, if there is one.
        package let parent: SpanID?
        /// Nanoseconds since 1970.
        package let start: UInt64
        /// 0 while it lasts.
        package fileprivate(set) var end: UInt64 = 0
        package fileprivate(set) var attributes: [(key: SpanAttribute, value: SpanAttribute.Value)] = []
        /// A short word for what went wrong, such as an error's code; nil when nothing did.
        package fileprivate(set) var failure: String?
    }

    /// A trace that is over.
    package struct Finished: Sendable {
        package let id: TraceID
        /// The sender's `tracestate`.
        package let state: String
        /// The root first, the others in the order of their beginnings.
        package let spans: [Record]
        /// How many spans there was no room for.
        package let droppedSpans: Int
    }

    /// 128: more than any request should need; one that retries for ever must not fill the memory.
    static let mostSpans = 128
    static let mostAttributes = 32

    package let id: TraceID
    /// Whether it was chosen at its beginning. One that was not may still be kept for what came of it.
    package let isSampled: Bool
    private let parentState: String
    private let tracer: RequestTracer
    private let wallOffset: UInt64
    private let state: Mutex<State>

    private struct State: Sendable {
        var spans: [Record] = []
        var droppedSpans = 0
        var isFinished = false
    }

    init(id: TraceID, isSampled: Bool, parent: TraceContext?, definition: SpanDefinition, tracer: RequestTracer) {
        self.id = id
        self.isSampled = isSampled
        self.tracer = tracer
        parentState = parent?.state ?? ""
        let now = Self.monotonicNanoseconds
        wallOffset = Self.wallNanoseconds &- now
        var spans: [Record] = []
        spans.reserveCapacity(12)
        spans.append(
            Record(definition: definition, id: tracer.spanID(), parent: parent?.spanID, start: now &+ wallOffset)
        )
        state = Mutex(State(spans: spans))
    }

    // MARK: Recording

    /// Begins a span that is part of another. Past the most spans of a trace it is counted only, and what is said of it
    /// is dropped.
    package func begin(_ definition: SpanDefinition, in parent: Span = .root) -> Span {
        let now = now
        return state.withLock { state in
            guard state.spans.count < Self.mostSpans, !state.isFinished else {
                state.droppedSpans += 1
                return Span(index: -1)
            }
            let above = state.spans.indices.contains(parent.index) ? parent.index : 0
            state.spans.append(
                Record(definition: definition, id: tracer.spanID(), parent: state.spans[above].id, start: now)
            )
            return Span(index: state.spans.count - 1)
        }
    }

    /// Ends a span; the first end counts.
    package func end(_ span: Span) {
        let now = now
        update(span) { if $0.end == 0 { $0.end = now } }
    }

    /// States a fact of a span.
    package func set(_ key: SpanAttribute, _ value: SpanAttribute.Value, on span: Span = .root) {
        update(span) { record in
            guard record.attributes.count < Self.mostAttributes else { return }
            record.attributes.append((key, value))
        }
    }

    /// Says that a span failed, by a short word that names the kind of failure.
    package func fail(_ span: Span = .root, _ reason: String) {
        update(span) { $0.failure = $0.failure ?? reason }
    }

    /// Runs `body` as a span.
    package func span<Result>(_ definition: SpanDefinition, in parent: Span = .root, _ body: (Span) -> Result) -> Result
    {
        let span = begin(definition, in: parent)
        defer { end(span) }
        return body(span)
    }

    private func update(_ span: Span, _ change: (inout Record) -> Void) {
        state.withLock { state in
            guard state.spans.indices.contains(span.index), !state.isFinished else { return }
            change(&state.spans[span.index])
        }
    }

    /// What the next process is told when it is asked as part of `span`.
    package func context(of span: Span = .root) -> TraceContext {
        state.withLock { state in
            let index = state.spans.indices.contains(span.index) ? span.index : 0
            return TraceContext(traceID: id, spanID: state.spans[index].id, isSampled: isSampled, state: parentState)
        }
    }

    /// Ends what has not ended and hands the trace on, if it is to be kept. Only the first call does anything.
    package func finish() {
        let now = now
        let finished: Finished? = state.withLock { state in
            guard !state.isFinished else { return nil }
            state.isFinished = true
            for index in state.spans.indices where state.spans[index].end == 0 { state.spans[index].end = now }
            return Finished(id: id, state: parentState, spans: state.spans, droppedSpans: state.droppedSpans)
        }
        if let finished { tracer.finish(finished, isSampled: isSampled) }
    }

    // MARK: Clock

    /// Wall-clock time of the beginning, carried on by the monotonic clock: no span ends before it begins.
    private var now: UInt64 { Self.monotonicNanoseconds &+ wallOffset }

    private static var monotonicNanoseconds: UInt64 { clock(CLOCK_MONOTONIC) }
    private static var wallNanoseconds: UInt64 { clock(CLOCK_REALTIME) }

    private static func clock(_ id: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(id, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
