package import NIOCore
import NIOHPACK

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
    /// The call is over, by the client's will, by a lost connection, or by what was sent, of which `send` and `finish` tell
    /// before they return. Nothing can be sent any more. Comes once for every call that began.
    func ended()
    /// The server is about to close: what can be ended without harm should be ended now.
    func serverIsClosing()
}

extension GRPCCallHandler {
    package func willReceive(bytes: Int) {}
}

/// A call under way: the way back to the client. Confined to the connection's event loop.
package final class GRPCServerCall {
    /// Nil once the call is over.
    private var connection: GRPCServerConnection?
    let stream: StreamNumber
    private let metadata: HPACKHeaders
    private(set) var handler: (any GRPCCallHandler)?
    var reader: MessageReader
    /// Bytes of a message under way that its connection counts.
    var countedBytes = 0
    /// Bytes of messages that wait for the client to take them: they outlive the call.
    var unsentBytes = 0
    /// The window that the client has left, while it is not told to go on.
    var heldWindow: Int?
    /// Whether the client has sent its last frame.
    var hasClientEnded = false
    /// Whether the handler has been told of the large message that is coming.
    var hasAnnounced = false
    private var hasSentHead = false

    init(connection: GRPCServerConnection, stream: StreamNumber, headers: HPACKHeaders, maxMessageBytes: Int) {
        self.connection = connection
        self.stream = stream
        metadata = headers
        reader = MessageReader(maxBytes: maxMessageBytes)
    }

    func attach(_ handler: any GRPCCallHandler) {
        guard connection != nil else {
            // It has ended the call while it was being made.
            handler.ended()
            return
        }
        self.handler = handler
    }

    /// Whether something can still be sent.
    package var isOpen: Bool { connection != nil }

    /// What the client has said with the call: all values of that name.
    package func headers(_ name: String) -> [String] { metadata[name] }

    /// Where the call lives.
    package var eventLoop: (any EventLoop)? { connection?.eventLoop }

    /// Sends one message, which `write` appends to a buffer. Does nothing when the call is over.
    ///
    /// Outside of the handler's methods it goes out at once; within them, with what else the same read gives rise to.
    package func send(_ write: (inout ByteBuffer) -> Void) {
        guard let connection else { return }
        if !hasSentHead {
            hasSentHead = true
            connection.writeHead(on: stream)
        }
        connection.writeMessage(on: self, write)
    }

    /// Ends the call, after what has been sent. Does nothing when it is over.
    package func finish(_ status: GRPCStatus) {
        connection?.finish(self, status, isHeadSent: hasSentHead)
    }

    /// The connection has let go of the call.
    func detach() {
        connection = nil
        reader = MessageReader(maxBytes: 0)
        let handler = handler
        self.handler = nil
        handler?.ended()
    }
}
