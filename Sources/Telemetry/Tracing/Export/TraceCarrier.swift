import GRPCTransport
import HTTPTransport
package import NIOCore
import NIOHTTP1
import Resilience
package import Transport

/// Brings encoded batches to a collector.
package protocol TraceCarrier: Sendable {
    /// One attempt. Ends early, with whatever outcome, when the task is cancelled.
    func send(_ request: ByteBuffer, within timeout: Duration) async -> ExportOutcome
    func close() async
}

/// OTLP over gRPC.
package struct GRPCTraceCarrier: TraceCarrier {
    private static let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    private let channel: GRPCChannel
    private let headers: [(name: String, value: String)]

    /// - Throws: what is wrong with the authority file.
    package init(_ settings: TracingSettings, userAgent: String, group: any EventLoopGroup) throws(TLSError) {
        var channelSettings = GRPCChannelSettings()
        if settings.isTLS {
            let tls = try TLSSettings.client(authorityFile: settings.authorityFile, protocols: [.http2])
            channelSettings.tls = { tls }
        }
        channelSettings.userAgent = userAgent
        // The exporter has a back-off of its own; this one only keeps it from connecting twice at once.
        channelSettings.backoff = Backoff(base: .milliseconds(100), cap: .seconds(1))
        channelSettings.maxMessageBytes = 64 * 1024
        channel = GRPCChannel(
            host: settings.host,
            port: settings.port,
            settings: channelSettings,
            group: group
        )
        headers = settings.headers.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
    }

    package func send(_ request: ByteBuffer, within timeout: Duration) async -> ExportOutcome {
        do throws(GRPCStatus) {
            return .grpc(.success(try await channel.call(Self.path, request, headers: headers, within: timeout)))
        } catch {
            return .grpc(.failure(error))
        }
    }

    package func close() async { await channel.close() }
}

/// OTLP over HTTP, as protobuf.
package struct HTTPTraceCarrier: TraceCarrier {
    private let fetch: HTTPFetch
    private let clients: LoopLocal<UpstreamClient>
    private let origin: Origin
    private let path: String
    private let headers: HTTPHeaders

    /// - Throws: what is wrong with the authority file (`TLSError`), or of the event loops.
    package init(_ settings: TracingSettings, userAgent: String, group: any EventLoopGroup) async throws {
        var upstream = UpstreamSettings()
        if settings.isTLS {
            upstream.tls = try .client(authorityFile: settings.authorityFile, protocols: [.http1])
        }
        clients = try await UpstreamClient.perLoop(of: group.next(), settings: upstream)
        fetch = HTTPFetch(clients: clients)
        origin = Origin(host: settings.host, port: settings.port, isTLS: settings.isTLS)
        path = settings.path
        var headers: HTTPHeaders = ["content-type": "application/x-protobuf", "user-agent": userAgent]
        for (name, value) in settings.headers.sorted(by: { $0.key < $1.key }) {
            headers.replaceOrAdd(name: name, value: value)
        }
        self.headers = headers
    }

    /// 64 KiB: a collector's answer has a number and a sentence.
    private static let longestAnswer = 64 * 1024

    package func send(_ request: ByteBuffer, within timeout: Duration) async -> ExportOutcome {
        await withTaskGroup { group in
            group.addTask { await attempt(request, within: timeout) }
            // The deadlines of its parts add up to more than the whole may take.
            group.addTask {
                try? await Task.sleep(for: timeout)
                return .failed("no answer in time", retryAfter: nil)
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? .failed("no answer", retryAfter: nil)
        }
    }

    private func attempt(_ request: ByteBuffer, within timeout: Duration) async -> ExportOutcome {
        var upstream = UpstreamRequest(method: .POST, uri: path, headers: headers, body: request)
        let limit = TimeAmount(timeout)
        upstream.deadlines.connect = min(upstream.deadlines.connect, limit)
        upstream.deadlines.head = limit
        upstream.deadlines.idle = limit
        do {
            return .http(try await fetch.fetch(upstream, from: origin, maxBytes: Self.longestAnswer))
        } catch let error as UpstreamError {
            return .failed("\(error)", retryAfter: nil)
        } catch let error as FetchTooLarge {
            return .refused("the answer has more than \(error.maxBytes) bytes")
        } catch {
            return .failed("\(error)", retryAfter: nil)
        }
    }

    package func close() async { try? await clients.forEach { $0.closeIdleConnections() } }
}
