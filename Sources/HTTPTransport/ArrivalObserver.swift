import NIOCore

/// Who wants to know of bytes before the decoder makes sense of them.
protocol ArrivalListener: AnyObject {
    func bytesArrived()
    /// True when what comes in is of no use any more.
    var dropsInput: Bool { get }
}

/// Stands before a decoder, which is silent until a head is complete: a client that stops half-way must not wait for ever,
/// and an answer of which half a head has come has begun.
final class ArrivalObserver: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// In the same pipeline, and so alive as long as this.
    private unowned let listener: any ArrivalListener

    init(listener: any ArrivalListener) {
        self.listener = listener
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !listener.dropsInput else { return }
        listener.bytesArrived()
        context.fireChannelRead(data)
    }
}
