import ConfigKit
import NIOCore
import NIOPosix
import SimWorker

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
        do {
            let worker = try await SimWorker.start(config, group: group)
            Console.complain(
                "sextant sim: \(config.modelNames.joined(separator: ", ")) on \(config.host), port \(worker.port)"
            )
            _ = await Termination.wait()
            await worker.shutdown(within: .seconds(5))
        } catch {
            Console.complain("cannot listen on \(config.host), port \(config.port): \(error)")
            return 1
        }
        try? await group.shutdownGracefully()
        return 0
    }
}
