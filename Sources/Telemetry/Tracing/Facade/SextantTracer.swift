package import Instruments
import Synchronization
package import Tracing

/// Lets code that speaks the tracing facade record into the same traces, with the same choices and the same exporter.
///
/// Thin: a span without a parent of ours begins a trace, which goes out when that span ends. Events and links are not
/// recorded, and times are read when things happen, whatever instants are given.
package struct SextantTracer: Tracer {
    private let tracer: RequestTracer

    package init(_ tracer: RequestTracer) {
        self.tracer = tracer
    }

    package func startSpan<Instant: TracerInstant>(
        _ operationName: String,
        context: @autoclosure () -> ServiceContext,
        ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant,
        function: String,
        file fileID: String,
        line: UInt
    ) -> SextantSpan {
        var context = context()
        let definition = SpanDefinition(operationName, kind.ours, "")
        if let above = context.tracePoint {
            let point = above.begin(definition)
            context.tracePoint = point
            context.traceContext = point.context
            return SextantSpan(context: context, point: point, isRoot: false, kind: kind.ours, name: operationName)
        }
        guard let trace = tracer.begin(definition, parent: context.traceContext) else {
            if context.traceContext == nil { context.traceContext = tracer.untraced() }
            return SextantSpan(context: context, point: nil, isRoot: false, kind: kind.ours, name: operationName)
        }
        let point = TracePoint(trace: trace)
        context.tracePoint = point
        context.traceContext = point.context
        return SextantSpan(context: context, point: point, isRoot: true, kind: kind.ours, name: operationName)
    }

    package func forceFlush() {}

    // MARK: W3C Trace Context

    package func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext,
        into carrier: inout Carrier,
        using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let trace = context.traceContext else { return }
        injector.inject(trace.traceparent, forKey: TraceContext.parentHeader, into: &carrier)
        if !trace.state.isEmpty { injector.inject(trace.state, forKey: TraceContext.stateHeader, into: &carrier) }
    }

    package func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier,
        into context: inout ServiceContext,
        using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let parent = extractor.extract(key: TraceContext.parentHeader, from: carrier) else { return }
        let state = extractor.extract(key: TraceContext.stateHeader, from: carrier)
        context.traceContext = TraceContext(traceparent: parent, tracestate: state)
    }
}

extension ServiceContext {
    private enum TraceContextKey: ServiceContextKey {
        typealias Value = TraceContext
        static let nameOverride: String? = "trace-context"
    }

    private enum TracePointKey: ServiceContextKey {
        typealias Value = TracePoint
        static let nameOverride: String? = "trace-point"
    }

    /// What the next process is told; or what another has told, before a span has begun.
    package var traceContext: TraceContext? {
        get { self[TraceContextKey.self] }
        set { self[TraceContextKey.self] = newValue }
    }

    /// The span of ours under which further spans begin. Set it to have the facade's spans under a request's.
    package var tracePoint: TracePoint? {
        get { self[TracePointKey.self] }
        set { self[TracePointKey.self] = newValue }
    }
}

extension SpanKind {
    fileprivate var ours: SpanDefinition.Kind {
        switch self {
        case .server, .consumer: .server
        case .client, .producer: .client
        case .internal: .internal
        }
    }
}
