import HTTPTransport
import Instruments
import NIOCore
import NIOHTTP1
import NIOPosix
import OpenAIWire
import SimWorker
import Synchronization
import TestSupport
import Testing
import Transport

/// A simulated worker on loopback and a client for it.
struct Stand {
    let worker: SimWorker
    let clients: LoopLocal<UpstreamClient>
    let origin: Origin
    private let fetch: HTTPFetch

    /// Runs `body` against a worker without latency, unless `change` says otherwise.
    static func with(
        _ change: (inout SimConfig) -> Void = { _ in },
        tracer: RequestTracer? = nil,
        _ body: (Stand) async throws -> Void
    ) async throws {
        var config = SimConfig()
        config.port = 0
        config.zeroLatency = true
        config.workerID = "w1"
        change(&config)
        let group = MultiThreadedEventLoopGroup.singleton
        let worker = try await SimWorker.start(config, group: group, tracer: tracer)
        let clients = try await UpstreamClient.perLoop(of: group, settings: UpstreamSettings())
        let stand = Stand(
            worker: worker,
            clients: clients,
            origin: Origin(host: "127.0.0.1", port: worker.port),
            fetch: HTTPFetch(clients: clients)
        )
        do {
            try await body(stand)
        } catch {
            await worker.shutdown(within: .zero)
            throw error
        }
        await worker.shutdown(within: .zero)
    }

    func send(
        _ method: HTTPMethod,
        _ path: String,
        _ body: String = "",
        headers: [(String, String)] = []
    ) async throws -> Reply {
        var fields = HTTPHeaders(headers)
        if !body.isEmpty, !fields.contains(name: "content-type") {
            fields.add(name: "content-type", value: "application/json")
        }
        let request = UpstreamRequest(method: method, uri: path, headers: fields, body: ByteBuffer(string: body))
        return Reply(try await fetch.fetch(request, from: origin))
    }

    func post(_ path: String, _ body: String, headers: [(String, String)] = []) async throws -> Reply {
        try await send(.POST, path, body, headers: headers)
    }

    func get(_ path: String) async throws -> Reply {
        try await send(.GET, path)
    }

    func chat(_ members: String, headers: [(String, String)] = []) async throws -> Reply {
        try await post("/v1/chat/completions", "{\(members)}", headers: headers)
    }
}

/// A whole answer, with its parts at hand.
struct Reply {
    let status: Int
    let headers: HTTPHeaders
    let text: String

    init(_ response: FetchedResponse) {
        status = Int(response.status.code)
        headers = response.headers
        text = String(buffer: response.body)
    }

    /// The body as JSON.
    var json: JSONValue {
        get throws { try JSONDocument(ByteBuffer(string: text)).root }
    }

    /// The `data:` lines of a stream.
    var events: [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
    }

    /// The `data:` lines that hold JSON.
    var chunks: [JSONValue] {
        get throws {
            try events.filter { $0 != "[DONE]" }.map { try JSONDocument(ByteBuffer(string: $0)).root }
        }
    }
}

/// Keeps what is handed on.
final class KeptTraces: TraceSink {
    private let kept = Mutex<[Trace.Finished]>([])

    var all: [Trace.Finished] { kept.withLock { $0 } }
    func record(_ trace: Trace.Finished) { kept.withLock { $0.append(trace) } }
}

/// Waits until `condition` holds; records an issue when it has not within ten seconds.
func eventually(
    _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    if try await !TestSupport.eventually(condition) {
        Issue.record("never came true: \(what)", sourceLocation: sourceLocation)
    }
}
