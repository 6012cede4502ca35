package import ConfigKit
package import HTTPTransport
package import Instruments
import Logging
package import NIOCore
package import NIOHTTP1
import NIOPosix
package import RouterApp
package import SimWorker
import Transport

/// A router or gateway before simulated workers, all on loopback with ports of the system's choice.
package struct Stack: Sendable {
    package let workers: [SimWorker]
    package let port: Int
    package let log: CapturedLog
    private let stack: ServeStack
    /// For requests to other ports than the stack's.
    package let fetcher: HTTPFetch

    package var registry: MetricRegistry { stack.registry }
    package var adminPort: Int? { stack.adminPort }
    package var origin: Origin { Origin(host: "127.0.0.1", port: port) }

    /// Runs `body` with a stack and ends every part of it afterwards, whatever happens.
    ///
    /// - Parameters:
    ///   - workers: each worker's settings; ports are set here.
    ///   - options: changed before the start; backends and models are filled in from the workers.
    ///   - collector: gets the traces of the stack and of its workers.
    package static func with(
        _ kind: ServeStack.Kind = .router,
        workers configs: [SimConfig] = [.instant(), .instant()],
        options change: (inout ServeOptions) -> Void = { _ in },
        tracing collector: TraceCollector? = nil,
        _ body: (Stack) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var workers: [SimWorker] = []
        var tracing: [ProcessTracing] = []
        let result: Result<Void, any Error>
        do {
            for var config in configs {
                config.port = 0
                let registry = MetricRegistry()
                if let collector {
                    tracing += [try await collector.tracing("sextant-sim", registry, on: group)].compactMap { $0 }
                }
                workers.append(
                    try await SimWorker.start(config, group: group, registry: registry, tracer: tracing.last?.tracer)
                )
            }
            let environment = collector?.environment ?? [:]
            result = await Result { try await run(kind, workers, change, environment, body) }
        } catch {
            result = .failure(error)
        }
        for worker in workers { await worker.shutdown(within: .zero) }
        for tracing in tracing { await tracing.shutdown() }
        try await group.shutdownGracefully()
        try result.get()
    }

    private static func run(
        _ kind: ServeStack.Kind,
        _ workers: [SimWorker],
        _ change: (inout ServeOptions) -> Void,
        _ environment: ProcessEnvironment,
        _ body: (Stack) async throws -> Void
    ) async throws {
        var options = ServeOptions()
        options.host = "127.0.0.1"
        options.port = Port(0)
        if kind == .gateway { options.adminPort = Port(0) }
        options.threads = 2
        options.drainTimeout = .zero
        for worker in workers {
            for model in worker.engine.config.modelNames {
                let url = try ServiceURL.parse("http://127.0.0.1:\(worker.port)", traits: FieldTraits())
                options.staticBackends.append(url)
                options.staticModels.append(model)
            }
        }
        change(&options)
        let log = CapturedLog()
        let stack = try await ServeStack.start(kind, options, environment: environment, logger: log.logger)
        let watching = Task { await stack.runBesides() }
        let clients = try await UpstreamClient.perLoop(
            of: MultiThreadedEventLoopGroup.singleton,
            settings: UpstreamSettings()
        )
        let result = await Result {
            try await body(
                Stack(
                    workers: workers,
                    port: stack.port,
                    log: log,
                    stack: stack,
                    fetcher: HTTPFetch(clients: clients)
                )
            )
        }
        watching.cancel()
        try await clients.forEach { $0.closeIdleConnections() }
        await stack.shutdown()
        try result.get()
    }

    /// Puts a policy in force, as a change of its file does.
    package func apply(policy yaml: String, transition: Duration) async -> [Diagnostic] {
        await stack.apply(policy: WatchedFile(path: "policy.yaml", bytes: Array(yaml.utf8)), transition: transition)
    }

    /// A request with a JSON body, and its whole answer.
    package func post(
        _ path: String,
        _ json: String,
        headers: [String: String] = [:]
    ) async throws -> FetchedResponse {
        try await send(.POST, path, body: ByteBuffer(string: json), headers: headers)
    }

    /// A request to the management port, and its whole answer.
    package func manage(
        _ method: HTTPMethod,
        _ path: String,
        body: String = "",
        headers: [String: String] = [:]
    ) async throws -> FetchedResponse {
        let origin = Origin(host: "127.0.0.1", port: adminPort ?? 0)
        return try await send(method, path, body: ByteBuffer(string: body), headers: headers, to: origin)
    }

    package func get(_ path: String, headers: [String: String] = [:]) async throws -> FetchedResponse {
        try await send(.GET, path, body: ByteBuffer(), headers: headers)
    }

    package func send(
        _ method: HTTPMethod,
        _ path: String,
        body: ByteBuffer,
        headers: [String: String] = [:],
        to other: Origin? = nil
    ) async throws -> FetchedResponse {
        var fields = HTTPHeaders(headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        if !fields.contains(name: "content-type"), body.readableBytes > 0 {
            fields.add(name: "content-type", value: "application/json")
        }
        let request = UpstreamRequest(method: method, uri: path, headers: fields, body: body)
        return try await fetcher.fetch(request, from: other ?? origin, maxBytes: 128 << 20)
    }
}

extension SimConfig {
    /// A worker that answers at once.
    package static func instant(_ models: String..., id: String = "") -> SimConfig {
        var config = SimConfig()
        config.zeroLatency = true
        config.servedModelNames = models.isEmpty ? ["sim-model"] : models
        config.workerID = id
        return config
    }
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
