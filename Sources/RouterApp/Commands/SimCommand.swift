import ConfigKit
import Instruments
import Logging
import NIOCore
import NIOPosix
import SimWorker
import Telemetry

/// `sextant sim`.
struct SimCommand {
    static let reader = CommandLineReader<SimOptions>(command: "sextant sim", version: Version.text)

    func run(_ arguments: [String]) async -> Int32 {
        let options: SimOptions
        switch Self.reader.settings(from: arguments) {
        case .settings(let given): options = given
        case .exit(let status): return status
        }
        ProcessLimits.raiseFileLimit()
        let config = options.simConfig
        let group = MultiThreadedEventLoopGroup(numberOfThreads: options.threads)
        let registry = MetricRegistry()
        let output: LogOutput
        do {
            output = try LogOutput(descriptor: 2, format: .text)
        } catch {
            Console.complain("\(error)")
            return 1
        }
        defer { output.close() }
        let tracing: ProcessTracing?
        do {
            tracing = try await ProcessTracing.start(
                flags: options.tracing,
                service: "sextant-sim",
                registry: registry,
                logger: output.logger(label: "sextant.sim", level: .info, format: .text),
                group: group
            )
        } catch {
            Console.complain("\(error)")
            return 1
        }
        do {
            let worker = try await SimWorker.start(config, group: group, registry: registry, tracer: tracing?.tracer)
            Console.complain(
                "sextant sim: \(config.modelNames.joined(separator: ", ")) on \(config.host), port \(worker.port)"
            )
            _ = await Termination.wait()
            await worker.shutdown(within: .seconds(5))
        } catch {
            Console.complain("cannot listen on \(config.host), port \(config.port): \(error)")
            return 1
        }
        await tracing?.shutdown()
        try? await group.shutdownGracefully()
        return 0
    }
}
