package import Foundation
package import HTTPTransport
import NIOCore
package import NIOHTTP1
import NIOPosix
import OpenAIWire

/// A configuration of deploy/envoy, changed where a test's ports are others.
package struct EnvoyConfiguration: Sendable {
    package private(set) var text: String

    /// - Parameter name: the file's name.
    package init(_ name: String) throws {
        text = try String(contentsOf: Repository.root.appending(path: "deploy/envoy/\(name)"), encoding: .utf8)
        // Ports of the system's choice, on loopback.
        try replace("address: 0.0.0.0, port_value: 8080}", with: "address: 127.0.0.1, port_value: 0}")
        try replace("address: 127.0.0.1, port_value: 19000}", with: "address: 127.0.0.1, port_value: 0}")
    }

    /// Replaces what stands in the file exactly once.
    package mutating func replace(_ old: String, with new: String) throws {
        let places = text.ranges(of: old)
        guard places.count == 1, let place = places.first else {
            throw Unexpected("\(places.count) places in the configuration read: \(old)")
        }
        text.replaceSubrange(place, with: new)
    }

    /// Adds lines before one that stands in the file exactly once.
    package mutating func insert(_ lines: String, before line: String) throws {
        try replace(line, with: lines + line)
    }

    /// The addresses of `sextant semantic`.
    mutating func setSemantic(ports: [Int]) throws {
        let line = "                    socket_address: {address: 127.0.0.1, port_value: 50051}  # HERE\n"
        let item = "              - endpoint:\n                  address:\n" + line
        try replace(
            item,
            with: ports.map { item.replacing("50051", with: "\($0)") }.joined()
        )
    }

    /// Traces to a collector, as docs/envoy.md shows it.
    mutating func setTracing(port: Int) throws {
        let page = try String(contentsOf: Repository.root.appending(path: "docs/envoy.md"), encoding: .utf8)
        guard let section = page.split(separator: "\n## Traces\n").dropFirst().first else {
            throw Unexpected("docs/envoy.md has no section on traces")
        }
        let blocks = section.split(separator: "```yaml\n").dropFirst().compactMap { $0.split(separator: "```").first }
        guard blocks.count == 2 else { throw Unexpected("there are \(blocks.count) blocks in the section on traces") }
        try insert(String(blocks[0]), before: "                codec_type: AUTO")
        let cluster = blocks[1].replacing(
            "address: otel-collector, port_value: 4317",
            with: "address: 127.0.0.1, port_value: \(port)"
        )
        try replace("  clusters:\n", with: "  clusters:\n" + cluster)
        // Soon, rather than every five seconds.
        text += """

            layered_runtime:
              layers:
                - {name: soon, static_layer: {tracing.opentelemetry.flush_interval_ms: 50}}

            """
    }

    /// The address of the router, or in destination.yaml of the worker.
    mutating func setUpstream(port: Int) throws {
        let known = ["8001", "8000"].first { text.contains("port_value: \($0)}  # HERE") }
        try replace("port_value: \(known ?? "8001")}  # HERE", with: "port_value: \(port)}")
    }
}

/// The repository that the tests were built from.
package enum Repository {
    package static let root = URL(filePath: #filePath).appending(path: "../../..").standardized
}

/// Something that a test's surroundings did not do.
package struct Unexpected: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// A real Envoy on loopback, run by the path in SEXTANT_ENVOY.
package struct Envoy: Sendable {
    package let program: RunningProgram
    package let port: Int
    package let adminPort: Int
    private let fetcher: HTTPFetch

    /// The pinned Envoy's path, which `make test` knows.
    package static var binary: String {
        get throws {
            guard let path = ProcessInfo.processInfo.environment["SEXTANT_ENVOY"], !path.isEmpty else {
                throw Unexpected("SEXTANT_ENVOY does not name an Envoy: `make test` does, and installs it")
            }
            return path
        }
    }

    /// Runs Envoy while `body` runs, and ends it afterwards.
    package static func with(
        _ configuration: EnvoyConfiguration,
        workerThreads: Int,
        fetcher: HTTPFetch,
        _ body: (Envoy) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "envoy.yaml")
        try configuration.text.write(to: file, atomically: true, encoding: .utf8)
        let admin = folder.appending(path: "admin")
        let program = try await RunningProgram.start(
            try binary,
            [
                "-c", file.path, "--concurrency", "\(workerThreads)", "--disable-hot-restart", "--admin-address-path",
                admin.path, "--log-level", "warning", "--file-flush-interval-msec", "50", "--component-log-level",
                "ext_proc:error",
            ]
        )
        let result: Result<Void, any Error>
        do {
            let envoy = try await started(program, adminAddress: admin, fetcher)
            result = await Result { try await body(envoy) }
        } catch {
            result = .failure(error)
        }
        await program.stop()
        try result.get()
    }

    private static func started(
        _ program: RunningProgram,
        adminAddress: URL,
        _ fetcher: HTTPFetch
    ) async throws -> Envoy {
        var adminPort: Int?
        _ = await eventually(within: .seconds(30)) {
            let address = try? String(contentsOf: adminAddress, encoding: .utf8)
            adminPort = address?.split(separator: ":").last.flatMap { Int($0) }
            return adminPort != nil || !program.isRunning
        }
        guard let adminPort else { throw Unexpected("Envoy did not start: \(program.text)") }
        let atAdmin = Envoy(program: program, port: 0, adminPort: adminPort, fetcher: fetcher)
        let isReady = await eventually(within: .seconds(30)) {
            (try? await atAdmin.admin("/ready").status) == .ok || !program.isRunning
        }
        let listeners = try await JSONDocument(atAdmin.admin("/listeners?format=json").body).root
        let address = listeners["listener_statuses"]?[0]?["local_address"]?["socket_address"]
        guard isReady, let port = address?["port_value"]?.int else {
            throw Unexpected("Envoy is not ready: \(program.text)")
        }
        return Envoy(program: program, port: port, adminPort: adminPort, fetcher: fetcher)
    }

    /// What clients connect to.
    package var origin: Origin { Origin(host: "127.0.0.1", port: port) }

    /// Asks the admin port.
    package func admin(_ path: String, _ method: HTTPMethod = .GET) async throws -> FetchedResponse {
        let request = UpstreamRequest(method: method, uri: path, headers: [:], body: ByteBuffer())
        return try await fetcher.fetch(request, from: Origin(host: "127.0.0.1", port: adminPort), maxBytes: 64 << 20)
    }

    /// A counter or gauge by its full name; 0 while there is none.
    package func statistic(_ name: String) async throws -> Int {
        let answer = try await admin("/stats?filter=^\(name.replacing(".", with: "\\."))$")
        return String(buffer: answer.body).split(separator: ":").last
            .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) } ?? 0
    }

    /// The last lines of the access log that tell of a 503 or 504, to say what happened.
    package var refusals: [String] {
        program.text.split(separator: "\n").map(String.init).filter { $0.contains(#""status":50"#) }.suffix(3)
    }

    /// How many of the Sextants it takes for healthy.
    package var healthySemanticCount: Int {
        get async throws { try await statistic("cluster.semantic.membership_healthy") }
    }
}
