package import ConfigKit
import Instruments
import NIOCore
import OTLPAPI
import RouterApp
import SwiftProtobuf
import Synchronization

/// An OpenTelemetry collector on loopback that keeps what it is sent by gRPC.
package final class TraceCollector: Sendable {
    /// A span, in words.
    package struct Span: Sendable {
        /// Who sent it: `service.name`.
        package let service: String
        package let name: String
        /// `server`, `client` or `internal`.
        package let kind: String
        package let traceID: String
        package let id: String
        /// Empty for the first of a trace.
        package let parent: String
        /// Nanoseconds since 1970.
        package let start: UInt64
        package let end: UInt64
        package let attributes: [String: String]
        /// What went wrong; nil when nothing did.
        package let failure: String?

        /// Who says it, and what.
        package var title: String { "\(service): \(name)" }
    }

    private let server: ScriptedGRPCServer
    private let kept: Kept

    private final class Kept: Sendable {
        let spans = Mutex<[Span]>([])
        let messages = Mutex<[[UInt8]]>([])
    }

    /// Runs `body` while there is a collector.
    package static func with(_ body: (TraceCollector) async throws -> Void) async throws {
        let kept = Kept()
        let server = try await ScriptedGRPCServer.start { request in
            let bytes = Array(request.message.readableBytesView)
            kept.messages.withLock { $0.append(bytes) }
            guard let export = try? OTLPExportTraceServiceRequest(serializedBytes: bytes) else {
                return .status(3, "this is no ExportTraceServiceRequest")
            }
            kept.spans.withLock { $0 += export.resourceSpans.flatMap { Span.all(of: $0) } }
            return .answer(ByteBuffer())
        }
        let collector = TraceCollector(server: server, kept: kept)
        let result = await Result { try await body(collector) }
        await server.stop()
        try result.get()
    }

    private init(server: ScriptedGRPCServer, kept: Kept) {
        self.server = server
        self.kept = kept
    }

    package var port: Int { server.port }

    /// All spans so far.
    package var spans: [Span] { kept.spans.withLock { $0 } }

    /// All bytes so far, message by message.
    package var messages: [[UInt8]] { kept.messages.withLock { $0 } }

    package func forget() {
        kept.spans.withLock { $0 = [] }
        kept.messages.withLock { $0 = [] }
    }

    /// The spans of one trace, when `isWhole` says that all are there; those that came by the deadline, if it does not.
    package func trace(
        _ id: String,
        within deadline: Duration = .seconds(20),
        isWhole: ([Span]) -> Bool
    ) async -> [Span] {
        var spans: [Span] = []
        _ = await eventually(within: deadline) {
            spans = self.spans.filter { $0.traceID == id }.sorted { $0.start < $1.start }
            return isWhole(spans)
        }
        return spans
    }

    /// Sends the traces of a process that tests put together here.
    func tracing(
        _ service: String,
        _ registry: MetricRegistry,
        on group: any EventLoopGroup
    ) async throws -> ProcessTracing? {
        try await ProcessTracing.start(
            service: service,
            environment: environment,
            registry: registry,
            logger: CapturedLog().logger,
            group: group
        )
    }

    /// What tells a process to send its traces here, soon.
    package var environment: ProcessEnvironment {
        [
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:\(port)", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        ]
    }
}

extension TraceCollector.Span {
    fileprivate static func all(of resource: OTLPResourceSpans) -> [TraceCollector.Span] {
        let service = resource.resource.attributes.first { $0.key == "service.name" }?.value.stringValue ?? ""
        return resource.scopeSpans.flatMap(\.spans).map { span in
            TraceCollector.Span(
                service: service,
                name: span.name,
                kind: "\(span.kind)",
                traceID: span.traceID.hex,
                id: span.spanID.hex,
                parent: span.parentSpanID.hex,
                start: span.startTimeUnixNano,
                end: span.endTimeUnixNano,
                attributes: Dictionary(span.attributes.map { ($0.key, $0.value.words) }) { $1 },
                failure: span.status.code == .error ? span.status.message : nil
            )
        }
    }
}

extension OTLPAnyValue {
    fileprivate var words: String {
        switch value {
        case .stringValue(let text): text
        case .boolValue(let flag): "\(flag)"
        case .intValue(let number): "\(number)"
        case .doubleValue(let number): "\(number)"
        case .arrayValue(let array): array.values.map(\.words).joined(separator: " ")
        default: ""
        }
    }
}

extension Sequence<UInt8> {
    fileprivate var hex: String {
        map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        .joined()
    }
}
