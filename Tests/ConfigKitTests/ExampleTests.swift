import ConfigKit
import Testing

/// The shortest complete use of the module.
struct LimiterSettings: Configurable {
    enum Mode: String, CaseIterable, ConfigValue { case queue, reject }

    var mode: Mode = .queue
    var limit = 100
    var patience = Duration.seconds(2)
    var worker: ServiceURL?

    static let schema = Schema<Self>("limiter", "How many requests run at once.") {
        Field("mode", \.mode, "What happens to a request above the limit.")
        Field("limit", \.limit, "Requests that may run.", example: "250").range(1...10_000)
        Field("patience", \.patience, "How long a request may wait.").unit(.milliseconds)
        Field("worker", \.worker, "Where requests go.").required()
    }

    func validate(_ report: inout ValidationReport) {
        if mode == .reject, report.isWritten("patience") {
            report.warning("has no meaning when mode is reject", at: "patience")
        }
    }
}

@Suite struct ExampleTests {
    @Test("One schema reads a file and a command line")
    func example() throws {
        let fromYAML = LimiterSettings.parse(
            "mode: reject\npatience: 250\nworker: http://vllm:8000",
            name: "limiter.yaml"
        )
        #expect(try fromYAML.get().patience == .milliseconds(250))
        #expect(
            fromYAML.messages == ["limiter.yaml:2:11: warning: patience: has no meaning when mode is reject"]
        )

        let reader = CommandLineReader<LimiterSettings>(command: "limiter", version: "1.0")
        let fromFlags = try #require(reader.read(["--limit=5", "--work", "http://[::1]:8000"]).settings)
        #expect(try fromFlags.get().worker?.port == 8000)
        #expect(fromFlags.origin(of: \.limit).description == "--limit")
    }

    @Test("What nobody wrote is not judged as written")
    func unwritten() {
        #expect(LimiterSettings.parse("mode: reject\nworker: http://a").messages.isEmpty)
    }
}
