/// What the engine cannot do, with the file whose fault it is: a message for an operator's eyes.
package struct EngineError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        /// The inference library is not there or is not usable.
        case library
        /// A file is missing or cannot be read.
        case unreadable
        /// A file is damaged, or not what its name says.
        case malformed
        /// A model of a kind that the engine cannot run.
        case unsupported
        /// Files that contradict each other: a tensor missing, or of another size than the configuration says.
        case contradiction
        /// Tokens that the model cannot take.
        case input
        /// A run that failed within the library.
        case inference
    }

    package let reason: Reason
    /// The file, as it was named to the engine.
    package let file: String
    package let message: String

    package init(_ reason: Reason, _ file: String, _ message: String) {
        self.reason = reason
        self.file = file
        self.message = message
    }

    package var description: String { "\(file): \(message)" }
}
