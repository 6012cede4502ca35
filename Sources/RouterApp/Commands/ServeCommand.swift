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
        ProcessLimits.raiseFileLimit()
        let output: LogOutput
        do {
            output = try LogOutput(descriptor: 2, format: options.logFormat)
        } catch {
            Console.complain("\(error)")
            return 1
        }
        defer { output.close() }
        let logger = output.logger(
            label: "sextant.\(kind.rawValue)",
            level: options.logLevel.level,
            format: options.logFormat
        )
        return await serve(options, logger: logger)
    }

    private func serve(_ options: ServeOptions, logger: Logger) async -> Int32 {
        let stack: ServeStack
        do {
            stack = try await ServeStack.start(kind, options, logger: logger)
        } catch {
            Console.complain("\(error)")
            return 1
        }
        var facts: Logger.Metadata = ["host": "\(options.host)", "port": "\(stack.port)", "version": "\(Version.text)"]
        if let port = stack.adminPort { facts["admin_port"] = "\(port)" }
        logger.notice("listening", metadata: facts)
        let watching = Task { await stack.watchFiles() }
        let signal = await Termination.wait()
        logger.notice("draining", metadata: ["signal": "\(signal)"])
        watching.cancel()
        await stack.shutdown()
        logger.notice("stopped")
        return 0
    }
}
