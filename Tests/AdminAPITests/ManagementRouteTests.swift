import AdminAPI
import Foundation
import NIOCore
import NIOHTTP1
import OpenAIWire
import Testing

@Suite("Management endpoints")
struct ManagementRouteTests {
    private static let time = "2026-01-02T03:04:05.678Z"

    private func process(
        _ phase: Readiness.Phase = .ready,
        change: (inout ManagedProcess) -> Void = { _ in }
    ) -> ManagedProcess {
        var process = ManagedProcess(
            service: "sextant-test",
            version: "1.2.3",
            timestamp: { Self.time },
            readiness: { Readiness(phase: phase, message: "as it is", since: "2026-01-01T00:00:00.000Z") }
        )
        change(&process)
        return process
    }

    private func complete() -> ManagedProcess {
        process { process in
            process.metricsPage = { _ in LocalResponse(status: .ok, body: .whole(ByteBuffer(string: "up 1\n"))) }
            process.modelList = { ModelList([ModelList.Entry(id: "auto", created: 7, ownedBy: "sextant")]) }
            process.configuration = { ConfigurationState(sourceHash: "aa", activeHash: "bb") }
            process.judge = { _ in ConfigurationVerdict(problems: [], isReadable: true, normalized: "{}") }
            process.evaluate = { _, _ in "evaluated" }
        }
    }

