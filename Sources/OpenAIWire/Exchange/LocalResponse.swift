package import NIOCore
package import NIOHTTP1

/// A response that we answer ourselves, without asking a worker.
package struct LocalResponse: Sendable, Equatable {
    package enum Body: Sendable, Equatable {
        /// A body of known length.
        case whole(ByteBuffer)
        /// Server-sent events, each already encoded (`data: …\n\n`), sent as a stream.
        case events([ByteBuffer])
    }

    package var status: HTTPResponseStatus
    /// Without `content-length` and `transfer-encoding`: whoever writes the response frames it.
    package var headers: HTTPHeaders
    package var body: Body

    package init(status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A JSON body with its content type.
    package static func json(_ body: ByteBuffer, status: HTTPResponseStatus = .ok) -> LocalResponse {
        LocalResponse(status: status, headers: ["content-type": "application/json"], body: .whole(body))
    }
}
