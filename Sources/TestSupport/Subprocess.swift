import Foundation

/// A program run for a test, ended with it.
package enum Subprocess {
    package struct Output: Sendable {
        package let status: Int32
        /// Standard output and error together.
        package let text: String
    }

    /// Runs a program to its end; kills it by its id when `deadline` passes.
    package static func run(
        _ program: String,
        _ arguments: [String],
        within deadline: Duration = .seconds(120)
    ) async throws -> Output {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let file = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString).log")
        try Data().write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let handle = try FileHandle(forWritingTo: file)
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
        let ended = await eventually(within: deadline) { !process.isRunning }
        if !ended { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return Output(status: ended ? process.terminationStatus : -1, text: text)
    }
}
