/// What one call hands to a model.
package protocol BatchInput: Sendable {
    /// The length in tokens, at least 1. Inputs of one batch are padded to the longest of them.
    var length: Int { get }
    /// Depends on the text only, the same in every process: which model of two answers the text is drawn from it.
    var stableHash: UInt64 { get }
}

/// A model that takes several inputs in one run.
package protocol BatchModel: Sendable {
    associatedtype Input: BatchInput
    associatedtype Output: Sendable

    var limits: BatchLimits { get }

    /// Runs the model once, on the calling thread, which is a compute thread and may be kept busy.
    ///
    /// - Parameter batch: not empty and within `limits`.
    /// - Returns: one output for each input, in their order.
    func run(_ batch: [Input]) throws -> [Output]
}

/// What fits into one run of a model.
package struct BatchLimits: Hashable, Sendable {
    /// Inputs in one run; at least 1.
    package let calls: Int
    /// Tokens of a padded batch: inputs × the longest of them; at least 1. An input that is longer fits into no batch.
    package let paddedTokens: Int

    package init(calls: Int, paddedTokens: Int) {
        precondition(calls >= 1 && paddedTokens >= 1, "a batch holds at least one token")
        self.calls = calls
        self.paddedTokens = paddedTokens
    }

    /// Whether `count` inputs of which the longest has `longest` tokens fit into one run.
    func admit(count: Int, longest: Int) -> Bool {
        guard count <= calls else { return false }
        let (product, overflow) = count.multipliedReportingOverflow(by: longest)
        return !overflow && product <= paddedTokens
    }
}

/// Why a call has no output.
package enum ComputeError: Error, Hashable, Sendable {
    /// It cannot be finished in time, as far as is known. Said at once, so that something cheaper can still be asked.
    case overBudget
    /// Too many calls wait.
    case overloaded
    /// Its time is over.
    case deadline
    /// Its caller was cancelled.
    case cancelled
    /// The pool is being stopped.
    case shutdown
    /// It is longer than any batch may be.
    case tooLong
    /// The model does not know too much of the text to judge it.
    case unknownText
    /// The model is not there: nobody answers where it should be, or it has failed so often that it is left alone for a
    /// while. Said at once in the latter case.
    case unavailable
    /// The model failed, with the error's description. It would fail again.
    case failed(String)

    /// The label in metrics.
    package var reason: String {
        switch self {
        case .overBudget: "over_budget"
        case .overloaded: "overloaded"
        case .deadline: "deadline"
        case .cancelled: "cancelled"
        case .shutdown: "shutdown"
        case .tooLong: "too_long"
        case .unknownText: "unknown_text"
        case .unavailable: "unavailable"
        case .failed: "failed"
        }
    }

    /// All labels.
    static let reasons = [
        "over_budget", "overloaded", "deadline", "cancelled", "shutdown", "too_long", "unknown_text", "unavailable",
        "failed",
    ]
}
