import HTTPTransport

/// Why a remote model gave no answer. Says nothing of texts, and nothing that a worker has written: its error messages
/// quote what they refuse.
enum RemoteFailure: Error, Hashable, Sendable {
    /// As many requests as may be are under way.
    case busy
    /// The breaker is open.
    case breakerOpen
    case tooLong
    /// - Parameter patience: how long the worker had for its answer: not at all when nothing was sent to it.
    case deadline(patience: Duration)
    case cancelled
    /// The event loop has been shut down.
    case stopped
    /// No connection, or one that ended too early.
    case unreachable
    /// The worker has too much to do: 429.
    case throttled
    /// Another status that is neither 200 nor the worker's failure: the request, its key or its path is wrong.
    case rejected(Int)
    /// 500 and above.
    case serverError(Int)
    case tooLarge(limitBytes: Int)
    /// An answer that is not what the model should answer.
    case malformed(String)

    init(_ error: UpstreamError) {
        switch error.kind {
        case .connect, .connectTimeout, .tls, .closedBeforeResponse, .closedWithinResponse: self = .unreachable
        // The transport's own times are minutes.
        case .headTimeout, .idleTimeout: self = .unreachable
        case .malformedResponse: self = .malformed("the answer is not HTTP")
        case .tooManyConnections: self = .busy
        }
    }

    /// Of a status other than 200.
    init(status: Int) {
        switch status {
        case 429: self = .throttled
        case 500...: self = .serverError(status)
        default: self = .rejected(status)
        }
    }

    /// For the caller.
    var computeError: ComputeError {
        switch self {
        case .busy, .throttled: .overloaded
        case .breakerOpen, .unreachable: .unavailable
        case .tooLong: .tooLong
        case .deadline: .deadline
        case .cancelled: .cancelled
        case .stopped: .shutdown
        case .rejected(let status), .serverError(let status): .failed("the worker answered with status \(status)")
        case .tooLarge(let limit): .failed("the worker's answer is larger than \(limit) bytes")
        case .malformed(let what): .failed(what)
        }
    }

    /// The label in metrics.
    var outcome: String {
        switch self {
        case .busy: "busy"
        case .breakerOpen: "breaker_open"
        case .tooLong: "too_long"
        case .deadline: "deadline"
        case .cancelled: "cancelled"
        case .stopped: "stopped"
        case .unreachable: "unreachable"
        case .throttled: "throttled"
        case .rejected: "rejected"
        case .serverError: "server_error"
        case .tooLarge: "too_large"
        case .malformed: "malformed"
        }
    }

    /// All labels, that of success first.
    static let outcomes = [
        "answered", "busy", "breaker_open", "too_long", "deadline", "cancelled", "stopped", "unreachable", "throttled",
        "rejected", "server_error", "too_large", "malformed",
    ]

    /// What the failure says of the worker.
    enum Verdict {
        /// It works; something else is wrong.
        case well
        case unwell
        case unknown
    }

    ///
    /// - Parameter enough: how long a worker must have had for an answer before its absence says anything.
    func verdict(enough: Duration) -> Verdict {
        switch self {
        case .rejected: .well
        case .deadline(let patience): patience > .zero && patience >= enough ? .unwell : .unknown
        case .unreachable, .throttled, .serverError, .tooLarge, .malformed: .unwell
        case .busy, .breakerOpen, .tooLong, .cancelled, .stopped: .unknown
        }
    }
}
