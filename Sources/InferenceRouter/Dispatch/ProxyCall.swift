import HTTPTransport
import Instruments
import Logging
import NIOCore
import NIOHTTP1
import OpenAIWire
import Resilience
import Transport

/// One request between a client's exchange and the workers: sends it, falls over to the next worker while nothing has
/// come back, then copies the answer with back-pressure both ways.
///
/// Confined to the exchange's event loop.
final class ProxyCall: UpstreamReceiver {
    private var request: ProxyRequest
    private let router: InferenceRouter
    private let exchange: HTTPExchange
    private var order: ArraySlice<Worker>
    /// How often the request may still be sent again after a worker had it. A worker that could not be reached does not
    /// count: it has not seen the request.
    private var resendsLeft: Int

    private var call: UpstreamCall?
    private var lease: Lease?
    /// The attempt under way.
    private var span: TracePoint?
    /// What the model has to do with the request, as figures; nil for a request that names a worker.
    private var measured: ModelCall?
    private var meter = AnswerMeter(contentType: nil)
    private var status = HTTPResponseStatus.ok
    private var watch = Stopwatch()
    private var isAnswering = false
    private var isReadingPaused = false
    private var isOver = false

    init(request: ProxyRequest, order: [Worker], router: InferenceRouter, exchange: HTTPExchange) {
        self.request = request
        self.router = router
        self.exchange = exchange
        self.order = order[...]
        resendsLeft = router.settings.maxFailoverAttempts
    }

    func start(at now: NIODeadline) {
        if let models = order.first?.metrics.models {
            (models[request.model] ?? models[""])?.incoming.increment()
        }
        if !request.modelName.isEmpty { measured = router.metrics.models.begin(request.modelName) }
        exchange.onCancel = { [self] in clientWentAway() }
        exchange.onWritable = { [self] in clientCaughtUp() }
        attempt(at: now)
    }

    private var worker: Worker? { order.first }
    private var isSuccess: Bool { (200..<300).contains(status.code) }

    private func attempt(at now: NIODeadline) {
        guard let worker = order.first else { return }
        lease = Lease(worker, at: MonotonicTime(now))
        watch = Stopwatch()
        worker.metrics.observeStart()
        logRouting(to: worker)
        var headers = HTTPHeaders()
        headers.reserveCapacity(request.headers.count + 2)
        headers.add(name: "host", value: worker.endpoint.origin.authority)
        headers.add(contentsOf: request.headers)
        if let trace = request.trace {
            let attempt = trace.begin(InferenceSpans.attempt)
            span = attempt
            attempt.set(InferenceSpans.method, .text(request.method.rawValue))
            attempt.set(InferenceSpans.backend, .text(worker.endpoint.url))
            attempt.set(InferenceSpans.requestID, .text(request.id))
            headers.tell(attempt.context)
        }
        let upstream = UpstreamRequest(
            method: request.method,
            uri: request.uri,
            headers: headers,
            body: request.body,
            deadlines: router.settings.deadlines
        )
        let call = router.clients[exchange.eventLoop].send(upstream, to: worker.endpoint.origin, receiver: self)
        // A call may fail at once, and then the next attempt has already been made.
        if !call.isOver { self.call = call }
    }

    /// Upstream's line, word for word: its users' scripts read it.
    private func logRouting(to worker: Worker) {
        guard router.logger.logLevel <= .info else { return }
        let elapsed = Double((NIODeadline.now() - request.arrival).nanoseconds) / 1e9
        router.logger.info(
            """
            Routing request \(request.id) with session id None to \(worker.endpoint.url) \
            at \(WallClock.seconds()), process time = \(WallClock.fourDecimals(elapsed))
            """,
            metadata: request.trace.map { ["trace_id": "\($0.trace.id.text)"] }
        )
    }

    /// With what tells one request's lines from another's.
    private func identified(_ facts: Logger.Metadata) -> Logger.Metadata {
        var metadata = facts
        metadata["request_id"] = "\(request.id)"
        if let trace = request.trace { metadata["trace_id"] = "\(trace.trace.id.text)" }
        return metadata
    }

    // MARK: The worker's answer

