package import GRPCTransport
package import NIOCore

/// `grpc.health.v1.Health/Check`, by which Envoy, Kubernetes and `grpc_health_probe` ask whether to come
/// (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
package struct HealthService: GRPCMethod {
    package let path = "/grpc.health.v1.Health/Check"
    private let services: Set<String>
    private let isServing: @Sendable () -> Bool

    /// - Parameters:
    ///   - services: the full names of the services that can be asked for; the empty name, for all of them, always can.
    ///   - isServing: false on the way out.
    package init(services: [String], isServing: @escaping @Sendable () -> Bool) {
        self.services = Set(services + [""])
        self.isServing = isServing
    }

    package func begin(_ call: GRPCServerCall) -> any GRPCCallHandler {
        Check(health: self, call: call)
    }

    /// The answer to a `HealthCheckRequest`: a `HealthCheckResponse`, or the status that ends the call.
    package func response(to message: ByteBuffer) -> Result<ByteBuffer, GRPCStatus> {
        guard let name = Self.serviceName(message) else {
            return .failure(GRPCStatus(.invalidArgument, "this is no HealthCheckRequest"))
        }
        guard services.contains(name) else { return .failure(GRPCStatus(.notFound, "there is no such service here")) }
        var buffer = ByteBuffer()
        // ServingStatus: SERVING, NOT_SERVING.
        buffer.writeField(1, number: isServing() ? 1 : 2)
        return .success(buffer)
    }

    private static func serviceName(_ message: ByteBuffer) -> String? {
        message.withUnsafeReadableBytes { bytes in
            var reader = ProtobufReader(bytes)
            var name = ""
            do throws(ProtobufReader.Malformed) {
                while let (number, value) = try reader.next() {
                    guard number == 1, case .bytes(let range) = value else { continue }
                    name = String(decoding: bytes[range], as: UTF8.self)
                }
                return name
            } catch {
                return nil
            }
        }
    }

    private final class Check: GRPCCallHandler {
        private let health: HealthService
        private let call: GRPCServerCall

        init(health: HealthService, call: GRPCServerCall) {
            self.health = health
            self.call = call
        }

        func receive(_ message: ByteBuffer) {
            switch health.response(to: message) {
            case .success(let response):
                call.send { $0.writeImmutableBuffer(response) }
                call.finish(.ok)
            case .failure(let status):
                call.finish(status)
            }
        }

        func receiveEnd() { call.finish(GRPCStatus(.invalidArgument, "a HealthCheckRequest is missing")) }
        func ended() {}
        func serverIsClosing() { call.finish(GRPCStatus(.unavailable, "the server is closing")) }
    }
}
