import Foundation
import GRPCTransport
import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import NIOPosix
import OTLPAPI
import Resilience
import SwiftProtobuf
import Synchronization
import Telemetry
import TestSupport
import Testing
import Transport

/// What a collector of either kind is asked and answers.
private final class Collector: Sendable {
    struct Received: Sendable {
        let path: String
        let headers: [String: String]
        let body: ByteBuffer
    }

    /// An HTTP status or a gRPC code with what belongs to it.
    struct Answer: Sendable {
        var code = 0
        var headers: [(String, String)] = []
        /// With gRPC.
        var message = "because"
        var details: String?
        var body = ByteBuffer()
        var hangs = false
        var closes = false

        static let ok = Answer()
    }

    private let received = Mutex<[Received]>([])
    let answer: @Sendable (Int) -> Answer

    init(_ answer: @escaping @Sendable (Int) -> Answer) { self.answer = answer }

    var all: [Received] { received.withLock { $0 } }

    /// The traces of each request.
    var numbers: [[Int]] {
        get throws { try all.map { try $0.body.traceNumbers } }
    }

    func receive(_ request: Received) -> Answer {
        let number = received.withLock { received in
            received.append(request)
            return received.count - 1
        }
        return answer(number)
    }
}

private struct HTTPCollector: HTTPService {
    let collector: Collector

    func receive(_ head: HTTPRequestHead, on exchange: HTTPExchange) -> BodyPlan {
        .collect(maxBytes: 1 << 24) { body in
            let headers = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }) { $1 }
            let answer = collector.receive(.init(path: "\(head.method) \(head.uri)", headers: headers, body: body))
            if answer.hangs { return }
            let status = answer.code == 0 ? HTTPResponseStatus.ok : HTTPResponseStatus(statusCode: answer.code)
            exchange.respond(status: status, headers: HTTPHeaders(answer.headers), body: answer.body)
        }
    }

    func refuse(_ refusal: HTTPRefusal, on exchange: HTTPExchange) {
        exchange.respond(status: .badRequest, headers: [:], body: ByteBuffer())
    }
}

@Suite("Trace exporter and collectors on sockets", .timeLimit(.minutes(2)))
struct CollectorTests {
    private let registry = MetricRegistry()
    private let log = CapturedLog()
    private static let group = MultiThreadedEventLoopGroup.singleton

    private func settings(_ transport: TracingLayer.Transport, port: Int) -> TracingSettings {
        var settings = TracingSettings(host: "127.0.0.1", port: port)
        settings.transport = transport
        settings.resource = ["service.name": "test"]
        settings.headers = ["x-key": "abc"]
        settings.limits.batchDelay = .milliseconds(5)
        return settings
    }

    private func exporter(_ settings: TracingSettings) async throws -> OTLPExporter {
        var retries = OTLPExporter.Retries()
        retries.backoff = Backoff(base: .milliseconds(1), cap: .milliseconds(20))
        retries.most = 100_000
        let carrier: any TraceCarrier =
            switch settings.transport {
            case .grpc: try GRPCTraceCarrier(settings, userAgent: "sextant/test", group: Self.group)
            case .http: try await HTTPTraceCarrier(settings, userAgent: "sextant/test", group: Self.group)
            }
        let exporter = OTLPExporter(
            settings,
            carrier: carrier,
            version: "1",
            registry: registry,
            logger: log.logger,
            retries: retries
        )
        exporter.start()
        return exporter
    }

    private var exported: Int { Int(registry.value(of: "sextant_traces_exported_spans_total") ?? -1) }

    private func dropped(_ reason: TracingMetrics.Drop) -> Int {
        Int(registry.value(of: "sextant_traces_dropped_spans_total", labels: ["reason": reason.rawValue]) ?? -1)
    }

    /// Runs `body` with an exporter to a collector that answers as told.
    private func withCollector(
        _ transport: TracingLayer.Transport,
        port: Int = 0,
        change: (inout TracingSettings) -> Void = { _ in },
        answer: @escaping @Sendable (Int) -> Collector.Answer,
        _ body: (OTLPExporter, Collector) async throws -> Void
    ) async throws {
        let collector = Collector(answer)
        switch transport {
        case .grpc:
            let server = try await ScriptedGRPCServer.start(port: port) { request in
                let answer = collector.receive(
                    .init(path: request.path, headers: request.headers, body: request.message)
                )
                if answer.hangs { return [.hold] }
                if answer.closes { return [.close] }
                return answer.code == 0
                    ? .answer(answer.body) : .status(answer.code, answer.message, details: answer.details)
            }
            try await run(settings(transport, port: server.port), change, collector, body)
            await server.stop()
        case .http:
            let server = try await HTTPServer.start(
                host: "127.0.0.1",
                port: port,
                settings: HTTPServerSettings(),
                group: Self.group,
                service: HTTPCollector(collector: collector)
            )
            try await run(settings(transport, port: server.port), change, collector, body)
            await server.shutdown(within: .zero)
        }
    }

