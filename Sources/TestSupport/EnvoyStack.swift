import ConfigKit
import Foundation
package import HTTPTransport
package import NIOCore
package import NIOHTTP1
package import RouterApp
package import SimWorker

/// The whole chain on loopback: a real Envoy that asks `sextant semantic`, then `sextant router` and simulated workers.
package struct EnvoyStack: Sendable {
    package let stack: Stack
    /// The Sextants of this process; empty where they run elsewhere.
    package let semantic: [SemanticStack]
    package let envoy: Envoy

    /// Who chooses the model.
    package enum Semantic: Sendable {
        /// So many in this process.
        case own(Int)
        /// Whoever listens on these ports.
        case ports([Int])
    }

    /// Whom Envoy sends requests to.
    package enum Upstream: Sendable {
        case router
        case firstWorker
        /// Whoever listens on this port.
        case port(Int)
    }

    /// Runs `body` with the chain and ends every part of it afterwards, whatever happens.
    ///
    /// - Parameters:
    ///   - name: a file of deploy/envoy.
    ///   - policy: for Sextants of this process; `{NAME}` stands for the address of the worker that serves that model.
    ///   - collector: gets the traces of Sextant, the workers and, if `envoyTraces`, of Envoy.
    ///   - change: what else the configuration shall say.
    package static func with(
        _ name: String = "sextant-router.yaml",
        policy: String,
        semantic: Semantic = .own(1),
        workers: [SimConfig],
        options: (inout ServeOptions) -> Void = { _ in },
        semanticOptions: (inout SemanticOptions) -> Void = { _ in },
        workerThreads: Int = 1,
        upstream: Upstream = .router,
        tracing collector: TraceCollector? = nil,
        envoyTraces: Bool = true,
        change: (inout EnvoyConfiguration) throws -> Void = { _ in },
        _ body: (EnvoyStack) async throws -> Void
    ) async throws {
        try await Stack.with(workers: workers, options: options, tracing: collector) { stack in
            var configuration = try EnvoyConfiguration(name)
            if let collector, envoyTraces { try configuration.setTracing(port: collector.port) }
            switch upstream {
            case .router: try configuration.setUpstream(port: stack.port)
            case .firstWorker: try configuration.setUpstream(port: stack.workers[0].port)
            case .port(let port): try configuration.setUpstream(port: port)
            }
            func run(_ ports: [Int], _ semantic: [SemanticStack]) async throws {
                try configuration.setSemantic(ports: ports)
                try change(&configuration)
                try await Envoy.with(configuration, workerThreads: workerThreads, fetcher: stack.fetcher) { envoy in
                    try await body(EnvoyStack(stack: stack, semantic: semantic, envoy: envoy))
                }
            }
            switch semantic {
            case .ports(let ports): try await run(ports, [])
            case .own(let count):
                let file = try PolicyFile(stack.workers.reduce(policy) { $0.filled(with: $1) })
                defer { file.remove() }
                var settings = SemanticOptions.onLoopback(policy: file)
                semanticOptions(&settings)
                var started: [SemanticStack] = []
                let result: Result<Void, any Error>
                do {
                    for _ in 0..<count {
                        started.append(
                            try await SemanticStack.start(
                                settings,
                                environment: collector?.environment ?? [:],
                                logger: stack.log.logger
                            )
                        )
                    }
                    result = await Result { try await run(started.map(\.port), started) }
                } catch {
                    result = .failure(error)
                }
                for semantic in started { await semantic.shutdown() }
                try result.get()
            }
        }
    }

    package var workers: [SimWorker] { stack.workers }

    /// A request through Envoy with a JSON body, and its whole answer.
    package func post(
        _ path: String,
        _ json: String,
        headers: [String: String] = [:]
    ) async throws -> FetchedResponse {
        try await stack.send(.POST, path, body: ByteBuffer(string: json), headers: headers, to: envoy.origin)
    }

    package func get(_ path: String, headers: [String: String] = [:]) async throws -> FetchedResponse {
        try await stack.send(.GET, path, body: ByteBuffer(), headers: headers, to: envoy.origin)
    }

    package func send(
        _ method: HTTPMethod,
        _ path: String,
        body: ByteBuffer,
        headers: [String: String] = [:]
    ) async throws -> FetchedResponse {
        try await stack.send(method, path, body: body, headers: headers, to: envoy.origin)
    }
}

/// A policy in a file of the test's own.
package struct PolicyFile: Sendable {
    private let folder: URL

    package init(_ text: String) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try write(text)
    }

    package var path: String { folder.appending(path: "policy.yaml").path }

    /// Puts another text in its place, in one step.
    package func write(_ text: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    package func remove() { try? FileManager.default.removeItem(at: folder) }
}

extension String {
    /// With the worker's address in place of the model's name in braces.
    fileprivate func filled(with worker: SimWorker) -> String {
        worker.engine.config.modelNames.reduce(self) { $0.replacing("{\($1)}", with: "127.0.0.1:\(worker.port)") }
    }
}

extension SemanticOptions {
    fileprivate static func onLoopback(policy: PolicyFile) -> SemanticOptions {
        var options = SemanticOptions()
        options.config = policy.path
        options.host = "127.0.0.1"
        options.port = ConfigKit.Port(0)
        options.hasAPI = false
        options.metricsHost = "127.0.0.1"
        options.metricsPort = ConfigKit.Port(0)
        options.threads = 2
        options.drainTimeout = .zero
        return options
    }
}
