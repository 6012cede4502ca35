import Instruments
import Synchronization

/// Traces that wait to be exported, bounded by spans and by bytes. Full, it takes no more: what is lost is counted, and
/// nobody waits.
final class TraceQueue: Sendable {
    /// Why a trace was not taken.
    enum Refusal: Sendable {
        case full
        /// It would not fit any batch.
        case tooLarge
        /// The process ends.
        case closed
    }

    /// Traces that are exported together.
    struct Batch: Sendable {
        var traces: [Trace.Finished] = []
        var spans = 0
        var bytes = 0
    }

    private let limits: TracingSettings.Limits
    private let state: Mutex<State>

    private struct State: Sendable {
        /// What has come since the exporter looked last.
        var incoming: [Trace.Finished] = []
        /// Of all that waits, that which the exporter has taken out but not exported included.
        var spans = 0
        var bytes = 0
        var isClosed = false
        var sleeper: Sleeper?
    }

    /// The exporter, while it waits.
    private struct Sleeper: Sendable {
        let wakesWhenFull: Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    init(limits: TracingSettings.Limits) {
        self.limits = limits
        var state = State()
        state.incoming.reserveCapacity(limits.batchSpans)
        self.state = Mutex(state)
    }

    var spans: Int { state.withLock(\.spans) }
    var bytes: Int { state.withLock(\.bytes) }
    var isClosed: Bool { state.withLock(\.isClosed) }

    // MARK: In

    /// Takes a trace; nil when it was taken.
    func add(_ trace: Trace.Finished) -> Refusal? {
        let bytes = trace.estimatedBytes
        guard bytes <= limits.batchBytes else { return .tooLarge }
        let (refusal, sleeper): (Refusal?, Sleeper?) = state.withLock { state in
            guard !state.isClosed else { return (.closed, nil) }
            guard state.spans + trace.spans.count <= limits.queuedSpans,
                state.bytes + bytes <= limits.queuedBytes
            else { return (.full, nil) }
            state.incoming.append(trace)
            state.spans += trace.spans.count
            state.bytes += bytes
            guard state.spans >= limits.batchSpans, state.sleeper?.wakesWhenFull == true else { return (nil, nil) }
            return (nil, state.sleeper.take())
        }
        sleeper?.continuation.resume()
        return refusal
    }

    /// Takes no more, and wakes the exporter.
    func close() {
        let sleeper = state.withLock { state in
            state.isClosed = true
            return state.sleeper.take()
        }
        sleeper?.continuation.resume()
    }

    // MARK: Out

    /// Everything that has come since the last time. It counts as waiting until `release`.
    func takeIncoming() -> [Trace.Finished] {
        var taken: [Trace.Finished] = []
        taken.reserveCapacity(limits.batchSpans)
        state.withLock { swap(&$0.incoming, &taken) }
        return taken
    }

    /// Makes room for others.
    func release(_ batch: Batch) {
        state.withLock { state in
            state.spans -= batch.spans
            state.bytes -= batch.bytes
        }
    }

    /// Takes the first traces that fit a batch.
    func cutBatch(from traces: inout [Trace.Finished]) -> Batch {
        var batch = Batch()
        for trace in traces {
            let bytes = trace.estimatedBytes
            let fits =
                batch.spans + trace.spans.count <= limits.batchSpans && batch.bytes + bytes <= limits.batchBytes
            guard fits || batch.traces.isEmpty else { break }
            batch.traces.append(trace)
            batch.spans += trace.spans.count
            batch.bytes += bytes
        }
        // A slice would keep them all until the last is gone.
        traces.removeFirst(batch.traces.count)
        return batch
    }

    // MARK: Waiting

    /// Waits for the queue's closing, with `whenFull` also for a full batch, until the task is cancelled. Only the
    /// exporter waits.
    func wait(whenFull: Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    if state.isClosed || (whenFull && state.spans >= limits.batchSpans) || Task.isCancelled {
                        return true
                    }
                    state.sleeper = Sleeper(wakesWhenFull: whenFull, continuation: continuation)
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleeper.take() }?.continuation.resume()
        }
    }
}

extension Trace.Finished {
    /// About what it takes, in memory and encoded, from above: 128 bytes for each span, and each statement's texts.
    var estimatedBytes: Int {
        var bytes = spans.count * 128 + state.utf8.count * spans.count
        for span in spans { bytes += span.definition.name.utf8.count + (span.failure?.utf8.count ?? 0) }
        bytes += spans.first?.detail?.utf8.count ?? 0
        for statement in statements { bytes += statement.key.name.utf8.count + statement.value.estimatedBytes + 32 }
        return bytes
    }
}

extension SpanAttribute.Value {
    fileprivate var estimatedBytes: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .texts(let texts): texts.reduce(0) { $0 + $1.utf8.count + 16 }
        case .number, .decimal, .flag: 8
        }
    }
}
