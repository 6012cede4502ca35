package import NIOCore
package import NIOHTTP1
package import Transport

/// A whole answer.
package struct FetchedResponse: Sendable {
    package let status: HTTPResponseStatus
    package let headers: HTTPHeaders
    package let body: ByteBuffer
}

/// Asks a server and waits for the whole answer: for probes, the control plane and tests, not for the request path.
package struct HTTPFetch: Sendable {
    private let clients: LoopLocal<UpstreamClient>

    package init(clients: LoopLocal<UpstreamClient>) {
        self.clients = clients
    }

    /// - Throws: `UpstreamError`; `CancellationError` when the task is cancelled; `FetchTooLarge`.
    package func fetch(
        _ request: UpstreamRequest,
        from origin: Origin,
        maxBytes: Int = 16 * 1024 * 1024
    ) async throws -> FetchedResponse {
        let loop = clients.anyLoop()
        var request = request
        if !request.headers.contains(name: "host") {
            request.headers.add(name: "host", value: origin.authority)
        }
        let promise = loop.makePromise(of: FetchedResponse.self)
        let fetching = try await loop.submit { [request] in
            let collector = ResponseCollector(promise: promise, maxBytes: maxBytes)
            collector.call = clients[loop].send(request, to: origin, receiver: collector)
            return NIOLoopBound(collector, eventLoop: loop)
        }.get()
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            loop.execute { fetching.value.cancel() }
        }
    }
}

/// An answer larger than the caller would take.
package struct FetchTooLarge: Error, Sendable {
    package let maxBytes: Int
}

private final class ResponseCollector: UpstreamReceiver {
    private let promise: EventLoopPromise<FetchedResponse>
    private let maxBytes: Int
    private var head: HTTPResponseHead?
    private var body = ByteBuffer()
    private var isDone = false
    var call: UpstreamCall?

    init(promise: EventLoopPromise<FetchedResponse>, maxBytes: Int) {
        self.promise = promise
        self.maxBytes = maxBytes
    }

    func receivedHead(_ head: HTTPResponseHead) { self.head = head }

    func receivedBody(_ piece: ByteBuffer) {
        guard body.readableBytes + piece.readableBytes <= maxBytes else {
            call?.cancel()
            complete(.failure(FetchTooLarge(maxBytes: maxBytes)))
            return
        }
        body.writeImmutableBuffer(piece)
    }

    func receivedBurst() {}

    func receivedEnd() {
        guard let head else { return }
        complete(.success(FetchedResponse(status: head.status, headers: head.headers, body: body)))
    }

    func failed(_ error: UpstreamError) { complete(.failure(error)) }

    func cancel() {
        call?.cancel()
        complete(.failure(CancellationError()))
    }

    private func complete(_ result: Result<FetchedResponse, any Error>) {
        guard !isDone else { return }
        isDone = true
        promise.completeWith(result)
        call = nil
    }
}