    private func run(
        _ given: TracingSettings,
        _ change: (inout TracingSettings) -> Void,
        _ collector: Collector,
        _ body: (OTLPExporter, Collector) async throws -> Void
    ) async throws {
        var settings = given
        change(&settings)
        let exporter = try await exporter(settings)
        try await body(exporter, collector)
        await exporter.shutdown(within: .seconds(20))
    }

    // MARK: Everything arrives

    @Test("Everything arrives once, in order, where it belongs", arguments: TracingLayer.Transport.allCases)
    func arrives(transport: TracingLayer.Transport) async throws {
        try await withCollector(transport, answer: { _ in .ok }) { exporter, collector in
            let maker = TraceMaker(exporter)
            for number in 0..<1000 {
                maker.record(number, spans: 2)
                // No faster than it goes out: this test is not about the queue's bound.
                if number % 100 == 99 { #expect(await eventually { exported == 2 * (number + 1) }) }
            }
            let numbers = try collector.all.flatMap { try $0.body.traceNumbers }
            #expect(numbers == Array(0..<1000))
            let first = try #require(collector.all.first)
            switch transport {
            case .grpc:
                #expect(first.path == "/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            case .http:
                #expect(first.path == "POST /v1/traces")
                #expect(first.headers["content-type"] == "application/x-protobuf")
            }
            #expect(first.headers["x-key"] == "abc" && first.headers["user-agent"] == "sextant/test")
            let request = try first.body.decodedRequest
            #expect(request.resourceSpans.first?.resource.attributes.map(\.value.stringValue) == ["test"])
        }
        #expect(TracingMetrics.Drop.allCases.allSatisfy { dropped($0) == 0 })
        #expect(log.lines.isEmpty)
    }

    @Test("Traces cross TLS", arguments: TracingLayer.Transport.allCases)
    func tls(transport: TracingLayer.Transport) async throws {
        let tls = try TLSSettings.server(
            certificateFile: TestCertificates.server,
            keyFile: TestCertificates.serverKey,
            protocols: [transport == .grpc ? .http2 : .http1]
        )
        let collector = Collector { _ in .ok }
        var port = 0
        let stop: @Sendable () async -> Void
        switch transport {
        case .grpc:
            let server = try await ScriptedGRPCServer.start(tls: tls) { request in
                _ = collector.receive(.init(path: request.path, headers: request.headers, body: request.message))
                return .answer(ByteBuffer())
            }
            port = server.port
            stop = { await server.stop() }
        case .http:
            var serverSettings = HTTPServerSettings()
            serverSettings.tls = { tls }
            let server = try await HTTPServer.start(
                host: "127.0.0.1",
                port: 0,
                settings: serverSettings,
                group: Self.group,
                service: HTTPCollector(collector: collector)
            )
            port = server.port
            stop = { await server.shutdown(within: .zero) }
        }
        var settings = settings(transport, port: port)
        settings.host = "localhost"
        settings.isTLS = true
        settings.authorityFile = TestCertificates.authority
        let exporter = try await exporter(settings)
        TraceMaker(exporter).record(1)
        #expect(await eventually { exported == 1 })
        await exporter.shutdown(within: .seconds(20))
        let numbers = try collector.numbers
        #expect(numbers == [[1]])

        // Without the authority nothing is sent.
        settings.authorityFile = nil
        let stranger = try await self.exporter(settings)
        TraceMaker(stranger).record(2)
        #expect(await eventually { log.lines.contains { $0.contains("CERTIFICATE_VERIFY_FAILED") } })
        await stranger.shutdown(within: .seconds(20))
        #expect(collector.all.count == 1)
        await stop()
    }

    @Test("An authority file that cannot be used is said at the start", arguments: TracingLayer.Transport.allCases)
    func badAuthority(transport: TracingLayer.Transport) async throws {
        var settings = settings(transport, port: 1)
        settings.isTLS = true
        settings.authorityFile = "/nowhere/ca.pem"
        let error = await #expect(throws: TLSError.self) { _ = try await exporter(settings) }
        #expect(error?.file == "/nowhere/ca.pem")
    }

    // MARK: Collectors that fail

    @Test("A collector that comes late gets what has waited", arguments: TracingLayer.Transport.allCases)
    func late(transport: TracingLayer.Transport) async throws {
        let placeholder = try await ScriptedGRPCServer.start()
        let port = placeholder.port
        await placeholder.stop()
        let exporter = try await exporter(settings(transport, port: port))
        let maker = TraceMaker(exporter)
        for number in 0..<100 { maker.record(number) }
        #expect(await eventually { log.lines.count == 1 })
        try await withCollector(transport, port: port, answer: { _ in .ok }) { _, collector in
            #expect(await eventually(within: .seconds(20)) { exported == 100 })
            let numbers = try collector.numbers.flatMap { $0 }
            #expect(numbers == Array(0..<100))
            await exporter.shutdown(within: .seconds(20))
        }
        #expect(log.lines.count == 2 && log.lines[0].contains("cannot be exported"))
        #expect(log.lines.last?.contains("exported again") == true)
    }

    struct Failure: Sendable, CustomTestStringConvertible {
        let transport: TracingLayer.Transport
        let code: Int
        var headers: [(String, String)] = []
        var details: String?
        var closes = false
        var testDescription: String { "\(transport) \(code) \(headers) \(closes ? "closed" : details ?? "")" }
    }

    /// `RESOURCE_EXHAUSTED` with a delay of a millisecond.
    private static let retryInfo: String = {
        var info = RPCRetryInfo()
        info.retryDelay = .init(seconds: 0, nanos: 1_000_000)
        var detail = Google_Protobuf_Any()
        detail.typeURL = "type.googleapis.com/google.rpc.RetryInfo"
        detail.value = (try? info.serializedBytes()) ?? Data()
        var status = RPCStatus()
        status.code = 8
        status.details = [detail]
        return ((try? status.serializedBytes()) ?? Data()).base64EncodedString()
    }()

    private static let retryable: [Failure] =
        [1, 4, 10, 11, 14, 15].map { Failure(transport: .grpc, code: $0) } + [
            Failure(transport: .grpc, code: 8, details: retryInfo),
            Failure(transport: .grpc, code: 14, details: retryInfo),
            Failure(transport: .grpc, code: 0, closes: true),
        ] + [429, 502, 503, 504].map { Failure(transport: .http, code: $0) } + [
            Failure(transport: .http, code: 503, headers: [("retry-after", "0")]),
            Failure(transport: .http, code: 429, headers: [("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")]),
        ]

    @Test("What may succeed later is sent again", arguments: retryable)
    func retried(failure: Failure) async throws {
        let answer: @Sendable (Int) -> Collector.Answer = { number in
            guard number < 2 else { return .ok }
            return .init(
                code: failure.code,
                headers: failure.headers,
                details: failure.details,
                closes: failure.closes
            )
        }
        try await withCollector(failure.transport, answer: answer) { exporter, collector in
            TraceMaker(exporter).record(7)
            #expect(await eventually { exported == 1 })
            let numbers = try collector.numbers
            #expect(numbers == [[7], [7], [7]])
        }
        #expect(TracingMetrics.Drop.allCases.allSatisfy { dropped($0) == 0 })
    }

    private static let final: [Failure] =
        [2, 3, 5, 6, 7, 8, 9, 12, 13, 16].map { Failure(transport: .grpc, code: $0) }
        + [400, 401, 403, 404, 500, 501, 302].map { Failure(transport: .http, code: $0) }

    @Test("What will never succeed is not sent again", arguments: final)
    func notRetried(failure: Failure) async throws {
        try await withCollector(failure.transport, answer: { _ in .init(code: failure.code) }) { exporter, collector in
            TraceMaker(exporter).record(7, spans: 3)
            #expect(await eventually { dropped(.rejected) == 3 })
            #expect(collector.all.count == 1 && exported == 0)
        }
    }

    @Test(
        "What is too large for the collector is not sent again",
        arguments: [Failure(transport: .grpc, code: 8), Failure(transport: .http, code: 413)]
    )
    func tooLarge(failure: Failure) async throws {
        let complaint = "grpc: received message larger than max (5 vs. 4)"
        try await withCollector(
            failure.transport,
            answer: { _ in .init(code: failure.code, message: complaint) }
        ) { exporter, collector in
            TraceMaker(exporter).record(7)
            #expect(await eventually { dropped(.tooLarge) == 1 })
            #expect(collector.all.count == 1)
        }
    }

    @Test("A collector's wish for a pause is kept, in whole seconds by HTTP and by gRPC's RetryInfo")
    func pauses() async throws {
        // The pause itself is the exporter's affair (see its tests): here it must be understood, so that with a long
        // one no second attempt comes before the process ends.
        var info = RPCRetryInfo()
        info.retryDelay = .init(seconds: 200, nanos: 0)
        var detail = Google_Protobuf_Any()
        detail.typeURL = "type.googleapis.com/google.rpc.RetryInfo"
        detail.value = try info.serializedBytes()
        var status = RPCStatus()
        status.details = [detail]
        let details: Data = try status.serializedBytes()
        let text = details.base64EncodedString()
        try await withCollector(.grpc, answer: { _ in .init(code: 14, details: text) }) { exporter, collector in
            let maker = TraceMaker(exporter)
            maker.record(1)
            #expect(await eventually { collector.all.count == 1 })
            // With the back-off of these tests, hundreds of attempts would have come in this time.
            #expect(!(await eventually(within: .milliseconds(300)) { collector.all.count > 1 }))
        }
        try await withCollector(
            .http,
            answer: { _ in .init(code: 503, headers: [("retry-after", "200")]) }
        ) { exporter, collector in
            TraceMaker(exporter).record(1)
            #expect(await eventually { collector.all.count == 1 })
            #expect(!(await eventually(within: .milliseconds(300)) { collector.all.count > 1 }))
        }
    }

    @Test("A collector that never answers is asked again after the timeout", arguments: TracingLayer.Transport.allCases)
    func slow(transport: TracingLayer.Transport) async throws {
        try await withCollector(
            transport,
            change: { $0.timeout = .milliseconds(200) },
            answer: { $0 == 0 ? .init(hangs: true) : .ok }
        ) { exporter, collector in
            TraceMaker(exporter).record(3)
            #expect(await eventually { exported == 1 })
            let numbers = try collector.numbers
            // More than twice where this machine takes longer than the timeout to answer.
            #expect(numbers.count >= 2 && numbers.allSatisfy { $0 == [3] })
        }
    }

    @Test("Spans that the collector rejects are counted", arguments: TracingLayer.Transport.allCases)
    func partial(transport: TracingLayer.Transport) async throws {
        var response = OTLPExportTraceServiceResponse()
        response.partialSuccess.rejectedSpans = 2
        response.partialSuccess.errorMessage = "two are bad"
        let body = ByteBuffer(bytes: try response.serializedBytes() as [UInt8])
        try await withCollector(transport, answer: { _ in .init(body: body) }) { exporter, collector in
            TraceMaker(exporter).record(1, spans: 5)
            #expect(await eventually { exported == 3 && dropped(.rejected) == 2 })
            #expect(collector.all.count == 1)
        }
        #expect(log.lines.contains { $0.contains("two are bad") })
    }

    @Test("What HTTP's error says is in the log, and no key is")
    func errorText() async throws {
        var status = RPCStatus()
        status.message = "unknown tenant"
        let body = ByteBuffer(bytes: try status.serializedBytes() as [UInt8])
        let answer = Collector.Answer(code: 403, headers: [("content-type", "application/x-protobuf")], body: body)
        try await withCollector(.http, answer: { _ in answer }) { exporter, _ in
            TraceMaker(exporter).record(1)
            #expect(await eventually { dropped(.rejected) == 1 })
        }
        #expect(log.lines.contains { $0.contains("HTTP 403: unknown tenant") })
        #expect(!log.lines.contains { $0.contains("abc") })
    }

    @Test("Shutdown sends what waits", arguments: TracingLayer.Transport.allCases)
    func flush(transport: TracingLayer.Transport) async throws {
        try await withCollector(
            transport,
            change: { $0.limits.batchDelay = .seconds(3600) },
            answer: { _ in .ok }
        ) { exporter, collector in
            let maker = TraceMaker(exporter)
            for number in 0..<500 { maker.record(number) }
            await exporter.shutdown(within: .seconds(20))
            #expect(exported == 500)
            let numbers = try collector.numbers.flatMap { $0 }
            #expect(numbers == Array(0..<500))
        }
    }

    @Test("Our own gRPC server can be the collector")
    func ownServer() async throws {
        struct Export: GRPCMethod {
            let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            let receive: @Sendable (ByteBuffer) -> Void

            func begin(_ call: GRPCServerCall) -> any GRPCCallHandler { Handler(call: call, receive: receive) }

            final class Handler: GRPCCallHandler {
                let call: GRPCServerCall
                let receive: (ByteBuffer) -> Void

                init(call: GRPCServerCall, receive: @escaping (ByteBuffer) -> Void) {
                    self.call = call
                    self.receive = receive
                }

                func receive(_ message: ByteBuffer) { receive(message) }
                func receiveEnd() {
                    call.send { _ in }
                    call.finish(.ok)
                }
                func ended() {}
                func serverIsClosing() {}
            }
        }
        let received = Mutex<[ByteBuffer]>([])
        let server = try await GRPCServer.start(
            host: "127.0.0.1",
            port: 0,
            group: Self.group,
            methods: [Export { message in received.withLock { $0.append(message) } }]
        )
        let exporter = try await OTLPExporter.start(
            settings(.grpc, port: server.port),
            version: "1",
            registry: registry,
            logger: log.logger,
            group: Self.group
        )
        let maker = TraceMaker(exporter)
        for number in 0..<200 { maker.record(number, spans: 3) }
        await exporter.shutdown(within: .seconds(20))
        #expect(exported == 600)
        #expect(try received.withLock { $0 }.flatMap { try $0.traceNumbers } == Array(0..<200))
        await server.shutdown(within: .zero)
    }
}
