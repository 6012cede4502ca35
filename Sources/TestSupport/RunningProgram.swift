import Foundation
import NIOCore
import NIOPosix

/// A program that runs beside a test, addressed and ended by its id.
package final class RunningProgram: Sendable {
    private let process: Process
    private let output: URL

    /// Starts a program with nothing on its standard input; what it writes goes to a file.
    ///
    /// The thread that starts it lives as long as the tests: Envoy ends itself with the thread that made it.
    package static func start(_ program: String, _ arguments: [String]) async throws -> RunningProgram {
        try await MultiThreadedEventLoopGroup.singleton.any().submit {
            try RunningProgram(program, arguments)
        }.get()
    }

    private init(_ program: String, _ arguments: [String]) throws {
        output = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString).log")
        try Data().write(to: output)
        process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let handle = try FileHandle(forWritingTo: output)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handle
        process.standardError = handle
        // Threads of pools block most signals, and a program inherits that from the thread that starts it.
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
    }

    package var id: Int32 { process.processIdentifier }
    package var isRunning: Bool { process.isRunning }
    /// The exit status, or the number of the signal that ended it.
    package var status: Int32 { process.terminationStatus }

    /// What it has written so far, standard output and error together.
    package var text: String { (try? String(contentsOf: output, encoding: .utf8)) ?? "" }

    /// Its resident memory; nil once it is gone.
    package var residentBytes: Int? {
        guard let fields = try? String(contentsOfFile: "/proc/\(id)/statm", encoding: .utf8).split(separator: " "),
            fields.count > 1, let pages = Int(fields[1])
        else { return nil }
        return pages * Int(getpagesize())
    }

    package func signal(_ number: Int32) {
        if process.isRunning { kill(id, number) }
    }

    /// - Returns: whether it has ended when `deadline` passes.
    package func ended(within deadline: Duration = .seconds(10)) async -> Bool {
        await eventually(within: deadline) { !process.isRunning }
    }

    /// Asks it to end, and ends it if it does not; removes what it wrote.
    package func stop() async {
        signal(SIGCONT)
        signal(SIGTERM)
        if await !ended() {
            signal(SIGKILL)
            _ = await ended()
        }
        try? FileManager.default.removeItem(at: output)
    }
}
