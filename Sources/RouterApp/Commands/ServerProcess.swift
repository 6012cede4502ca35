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
        // A model that is being loaded uses the inference library, whose own clean-up begins when the process exits.
        await Self.wait(for: watching, atMost: .seconds(5))
        logger.notice("stopped")
        return 0
    }

    /// Returns when the task has ended, or the time is over.
    private static func wait(for task: Task<Void, Never>, atMost limit: Duration) async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let waiting = Task {
            await task.value
            end.finish()
        }
        let timing = Task {
            // Throws only when it is cancelled.
            try? await Task.sleep(for: limit)
            end.finish()
        }
        for await _ in ends {}
        waiting.cancel()
        timing.cancel()
    }
}
