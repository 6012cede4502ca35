import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1

/// One request's way through the simulated worker: plan, wait for a place, send tokens as they are due.
///
/// Confined to its exchange's event loop, like the exchange. Without latency it runs to its end in one call and sets no
/// timer.
final class SimExchange {
    private let engine: SimEngine
    private let exchange: HTTPExchange
    private let head: HTTPRequestHead
    /// The request's number in the log; nil for requests that are not logged.
    private var logged: UInt64?

    private var generation: Generation?
    private var id: LoadModel.ID?
    private var fault: Fault.Kind?
    /// Nil where this request is not traced, or not yet.
    private var trace: Trace?
    private var clock: TokenClock?
    private var timer: Scheduled<Void>?
    private var arrivedAt = NIODeadline.distantPast
    private var admittedAt: NIODeadline?
    private var firstTokenAt: NIODeadline?
    private var lastTokenAt = NIODeadline.distantPast
    /// Token times that have passed.
    private var step = 0
    private var hasStarted = false
    private var chunksSent = 0
    private var isOver = false

    init(_ engine: SimEngine, _ exchange: HTTPExchange, _ head: HTTPRequestHead) {
        self.engine = engine
        self.exchange = exchange
        self.head = head
    }

    func run(_ body: ByteBuffer) {
        let path = String(head.uri.prefix { $0 != "?" })
        if !path.hasPrefix("/sim/"), path != "/metrics" { logged = engine.log.add(head, body) }
        exchange.onCancel = { self.clientLeft() }
        do throws(SimError) {
            fault = try engine.fault(head, path: path)
            switch fault {
            case .hang, .kvFull, .refuse:
                traceFault(path)
                return
            case .reset:
                traceFault(path)
                return breakOff()
            case .status(let status):
                traceFault(path)
                return respond(SimError(status, "InjectedFault", "This answer is an injected fault.").response)
            case .resetMidStream, .slow, nil: break
            }
            switch try engine.plan(head, path: path, body) {
            case .respond(let response): respond(response)
            case .generate(let generation): arrive(generation)
            }
        } catch {
            respond(error.response)
        }
    }

    // MARK: Waiting for a place

    private func arrive(_ generation: Generation) {
        self.generation = generation
        arrivedAt = .now()
        beginTrace()
        if let facts = generation.facts { trace?.state(facts, promptTokens: generation.totalPromptTokens) }
        let bound = NIOLoopBound(self, eventLoop: exchange.eventLoop)
        let (id, arrival) = engine.arrived(generation) { cachedTokens in
            bound.eventLoop.execute { bound.value.admitted(cachedTokens: cachedTokens) }
        }
        self.id = id
        switch arrival {
        case .admitted(let cachedTokens): admitted(cachedTokens: cachedTokens)
        case .queued: break
        case .rejected: refused(SimError(429, "TooManyRequestsError", "The waiting queue is full."))
        case .tooLarge: refused(.badRequest("The request needs more KV blocks than the worker has."))
        }
    }

    private func refused(_ error: SimError) {
        id = nil
        trace?.discard()
        trace = nil
        respond(error.response)
    }

    private func admitted(cachedTokens: Int) {
        guard !isOver, var generation else { return }
        if case .answer(var answer, let format) = generation.payload {
            answer.cachedTokens = cachedTokens
            generation.payload = .answer(answer, format)
            self.generation = generation
        }
        let now = NIODeadline.now()
        admittedAt = now
        if engine.config.zeroLatency {
            sendTokens(upTo: steps, now: now)
            return
        }
        var slowness = 1.0
        if case .slow(let factor) = fault { slowness = factor }
        let clock = TokenClock(
            engine.clockSettings,
            uncachedTokens: generation.isPrefilled ? 0 : generation.totalPromptTokens - cachedTokens,
            slowness: slowness,
            running: engine.runningCount,
            admittedAt: now
        )
        self.clock = clock
        wait(until: clock.due)
    }

