import ConfigKit
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import OpenAIWire
import Resilience
import Synchronization
import Transport

/// A model that a worker serves: what asking it takes, whatever it answers.
///
/// Every call ends by its deadline, at once when too many are under way, and at once while the worker is left alone after
/// failures. All requests of a model go over one event loop, so that a few warm connections serve them; answers are
/// decoded by the callers' tasks.
final class RemoteModel: Sendable {
    let settings: RemoteModelSettings
    private let clients: LoopLocal<UpstreamClient>
    private let loop: any EventLoop
    private let metrics: RemoteModelMetrics.OfModel
    private let gate: Mutex<Gate>
    private let clock: @Sendable () -> MonotonicTime

    private struct Gate {
        var breaker: CircuitBreaker
        var running = 0
    }

    /// - Parameters:
    ///   - clients: their settings hold for TLS and for connections.
    ///   - clock: of the breaker. Deadlines are always those of the system's clock.
    init(
        _ settings: RemoteModelSettings,
        clients: LoopLocal<UpstreamClient>,
        metrics: RemoteModelMetrics,
        clock: @escaping @Sendable () -> MonotonicTime
    ) {
        precondition(settings.path.hasPrefix("/"), "a path begins with a slash")
        precondition(settings.maxConcurrentRequests >= 1, "at least one request must be let through")
        self.settings = settings
        self.clients = clients
        self.clock = clock
        loop = clients.anyLoop()
        gate = Mutex(Gate(breaker: CircuitBreaker(settings.breaker)))
        self.metrics = metrics.model(settings.name)
        metrics.observe(self)
    }

    var breakerState: CircuitBreaker.State {
        let now = clock()
        return gate.withLock { $0.breaker.state(at: now) }
    }

    /// Asks the worker about a text.
    ///
    /// - Parameters:
    ///   - members: of the request, after the model and the text.
    ///   - read: makes of the answer's document what the caller wants. Throws when it is not what it should be, which
    ///     counts as the worker's failure.
    func ask<Answer>(
        _ text: String,
        _ members: [(String, JSONFragment)],
        by deadline: MonotonicTime,
        read: (JSONValue) throws(RemoteFailure) -> Answer
    ) async throws(ComputeError) -> Answer {
        do throws(RemoteFailure) {
            guard text.utf8.count <= settings.maxTextBytes else { throw .tooLong }
            guard !Task.isCancelled else { throw .cancelled }
            let start = MonotonicTime.now()
            guard start < deadline else { throw .deadline(patience: .zero) }
            let isProbe = try enter()
            let result = await answer(request(text, members), by: deadline, read)
            leave(result, isProbe: isProbe)
            metrics.seconds.record(start.elapsed(until: .now()))
            let answer = try result.get()
            metrics.countAnswer()
            return answer
        } catch {
            metrics.count(error)
            throw error.computeError
        }
    }

    // MARK: The gate

    /// Takes one of the places.
    ///
    /// - Returns: whether the request is the probe of a breaker that was open.
    private func enter() throws(RemoteFailure) -> Bool {
        let now = clock()
        let entry = gate.withLock { gate -> Result<Bool, RemoteFailure> in
            guard gate.running < settings.maxConcurrentRequests else { return .failure(.busy) }
            guard gate.breaker.allow(at: now) else { return .failure(.breakerOpen) }
            gate.running += 1
            return .success(gate.breaker.state(at: now) == .halfOpen)
        }
        return try entry.get()
    }

    private func leave(_ result: Result<some Any, RemoteFailure>, isProbe: Bool) {
        let verdict: RemoteFailure.Verdict
        switch result {
        case .success: verdict = .well
        case .failure(let failure): verdict = failure.verdict(enough: settings.enoughPatience)
        }
        let now = clock()
        gate.withLock { gate in
            gate.running -= 1
            switch verdict {
            case .well: gate.breaker.succeeded()
            case .unwell: gate.breaker.failed(at: now)
            // Of another request than the probe it would let a second probe through.
            case .unknown: if isProbe { gate.breaker.abandoned() }
            }
        }
    }

    // MARK: The exchange

    private func request(_ text: String, _ members: [(String, JSONFragment)]) -> UpstreamRequest {
        var all: [(String, JSONFragment)] = [("model", JSONFragment(settings.model)), ("input", JSONFragment(text))]
        all += members
        if let tokens = settings.truncateToTokens { all.append(("truncate_prompt_tokens", JSONFragment(tokens))) }
        var headers: HTTPHeaders = [
            "host": settings.origin.authority, "content-type": "application/json", "accept": "application/json",
        ]
        if let key = settings.apiKey { headers.add(name: "authorization", value: "Bearer \(key.reveal())") }
        return UpstreamRequest(
            method: .POST,
            uri: settings.path,
            headers: headers,
            body: JSONFragment.object(all).bytes
        )
    }

    private func answer<Answer>(
        _ request: UpstreamRequest,
        by deadline: MonotonicTime,
        _ read: (JSONValue) throws(RemoteFailure) -> Answer
    ) async -> Result<Answer, RemoteFailure> {
        do throws(RemoteFailure) {
            let bytes = try await exchange(request, by: deadline).get()
            let document: JSONDocument
            do throws(JSONError) {
                document = try JSONDocument(bytes)
            } catch {
                throw .malformed("the worker's answer is not JSON: \(error)")
            }
            return .success(try read(document.root))
        } catch {
            return .failure(error)
        }
    }

    private func exchange(
        _ request: UpstreamRequest,
        by deadline: MonotonicTime
    ) async -> Result<ByteBuffer, RemoteFailure> {
        let cancellation = CallCancellation()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let completion = OneCompletion { continuation.resume(returning: $0) }
                // A loop that has been shut down drops what it is given; the completion is then dropped with it, and ends
                // the call.
                loop.execute { [self] in
                    let exchange = RemoteExchange.start(
                        request,
                        to: settings.origin,
                        over: clients[loop],
                        by: deadline,
                        maxBytes: settings.maxAnswerBytes
                    ) { completion($0) }
                    let bound = NIOLoopBound(exchange, eventLoop: loop)
                    cancellation.isAbout { [loop] in loop.execute { bound.value.cancel() } }
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }
}

/// Is told one result; when it goes away without any, that the exchange is not to be.
private final class OneCompletion: Sendable {
    private let completion: Mutex<RemoteExchange.Completion?>

    init(_ completion: @escaping RemoteExchange.Completion) {
        self.completion = Mutex(completion)
    }

    deinit { self(.failure(.stopped)) }

    func callAsFunction(_ result: Result<ByteBuffer, RemoteFailure>) {
        let completion = completion.withLock { completion in
            defer { completion = nil }
            return completion
        }
        completion?(result)
    }
}
