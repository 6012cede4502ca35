import Instruments
import Synchronization
package import Tracing

/// A span of the tracing facade, recorded in a trace of ours.
package final class SextantSpan: Tracing.Span {
    package let context: ServiceContext
    /// Nil for one that is not recorded.
    private let point: TracePoint?
    private let isRoot: Bool
    private let kind: SpanDefinition.Kind
    private let state: Mutex<State>

    private struct State: Sendable {
        var name: String
        var attributes: SpanAttributes = [:]
        var hasEnded = false
    }

    init(context: ServiceContext, point: TracePoint?, isRoot: Bool, kind: SpanDefinition.Kind, name: String) {
        self.context = context
        self.point = point
        self.isRoot = isRoot
        self.kind = kind
        state = Mutex(State(name: name))
    }

    package var isRecording: Bool { point != nil && state.withLock { !$0.hasEnded } }

    package var operationName: String {
        get { state.withLock(\.name) }
        set {
            state.withLock { $0.name = newValue }
            guard let point else { return }
            point.trace.rename(point.span, SpanDefinition(newValue, kind, ""))
        }
    }

    package var attributes: SpanAttributes {
        get { state.withLock(\.attributes) }
        set { state.withLock { if !$0.hasEnded { $0.attributes = newValue } } }
    }

    package func setStatus(_ status: SpanStatus) {
        // Not the message, which may hold what a request said.
        if status.code == .error { point?.fail("error") }
    }

    /// By its type: what an error says may hold what a request said.
    package func recordError<Instant: TracerInstant>(
        _ error: any Error,
        attributes: SpanAttributes,
        at instant: @autoclosure () -> Instant
    ) {
        point?.fail("\(type(of: error))")
    }

    package func addEvent(_ event: SpanEvent) {}
    package func addLink(_ link: SpanLink) {}

    package func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let attributes: SpanAttributes? = state.withLock { state in
            guard !state.hasEnded else { return nil }
            state.hasEnded = true
            return state.attributes
        }
        guard let point, let attributes else { return }
        attributes.forEach { name, value in
            if let value = value.ours { point.set(Instruments.SpanAttribute(name, ""), value) }
        }
        if isRoot { point.finish() } else { point.end() }
    }
}

extension Tracing.SpanAttribute {
    /// 128 characters: a name or an address. Whole texts have no place in a span.
    private static let longestText = 128

    fileprivate var ours: Instruments.SpanAttribute.Value? {
        switch self {
        case .int32(let number): .number(Int(number))
        case .int64(let number): .number(Int(number))
        case .double(let number): .decimal(number)
        case .bool(let flag): .flag(flag)
        case .string(let text): .text(String(text.prefix(Self.longestText)))
        case .stringConvertible(let value): .text(String("\(value)".prefix(Self.longestText)))
        case .stringArray(let texts): .texts(texts)
        case .int32Array(let numbers): .texts(numbers.map(String.init))
        case .int64Array(let numbers): .texts(numbers.map(String.init))
        case .doubleArray(let numbers): .texts(numbers.map { "\($0)" })
        case .boolArray(let flags): .texts(flags.map { "\($0)" })
        case .stringConvertibleArray(let values): .texts(values.map { "\($0)" })
        default: nil
        }
    }
}