    // MARK: Sending

    private var steps: Int {
        guard case .answer(let answer, _) = generation?.payload else { return 0 }
        return answer.steps
    }

    private var isStream: Bool {
        guard case .answer(let answer, _) = generation?.payload else { return false }
        return answer.isStream
    }

    private func wait(until due: NIODeadline) {
        timer = exchange.eventLoop.assumeIsolated().scheduleTask(deadline: due) { self.tokensDue() }
    }

    private func tokensDue() {
        guard !isOver, var clock else { return }
        exchange.onWritable = nil
        let now = NIODeadline.now()
        let running = engine.runningCount
        guard isStream else {
            if firstTokenAt == nil, steps > 1 {
                // Nobody sees the tokens of a whole answer come: one timer for all but the first.
                firstTokenAt = now
                for _ in 1..<steps { clock.tokenSent(running: running) }
                self.clock = clock
                return wait(until: clock.due)
            }
            return sendTokens(upTo: steps, now: now)
        }
        while !isOver, clock.due <= now, exchange.isWritable {
            clock.tokenSent(running: running)
            self.clock = clock
            sendTokens(upTo: step + 1, now: now)
        }
        guard !isOver else { return }
        exchange.flush()
        if exchange.isWritable {
            wait(until: clock.due)
        } else {
            // The client reads too slowly: the answer waits for it.
            exchange.onWritable = { self.tokensDue() }
        }
    }

    /// Sends the tokens that are due, and the end of the answer after the last one.
    private func sendTokens(upTo due: Int, now: NIODeadline) {
        guard let generation else { return }
        if firstTokenAt == nil { firstTokenAt = now }
        switch generation.payload {
        case .fixed(let response):
            finish(now)
            respond(response)
        case .answer(let answer, let format):
            guard answer.isStream else {
                var body = ByteBuffer()
                body.reserveCapacity(512)
                format.writeWhole(answer, into: &body)
                finish(now)
                respond(SimResponse(body: body))
                return
            }
            sendEvents(answer, format, upTo: due, now: now)
        }
    }

    private func sendEvents(_ answer: Answer, _ format: any AnswerFormat, upTo due: Int, now: NIODeadline) {
        if !hasStarted {
            hasStarted = true
            exchange.start(status: .ok, headers: headers(contentType: "text/event-stream; charset=utf-8"), length: nil)
            send { format.writeOpening(answer, into: &$0) }
        }
        while step < due, !isOver {
            if step > 0 { engine.metrics.interTokenLatency.record(seconds(from: lastTokenAt, to: now)) }
            lastTokenAt = now
            let index = step
            step += 1
            send { format.writeToken(answer, at: index, into: &$0) }
            if case .resetMidStream(let chunks) = fault, chunksSent >= chunks { return breakOff() }
        }
        guard step == answer.steps, !isOver else { return }
        finish(now)
        send { format.writeClosing(answer, into: &$0) }
        end(.answered)
        exchange.finish()
    }

    private func send(_ write: (inout ByteBuffer) -> Void) {
        var buffer = ByteBuffer()
        write(&buffer)
        guard buffer.readableBytes > 0 else { return }
        chunksSent += 1
        exchange.write(buffer)
    }

    private func respond(_ response: SimResponse) {
        if case .resetMidStream = fault, response.status == .ok {
            failTrace()
            end(.answered)
            // Half of a whole body is what arrives.
            exchange.start(
                status: response.status,
                headers: headers(contentType: response.contentType),
                length: response.body.readableBytes
            )
            exchange.write(
                response.body.getSlice(at: response.body.readerIndex, length: response.body.readableBytes / 2)
                    ?? ByteBuffer()
            )
            exchange.flush()
            exchange.abort()
            return
        }
        end(.answered)
        exchange.respond(
            status: response.status,
            headers: headers(contentType: response.contentType),
            body: response.body
        )
    }

