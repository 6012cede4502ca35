import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix

/// A client of one HTTP/2 connection in clear, as a proxy in front of Envoy is one.
struct HTTP2Client: Sendable {
    private let channel: any Channel
    private let multiplexer: NIOHTTP2Handler.StreamMultiplexer

    /// A whole answer.
    struct Answer: Sendable {
        let status: HTTPResponseStatus
        let headers: HTTPHeaders
        let body: ByteBuffer
    }

    static func connect(port: Int) async throws -> HTTP2Client {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port).get()
        let multiplexer = try await channel.configureHTTP2Pipeline(
            mode: .client,
            connectionConfiguration: .init(),
            streamConfiguration: .init()
        ) { channel in
            channel.close()
        }.get()
        return HTTP2Client(channel: channel, multiplexer: multiplexer)
    }

    /// One request on a stream of its own, and its whole answer.
    ///
    /// - Parameter trailers: follow the body.
    func send(
        _ method: HTTPMethod,
        _ path: String,
        headers: HTTPHeaders,
        body: ByteBuffer,
        trailers: HTTPHeaders? = nil
    ) async throws -> Answer {
        let answer = channel.eventLoop.makePromise(of: Answer.self)
        let stream = try await multiplexer.createStreamChannel { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandlers(
                    HTTP2FramePayloadToHTTP1ClientCodec(httpProtocol: .http),
                    Collector(answer)
                )
            }
        }.get()
        var headers = headers
        headers.replaceOrAdd(name: "host", value: "127.0.0.1")
        let head = HTTPRequestHead(version: .init(major: 2, minor: 0), method: method, uri: path, headers: headers)
        stream.write(HTTPClientRequestPart.head(head), promise: nil)
        stream.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil)
        // An answer that comes before the request's end resets the stream: what was left to write is of no interest.
        stream.writeAndFlush(HTTPClientRequestPart.end(trailers), promise: nil)
        return try await answer.futureResult.get()
    }

    func close() async {
        try? await channel.close().get()
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        private let answer: EventLoopPromise<Answer>
        private var head: HTTPResponseHead?
        private var body = ByteBuffer()

        init(_ answer: EventLoopPromise<Answer>) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(let piece): body.writeImmutableBuffer(piece)
            case .end:
                guard let head else { return }
                answer.succeed(Answer(status: head.status, headers: head.headers, body: body))
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { answer.fail(error) }

        func channelInactive(context: ChannelHandlerContext) { answer.fail(ChannelError.eof) }
    }
}
