import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix

/// An external processor that Envoy's health checks find well, and that does one wrong thing with every request.
struct StubProcessor: Sendable {
    enum Mistake: String, CaseIterable, Sendable {
        case garbage
        case emptyMessage
        case answerToAnotherMessage
        case secondAnswer
        case compressedMessage
        case endlessMessage
        case errorAtOnce
        case errorAtBody
        case refusedStream
        case internalReset
        case noGRPC
        case closedConnection
        case invalidHeader
        case silence
    }

    private let channel: any Channel

    var port: Int { channel.localAddress?.port ?? 0 }

    static func start(_ mistake: Mistake) async throws -> StubProcessor {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.configureHTTP2Pipeline(
                    mode: .server,
                    connectionConfiguration: .init(),
                    streamConfiguration: .init()
                ) { stream in
                    stream.eventLoop.makeCompletedFuture {
                        try stream.pipeline.syncOperations.addHandler(Call(mistake))
                    }
                }.map { _ in }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        return StubProcessor(channel: channel)
    }

    func stop() async { try? await channel.close().get() }

    /// One stream.
    private final class Call: ChannelInboundHandler {
        typealias InboundIn = HTTP2Frame.FramePayload
        typealias OutboundOut = HTTP2Frame.FramePayload
        private let mistake: Mistake
        private var isHealthCheck = false
        private var messages = 0

        init(_ mistake: Mistake) { self.mistake = mistake }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .headers(let head):
                isHealthCheck = head.headers.first(name: ":path") == "/grpc.health.v1.Health/Check"
            case .data(let data):
                guard case .byteBuffer(let bytes) = data.data, bytes.readableBytes > 0 else { return }
                messages += 1
                isHealthCheck ? answer(context, [0x08, 0x01], thenEnd: 0) : fail(context)
            default: break
            }
        }

        // Bodies of these tests and their heads are so short that a message is a frame.
        private func fail(_ context: ChannelHandlerContext) {
            switch mistake {
            case .garbage: answer(context, [0xFF, 0xFF, 0x17, 0x2A])
            case .emptyMessage: answer(context, [])
            // ProcessingResponse.response_headers { response {} }
            case .answerToAnotherMessage: answer(context, [0x22, 0x02, 0x0A, 0x00])
            case .secondAnswer:
                // request_headers twice.
                answer(context, [0x0A, 0x02, 0x0A, 0x00])
                answer(context, [0x0A, 0x02, 0x0A, 0x00], hasHead: true)
            case .compressedMessage: answer(context, [0x0A, 0x02, 0x0A, 0x00], flag: 1)
            case .endlessMessage:
                head(context)
                write(context, [0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0A])
            case .errorAtOnce: end(context, status: 13, hasHead: false)
            case .errorAtBody:
                if messages == 1 { answer(context, [0x0A, 0x02, 0x0A, 0x00]) } else { end(context, status: 14) }
            case .refusedStream: write(context, .rstStream(.refusedStream))
            case .internalReset: write(context, .rstStream(.internalError))
            case .noGRPC:
                let head: HPACKHeaders = [":status": "500", "content-type": "text/html"]
                write(context, .headers(.init(headers: head, endStream: true)))
            case .closedConnection: context.channel.parent?.close(promise: nil)
            case .invalidHeader:
                // request_headers { response { header_mutation { set_headers { header { "a b": "x" } } } } }
                let header: [UInt8] = [0x0A, 0x03, 0x61, 0x20, 0x62, 0x1A, 0x01, 0x78]
                answer(context, header.nested(in: 0x0A, 0x0A, 0x12, 0x0A, 0x0A))
            case .silence: break
            }
            context.flush()
        }

        private func answer(
            _ context: ChannelHandlerContext,
            _ message: [UInt8],
            flag: UInt8 = 0,
            hasHead: Bool = false,
            thenEnd status: Int? = nil
        ) {
            if !hasHead { head(context) }
            write(context, [flag, 0, 0, 0, UInt8(message.count)] + message)
            if let status { end(context, status: status) }
            context.flush()
        }

        private func head(_ context: ChannelHandlerContext) {
            write(context, .headers(.init(headers: [":status": "200", "content-type": "application/grpc"])))
        }

        private func end(_ context: ChannelHandlerContext, status: Int, hasHead: Bool = true) {
            var headers: HPACKHeaders = hasHead ? [:] : [":status": "200", "content-type": "application/grpc"]
            headers.add(name: "grpc-status", value: "\(status)")
            write(context, .headers(.init(headers: headers, endStream: true)))
        }

        private func write(_ context: ChannelHandlerContext, _ bytes: [UInt8]) {
            write(context, .data(.init(data: .byteBuffer(ByteBuffer(bytes: bytes)))))
        }

        private func write(_ context: ChannelHandlerContext, _ frame: HTTP2Frame.FramePayload) {
            context.write(wrapOutboundOut(frame), promise: nil)
        }
    }
}

extension [UInt8] {
    /// The message as a field of a field…, by their tags from the outermost.
    fileprivate func nested(in tags: UInt8...) -> [UInt8] {
        tags.reversed().reduce(self) { [$1, UInt8($0.count)] + $0 }
    }
}
