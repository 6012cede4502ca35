import EnvoyAPI
import ExtProcServer
import GRPCTransport
import NIOCore
import SwiftProtobuf
import TestRandom
import Testing

/// The health service's messages against SwiftProtobuf's.
@Suite struct WireHealthTests {
    private static let service = "envoy.service.ext_proc.v3.ExternalProcessor"

    @Test("A service is answered for by name", arguments: [true, false], ["", service])
    func answers(isServing: Bool, name: String) throws {
        let health = HealthService(services: [Self.service]) { isServing }
        let request = GRPCHealthCheckRequest.with { $0.service = name }
        let response = try answer(of: health, to: request.serializedBytes()).get()
        #expect(response == .with { $0.status = isServing ? .serving : .notServing })
    }

    @Test("What is read and refused is what SwiftProtobuf reads and refuses")
    func agrees() throws {
        var random = SeededRandom.fromEnvironment()
        let health = HealthService(services: [Self.service, "é", "a"]) { true }
        let shape = WireShape(texts: [1])
        var outcomes: [GRPCStatus.Code: Int] = [:]
        for _ in 0..<20_000 {
            let request = GRPCHealthCheckRequest.with {
                $0.service = random.once(in: 3) ? .random(&random) : random.pick(["", Self.service, "é", "a", "b"])
            }
            let fields = shape.scrambled(shape.fields(of: try request.serializedBytes()), &random)
            var bytes = fields.serialized(&random)
            if random.once(in: 2), !bytes.isEmpty {
                bytes[random.below(bytes.count)] = UInt8(random.below(256))
                bytes.removeLast(random.below(3) % bytes.count)
                // A name that is no UTF-8 is repaired, and unknown, where SwiftProtobuf refuses the message.
                bytes = shape.withoutUnread(bytes)
            }
            let outcome: GRPCStatus.Code
            switch answer(of: health, to: bytes) {
            case .success(let response):
                outcome = .ok
                #expect(response.status == .serving)
            case .failure(let status): outcome = status.code
            }
            #expect(outcome == meaning(of: bytes), "\(bytes.prefix(200))")
            outcomes[outcome, default: 0] += 1
        }
        #expect(outcomes.keys.count == 3)
        #expect(outcomes.values.allSatisfy { $0 > 1_000 })
    }

    private func meaning(of bytes: [UInt8]) -> GRPCStatus.Code {
        guard let request = try? GRPCHealthCheckRequest(serializedBytes: bytes) else { return .invalidArgument }
        return ["", Self.service, "é", "a"].contains(request.service) ? .ok : .notFound
    }

    private func answer(
        of health: HealthService,
        to bytes: [UInt8]
    ) -> Result<GRPCHealthCheckResponse, GRPCStatus> {
        health.response(to: ByteBuffer(bytes: bytes)).map { buffer in
            do {
                return try GRPCHealthCheckResponse(serializedBytes: Array(buffer: buffer))
            } catch {
                Issue.record(error)
                return GRPCHealthCheckResponse()
            }
        }
    }
}
