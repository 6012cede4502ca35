package import Instruments
package import NIOHTTP1

extension HTTPHeaders {
    /// Tells the next process of the trace that the request belongs to, in place of what was said before.
    package mutating func tell(_ context: TraceContext) {
        replaceOrAdd(name: TraceContext.parentHeader, value: context.traceparent)
        if context.state.isEmpty {
            remove(name: TraceContext.stateHeader)
        } else {
            replaceOrAdd(name: TraceContext.stateHeader, value: context.state)
        }
    }

    /// What the sender says of the trace that its request belongs to; nil for nothing that can be read.
    package var traceContext: TraceContext? {
        TraceContext(
            traceparent: first(name: TraceContext.parentHeader),
            tracestates: self[TraceContext.stateHeader]
        )
    }
}
