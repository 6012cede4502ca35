/// A program run for a test, ended with it.
package enum Subprocess {
    package struct Output: Sendable {
        package let status: Int32
        /// Standard output and error together.
        package let text: String
    }

    /// Runs a program to its end; kills it by its id when `deadline` passes, and says -1 for its status then.
    package static func run(
        _ program: String,
        _ arguments: [String],
        within deadline: Duration = .seconds(120)
    ) async throws -> Output {
        let running = try await RunningProgram.start(program, arguments)
        let hasEnded = await running.ended(within: deadline)
        let output = Output(status: hasEnded ? running.status : -1, text: running.text)
        await running.stop()
        return output
    }
}
