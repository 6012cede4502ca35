import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// A program that runs beside a test, addressed and ended by its id.
///
/// Started by `posix_spawn` rather than Foundation's `Process`: that one lists the open files of the test's process, and
/// reads past the end of the list when there are thousands.
package final class RunningProgram: Sendable {
    /// A program that could not be started.
    package struct StartError: Error, CustomStringConvertible {
        package let program: String
        package let reason: String
        package var description: String { "\(program) cannot be started: \(reason)" }
    }

    package let id: Int32
    private let output: URL
    /// How it ended, as `waitpid` tells; nil while it runs.
    private let ending = Mutex<Int32?>(nil)

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
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // A program that held a test's sockets would keep ports open on which nobody answers.
        guard Self.closeFrom(&actions, 3) == 0 else {
            throw StartError(program: program, reason: "the C library cannot close files for it")
        }
        // Threads of pools block most signals, and a program inherits that from the thread that starts it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var words = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var id: pid_t = 0
        let failure = posix_spawn(&id, program, &actions, &attributes, &words, environ)
        guard failure == 0 else { throw StartError(program: program, reason: String(cString: strerror(failure))) }
        self.id = id
    }

    /// `posix_spawn_file_actions_addclosefrom_np` of glibc 2.34 and later, which Swift's module of glibc does not show.
    private static func closeFrom(_ actions: inout posix_spawn_file_actions_t, _ first: Int32) -> Int32 {
        typealias Function =
            @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { return -1 }
        return unsafeBitCast(symbol, to: Function.self)(&actions, first)
    }

    package var isRunning: Bool { ended == nil }

    /// The exit status, or the number of the signal that ended it; -1 while it runs.
    package var status: Int32 {
        guard let ended else { return -1 }
        return ended & 0x7F == 0 ? (ended >> 8) & 0xFF : ended & 0x7F
    }

    /// Whether it ended by itself, and not by a signal.
    package var hasExited: Bool { ended.map { $0 & 0x7F == 0 } ?? false }

    private var ended: Int32? {
        ending.withLock { ending in
            if ending == nil {
                var status: Int32 = 0
                if waitpid(id, &status, WNOHANG) == id { ending = status }
            }
            return ending
        }
    }

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
        if isRunning { kill(id, number) }
    }

    /// - Returns: whether it has ended when `deadline` passes.
    package func ended(within deadline: Duration = .seconds(10)) async -> Bool {
        await eventually(within: deadline) { !isRunning }
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
