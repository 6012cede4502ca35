import Instruments
import NIOCore
import OpenAIWire
import SemanticRouter

/// Makes figures of an answer as far as Envoy shows it: of its head alone, or with a body that is sent along, of its
/// tokens and its end too.
struct AnswerRecorder: ~Copyable {
    private var model: ModelCall
    private let arrival: NIODeadline
    private var meter = AnswerMeter(contentType: nil)
    private var status = 0
    /// When the head came.
    private var headTime = Duration.zero
    private var hasBody = false
    private var isOver = false

    init(_ model: consuming ModelCall, since arrival: NIODeadline) {
        self.model = model
        self.arrival = arrival
    }

    private var elapsed: Duration { .nanoseconds((NIODeadline.now() - arrival).nanoseconds) }

    mutating func receive(_ part: ProcessingRequest.HeadersPart, _ trace: TracePoint?, _ upstream: TracePoint?) {
        status = part.fields.first(":status").flatMap { Int($0) } ?? 0
        trace?.set(SemanticSpans.status, .number(status))
        upstream?.set(SemanticSpans.status, .number(status))
        if status >= 500 {
            upstream?.fail("\(status)")
            trace?.fail("\(status)")
        }
        meter = AnswerMeter(contentType: part.fields.first("content-type"))
        headTime = elapsed
        if part.isLast { end(trace) }
    }

    mutating func receive(_ part: ProcessingRequest.BodyPart, _ trace: TracePoint?) {
        hasBody = hasBody || part.bytes.readableBytes > 0
        if meter.receive(part.bytes), (200..<300).contains(status) {
            model.receivedToken(after: elapsed, trace: trace?.exemplar)
        }
        if part.isLast { end(trace) }
    }

    /// Envoy tells no more. Where it shows heads only, the head stands for the first token, and nobody knows how long the
    /// answer took.
    mutating func close(_ trace: TracePoint?) {
        guard !isOver, status != 0 else { return }
        isOver = true
        if hasBody {
            model.failed(.cancellation, after: elapsed)
        } else if !countFailure(after: headTime) {
            model.receivedToken(after: headTime, trace: trace?.exemplar)
        }
    }

    /// The answer is whole.
    mutating func end(_ trace: TracePoint?) {
        guard !isOver else { return }
        isOver = true
        guard !countFailure(after: elapsed) else { return }
        guard (200..<300).contains(status) else { return }
        let usage = meter.usage
        if let usage {
            model.recordTokens(
                prompt: usage.promptTokens,
                cached: usage.cachedTokens ?? 0,
                completion: usage.completionTokens
            )
        }
        model.succeeded(
            after: elapsed,
            completionTokens: usage?.completionTokens ?? (meter.isEventStream ? meter.events : nil),
            isStream: meter.isEventStream,
            trace: trace?.exemplar
        )
    }

    private func countFailure(after time: Duration) -> Bool {
        guard let failure = RequestFailure(status: status) else { return false }
        model.failed(failure, after: time)
        return true
    }
}
