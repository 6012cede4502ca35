import ConfigKit
import Instruments
import Logging
import Telemetry
import Tracing

/// A command that serves until it is told to stop.
struct ServerProcess {
    let command: String
    let level: ServeOptions.LogLevel
    let format: LogFormat

    /// What has been started.
    struct Running {
        /// For the log's first line.
        let facts: Logger.Metadata
        /// Nil where nothing is traced.
        let tracer: RequestTracer?
        let runBesides: @Sendable () async -> Void
        let shutDown: @Sendable () async -> Void
    }

    /// Starts, serves until SIGTERM or SIGINT, ends what is under way. The exit status: 1 when it could not start.
    func run(_ start: (Logger) async throws -> Running) async -> Int32 {
        ProcessLimits.raiseFileLimit()
        let output: LogOutput
        do {
            output = try LogOutput(descriptor: 2, format: format)
        } catch {
            Console.complain("\(error)")
            return 1
        }
        defer { output.close() }
        let logger = output.logger(label: "sextant.\(command)", level: level.level, format: format)
        let running: Running
        do {
            running = try await start(logger)
        } catch {
            Console.complain("\(error)")
            return 1
        }
        if let tracer = running.tracer {
            // For code, libraries' too, that speaks the tracing facade.
            InstrumentationSystem.bootstrap(SextantTracer(tracer))
        }
        logger.notice("listening", metadata: running.facts)
        let watching = Task { await running.runBesides() }
        let signal = await Termination.wait()
        logger.notice("draining", metadata: ["signal": "\(signal)"])
        watching.cancel()
        await running.shutDown()
        logger.notice("stopped")
        return 0
    }
}
