import ExtProcServer
import GRPCTransport
import NIOCore
import Synchronization
import Testing

@Suite("gRPC's health check")
struct HealthServiceTests {
    private static let name = "envoy.service.ext_proc.v3.ExternalProcessor"

    /// `HealthCheckRequest {service}`.
    private func request(_ service: String) -> ByteBuffer {
        var message = ByteBuffer()
        guard !service.isEmpty else { return message }
        message.writeInteger(UInt8(1 << 3 | 2))
        message.writeInteger(UInt8(service.utf8.count))
        message.writeString(service)
        return message
    }

    @Test("Serving, until it is not", arguments: ["", name])
    func serving(service: String) throws {
        let isServing = Mutex(true)
        let health = HealthService(services: [Self.name]) { isServing.withLock { $0 } }
        #expect(try health.response(to: request(service)).get() == ByteBuffer(bytes: [8, 1]))
        isServing.withLock { $0 = false }
        #expect(try health.response(to: request(service)).get() == ByteBuffer(bytes: [8, 2]))
        #expect(health.path == "/grpc.health.v1.Health/Check")
    }

    @Test("Another service is not here, and what is no request is an error")
    func others() {
        let health = HealthService(services: [Self.name]) { true }
        for (message, code) in [
            (request("other"), GRPCStatus.Code.notFound), (ByteBuffer(bytes: [0x0A, 9, 1]), .invalidArgument),
            (ByteBuffer(bytes: [0xFF]), .invalidArgument),
        ] {
            guard case .failure(let status) = health.response(to: message) else {
                Issue.record("answered")
                continue
            }
            #expect(status.code == code)
        }
        // Fields of a later version are stepped over.
        var later = request(Self.name)
        later.writeBytes([0x10, 1])
        #expect((try? health.response(to: later).get()) == ByteBuffer(bytes: [8, 1]))
    }
}
