import Foundation
import TestSupport
import Testing

/// The program as a person runs it: its words, its exit statuses, its signals. SEXTANT_BINARY names it.
@Suite("The program")
struct ProcessTests {
    private static let binary = ProcessInfo.processInfo.environment["SEXTANT_BINARY"]

    private func run(_ arguments: String...) async throws -> Subprocess.Output {
        try await Subprocess.run(try #require(Self.binary), arguments)
    }

    @Test("Every mistake of a command line is said at once", .enabled(if: binary != nil))
    func wrongFlags() async throws {
        let output = try await run(
            "router",
            "--static-backend",
            "http://a:1,ftp://b",
            "--static-models=m",
            "--port",
            "99999",
            "--threads=-1",
            "--routing",
            "roundrobbin",
            "--bogus",
            "--log-level",
            "loud"
        )
        #expect(output.status == 2)
        for part in [
            "--static-backend", "--port", "99999", "--threads", "did you mean \"roundrobin\"", "--bogus", "loud",
        ] {
            #expect(output.text.contains(part), "\(part) is missing in: \(output.text)")
        }
    }

    /// A folder of files of the test's own, removed afterwards.
    private func withFiles(_ files: [String: String], _ body: (URL) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
        }
        try await body(folder)
    }

    @Test("The example policy is sound, and its probes lead where they say", .enabled(if: binary != nil))
    func examplePolicy() async throws {
        let folder = URL(filePath: #filePath).appending(path: "../../../examples/policy").standardized
        let policy = folder.appending(path: "policy.yaml").path
        let checked = try await run("config", "check", "--strict", policy)
        #expect(checked.status == 0, "\(checked.text)")
        let probes = folder.appending(path: "probes.yaml").path
        let judged = try await run("eval", "--config", policy, "--probes", probes)
        #expect(judged.status == 0, "\(judged.text)")
    }

    @Test("A policy is judged, explained and tried by probes from the command line", .enabled(if: binary != nil))
    func policyTools() async throws {
        let policy = """
            version: v0.3
            listeners: []
            providers: {defaults: {default_model: small}, models: [{name: small}, {name: big}]}
            routing:
              signals: {keywords: [{name: proof, keywords: [prove]}]}
              decisions: [{name: proofs, rules: {type: keyword, name: proof}, modelRefs: [{model: big}]}]
            """
        let probes = """
            decisions:
              - expected_decision: proofs
                variants: [{query: prove it}, {id: other, query: tell me}]
            """
        let files = ["p.yaml": policy, "probes.yaml": probes, "r.json": #"{"model":"auto","messages":[]}"#]
        try await withFiles(files) { folder in
            let file = folder.appending(path: "p.yaml").path
            let good = try await run("config", "check", file)
            #expect(good.status == 0)
            #expect(good.text.contains("p.yaml:2:1: warning: listeners: is not supported"))
            #expect(good.text.contains("p.yaml: good, with 1 warning"))
            #expect(try await run("config", "check", "--strict", file).status == 1)
            let explained = try await run("config", "explain", "--config", file, "--prompt", "prove it")
            #expect(explained.status == 0)
            for part in [
                "+ keyword:proof  confidence 1  found: prove", "=> proofs", #"~ model: "vllm-sr/auto" -> "big""#,
                "x-vsr-selected-decision: proofs", "providers.defaults.default_model = small (", "p.yaml:3:",
                "global.stores.response_cache.similarity_threshold = 0.85 (default)",
            ] {
                #expect(explained.text.contains(part), "\(part) is missing in: \(explained.text)")
            }
            let request = folder.appending(path: "r.json").path
            let empty = try await run("config", "explain", "--config", file, "--request", request)
            #expect(empty.status == 0 && empty.text.contains("no decision: the default model"))
            let set = folder.appending(path: "probes.yaml").path
            let judged = try await run("eval", "--config", file, "--probes", set)
            #expect(judged.status == 1)
            #expect(judged.text.contains("proofs/other (settled by rules)"))
            #expect(judged.text.contains("nothing was decided: its rule does not hold"))
        }
    }

    @Test(
        "Upstream flags without effect are accepted with a word about what happens instead",
        .enabled(if: binary != nil)
    )
    func upstreamFlags() async throws {
        let output = try await run(
            "router",
            "--static-backends",
            "http://127.0.0.1:1",
            "--static-models",
            "m",
            "--engine-stats-interval",
            "10",
            "--session-key",
            "x",
            "--otel-endpoint",
            "h:1",
            "--port",
            "0",
            "--tls-cert-path",
            "/nowhere",
            "--tls-key-path",
            "/nowhere"
        )
        #expect(output.status == 1)
        #expect(output.text.contains("--engine-stats-interval: ") && output.text.contains("is not supported"))
        #expect(output.text.contains("/nowhere is not a readable PEM"))
    }

    @Test("A policy is judged", .enabled(if: binary != nil))
    func configCheck() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try "version: v0.3\nproviders: {models: [{name: m}]}".write(to: file, atomically: true, encoding: .utf8)
        let good = try await run("config", "check", file.path)
        #expect(good.status == 0 && good.text == "\(file.path): good\n")
        try "version: v9\nrouting: 7".write(to: file, atomically: true, encoding: .utf8)
        let bad = try await run("config", "check", file.path)
        #expect(bad.status == 1 && bad.text.contains(":1:10: version:") && bad.text.contains(":2:10: routing:"))
    }

    @Test("Commands explain themselves", .enabled(if: binary != nil), arguments: ["router", "gateway", "sim"])
    func help(command: String) async throws {
        let output = try await run(command, "--help")
        #expect(output.status == 0 && output.text.contains("usage: sextant \(command)"))
        #expect(try await run(command, "--version").text.hasPrefix("sextant \(command) "))
        #expect(try await run("no-such-command").status == 2)
    }

    @Test("SIGTERM ends the program cleanly", .enabled(if: binary != nil))
    func terminates() async throws {
        let program = try await RunningProgram.start(
            try #require(Self.binary),
            [
                "router", "--host", "127.0.0.1", "--port", "0", "--static-backends", "http://127.0.0.1:1",
                "--static-models", "m",
            ]
        )
        #expect(await eventually { program.text.contains("listening") })
        program.signal(SIGTERM)
        #expect(await program.ended())
        #expect(program.hasExited && program.status == 0)
        #expect(program.text.contains("draining") && program.text.contains("stopped"))
        await program.stop()
    }
}
