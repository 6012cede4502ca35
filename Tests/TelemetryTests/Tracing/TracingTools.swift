import Instruments
import NIOCore
import OTLPAPI
import SwiftProtobuf
import Synchronization
import Telemetry
import TestRandom

/// Keeps what is handed on.
final class KeptTraces: TraceSink {
    private let kept = Mutex<[Trace.Finished]>([])

    var all: [Trace.Finished] { kept.withLock { $0 } }
    func record(_ trace: Trace.Finished) { kept.withLock { $0.append(trace) } }
}

enum Spans {
    static let request = SpanDefinition("request", .server, "A request.", attributes: [model])
    static let step = SpanDefinition("step", "A step.")
    static let upstream = SpanDefinition("upstream", .client, "A question to a worker.")
    static let model = SpanAttribute("model", "The model.")
    static let number = SpanAttribute("number", "Which trace it is.")
}

/// Makes traces by number.
struct TraceMaker: Sendable {
    private let tracer: RequestTracer

    init(_ sink: any TraceSink, sampler: Sampler = Sampler(.always)) {
        var random = SeededRandom(seed: 7)
        tracer = RequestTracer(sampler: sampler, sink: sink, using: &random)
    }

    func record(_ number: Int, spans: Int = 1, text: String? = nil) {
        guard let trace = tracer.begin(Spans.request, parent: nil) else { return }
        trace.set(Spans.number, .number(number))
        if let text { trace.set(Spans.model, .text(text)) }
        for _ in 1..<max(1, spans) { trace.end(trace.begin(Spans.step)) }
        trace.finish()
    }
}

/// Stands for time: whoever sleeps is woken by the test.
final class ManualTime: Sendable {
    private struct Sleep: Sendable {
        let duration: Duration
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State: Sendable {
        var sleeps: [Int: Sleep] = [:]
        var cancelled: Set<Int> = []
        var next = 0
    }

    private let state = Mutex(State())

    var sleep: @Sendable (Duration) async -> Void {
        { duration in
            let id = self.state.withLock { state in
                state.next += 1
                return state.next
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isOver = self.state.withLock { state in
                        if state.cancelled.remove(id) != nil { return true }
                        state.sleeps[id] = Sleep(duration: duration, continuation: continuation)
                        return false
                    }
                    if isOver { continuation.resume() }
                }
            } onCancel: {
                let sleep = self.state.withLock { state in
                    let sleep = state.sleeps.removeValue(forKey: id)
                    if sleep == nil { state.cancelled.insert(id) }
                    return sleep
                }
                sleep?.continuation.resume()
            }
        }
    }

    /// How long those sleep who sleep now.
    var pending: [Duration] { state.withLock { $0.sleeps.sorted { $0.key < $1.key }.map(\.value.duration) } }

    /// Ends every sleep under way.
    func pass() {
        let sleeps = state.withLock { state in
            defer { state.sleeps = [:] }
            return state.sleeps.values
        }
        for sleep in sleeps { sleep.continuation.resume() }
    }
}

/// A collector whose answers are scripted, without a network.
final class ScriptedCarrier: TraceCarrier {
    private struct State: Sendable {
        var requests: [ByteBuffer] = []
        var timeouts: [Duration] = []
        var hanging: [Int: CheckedContinuation<Void, Never>] = [:]
        var isClosed = false
    }

    /// Nil for no answer before the export is given up.
    typealias Script = @Sendable (_ attempt: Int) -> ExportOutcome?

    private let state = Mutex(State())
    private let script: Script
    private let closes: Bool

    /// - Parameter closes: whether closing comes to an end.
    init(closes: Bool = true, _ script: @escaping Script = { _ in .accepted(rejected: 0, message: "") }) {
        self.closes = closes
        self.script = script
    }

    var attempts: Int { state.withLock { $0.requests.count } }
    var requests: [ByteBuffer] { state.withLock(\.requests) }
    var timeouts: [Duration] { state.withLock(\.timeouts) }
    var hangingCount: Int { state.withLock { $0.hanging.count } }
    var isClosed: Bool { state.withLock(\.isClosed) }

    func send(_ request: ByteBuffer, within timeout: Duration) async -> ExportOutcome {
        let attempt = state.withLock { state in
            state.requests.append(request)
            state.timeouts.append(timeout)
            return state.requests.count - 1
        }
        if let outcome = script(attempt) { return outcome }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.hanging[attempt] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.hanging.removeValue(forKey: attempt) }?.resume()
        }
        return .failed("no answer", retryAfter: nil)
    }

    /// Lets what hangs fail.
    func giveUp() {
        let hanging = state.withLock { state in
            defer { state.hanging = [:] }
            return state.hanging.values
        }
        for continuation in hanging { continuation.resume() }
    }

    func close() async {
        state.withLock { $0.isClosed = true }
        guard closes else { return await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in } }
    }
}

extension ByteBuffer {
    /// The spans of an encoded request.
    var spans: [OTLPSpan] {
        get throws { try decodedRequest.resourceSpans.flatMap { $0.scopeSpans.flatMap(\.spans) } }
    }

    var decodedRequest: OTLPExportTraceServiceRequest {
        get throws { try OTLPExportTraceServiceRequest(serializedBytes: Array(readableBytesView)) }
    }

    /// The numbers that `TraceMaker` gave the traces, in the order in which they came.
    var traceNumbers: [Int] {
        get throws {
            try spans.flatMap { span in
                span.attributes.filter { $0.key == "number" }.map { Int($0.value.intValue) }
            }
        }
    }
}