    private func headers(contentType: String?) -> HTTPHeaders {
        var headers: [(String, String)] = [("server", "uvicorn"), ("x-sim-worker", engine.name)]
        if let contentType { headers.append(("content-type", contentType)) }
        if engine.config.requestIDHeaders, let id = head.headers.first(name: "x-request-id") {
            headers.append(("x-request-id", id))
        }
        return HTTPHeaders(headers)
    }

    // MARK: Ending

    /// Gives the place back and counts the request, before its last bytes go out: a client that has the whole answer finds
    /// it in the metrics.
    private func finish(_ now: NIODeadline) {
        guard let generation, let id else { return }
        self.id = nil
        engine.finished(id, hashes: generation.finalHashes)
        record(generation, now)
    }

    private func record(_ generation: Generation, _ now: NIODeadline) {
        let metrics = engine.metrics
        var generated = 0
        var reason = SimMetrics.FinishReason.stop
        if case .answer(let answer, _) = generation.payload {
            generated = answer.completionTokens
            reason = answer.finishReason
        }
        let prompt = generation.totalPromptTokens
        metrics.promptTokens.increment(by: prompt)
        metrics.generationTokens.increment(by: generated)
        metrics.finished(reason)
        metrics.requestPromptTokens.record(Double(prompt))
        metrics.requestGenerationTokens.record(Double(generated))
        let admitted = admittedAt ?? now
        let first = firstTokenAt ?? now
        let times = RequestTimes(
            toFirstToken: seconds(from: arrivedAt, to: first),
            endToEnd: seconds(from: arrivedAt, to: now),
            inQueue: seconds(from: arrivedAt, to: admitted),
            prefill: seconds(from: admitted, to: first),
            decode: seconds(from: first, to: now),
            inference: seconds(from: admitted, to: now)
        )
        metrics.timeToFirstToken.record(times.toFirstToken)
        metrics.endToEnd.record(times.endToEnd)
        metrics.queueTime.record(times.inQueue)
        metrics.prefillTime.record(times.prefill)
        metrics.decodeTime.record(times.decode)
        metrics.inferenceTime.record(times.inference)
        if steps > 1 { metrics.timePerOutputToken.record(times.decode / Double(steps - 1)) }
        trace?.state(times, completionTokens: generated)
    }

    private func seconds(from start: NIODeadline, to end: NIODeadline) -> Double {
        Double((end - start).nanoseconds) * 1e-9
    }

    /// Closes the connection in the middle of whatever was going on.
    private func breakOff() {
        failTrace()
        end(.answered)
        abandon()
        exchange.flush()
        exchange.abort()
    }

    private func clientLeft() {
        // A fault's word comes first.
        trace?.fail(.root, SimMetrics.FinishReason.abort.rawValue)
        end(.cancelled)
        abandon()
    }

    /// Gives the place back if there is one.
    private func abandon() {
        guard let id else { return }
        self.id = nil
        engine.cancelled(id)
        engine.metrics.finished(.abort)
    }

    private func end(_ outcome: RequestLog.Outcome) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        clock = nil
        trace?.finish()
        if let logged { engine.log.ended(logged, outcome) }
    }

    // MARK: Tracing

    private func beginTrace() {
        guard let tracer = engine.tracer else { return }
        let parent = TraceContext(
            traceparent: head.headers.first(name: TraceContext.parentHeader),
            tracestates: head.headers[TraceContext.stateHeader]
        )
        trace = tracer.begin(SimSpans.request, parent: parent)
    }

    /// Traces a request that a fault keeps from the engine, if the engine were to answer it.
    private func traceFault(_ path: String) {
        guard engine.tracer != nil, let route = Route.all[path], route.asksModel, route.methods.contains(head.method)
        else { return }
        beginTrace()
        failTrace()
    }

    private func failTrace() {
        guard let trace, let fault else { return }
        trace.fail(.root, fault.name)
    }
}
