package import NIOCore

/// A method that a server offers. Everything that concerns a call happens on its connection's event loop.
package protocol GRPCMethod: Sendable {
    /// `/package.Service/Method`.
    var path: String { get }

    /// Begins a call: what comes in goes to the handler, which the call keeps until it is over.
    func begin(_ call: GRPCServerCall) -> any GRPCCallHandler
}

/// The server's side of one call. Confined to the connection's event loop; must not block it.
package protocol GRPCCallHandler: AnyObject {
    /// A large message has begun to come, of so many bytes.
    func willReceive(bytes: Int)
    /// A message of the client's.
    func receive(_ message: ByteBuffer)
    /// The client has sent its last message.
    func receiveEnd()
    /// The call is over, by the client's will, by a lost connection, or by what was sent. Nothing can be sent any more.
    func ended()
    /// The server is about to close: what can be ended without harm should be ended now.
    func serverIsClosing()
}

extension GRPCCallHandler {
    package func willReceive(bytes: Int) {}
}

/// A call under way: the way back to the client. Confined to the connection's event loop.
package final class GRPCServerCall {
    private var connection: GRPCServerConnection?
    private let stream: StreamNumber
    private(set) var handler: (any GRPCCallHandler)?
    var reader: MessageReader
    /// Bytes of a message under way, taken from the server's budget.
    var reservedBytes = 0
    /// Whether the handler has been told of the large message that is coming.
    var hasAnnounced = false
    private var hasSentHead = false

    init(connection: GRPCServerConnection, stream: StreamNumber, maxMessageBytes: Int) {
        self.connection = connection
        self.stream = stream
        reader = MessageReader(maxBytes: maxMessageBytes)
    }

    func attach(_ handler: any GRPCCallHandler) {
        // A handler may have ended the call while it was being made.
        if connection != nil { self.handler = handler }
    }

    /// Whether something can still be sent.
    package var isOpen: Bool { connection != nil }

    /// Where the call lives.
    package var eventLoop: (any EventLoop)? { connection?.eventLoop }

    /// Sends one message, which `write` appends to a buffer. Does nothing when the call is over.
    package func send(_ write: (inout ByteBuffer) -> Void) {
        guard let connection else { return }
        if !hasSentHead {
            hasSentHead = true
            connection.writeHead(on: stream)
        }
        connection.writeMessage(on: stream, write)
    }

    /// Ends the call. Does nothing when it is over.
    package func finish(_ status: GRPCStatus) {
        guard let connection else { return }
        connection.writeEnd(status, on: stream, isHeadSent: hasSentHead)
        connection.forget(stream)
    }

    /// The connection has let go of the call.
    func detach() {
        connection = nil
        let handler = handler
        self.handler = nil
        handler?.ended()
    }
}
