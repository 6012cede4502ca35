import Foundation
import RouterApp
import SimWorker
import TestSupport
import Testing

/// The official OpenAI client, from the environment that `make test` prepares (SEXTANT_OPENAI_PYTHON).
@Suite("The official OpenAI client")
struct OpenAIClientTests {
    @Test("Models, chat, streams, tools, embeddings and every kind of error", .enabled(if: OpenAIChecks.areThere))
    func checks() async throws {
        let policy = try PolicyFile(OpenAIChecks.policy)
        defer { policy.remove() }
        try await OpenAIChecks.withKeys { keys in
            let options: (inout ServeOptions) -> Void = {
                $0.config = policy.path
                $0.apiKeysFile = keys
            }
            try await Stack.with(.gateway, workers: OpenAIChecks.workers, options: options) { stack in
                await stack.workers[2].refuse()
                try await OpenAIChecks.run(port: stack.port)
            }
        }
    }
}

/// scripts/checks/openai_client.py, and what it needs.
enum OpenAIChecks {
    private static let python = ProcessInfo.processInfo.environment["SEXTANT_OPENAI_PYTHON"]

    static var areThere: Bool { python != nil }

    /// Lists the models, as the checks look for them.
    static let policy = """
        version: v0.3
        providers: {defaults: {default_model: sim-model}, models: [{name: sim-model}, {name: other-model}]}
        global: {router: {include_config_models_in_list: true}}
        """

    /// The last one is to be gone.
    static let workers = [["sim-model", "other-model"], ["sim-model"], ["gone"]].map { models in
        var config = SimConfig.instant()
        config.servedModelNames = models
        config.maxModelTokens = 4_000_000
        config.blockCount = 1_000_000
        return config
    }

    /// Calls `body` with a file of the one key that the checks have.
    static func withKeys(_ body: (String) async throws -> Void) async throws {
        let keys = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: keys) }
        // `printf %s sk-alpha | sha256sum`
        try "api_keys: [{name: test, sha256: 2179e632e89277f18aa600491b68ad55121fd6caa045e047fdeb426088a5a5f1}]"
            .write(to: keys, atomically: true, encoding: .utf8)
        try await body(keys.path)
    }

    /// Runs all checks, or those named.
    static func run(port: Int, only names: [String] = []) async throws {
        guard let python else {
            throw Unexpected("SEXTANT_OPENAI_PYTHON does not name a Python with the client: `make test` does")
        }
        let output = try await Subprocess.run(
            python,
            [
                "scripts/checks/openai_client.py", "--base-url", "http://127.0.0.1:\(port)/v1", "--model", "sim-model",
                "--expect-model", "other-model", "--unavailable-model", "gone", "--api-key", "sk-alpha",
                "--large-prompt", "1048576",
            ] + (names.isEmpty ? [] : ["--only", names.joined(separator: ",")])
        )
        #expect(output.status == 0, "\(output.text)")
        #expect(output.text.contains(" passed, 0 failed, 0 skipped"), "\(output.text)")
    }
}
