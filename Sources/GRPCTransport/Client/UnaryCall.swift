import NIOCore
import NIOHPACK
import NIOHTTP2

/// A call under way, as its client sees it. Confined to the channel's event loop.
final class UnaryCall {
    let path: String
    let headers: [(name: String, value: String)]
    let deadline: NIODeadline
    private(set) var message: ByteBuffer
    private let promise: EventLoopPromise<Result<ByteBuffer, GRPCStatus>>

    /// Ends the call at its deadline.
    var timer: Scheduled<Void>?
    /// Where the call is; nil while it waits for a connection.
    var connection: GRPCClientConnection?
    var stream = HTTP2StreamID.rootStream
    /// When it went out on that connection.
    var openedAt = NIODeadline.distantPast
    /// Whether all of the request has gone out.
    var isSent = false
    var hasBeenRetried = false
    private(set) var isOver = false
    /// Told when the call is over.
    var onEnd: () -> Void = {}

    private var reader = MessageReader(maxBytes: 0)
    private var answer: ByteBuffer?
    private var hasHead = false

    init(
        _ path: String,
        _ message: ByteBuffer,
        headers: [(name: String, value: String)],
        deadline: NIODeadline,
        promise: EventLoopPromise<Result<ByteBuffer, GRPCStatus>>
    ) {
        self.path = path
        self.message = message
        self.headers = headers
        self.deadline = deadline
        self.promise = promise
    }

    // MARK: Ends

    func finish(_ result: Result<ByteBuffer, GRPCStatus>) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        connection = nil
        message = ByteBuffer()
        answer = nil
        onEnd()
        onEnd = {}
        promise.succeed(result)
    }

    func fail(_ status: GRPCStatus) { finish(.failure(status)) }

    /// Ends the call by our own will: the server is told.
    func giveUp(_ status: GRPCStatus) {
        guard !isOver else { return }
        connection?.abandon(self)
        fail(status)
    }

    // MARK: The answer

    /// Begins anew, on a connection.
    func begin(on connection: GRPCClientConnection, stream: HTTP2StreamID, maxMessageBytes: Int) {
        self.connection = connection
        self.stream = stream
        openedAt = .now()
        isSent = false
        reader = MessageReader(maxBytes: maxMessageBytes)
        answer = nil
        hasHead = false
    }

    /// What a frame has led to.
    enum Progress {
        case goesOn
        case over(Result<ByteBuffer, GRPCStatus>)
    }

    func receive(_ headers: HPACKHeaders, endsStream: Bool) -> Progress {
        if !hasHead {
            let status = headers.first(name: ":status") ?? ""
            // Interim answers (RFC 9110 section 15.2) come before the head.
            if status.first == "1", !endsStream { return .goesOn }
            hasHead = true
            let isGRPC = headers.first(name: "content-type")?.utf8.starts(with: "application/grpc".utf8) == true
            guard isGRPC, status == "200" || headers.contains(name: "grpc-status") else {
                return .over(.failure(GRPCStatus(httpStatus: status)))
            }
            guard endsStream else { return .goesOn }
        } else if !endsStream {
            return .over(.failure(GRPCStatus(.internal, "the answer has two heads")))
        }
        guard let status = GRPCStatus(trailers: headers) else {
            return .over(.failure(GRPCStatus(.unknown, "the answer ended without a status")))
        }
        return .over(outcome(status))
    }

    func receive(_ data: ByteBuffer, endsStream: Bool) -> Progress {
        reader.append(data)
        do {
            while let message = try reader.next() {
                guard answer == nil else {
                    return .over(.failure(GRPCStatus(.internal, "the answer has two messages")))
                }
                answer = message
            }
        } catch {
            return .over(.failure(error))
        }
        return endsStream ? .over(.failure(GRPCStatus(.unknown, "the answer ended without a status"))) : .goesOn
    }

    private func outcome(_ status: GRPCStatus) -> Result<ByteBuffer, GRPCStatus> {
        guard status.code == .ok else { return .failure(status) }
        guard reader.pendingBytes == 0 else {
            return .failure(GRPCStatus(.internal, "the answer ended within a message"))
        }
        guard let answer else { return .failure(GRPCStatus(.internal, "the answer has no message")) }
        return .success(answer)
    }
}
