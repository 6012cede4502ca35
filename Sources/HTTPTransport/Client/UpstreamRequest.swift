package import NIOCore
package import NIOHTTP1

/// A request to a worker.
package struct UpstreamRequest: Sendable {
    package var method: HTTPMethod
    /// Path and query.
    package var uri: String
    /// Complete but for framing: with `host`, without `content-length`, `transfer-encoding` and `connection`.
    package var headers: HTTPHeaders
    package var body: ByteBuffer
    package var deadlines: UpstreamDeadlines

    package init(
        method: HTTPMethod,
        uri: String,
        headers: HTTPHeaders,
        body: ByteBuffer = ByteBuffer(),
        deadlines: UpstreamDeadlines = UpstreamDeadlines()
    ) {
        self.method = method
        self.uri = uri
        self.headers = headers
        self.body = body
        self.deadlines = deadlines
    }
}

/// How long a worker may take.
package struct UpstreamDeadlines: Sendable, Hashable {
    /// Name look-up, connection and TLS handshake.
    package var connect = TimeAmount.seconds(5)
    /// From the request's sending to the answer's head. Without streaming a worker is silent until its last token, so
    /// this is generous: 1800 s, the request timeout of the Rust router.
    package var head = TimeAmount.seconds(1800)
    /// The longest silence within an answer's body, while we are reading.
    package var idle = TimeAmount.seconds(300)

    package init() {}
}

/// Takes a worker's answer, on the event loop of the call. Exactly one of `receivedEnd` and `failed` ends it.
package protocol UpstreamReceiver: AnyObject {
    func receivedHead(_ head: HTTPResponseHead)
    func receivedBody(_ piece: ByteBuffer)
    /// No more is there for the moment: a good time to flush.
    func receivedBurst()
    func receivedEnd()
    func failed(_ error: UpstreamError)
}

/// Why a worker gave no whole answer.
package struct UpstreamError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        /// Refused, unreachable, unknown name.
        case connect
        case connectTimeout = "connect_timeout"
        case tls
        /// The connection ended before an answer's head.
        case closedBeforeResponse = "closed_before_response"
        /// The connection ended within an answer.
        case closedWithinResponse = "closed_within_response"
        case headTimeout = "head_timeout"
        case idleTimeout = "idle_timeout"
        /// What came back is not HTTP/1.1.
        case malformedResponse = "malformed_response"
        /// Our own bound on connections to one worker.
        case tooManyConnections = "too_many_connections"
    }

    package let kind: Kind
    package let detail: String

    package init(_ kind: Kind, _ detail: String = "") {
        self.kind = kind
        self.detail = detail
    }

    package var description: String { detail.isEmpty ? kind.rawValue : "\(kind.rawValue): \(detail)" }
}
