import Foundation
package import HTTPTransport
import NIOCore
import NIOHTTP1
import OpenAIWire
import Synchronization

/// `sextant semantic` as a process of its own, to be killed, stopped and started again on the same port. SEXTANT_BINARY
/// names the program.
package final class SemanticProgram: Sendable {
    package let policy: PolicyFile
    /// What Envoy connects to.
    package let port: Int
    private let flags: [String]
    private let running: Mutex<RunningProgram>

    /// Runs the program while `body` runs, and ends it afterwards.
    ///
    /// - Parameter flags: besides those that keep it on loopback.
    package static func with(
        policy text: String,
        flags: [String] = [],
        _ body: (SemanticProgram) async throws -> Void
    ) async throws {
        let policy = try PolicyFile(text)
        defer { policy.remove() }
        let program = try await launch(policy, port: 0, flags)
        let result: Result<Void, any Error>
        do {
            let semantic = try await SemanticProgram(program, policy, flags)
            result = await Result { try await body(semantic) }
            await semantic.current.stop()
        } catch {
            await program.stop()
            throw error
        }
        try result.get()
    }

    private init(_ program: RunningProgram, _ policy: PolicyFile, _ flags: [String]) async throws {
        port = try await Self.listening(program).port
        self.policy = policy
        self.flags = flags
        running = Mutex(program)
    }

    private static func launch(_ policy: PolicyFile, port: Int, _ flags: [String]) async throws -> RunningProgram {
        guard let binary = ProcessInfo.processInfo.environment["SEXTANT_BINARY"] else {
            throw Unexpected("SEXTANT_BINARY does not name the program: `make test` does")
        }
        return try await RunningProgram.start(
            binary,
            [
                "semantic", "--config", policy.path, "--host", "127.0.0.1", "--port", "\(port)", "--enable-api=false",
                "--metrics-host", "127.0.0.1", "--metrics-port", "0", "--log-format", "json",
            ] + flags
        )
    }

    /// The ports that a program says it listens on.
    private static func listening(_ program: RunningProgram) async throws -> (port: Int, metricsPort: Int) {
        var ports: (Int, Int)?
        _ = await eventually(within: .seconds(30)) {
            for line in program.text.split(separator: "\n") {
                guard let root = try? JSONDocument(ByteBuffer(substring: line)).root,
                    let port = root["port"]?.string.flatMap({ Int($0) }),
                    let metrics = root["metrics_port"]?.string.flatMap({ Int($0) })
                else { continue }
                ports = (port, metrics)
            }
            return ports != nil || !program.isRunning
        }
        guard let ports else { throw Unexpected("sextant semantic did not start: \(program.text)") }
        return ports
    }

    /// The process at present.
    package var current: RunningProgram { running.withLock { $0 } }

    /// Ends it as a crash does.
    package func kill() async {
        current.signal(SIGKILL)
        _ = await current.ended()
    }

    /// Asks it to end, and waits until it has.
    package func terminate(within deadline: Duration = .seconds(40)) async -> Bool {
        current.signal(SIGTERM)
        return await current.ended(within: deadline)
    }

    /// Starts it again on the same port, after it has ended.
    package func restart() async throws {
        await current.stop()
        let program = try await Self.launch(policy, port: port, flags)
        running.withLock { $0 = program }
        _ = try await Self.listening(program)
    }

    /// Makes it stand still.
    package func suspend() { current.signal(SIGSTOP) }

    package func resume() { current.signal(SIGCONT) }

    /// A metric, with its labels as they are shown; nil where it is not there.
    package func metric(_ name: String, by fetcher: HTTPFetch) async throws -> Double? {
        let port = try await Self.listening(current).metricsPort
        let request = UpstreamRequest(method: .GET, uri: "/metrics", headers: [:], body: ByteBuffer())
        let page = try await fetcher.fetch(request, from: Origin(host: "127.0.0.1", port: port))
        return String(buffer: page.body).split(separator: "\n").first { $0.hasPrefix(name + " ") }
            .flatMap { Double($0.dropFirst(name.count + 1)) }
    }
}
