import Synchronization

/// Where finished traces go. Must neither block nor fail the caller.
package protocol TraceSink: Sendable {
    func record(_ trace: Trace.Finished)
}

/// Begins traces, and decides which are kept.
package final class RequestTracer: Sendable {
    private let sampler: Sampler
    private let sink: any TraceSink
    private let seed: UInt64
    private let counter = Atomic<UInt64>(0)

    package init(sampler: Sampler, sink: any TraceSink, using random: inout some RandomNumberGenerator) {
        self.sampler = sampler
        self.sink = sink
        seed = random.next()
    }

    /// Begins what this process does for a request; nil when nothing can come of it, which is decided without a clock
    /// and without memory.
    ///
    /// - Parameter parent: what the sender said of the trace.
    package func begin(_ definition: SpanDefinition, parent: TraceContext?) -> Trace? {
        let id = parent?.traceID ?? traceID()
        let isSampled = sampler.samples(id, parent: parent)
        guard isSampled || sampler.keepsByOutcome else { return nil }
        return Trace(id: id, isSampled: isSampled, parent: parent, definition: definition, tracer: self)
    }

    func finish(_ trace: Trace.Finished, isSampled: Bool) {
        guard isSampled || sampler.keeps(trace) else { return }
        sink.record(trace)
    }

    /// Unique within the process, and by the seed with all but certainty beyond: a counter mixed by SplitMix64
    /// (Steele et al., 2014), without a system call.
    func spanID() -> SpanID {
        while true {
            if let id = SpanID(next()) { return id }
        }
    }

    private func traceID() -> TraceID {
        while true {
            if let id = TraceID(high: next(), low: next()) { return id }
        }
    }

    private func next() -> UInt64 {
        var mixed = seed &+ counter.wrappingAdd(1, ordering: .relaxed).newValue &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