    func receivedHead(_ head: HTTPResponseHead) {
        guard let worker else { return }
        report(head.status, of: worker)
        isAnswering = true
        // Before anything that may end the call.
        let now = NIODeadline.now()
        worker.metrics.observeFirstByte(since: request.arrival, at: now)
        router.metrics.stages.record(.firstByte, watch.lap())
        // Nothing is sent again from here on: the body's memory is free.
        request.body = ByteBuffer()
        exchange.releaseRequestBody()
        status = head.status
        let own = isSuccess ? request.responseHeaders + request.routingHeaders : request.responseHeaders
        var headers = HopByHop.forwardable(head.headers) { name in own.contains { $0.name == name } }
        headers.add(contentsOf: own.lazy.map { ($0.name, $0.value) })
        meter = AnswerMeter(contentType: head.headers.first(name: "content-type"))
        let length = head.headers.first(name: "content-length").flatMap { Int($0) }
        exchange.start(status: head.status, headers: headers, length: length)
        if let span, let trace = request.trace {
            span.set(InferenceSpans.status, .number(Int(head.status.code)))
            span.set(InferenceSpans.isStreaming, .flag(meter.isEventStream))
            trace.set(InferenceSpans.status, .number(Int(head.status.code)))
            trace.set(InferenceSpans.backend, .text(worker.endpoint.url))
            if head.status.code >= 500 {
                // OpenTelemetry's way to say what kind of failure an HTTP answer is.
                span.fail("\(head.status.code)")
                trace.fail("\(head.status.code)")
            }
            trace.set(InferenceSpans.firstByte, .decimal(Double((now - request.arrival).nanoseconds) / 1e9))
        }
    }

    /// Passive health: an answer shows that the worker is there, except for the statuses by which servers and proxies say
    /// that they cannot serve at all.
    private func report(_ status: HTTPResponseStatus, of worker: Worker) {
        switch status {
        case .badGateway, .serviceUnavailable, .gatewayTimeout: worker.failedToAnswer(at: .now())
        default: worker.answered()
        }
        lease?.reported()
    }

    func receivedBody(_ piece: ByteBuffer) {
        if meter.receive(piece), isSuccess {
            measured?.receivedToken(after: elapsed, trace: request.trace?.exemplar)
        }
        exchange.write(piece)
    }

    /// Since the request came.
    private var elapsed: Duration { .nanoseconds((NIODeadline.now() - request.arrival).nanoseconds) }

    func receivedBurst() {
        exchange.flush()
        if !exchange.isWritable, !isReadingPaused {
            isReadingPaused = true
            call?.pauseReading()
        }
    }

    func receivedEnd() {
        exchange.finish()
        router.metrics.stages.record(.stream, watch.lap())
        measureAnswer()
        complete(.success)
    }

    private func measure(_ failure: RequestFailure) {
        guard !isOver else { return }
        measured?.failed(failure, after: elapsed, trace: request.trace?.exemplar)
    }

    private func measureAnswer() {
        if let failure = RequestFailure(status: Int(status.code)) { return measure(failure) }
        guard isSuccess else { return }
        let usage = meter.usage
        if let usage { measure(usage) }
        measured?.succeeded(
            after: elapsed,
            completionTokens: usage?.completionTokens ?? (meter.isEventStream ? meter.events : nil),
            isStream: meter.isEventStream,
            trace: request.trace?.exemplar
        )
    }

    private func measure(_ usage: Usage) {
        let (prompt, completion) = (usage.promptTokens, usage.completionTokens)
        measured?.recordTokens(prompt: prompt, cached: usage.cachedTokens ?? 0, completion: completion)
        worker?.metrics.recordTokens(model: request.model, prompt: prompt, completion: completion)
        request.trace?.set(InferenceSpans.inputTokens, .number(prompt))
        request.trace?.set(InferenceSpans.outputTokens, .number(completion))
    }

    func failed(_ error: UpstreamError) {
        guard let worker else { return }
        let now = NIODeadline.now()
        // A request pinned to a worker may name any model; only names that the worker serves are labels.
        let label = worker.metrics.models[request.model] == nil ? "" : request.model
        router.metrics.countError(worker: worker, model: label, kind: error.kind.rawValue)
        span?.fail(error.kind.rawValue)
        span?.end()
        span = nil
        if isAnswering {
            router.logger.warning(
                "worker broke off within its answer",
                metadata: identified(["server": "\(worker.endpoint.url)", "error": "\(error)"])
            )
            measure(error.kind.requestFailure)
            breakOff(error)
            complete(.error)
            return
        }
        // Our own bound says nothing about the worker's health.
        if error.kind != .tooManyConnections {
            worker.failedToAnswer(at: MonotonicTime(now))
            lease?.reported()
        }
        lease = nil
        let next = mayGoOn(after: error, at: now) ? order.dropFirst().first : nil
        router.logger.warning(
            "worker gave no answer",
            metadata: identified([
                "server": "\(worker.endpoint.url)", "error": "\(error)", "next": "\(next?.endpoint.url ?? "none")",
            ])
        )
        guard next != nil else {
            answer(Self.routerError(for: error.kind, model: request.model.prefix(128)))
            measure(error.kind.requestFailure)
            complete(.error)
            return
        }
        worker.metrics.failovers.increment()
        order = order.dropFirst()
        attempt(at: now)
    }

