import ConfigKit
import Logging
import Telemetry

/// `sextant router` and `sextant gateway`.
struct ServeCommand {
    let kind: ServeStack.Kind

    static func reader(_ kind: ServeStack.Kind) -> CommandLineReader<ServeOptions> {
        CommandLineReader(command: "sextant \(kind.rawValue)", version: Version.text, environmentPrefix: "SEXTANT_")
    }

    func run(_ arguments: [String]) async -> Int32 {
        let options: ServeOptions
        switch Self.reader(kind).settings(from: arguments) {
        case .settings(let given): options = given
        case .exit(let status): return status
        }
        if kind == .router, options.config != nil {
            Console.complain("--config: `router` chooses workers only; use `sextant gateway` for a semantic policy")
            return 2
        }
        return await ServerProcess(command: kind.rawValue, level: options.logLevel, format: options.logFormat).run {
            let stack = try await ServeStack.start(kind, options, logger: $0)
            var facts: Logger.Metadata = [
                "host": "\(options.host)", "port": "\(stack.port)", "version": "\(Version.text)",
            ]
            if let port = stack.adminPort { facts["admin_port"] = "\(port)" }
            return ServerProcess.Running(
                facts: facts,
                tracer: stack.tracer,
                runBesides: { await stack.runBesides() },
                shutDown: { await stack.shutdown() }
            )
        }
    }
}
