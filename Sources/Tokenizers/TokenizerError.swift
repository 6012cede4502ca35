/// Why a `tokenizer.json` cannot be used: the file, the component, and what is wrong with it.
package struct TokenizerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name that the caller gave the file.
    package let file: String
    /// Such as `pre_tokenizer of type X is not known`.
    package let problem: String

    package init(file: String, problem: String) {
        self.file = file
        self.problem = problem
    }

    package var description: String { "\(file): \(problem)" }
}
