import Instruments
import Synchronization
import TestRandom

/// Keeps what is handed on.
final class KeptTraces: TraceSink {
    private let kept = Mutex<[Trace.Finished]>([])

    var all: [Trace.Finished] { kept.withLock { $0 } }
    func record(_ trace: Trace.Finished) { kept.withLock { $0.append(trace) } }
}

/// Nanoseconds that a test sets.
final class SetClock: Sendable {
    private let nanoseconds = Atomic<UInt64>(1_000_000_000_000)

    func advance(_ duration: Duration) { nanoseconds.add(UInt64(duration / .nanoseconds(1)), ordering: .relaxed) }
    func goBack(_ duration: Duration) { nanoseconds.subtract(UInt64(duration / .nanoseconds(1)), ordering: .relaxed) }
    var read: @Sendable () -> UInt64 { { self.nanoseconds.load(ordering: .relaxed) } }
}

extension RequestTracer {
    convenience init(_ sampler: Sampler, _ sink: any TraceSink, seed: UInt64 = 1) {
        var random = SeededRandom(seed: seed)
        self.init(sampler: sampler, sink: sink, using: &random)
    }
}

enum Spans {
    static let request = SpanDefinition("request", .server, "A request.", attributes: [model, attempt])
    static let step = SpanDefinition("step", "A step.")
    static let upstream = SpanDefinition("upstream", .client, "A question to a worker.")
    static let model = SpanAttribute("model", "The model.")
    static let attempt = SpanAttribute("attempt", "Which attempt it is.")
}
