import GRPCTransport
import Instruments
import NIOCore
import OpenAIWire
import SemanticRouter
import Transport

/// One call: carries messages between a connection and a stream's state. Confined to the connection's event loop.
final class ExtProcCall: GRPCCallHandler {
    private let service: ExtProcService
    private let call: GRPCServerCall
    private var stream: ExtProcStream
    /// Bytes of the body taken from the budget.
    private var reservedBytes = 0
    private let arrival = NIODeadline.now()
    /// Ends a body that takes too long.
    private var timer: Scheduled<Void>?
    /// Whether the request has been asked about, and so been counted.
    private var isCounted = false
    /// Where the request's way is recorded, if it is traced.
    private var trace: TracePoint?
    /// The request's time behind Envoy.
    private var upstream: TracePoint?
    /// What the next process is told where this one records nothing, and nobody else has said anything.
    private var untraced: TraceContext?
    /// Whether the request may have two more header fields.
    private var hasRoom = true
    /// 80: Envoy refuses a request with more than 100 fields, also when it is to fail open, and other edits add some too.
    private static let mostFields = 80
    /// What is seen of the answer, from when the request has been sent on.
    private var answer: AnswerRecorder?

    init(service: ExtProcService, call: GRPCServerCall) {
        self.service = service
        self.call = call
        stream = service.stream()
    }

    /// 10 s, the `max_message_timeout` of the configurations in deploy/envoy: many of the largest bodies at once take that.
    private static let timeForLargeBodies = 10

    func willReceive(bytes: Int) {
        guard stream.isGathering else { return }
        send(ProcessingResponse(.moreTime(seconds: Self.timeForLargeBodies)))
    }

    func receive(_ message: ByteBuffer) {
        let request: ProcessingRequest
        do {
            request = try ProcessingRequest(message)
        } catch .nothingToProcess {
            // Envoy waits for no reply to what it says besides, such as its flow control.
            return
        } catch {
            fail(.malformed, GRPCStatus(.invalidArgument, "this is no message of Envoy's"))
            return
        }
        observe(request.part)
        carryOut(stream.receive(request))
        keepWithinBounds()
    }

    /// What figures and spans are made of.
    private func observe(_ part: ProcessingRequest.Part) {
        switch part {
        case .requestHeaders(let part): begin(part.fields)
        case .responseHeaders(let part):
            answer?.receive(part, trace, upstream)
            upstream?.end()
        case .responseBody(let part): answer?.receive(part, trace)
        case .responseTrailers: answer?.end(trace)
        case .requestBody, .requestTrailers: break
        }
    }

    /// Envoy tells of its own span with the call, if it traces; else the client may have told of one.
    private func begin(_ fields: HeaderFields) {
        guard trace == nil, let tracer = service.tracer else { return }
        hasRoom = fields.count <= Self.mostFields || fields.first("traceparent") != nil
        let parent =
            TraceContext(
                traceparent: call.headers(TraceContext.parentHeader).first,
                tracestates: call.headers(TraceContext.stateHeader)
            )
            ?? TraceContext(
                traceparent: fields.first("traceparent"),
                tracestates: fields.values(TraceContext.stateHeader)
            )
        guard let trace = tracer.begin(SemanticSpans.request, parent: parent) else {
            if parent == nil { untraced = tracer.untraced() }
            return
        }
        let point = TracePoint(trace: trace)
        stream.traceID = trace.exemplar?.text
        if let id = fields.first("x-request-id"), RoutingHeaders.isUsable(requestID: id) {
            point.set(SemanticSpans.requestID, .text(id))
        }
        self.trace = point
    }

    func receiveEnd() {
        call.finish(.ok)
    }

    func ended() {
        if let code = stream.refusal {
            service.countRefusal(code, trace)
        } else if !isCounted, stream.isDecided {
            service.count(.pass, trace)
        }
        answer?.close(trace)
        answer = nil
        trace?.finish()
        timer?.cancel()
        service.budget.release(reservedBytes)
        reservedBytes = 0
    }

    func serverIsClosing() {
        // Ended well, the rest of an answer passes; a request that has not been decided must not.
        // That the rest of an answer is not seen is our doing, and says nothing about it.
        answer = nil
        call.finish(stream.isDecided ? .ok : GRPCStatus(.unavailable, "the server is closing"))
    }

    private func carryOut(_ step: ExtProcStream.Step) {
        var step = step
        while case .ask(let question) = step {
            isCounted = true
            let verdict = service.verdict(question, trace)
            if case .proceed(let proceeding) = verdict, let model = proceeding.modelName {
                answer = AnswerRecorder(service.metrics.models.begin(model), since: arrival)
                upstream = trace?.begin(SemanticSpans.upstream)
            }
            let context = hasRoom ? (upstream ?? trace)?.context ?? untraced : nil
            step = stream.answer(verdict.telling(context))
        }
        switch step {
        case .nothing, .ask: break
        case .reply(let response): send(response)
        case .replies(let responses):
            for response in responses { send(response) }
        }
        if let end = stream.end {
            if end.code != .ok { service.metrics.countFailure(.protocol) }
            call.finish(end)
        }
    }

    private func send(_ response: ProcessingResponse) {
        call.send { buffer in response.write(to: &buffer) }
    }

    // MARK: Bodies in pieces

    private func keepWithinBounds() {
        let wanted = call.isOpen ? stream.gatheredBytes : 0
        if wanted > reservedBytes {
            guard service.budget.reserve(wanted - reservedBytes) else {
                refuse(
                    RouterError(
                        .overloaded,
                        origin: .internal,
                        "Too many request bodies are under way. Try again shortly.",
                        retryable: true
                    )
                )
                return
            }
        } else {
            service.budget.release(reservedBytes - wanted)
        }
        reservedBytes = wanted
        guard stream.isGathering, wanted > 0, call.isOpen else {
            timer?.cancel()
            timer = nil
            return
        }
        guard timer == nil, let eventLoop = call.eventLoop else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleTask(in: service.settings.bodyTimeout) { bound.value.timeOut() }
    }

    private func timeOut() {
        refuse(RouterError(.requestTimeout, origin: .client, "The request's body took too long."))
    }

    private func refuse(_ error: RouterError) {
        carryOut(stream.refuse(error))
    }

    private func fail(_ failure: ExtProcMetrics.Failure, _ status: GRPCStatus) {
        service.metrics.countFailure(failure)
        trace?.fail(failure.rawValue)
        call.finish(status)
    }
}
