import HTTPTransport
import NIOCore
import NIOHTTP1
import Synchronization
import TestSupport

/// Answers by path, so that each test can see what the server does around it.
///
/// - `/echo`: the body comes back. `/hold`: no answer until `release`. `/stream`: writes until told to stop.
/// - `/refuse`: answered with the head, before the body.
final class TestService: HTTPService {
    let cancelled = Atomic<Int>(0)
    let bodyBytes = Atomic<Int>(0)
    let written = Atomic<Int>(0)
    private let held = Mutex<[@Sendable () -> Void]>([])
    let maxBodyBytes: Int

    init(maxBodyBytes: Int = 1 << 20) {
        self.maxBodyBytes = maxBodyBytes
    }

    var heldCount: Int { held.withLock { $0.count } }

    func release() {
        for answer in held.withLock({ $0 }) { answer() }
        held.withLock { $0.removeAll() }
    }

    func receive(_ head: HTTPRequestHead, on exchange: HTTPExchange) -> BodyPlan {
        if head.uri == "/refuse" {
            exchange.respond(status: .unauthorized, headers: [:], body: ByteBuffer(string: "no"))
            return .answered
        }
        return .collect(maxBytes: maxBodyBytes) { [self] body in answer(head, body, exchange) }
    }

    private func answer(_ head: HTTPRequestHead, _ body: ByteBuffer, _ exchange: HTTPExchange) {
        bodyBytes.add(body.readableBytes, ordering: .relaxed)
        exchange.onCancel = { [self] in cancelled.add(1, ordering: .relaxed) }
        switch head.uri {
        case "/hold":
            let bound = NIOLoopBound(exchange, eventLoop: exchange.eventLoop)
            held.withLock {
                $0.append {
                    bound.eventLoop.execute {
                        bound.value.respond(status: .ok, headers: [:], body: ByteBuffer(string: "released"))
                    }
                }
            }
        case "/stream":
            exchange.start(status: .ok, headers: [:], length: nil)
            exchange.onWritable = { [self] in pump(exchange) }
            pump(exchange)
        case "/chunks":
            exchange.start(status: .ok, headers: [:], length: nil)
            for piece in ["one", "two", "three"] {
                exchange.write(ByteBuffer(string: piece))
                exchange.flush()
            }
            exchange.finish()
        default:
            exchange.respond(status: .ok, headers: ["x-uri": head.uri], body: body)
        }
    }

    /// Writes as long as the client keeps up: what a source that obeys back-pressure does.
    private func pump(_ exchange: HTTPExchange) {
        while exchange.isOpen, exchange.isWritable {
            exchange.write(ByteBuffer(repeating: UInt8(ascii: "s"), count: 8192))
            exchange.flush()
            written.add(8192, ordering: .relaxed)
            if written.load(ordering: .relaxed) > 256 << 20 {
                exchange.finish()
                return
            }
        }
    }

    func refuse(_ refusal: HTTPRefusal, on exchange: HTTPExchange) {
        let (status, text): (HTTPResponseStatus, String) =
            switch refusal {
            case .malformed(let rule): (.badRequest, rule)
            case .headTooLarge: (.requestHeaderFieldsTooLarge, "head")
            case .bodyTooLarge: (.payloadTooLarge, "body")
            case .timeout: (.requestTimeout, "timeout")
            case .tooManyBufferedBytes, .tooManyConnections: (.serviceUnavailable, "busy")
            }
        exchange.respond(status: status, headers: [:], body: ByteBuffer(string: text))
    }
}
