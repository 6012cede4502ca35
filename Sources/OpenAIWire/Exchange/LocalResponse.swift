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

    package var statusCode: Int { Int(status.code) }

    /// The header fields in order.
    package var fields: [(name: String, value: String)] { headers.map { ($0.name, $0.value) } }

    /// Adds header fields beside those that are there.
    package mutating func add(_ fields: [(name: String, value: String)]) {
        for field in fields { headers.add(name: field.name, value: field.value) }
    }

    /// A JSON body with its content type.
    package static func json(_ body: ByteBuffer, status: HTTPResponseStatus = .ok) -> LocalResponse {
        LocalResponse(status: status, headers: ["content-type": "application/json"], body: .whole(body))
    }

    /// A stream of server-sent events with its content type.
    package static func events(_ events: [ByteBuffer]) -> LocalResponse {
        LocalResponse(status: .ok, headers: ["content-type": "text/event-stream"], body: .events(events))
    }
}
