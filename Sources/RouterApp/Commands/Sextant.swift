import ConfigKit
import Dispatch
import Logging
import Telemetry

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The command line: finds the subcommand and runs it.
package enum Sextant {
    private static let usage = """
        sextant \(Version.text): the semantic intelligence layer for vLLM

        usage: sextant COMMAND [FLAGS]

          gateway   OpenAI front end with semantic and worker routing in one process
          semantic  semantic routing for Envoy, by its external processing filter
          router    OpenAI reverse proxy over vLLM workers, with vllm-router's flags
          sim       simulated vLLM worker, for tests, demos and benchmarks
          config    check | explain | reference | metrics | schema: judge and explain a policy file, print references
          eval      judge a policy by prompts with expected decisions

        sextant COMMAND --help shows a command's flags.
        """

    /// Runs the program.
    ///
    /// - Parameter arguments: without the program's name.
    /// - Returns: the exit status: 0, 1 for a failure, 2 for a wrong command line.
    package static func run(_ arguments: [String]) async -> Int32 {
        // A peer that closes early shows as an error of the write, not as a signal.
        signal(SIGPIPE, SIG_IGN)
        let rest = Array(arguments.dropFirst())
        switch arguments.first {
        case "gateway": return await ServeCommand(kind: .gateway).run(rest)
        case "semantic": return await SemanticCommand().run(rest)
        case "router": return await ServeCommand(kind: .router).run(rest)
        case "sim": return await SimCommand().run(rest)
        case "config": return ConfigCommand().run(rest)
        case "eval": return EvalCommand().run(rest)
        case "--version", "-V":
            Console.print("sextant \(Version.text)")
            return 0
        case "--help", "-h", "help":
            Console.print(usage)
            return 0
        case nil:
            Console.complain(usage)
            return 2
        case let unknown?:
            Console.complain("sextant: there is no command '\(unknown.prefix(64))'\n\n\(usage)")
            return 2
        }
    }
}

/// Plain words to the person at the terminal.
enum Console {
    static func print(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    static func complain(_ text: String) {
        write(text + "\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

/// Waits for SIGTERM or SIGINT.
enum Termination {
    static func wait() async -> String {
        let signals = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")]
        for (number, _) in signals { signal(number, SIG_IGN) }
        let (stream, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingOldest(1))
        let sources = signals.map { number, name in
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(name) }
            source.activate()
            return source
        }
        var name = ""
        for await received in stream {
            name = received
            break
        }
        for source in sources { source.cancel() }
        // A second signal ends the process at once.
        for (number, _) in signals { signal(number, SIG_DFL) }
        return name
    }
}
