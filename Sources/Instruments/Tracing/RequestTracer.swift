import Synchronization

/// Where finished traces go. Must neither block nor fail the caller.
package protocol TraceSink: Sendable {
    func record(_ trace: Trace.Finished)
}

/// Begins traces, and decides which are kept.
package final class RequestTracer: Sendable {
    private let sampler: Sampler
    private let sink: any TraceSink
    private let seeds: (high: UInt64, low: UInt64, span: UInt64)
    private let counter = Atomic<UInt64>(0)

    package init(sampler: Sampler, sink: any TraceSink, using random: inout some RandomNumberGenerator) {
        self.sampler = sampler
        self.sink = sink
        seeds = (random.next(), random.next(), random.next())
    }

    /// Begins what this process does for a request; nil when nothing can come of it, which is decided without memory.
    ///
    /// - Parameters:
    ///   - parent: what the sender said of the trace.
    ///   - detail: what the root's name says beyond the definition's; one of few.
    package func begin(_ definition: SpanDefinition, parent: TraceContext?, detail: String? = nil) -> Trace? {
        // One number for each trace gives all its ids: unlike those of the process's other traces, and by the seeds,
        // with all but certainty, unlike any other's.
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        let id = parent?.traceID ?? traceID(number)
        let isSampled = sampler.samples(id, parent: parent)
        guard isSampled || sampler.keepsByOutcome else { return nil }
        return Trace(
            id: id,
            isSampled: isSampled,
            parent: parent,
            definition: definition,
            detail: detail,
            spanSeed: SplitMix64.mixed(seeds.span, step: number),
            tracer: self
        )
    }

    /// What the next process is told of a request that is not traced and came without a word about it: not to trace it
    /// either.
    package func untraced() -> TraceContext {
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        let span = SpanID(SplitMix64.mixed(seeds.span, step: number)) ?? .fallback
        return TraceContext(traceID: traceID(number), spanID: span, isSampled: false)
    }

    func finish(_ trace: Trace.Finished) {
        guard trace.isSampled || sampler.keeps(trace) else { return }
        sink.record(trace)
    }

    private func traceID(_ number: UInt64) -> TraceID {
        let high = SplitMix64.mixed(seeds.high, step: number)
        let low = SplitMix64.mixed(seeds.low, step: number)
        return TraceID(high: high, low: low) ?? .fallback
    }
}
