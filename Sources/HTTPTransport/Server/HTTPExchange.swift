package import NIOCore
package import NIOHTTP1

/// One request's answer in the making: the service's side of a connection.
///
/// Confined to `eventLoop`. Either `respond`, or `start` then any number of `write`s, then `finish` or `abort`.
/// Calls after the end, or after the client has gone, do nothing.
package final class HTTPExchange {
    package let eventLoop: any EventLoop
    /// The peer's address: the client, or the proxy in front of us.
    package let remoteAddress: SocketAddress?

    /// What the service knows of the request by its head, for when it is refused later.
    package var attachment: (any Sendable)?
    /// Called once if the client goes away before the answer is complete.
    package var onCancel: (() -> Void)?
    /// Called when `isWritable` has become true again.
    package var onWritable: (() -> Void)?

    /// Cleared when the answer has ended, so that a late caller cannot touch the connection's next exchange.
    private var connection: ServerConnection?

    init(connection: ServerConnection, eventLoop: any EventLoop, remoteAddress: SocketAddress?) {
        self.connection = connection
        self.eventLoop = eventLoop
        self.remoteAddress = remoteAddress
    }

    /// False once the answer has ended or the client has gone.
    package var isOpen: Bool { connection != nil }

    /// False while the client reads slower than we write: hold further body back until `onWritable`.
    package var isWritable: Bool { connection?.isWritable ?? true }

    /// Answers with a whole body.
    package func respond(status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer) {
        start(status: status, headers: headers, length: body.readableBytes)
        write(body)
        finish()
    }

    /// Starts an answer. `headers` holds no framing fields (`content-length`, `transfer-encoding`, `connection`).
    ///
    /// - Parameter length: the body's length in bytes, or nil to send it as it comes.
    package func start(status: HTTPResponseStatus, headers: HTTPHeaders, length: Int?) {
        connection?.startResponse(status: status, headers: headers, length: length)
    }

    /// Adds to the body. Small pieces wait for `flush`.
    package func write(_ piece: ByteBuffer) {
        connection?.writeBody(piece)
    }

    /// Sends what waits.
    package func flush() {
        connection?.flushResponse()
    }

    /// Ends the answer.
    package func finish() {
        connection?.finishResponse()
    }

    /// Gives back the memory that the request's body has taken of the server's limit: the body is no longer needed.
    package func releaseRequestBody() {
        connection?.releaseBody()
    }

    /// Breaks the answer off by closing the connection, so that the client does not take it for whole.
    package func abort() {
        connection?.abortResponse()
    }

    /// Ends this exchange's hold on the connection.
    func detach() {
        connection = nil
        attachment = nil
        onCancel = nil
        onWritable = nil
    }

    /// Tells the service that the client has gone.
    func cancel() {
        let callback = onCancel
        detach()
        callback?()
    }
}
