package import Resilience
import Synchronization

/// Asks one model on a pool's threads; calls that come together are run together.
///
/// Every call says when it needs its output. It gets it by then, or an error: at once when it could not be finished in
/// time, at the deadline at the latest. See `ComputeSchedule` for which calls are taken and in which order they run.
package struct Batcher<Model: BatchModel>: Sendable {
    package typealias Completion = @Sendable (Result<Model.Output, ComputeError>) -> Void

    package let model: Model
    let core: PoolCore
    let id: ModelID
    let metrics: ComputeMetrics.OfModel

    /// - Parameters:
    ///   - cost: what runs cost, to begin with: see `measureCost`. It is corrected by every run.
    ///   - pool: runs the model for as long as the pool is; a model can be replaced (`ModelSlot`) but not taken off.
    package init(_ model: Model, cost: CostLine, on pool: ComputePool, metrics: ComputeMetrics.OfModel) {
        self.model = model
        self.metrics = metrics
        core = pool.core
        id = core.add(limits: model.limits, cost: cost, metrics: metrics) { calls in
            Self.run(calls, with: model)
        }
    }

    /// The model's output for `input`.
    ///
    /// Returns at `deadline` at the latest, give or take how late the system wakes threads. When the task is cancelled,
    /// the call is given up at once.
    package func callAsFunction(
        _ input: Model.Input,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> Model.Output {
        let cancellation = CallCancellation()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let handle = submit(input, by: deadline) { continuation.resume(returning: $0) }
                cancellation.isAbout(handle.cancel)
            }
        } onCancel: {
            cancellation.cancel()
        }
        return try result.get()
    }

    /// Asks without a task: for event loops.
    ///
    /// - Parameter completion: is called once: at once, on this thread, when the call is refused; else on a thread of the
    ///   pool, or one that submits or cancels calls. It must not block: other calls wait for that thread.
    /// - Returns: what cancels the call; may be dropped.
    @discardableResult
    package func submit(
        _ input: Model.Input,
        by deadline: MonotonicTime,
        completion: @escaping Completion
    ) -> ComputeCall {
        start(input, by: deadline, completion: metrics.countingErrors(completion))
    }

    /// `submit` for who counts the errors that callers get.
    func start(_ input: Model.Input, by deadline: MonotonicTime, completion: @escaping Completion) -> ComputeCall {
        let call = BatchedCall<Model>(input: input, completion: completion)
        do {
            return ComputeCall(core: core, id: try core.submit(call, length: input.length, for: id, deadline: deadline))
        } catch {
            call.end(error)
            return ComputeCall(core: core, id: nil)
        }
    }

    /// What a call of `length` tokens is expected to cost on an idle thread.
    package func estimate(length: Int) -> Duration {
        core.estimate(length: length, for: id)
    }

    /// Starts over with what is known of runs' cost: the model behind this batcher is another one now.
    package func replaceCost(by cost: CostLine) {
        core.replaceCost(of: id, by: cost)
    }

    private static func run(_ calls: [any PendingCall], with model: Model) -> PoolCore.Ran {
        // The calls of this model's name are those that `start` made.
        let calls = calls.map { unsafeDowncast($0, to: BatchedCall<Model>.self) }
        let results = model.results(of: calls.map(\.input))
        return PoolCore.Ran(outputs: results.count(where: \.isSuccess)) { calls[$0].completion(results[$0]) }
    }
}

/// Lets go of a call that was submitted with a completion.
package struct ComputeCall: Sendable {
    let core: PoolCore
    /// Nil when it was refused.
    let id: CallID?

    /// Gives the call up: it ends with `.cancelled`, unless it has ended. Its completion is called before this returns.
    package func cancel() {
        if let id { core.cancel(id) }
    }
}

/// One call of one model.
final class BatchedCall<Model: BatchModel>: PendingCall {
    let input: Model.Input
    let completion: Batcher<Model>.Completion

    init(input: Model.Input, completion: @escaping Batcher<Model>.Completion) {
        self.input = input
        self.completion = completion
    }

    func end(_ error: ComputeError) { completion(.failure(error)) }
}

/// Brings a task's cancellation to its call, whichever comes first.
final class CallCancellation: Sendable {
    private enum State {
        case unknown
        case call(@Sendable () -> Void)
        case cancelled
    }

    private let state = Mutex(State.unknown)

    func isAbout(_ cancelCall: @escaping @Sendable () -> Void) {
        let isCancelled = state.withLock { state in
            if case .cancelled = state { return true }
            state = .call(cancelCall)
            return false
        }
        if isCancelled { cancelCall() }
    }

    func cancel() {
        let cancelCall = state.withLock { state -> (@Sendable () -> Void)? in
            defer { state = .cancelled }
            guard case .call(let cancelCall) = state else { return nil }
            return cancelCall
        }
        cancelCall?()
    }
}
