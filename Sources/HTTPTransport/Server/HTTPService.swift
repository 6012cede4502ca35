package import NIOCore
package import NIOHTTP1
package import Transport

/// What answers requests. All of it runs on the connection's event loop and must not block it.
package protocol HTTPService: Sendable {
    /// Called when a request's head is complete, before its body: says how much of a body is wanted and what to do
    /// with it, or answers at once through `exchange` (a body still under way is then read and dropped).
    ///
    /// Either way this must lead to an answer through `exchange`, now or later, whatever happens.
    func receive(_ head: HTTPRequestHead, on exchange: HTTPExchange) -> BodyPlan

    /// Called instead when the transport cannot accept the request. Must answer through `exchange` at once.
    func refuse(_ refusal: HTTPRefusal, on exchange: HTTPExchange)
}

/// What to do with a request's body.
package enum BodyPlan {
    /// Gather the body, up to so many bytes, then call `then` with it, on the same event loop. More is refused.
    case collect(maxBytes: Int, then: (ByteBuffer) -> Void)
    /// The request has been answered already, or will be without its body.
    case answered
}

/// Why the transport itself turns a request away.
package enum HTTPRefusal: Sendable, Equatable {
    /// The bytes are not acceptable HTTP/1.1. The text names the rule that was broken, never the bytes.
    case malformed(String)
    case headTooLarge
    case bodyTooLarge(maxBytes: Int)
    /// The client stopped sending in the middle of a head or body.
    case timeout
    /// Bodies under way hold as much memory as the server may use for them.
    case tooManyBufferedBytes
    case tooManyConnections
}

/// Limits and deadlines of a server. Each has a default that suits a public-facing gateway.
package struct HTTPServerSettings: Sendable {
    /// Largest request line plus headers. 64 KiB holds the largest cookies and tokens that proxies let through.
    package var maxHeadBytes = 64 * 1024
    /// Most header fields. 256, NIOHTTP1's own default.
    package var maxHeaderFields = 256
    /// Memory for request bodies under way, over all connections.
    package var maxBufferedBodyBytes = 512 * 1024 * 1024
    package var maxConnections = 16_384
    /// From a head's first byte (or the connection's opening) to its last.
    package var headTimeout = TimeAmount.seconds(10)
    /// Longest pause within a body.
    package var bodyIdleTimeout = TimeAmount.seconds(30)
    /// From a body's first byte to its last.
    package var bodyTimeout = TimeAmount.seconds(300)
    /// How long a connection may wait for its next request. 75 s, nginx's default.
    package var keepAliveTimeout = TimeAmount.seconds(75)
    /// How long a client may leave our bytes unread.
    package var writeTimeout = TimeAmount.seconds(120)
    /// How long the rest of a refused body is read and dropped, so that the client sees the answer and not a reset.
    package var lingerTimeout = TimeAmount.seconds(10)
    package var tls: TLSSettings.Source?

    package init() {}
}
