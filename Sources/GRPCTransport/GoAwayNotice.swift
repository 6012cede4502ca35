import NIOCore

/// Announces that a connection will end, below NIO's HTTP/2 handler.
///
/// RFC 9113, section 6.8: a server first sends GOAWAY with the largest stream number, goes on serving what the client has
/// already sent, and gives the true last number once the client must have read the announcement. NIO's handler refuses
/// new streams as soon as it has sent any GOAWAY, and takes the data of a stream that it refused for a fault of the whole
/// connection, so it must not know of the announcement.
final class GoAwayNotice: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Must not be called while a frame is being written.
    func send() {
        guard let context else { return }
        // A frame's length, type (GOAWAY), flags and stream; the last stream's number and the reason (none).
        let frame = ByteBuffer(bytes: [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }
}
