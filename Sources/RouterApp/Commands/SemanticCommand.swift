import ConfigKit
import Logging
import Telemetry

/// `sextant semantic`.
struct SemanticCommand {
    static let reader = CommandLineReader<SemanticOptions>(
        command: "sextant semantic",
        version: Version.text,
        environmentPrefix: "SEXTANT_",
        acceptsSingleDash: true
    )

    func run(_ arguments: [String]) async -> Int32 {
        let options: SemanticOptions
        switch Self.reader.settings(from: arguments) {
        case .settings(let given): options = given
        case .exit(let status): return status
        }
        return await ServerProcess(command: "semantic", level: options.logLevel, format: options.logFormat).run {
            let stack = try await SemanticStack.start(options, logger: $0)
            var facts: Logger.Metadata = [
                "host": "\(options.host)", "port": "\(stack.port)", "metrics_port": "\(stack.metricsPort)",
                "version": "\(Version.text)",
            ]
            if let port = stack.apiPort { facts["api_port"] = "\(port)" }
            return ServerProcess.Running(
                facts: facts,
                tracer: stack.tracer,
                runBesides: { await stack.runBesides() },
                shutDown: { await stack.shutdown() }
            )
        }
    }
}