    /// Whether another worker may be asked. A request that a worker had may be what broke it, so it is sent again only so
    /// often; workers that were not reached are passed over for as long as a client can be expected to wait.
    private func mayGoOn(after error: UpstreamError, at now: NIODeadline) -> Bool {
        switch error.kind {
        case .connect, .connectTimeout, .tls, .tooManyConnections:
            return now - request.arrival < router.settings.deadlines.connect * 4
        case .closedBeforeResponse, .malformedResponse:
            guard resendsLeft > 0 else { return false }
            resendsLeft -= 1
            return true
        case .headTimeout, .idleTimeout, .closedWithinResponse:
            return false
        }
    }

    /// Ends an answer that cannot be completed so that the client knows: an event stream says why, as vLLM itself does,
    /// and the connection closes without the end that its framing promises.
    private func breakOff(_ error: UpstreamError) {
        if meter.isEventStream {
            let reason = RouterError(
                .workerUnavailable,
                origin: .upstream,
                "The worker broke off within its answer. What came before is incomplete.",
                retryable: true
            )
            var event = ByteBuffer(staticString: "\n\ndata: ")
            event.writeImmutableBuffer(ErrorResponder.body(for: reason))
            event.writeStaticString("\n\n")
            exchange.write(event)
            exchange.flush()
        }
        exchange.abort()
    }

    private func answer(_ error: RouterError) {
        let local = ErrorResponder.respond(to: error)
        request.trace?.fail(error.code.rawValue)
        request.trace?.set(InferenceSpans.status, .number(local.statusCode))
        let trace = request.trace?.exemplar.map { [(RoutingHeaders.traceID, $0.text)] }
        exchange.send(local, adding: request.responseHeaders + (trace ?? []))
    }

    private static func routerError(for kind: UpstreamError.Kind, model: Substring) -> RouterError {
        switch kind {
        case .connect, .connectTimeout, .tls, .malformedResponse:
            RouterError(
                .noWorker,
                origin: .upstream,
                "No worker of model '\(model)' could be reached. Please try again later.",
                retryable: true
            )
        case .tooManyConnections:
            RouterError(
                .overloaded,
                origin: .internal,
                "Too many requests are under way to model '\(model)'. Please try again later.",
                retryable: true
            )
        case .headTimeout, .idleTimeout:
            RouterError(
                .workerTimeout,
                origin: .upstream,
                "The worker of model '\(model)' did not answer in time.",
                retryable: true
            )
        case .closedBeforeResponse, .closedWithinResponse:
            RouterError(
                .workerUnavailable,
                origin: .upstream,
                "The worker of model '\(model)' closed the connection without an answer.",
                retryable: true
            )
        }
    }

    // MARK: The client

    private func clientWentAway() {
        call?.cancel()
        measure(.cancellation)
        complete(.cancelled)
    }

    private func clientCaughtUp() {
        guard isReadingPaused else { return }
        isReadingPaused = false
        call?.resumeReading()
    }

    /// Breaking an answer off may bring news that the client has gone: only the first end counts.
    private func complete(_ outcome: Outcome) {
        guard !isOver else { return }
        isOver = true
        worker?.metrics.observeEnd(model: request.model, outcome, since: request.arrival, hasBegun: isAnswering)
        if outcome != .success { (span ?? request.trace)?.fail(outcome.rawValue) }
        span?.end()
        span = nil
        request.trace?.finish()
        measured = nil
        lease = nil
        call = nil
        exchange.onCancel = nil
        exchange.onWritable = nil
    }
}

extension UpstreamError.Kind {
    /// In upstream's words.
    fileprivate var requestFailure: RequestFailure {
        switch self {
        case .connectTimeout, .headTimeout, .idleTimeout: .timeout
        case .connect, .tls, .tooManyConnections, .closedBeforeResponse, .closedWithinResponse, .malformedResponse:
            .failedByModel
        }
    }
}
