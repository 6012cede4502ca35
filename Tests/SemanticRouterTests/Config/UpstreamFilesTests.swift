import ConfigKit
import SemanticRouter
import Testing

/// Upstream's own files; `Fixtures/upstream` says from where.
@Suite struct UpstreamFilesTests {
    static let files = ["v0.3-reference.yaml", "balance/config.yaml", "privacy/config.yaml"]

    @Test("Upstream's files load without a mistake, unknown keys included", arguments: files)
    func load(file: String) throws {
        let result = SemanticConfig.load(
            try PolicyTools.upstream(file),
            options: DecodingOptions(unknownKeys: .error)
        )
        #expect(result.diagnostics.filter { $0.severity == .error } == [])
        let config = try result.get()
        #expect(config.version == "v0.3")
        #expect(!config.routing.profile.decisions.isEmpty)
        #expect(!config.providers.models.isEmpty)
        _ = PolicyTools.router(config)
    }

    @Test("What has no effect is told with its line", arguments: files)
    func warnings(file: String) throws {
        let path = try PolicyTools.upstream(file)
        let result = SemanticConfig.load(path, options: DecodingOptions(unknownKeys: .error))
        #expect(!result.warnings.isEmpty)
        for warning in result.warnings {
            #expect(warning.position.line > 0, "\(warning)")
            #expect(warning.position.column > 0, "\(warning)")
            #expect(warning.message.contains("not supported"), "\(warning)")
        }
        // In the order of the file.
        #expect(result.warnings.map(\.position) == result.warnings.map(\.position).sorted())
    }

    @Test("Read strictly, what has no effect is a mistake", arguments: files)
    func strict(file: String) throws {
        let path = try PolicyTools.upstream(file)
        let mild = SemanticConfig.load(path)
        let strict = SemanticConfig.load(path, options: DecodingOptions(isStrict: true))
        #expect(strict.value == nil)
        #expect(strict.warnings.isEmpty)
        #expect(strict.diagnostics.map(\.position) == mild.diagnostics.map(\.position))
        #expect(strict.diagnostics.map(\.message) == mild.diagnostics.map(\.message))
    }
}
