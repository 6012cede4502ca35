/// What one call hands to a model.
package protocol BatchInput: Sendable {
    /// About how many tokens it has, at least 1: by it calls are admitted, and put together with others of their length.
    /// A model may find another number; what its runs cost is learned by this one.
    var length: Int { get }
}

/// A model that takes several inputs in one run.
package protocol BatchModel: Sendable {
    associatedtype Input: BatchInput
    associatedtype Output: Sendable

    var limits: BatchLimits { get }

    /// Runs the model once, on the calling thread, which is a compute thread and may be kept busy.
    ///
    /// - Parameter batch: not empty and within `limits`.
    /// - Returns: for each input, in their order, its output or what is wrong with the input.
    /// - Throws: what is wrong with the run, for all inputs.
    func run(_ batch: [Input]) throws -> [Result<Output, ComputeError>]
}

extension BatchModel {
    /// `run`, with what is wrong with the run as every input's result.
    func results(of batch: [Input]) -> [Result<Output, ComputeError>] {
        do {
            let results = try run(batch)
            guard results.count == batch.count else {
                throw ComputeError.failed("the model gave \(results.count) outputs for \(batch.count) inputs")
            }
            return results
        } catch let error as ComputeError {
            return batch.map { _ in .failure(error) }
        } catch {
            let failure = ComputeError.failed("\(error)")
            return batch.map { _ in .failure(failure) }
        }
    }
}

extension Result {
    var isSuccess: Bool { if case .success = self { true } else { false } }
}

/// What fits into one run of a model, by the inputs' estimated lengths.
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

    /// What to run at once of inputs that have turned out to be of these lengths: all, unless they are so much longer than
    /// estimated that they exceed the limits together; then those of like length.
    ///
    /// - Returns: positions of `lengths`.
    package func runs(of lengths: [Int]) -> [[Int]] {
        guard let longest = lengths.max() else { return [] }
        guard !admit(count: lengths.count, longest: longest) else { return [Array(lengths.indices)] }
        var runs: [[Int]] = []
        var run: [Int] = []
        for position in lengths.indices.sorted(by: { lengths[$0] < lengths[$1] }) {
            if !run.isEmpty, !admit(count: run.count + 1, longest: lengths[position]) {
                runs.append(run)
                run = []
            }
            run.append(position)
        }
        return runs + [run]
    }
}

extension Result where Failure == ComputeError {
    /// Whether the model will not judge the text: its tokens are none that it knows.
    var isRefusal: Bool {
        switch self {
        case .failure(.unknownText), .failure(.tooLong): true
        case .failure, .success: false
        }
    }
}

/// Why a call has no output.
package enum ComputeError: Error, Hashable, Sendable {
    /// The model does not do what is asked of it, or not so: with a message for who asked. Another model may.
    case unsupported(String)
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
    /// It is longer than any batch may be, or begins with so much that says nothing that the rest was not looked at.
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
        case .unsupported: "unsupported"
        case .failed: "failed"
        }
    }

    /// All labels.
    static let reasons = [
        "over_budget", "overloaded", "deadline", "cancelled", "shutdown", "too_long", "unknown_text", "unavailable",
        "unsupported", "failed",
    ]
}
