import HTTPTransport
import NIOCore
import NIOHTTP1
import Resilience

/// One request to a worker and its whole answer. Ends once: with the answer, a failure, its deadline or its cancellation,
/// and in the latter two cases the connection is closed, which tells the worker to stop.
///
/// Confined to its event loop.
final class RemoteExchange: UpstreamReceiver {
    typealias Completion = @Sendable (Result<ByteBuffer, RemoteFailure>) -> Void

    private let maxBytes: Int
    private let completion: Completion
    private var call: UpstreamCall?
    private var timer: Scheduled<Void>?
    /// When the request was sent.
    private var start = MonotonicTime.distantFuture
    /// Of an answer whose status says all.
    private var refusal: RemoteFailure?
    private var body = ByteBuffer()
    private var bodyBytes = 0
    private var isOver = false

    private init(maxBytes: Int, completion: @escaping Completion) {
        self.maxBytes = maxBytes
        self.completion = completion
    }

    /// Sends the request, on the client's event loop.
    ///
    /// The deadline is a timer of its own: the transport's own deadlines are swept ten times a second, later than most
    /// calls can wait. A connection that comes too late for this request serves the next.
    static func start(
        _ request: UpstreamRequest,
        to origin: Origin,
        over client: UpstreamClient,
        by deadline: MonotonicTime,
        maxBytes: Int,
        completion: @escaping Completion
    ) -> RemoteExchange {
        let exchange = RemoteExchange(maxBytes: maxBytes, completion: completion)
        exchange.start(request, to: origin, over: client, by: deadline)
        return exchange
    }

    private func start(
        _ request: UpstreamRequest,
        to origin: Origin,
        over client: UpstreamClient,
        by deadline: MonotonicTime
    ) {
        start = .now()
        guard start < deadline else {
            end(.failure(.deadline(patience: .zero)))
            return
        }
        call = client.send(request, to: origin, receiver: self)
        // The answer may be there: a full pool says so at once.
        guard !isOver else { return }
        let bound = NIOLoopBound(self, eventLoop: client.eventLoop)
        timer = client.eventLoop.scheduleTask(deadline: .uptimeNanoseconds(deadline.nanoseconds)) {
            bound.value.timedOut(deadline)
        }
    }

    /// 50 ms: loops that serve sockets turn many times in that, on a busy machine too.
    private static let lateness = Duration.milliseconds(50)

    /// A loop that comes to its timer late has not looked for the answer either: that says nothing of the worker.
    private func timedOut(_ deadline: MonotonicTime) {
        let isLate = deadline.elapsed(until: .now()) > Self.lateness
        stop(.deadline(patience: isLate ? .zero : start.elapsed(until: deadline)))
    }

    func cancel() { stop(.cancelled) }

    private func stop(_ reason: RemoteFailure) {
        call?.cancel()
        end(.failure(reason == .cancelled ? reason : refusal ?? reason))
    }

    private func end(_ result: Result<ByteBuffer, RemoteFailure>) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        call = nil
        completion(result)
    }

    // MARK: The worker's answer

    func receivedHead(_ head: HTTPResponseHead) {
        if head.status != .ok { refusal = RemoteFailure(status: Int(head.status.code)) }
    }

    func receivedBody(_ piece: ByteBuffer) {
        bodyBytes += piece.readableBytes
        guard bodyBytes <= maxBytes else {
            stop(.tooLarge(limitBytes: maxBytes))
            return
        }
        // A refusal's body is read to its end all the same, so that the connection can be used again.
        if refusal == nil { body.writeImmutableBuffer(piece) }
    }

    func receivedBurst() {}

    func receivedEnd() { end(refusal.map { .failure($0) } ?? .success(body)) }

    func failed(_ error: UpstreamError) { end(.failure(refusal ?? RemoteFailure(error))) }
}
