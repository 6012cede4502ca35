import Foundation
import Testing

/// Gives each test of a suite a folder of its own, which is removed when the test has ended, however it did.
struct TemporaryFiles: SuiteTrait, TestTrait, TestScoping {
    @TaskLocal private static var folder: URL?

    let isRecursive = true

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing body: @concurrent @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await body() }
        let files = FileManager.default
        let folder = files.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        try files.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? files.removeItem(at: folder) }
        try await Self.$folder.withValue(folder) { try await body() }
    }

    /// A path in the test's folder at which nothing is yet.
    static func path() throws -> String {
        try #require(folder, "the suite lacks the trait .temporaryFiles").appending(path: UUID().uuidString).path
    }

    /// A new file of the test's folder.
    static func write(_ bytes: Data) throws -> String {
        let path = try path()
        try bytes.write(to: URL(filePath: path))
        return path
    }
}

extension Trait where Self == TemporaryFiles {
    static var temporaryFiles: Self { TemporaryFiles() }
}
