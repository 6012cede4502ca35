import ConfigKit

extension CommandLineReader {
    enum Reading {
        case settings(Settings)
        /// There is nothing to run: the exit status.
        case exit(Int32)
    }

    /// The settings; or what was asked for instead is printed, or what is wrong.
    func settings(from arguments: [String]) -> Reading {
        switch read(arguments) {
        case .help(let text), .version(let text):
            Console.print(text)
            return .exit(0)
        case .settings(let result):
            for diagnostic in result.diagnostics { Console.complain("\(diagnostic)") }
            return result.value.map { .settings($0) } ?? .exit(2)
        }
    }
}