    private func answer(
        _ method: HTTPMethod,
        _ path: String,
        of process: ManagedProcess,
        _ request: ManagementRequest = ManagementRequest()
    ) async throws -> LocalResponse {
        let route = try #require(ManagementRoute.catalogue.first { $0.method == method && $0.path == path })
        switch try #require(route.handler(process)) {
        case .immediate(let handle): return handle(request)
        case .waiting(let handle): return await handle(request)
        }
    }

    private func text(_ response: LocalResponse) -> String {
        guard case .whole(let body) = response.body else { return "" }
        return String(buffer: body)
    }

    private func json(_ response: LocalResponse) throws -> JSONValue {
        guard case .whole(let body) = response.body else { return try JSONDocument(ByteBuffer()).root }
        return try JSONDocument(body).root
    }

    // MARK: The table

    @Test("No two endpoints share method and path, and what reads a body has a limit")
    func table() {
        let names = ManagementRoute.catalogue.map { "\($0.method.rawValue) \($0.path)" }
        #expect(Set(names).count == names.count)
        for route in ManagementRoute.catalogue {
            #expect(route.path.hasPrefix("/") && route.summary.hasSuffix("."))
            #expect((route.maxBodyBytes > 0) == (route.method == .POST), "\(route.path)")
        }
    }

    @Test("What a process lacks is not there")
    func optional() {
        let bare = ManagementRoute.catalogue.filter { $0.handler(process()) != nil }.map(\.path)
        #expect(
            bare == [
                "/health", "/ready", "/startup-status", "/api/v1", "/api/v1/embeddings", "/api/v1/embeddings/models",
                "/api/v1/similarity", "/api/v1/similarity/batch", "/info/models",
            ]
        )
        #expect(ManagementRoute.catalogue.allSatisfy { $0.handler(complete()) != nil })
    }

    @Test("The index lists what is there, with what each asks for")
    func index() async throws {
        let whole = try json(try await answer(.GET, "/api/v1", of: complete()))
        #expect(whole["service"]?.string == "sextant-test" && whole["version"]?.string == "v1")
        let listed = try #require(whole["endpoints"]).elements.map { $0["path"]?.string }
        #expect(listed == ManagementRoute.catalogue.map(\.path))
        let eval = try #require(whole["endpoints"]).elements.first { $0["path"]?.string == "/api/v1/eval" }
        #expect(eval?["method"]?.string == "POST" && eval?["permission"]?.string == "classify.invoke")
        #expect(eval?["description"]?.string?.isEmpty == false)
        let bare = try json(try await answer(.GET, "/api/v1", of: process()))
        #expect(try #require(bare["endpoints"]).elements.count { _ in true } == 9)
    }

    @Test("docs/management.md has every endpoint's row, and no other")
    func documentation() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/management.md")
        let lines = try String(contentsOf: page, encoding: .utf8).split(separator: "\n").map(String.init)
        let rows = lines.filter { $0.hasPrefix("| `GET /") || $0.hasPrefix("| `POST /") }
        #expect(rows == ManagementRoute.catalogue.map(\.documentation))
    }

    // MARK: Shapes

    @Test("A process is healthy whatever it is doing", arguments: Readiness.Phase.allCases)
    func health(phase: Readiness.Phase) async throws {
        let response = try await answer(.GET, "/health", of: process(phase))
        #expect(response.status == .ok && response.headers["content-type"] == ["application/json"])
        #expect(text(response) == #"{"status":"healthy","service":"sextant-test","version":"1.2.3"}"#)
    }

    @Test(
        "It is ready when it can be sent requests",
        arguments: [
            (Readiness.Phase.starting, HTTPResponseStatus.serviceUnavailable), (.ready, .ok),
            (.draining, .serviceUnavailable),
        ]
    )
    func readiness(phase: Readiness.Phase, status: HTTPResponseStatus) async throws {
        let process = process(phase) {
            $0.loadedModels = {
                [true, false].map { LoadedModel(name: "m", type: "t", isLoaded: $0) }
            }
        }
        let ready = try await answer(.GET, "/ready", of: process)
        #expect(ready.status == status)
        #expect(
            text(ready) == """
                {"status":"\(phase.rawValue)","service":"sextant-test","ready":\(status == .ok),\
                "phase":"\(phase.rawValue)","message":"as it is","downloading_model":"","pending_models":[],\
                "ready_models":1,"total_models":2}
                """
        )
        let startup = try await answer(.GET, "/startup-status", of: process)
        #expect(startup.status == status)
        #expect(
            text(startup) == """
                {"phase":"\(phase.rawValue)","ready":\(status == .ok),"message":"as it is","ready_models":1,\
                "total_models":2,"updated_at":"2026-01-01T00:00:00.000Z"}
                """
        )
    }

    @Test(
        "/info/models says what runs, and on what",
        arguments: [(nil, "unknown"), (0, "0.00 MB"), (1_048_576 * 12.345, "12.35 MB"), (1_048_576 * 3.001, "3.00 MB")]
            as [(Double?, String)]
    )
    func models(bytes: Double?, memory: String) async throws {
        let process = process {
            $0.loadedModels = {
                [LoadedModel(name: "lang", type: "language_detection", isLoaded: true, metadata: ["n": "87"])]
            }
            $0.residentBytes = { bytes }
        }
        let root = try json(try await answer(.GET, "/info/models", of: process))
        let model = try #require(root["models"]?[0])
        #expect(model["name"]?.string == "lang" && model["type"]?.string == "language_detection")
        #expect(model["loaded"]?.bool == true && model["metadata"]?["n"]?.string == "87")
        #expect(root["summary"]?["ready"]?.bool == true && root["summary"]?["phase"]?.string == "ready")
        #expect(root["summary"]?["loaded_models"]?.int == 1 && root["summary"]?["total_models"]?.int == 1)
        let system = try #require(root["system"])
        #expect(system["memory_usage"]?.string == memory && system["gpu_available"]?.bool == false)
        #expect(system["go_version"]?.string?.hasPrefix("Swift 6.") == true)
        #expect(["amd64", "arm64"].contains(system["architecture"]?.string))
        #expect(["linux", "darwin"].contains(system["os"]?.string))
    }

    @Test("/v1/models is the list that clients see; /metrics the page as it is")
    func passedOn() async throws {
        let list = try await answer(.GET, "/v1/models", of: complete())
        #expect(
            text(list)
                == #"{"object":"list","data":[{"id":"auto","object":"model","created":7,"owned_by":"sextant"}]}"#
        )
        #expect(text(try await answer(.GET, "/metrics", of: complete())) == "up 1\n")
    }

    @Test("/config/hash tells what was read from what is in force", arguments: [("bb", "active"), ("aa", "failed")])
    func hash(source: String, status: String) async throws {
        let process = process { $0.configuration = { ConfigurationState(sourceHash: source, activeHash: "bb") } }
        #expect(
            text(try await answer(.GET, "/config/hash", of: process))
                == #"{"hash":"\#(source)","runtime_hash":"\#(source)","active_hash":"bb","status":"\#(status)"}"#
        )
    }

    @Test("An evaluation is handed body and query; what is wrong with it comes back in upstream's shape")
    func evaluation() async throws {
        let process = process {
            $0.evaluate = { body, query throws(RouterError) in
                guard body.readableBytes > 0 else { throw .invalidRequest("Give a `text`.") }
                return ["body": JSONFragment(String(buffer: body)), "query": JSONFragment(query)]
            }
        }
        let request = ManagementRequest(query: "trace=1", body: ByteBuffer(string: "b"))
        let good = try await answer(.POST, "/api/v1/eval", of: process, request)
        #expect(good.status == .ok && text(good) == #"{"body":"b","query":"trace=1"}"#)
        let bad = try await answer(.POST, "/api/v1/eval", of: process)
        #expect(bad.status == .badRequest)
        #expect(
            text(bad)
                == #"{"error":{"code":"INVALID_INPUT","message":"Give a `text`.","timestamp":"\#(Self.time)"}}"#
        )
    }

    // MARK: Validation

    private func validated(
        _ body: String,
        _ verdict: @escaping @Sendable (String) -> ConfigurationVerdict
    ) async throws -> LocalResponse {
        let process = process { $0.judge = { verdict(String(buffer: $0)) } }
        let request = ManagementRequest(body: ByteBuffer(string: body))
        return try await answer(.POST, "/config/router/validate", of: process, request)
    }

    @Test(
        "A configuration comes as it is, or wrapped as upstream's clients do",
        arguments: [
            ("a: 1\n", "a: 1\n"), (#"{"yaml":"a: 1\n"}"#, "a: 1\n"), (#"{"a":1}"#, #"{"a":1}"#),
            (#"{"yaml":7}"#, #"{"yaml":7}"#), (#"{"yaml":"b: 2","compare_to_active":true}"#, "b: 2"),
        ]
    )
    func wrapping(body: String, seen: String) async throws {
        let response = try await validated(body) {
            ConfigurationVerdict(problems: [], isReadable: true, normalized: $0)
        }
        #expect(response.status == .ok)
        let root = try json(response)
        #expect(root["valid"]?.bool == true && root["normalized_yaml"]?.string == seen)
        #expect(root["errors"]?.isArray == true && root["errors"]?[0] == nil && root["error"] == nil)
    }

    @Test("An empty body holds no configuration", arguments: ["", "  \n\t", #"{"yaml":" \n"}"#])
    func emptyBody(body: String) async throws {
        let response = try await validated(body) { _ in
            ConfigurationVerdict(problems: [], isReadable: true, normalized: nil)
        }
        #expect(response.status == .badRequest && text(response).contains(#""code":"INVALID_INPUT""#))
    }

    private static let problems = [
        ConfigurationVerdict.Problem(severity: .error, line: 3, column: 5, key: "routing.x", message: "is wrong"),
        ConfigurationVerdict.Problem(severity: .warning, line: 4, column: 1, key: "", message: "is odd"),
        ConfigurationVerdict.Problem(severity: .error, line: 0, column: 0, key: "", message: "is missing"),
    ]

    @Test(
        "Every mistake is told with its place",
        arguments: [
            (true, HTTPResponseStatus.unprocessableEntity, "CONFIG_VALIDATION_ERROR"),
            (false, .badRequest, "YAML_PARSE_ERROR"),
        ]
    )
    func mistakes(isReadable: Bool, status: HTTPResponseStatus, code: String) async throws {
        let response = try await validated("x") { _ in
            ConfigurationVerdict(problems: Self.problems, isReadable: isReadable, normalized: nil)
        }
        #expect(response.status == status)
        #expect(
            text(response) == """
                {"valid":false,"errors":[{"severity":"error","line":3,"column":5,"key":"routing.x","message":"is wrong"},\
                {"severity":"error","line":0,"column":0,"key":"","message":"is missing"}],\
                "warnings":[{"severity":"warning","line":4,"column":1,"key":"","message":"is odd"}],\
                "error":{"code":"\(code)","message":"3:5: routing.x: is wrong\\nis missing","timestamp":"\(Self.time)"}}
                """
        )
    }

    @Test("A warning alone leaves a configuration valid")
    func warnings() async throws {
        let response = try await validated("x") { _ in
            ConfigurationVerdict(problems: [Self.problems[1]], isReadable: true, normalized: "{}")
        }
        let root = try json(response)
        #expect(response.status == .ok && root["valid"]?.bool == true)
        #expect(root["warnings"]?[0]?["line"]?.int == 4 && root["errors"]?[0] == nil)
    }
}
