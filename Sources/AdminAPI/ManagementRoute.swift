package import NIOCore
package import NIOHTTP1
package import OpenAIWire

/// One endpoint: what it is called, what it asks for, and what answers it.
package struct ManagementRoute: Sendable {
    package let method: HTTPMethod
    package let path: String
    package let permission: Permission
    /// One sentence for the index and the documentation.
    package let summary: String
    /// 0 for an endpoint that reads no body.
    package let maxBodyBytes: Int
    /// Nil where the process has nothing to answer with: the path is then not there.
    package let handler: @Sendable (ManagedProcess) -> ManagementHandler?

    package init(
        _ method: HTTPMethod,
        _ path: String,
        needs permission: Permission,
        _ summary: String,
        maxBodyBytes: Int = 0,
        handler: @escaping @Sendable (ManagedProcess) -> ManagementHandler?
    ) {
        self.method = method
        self.path = path
        self.permission = permission
        self.summary = summary
        self.maxBodyBytes = maxBodyBytes
        self.handler = handler
    }

    /// GET answers HEAD too; the transport leaves the body out.
    func answers(_ asked: HTTPMethod) -> Bool {
        asked == method || (asked == .HEAD && method == .GET)
    }

    /// The endpoint's row in docs/management.md.
    package var documentation: String {
        let asked = permission.isAskedOfNobody ? "–" : "`\(permission.rawValue)`"
        return "| `\(method.rawValue) \(path)` | \(asked) | \(summary) |"
    }
}

/// What a handler needs of a request.
package struct ManagementRequest: Sendable {
    /// Without the question mark.
    package let query: String
    package let body: ByteBuffer
    /// The `accept` header; nil without one.
    package let accept: String?

    package init(query: String = "", body: ByteBuffer = ByteBuffer(), accept: String? = nil) {
        self.query = query
        self.body = body
        self.accept = accept
    }
}

/// What answers a request.
package enum ManagementHandler: Sendable {
    /// On the connection's event loop: must be quick.
    case immediate(@Sendable (ManagementRequest) -> LocalResponse)
    /// Apart from it.
    case waiting(@Sendable (ManagementRequest) async -> LocalResponse)
}
