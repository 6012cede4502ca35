package import ConfigKit
import Instruments
import Resilience
import Synchronization

/// Holds a model that can be replaced while it is asked.
///
/// It is a model itself, so that a `Batcher` need not know. A run keeps the model that it began with; an old model is
/// freed when its last run has ended and nobody else holds it.
package final class ModelSlot<Model: BatchModel>: BatchModel {
    package typealias Input = Model.Input
    package typealias Output = Model.Output

    private struct Candidate {
        let model: Model
        let cost: CostLine
        var canary: Canary
    }

    private struct State {
        var candidate: Candidate?
        var isReplacing = false
    }

    package let limits: BatchLimits
    private let live: Live<Model>
    private let state = Mutex(State())
    private let sample: [[Input]]
    private let isValid: @Sendable (_ input: Input, _ output: Output) -> String?
    private let line: Mutex<CostLine>
    private let metrics: ComputeMetrics.OfModel

    /// - Parameters:
    ///   - sample: batches of several sizes, which every new model is warmed up, checked and measured with.
    ///   - isValid: what is wrong with an output (a size, a number that is not finite), or nil.
    /// - Throws: when the first model does not pass.
    package init(
        _ model: Model,
        sample: [[Input]],
        metrics: ComputeMetrics.OfModel,
        isValid: @escaping @Sendable (_ input: Input, _ output: Output) -> String?
    ) throws(ModelRejection) {
        limits = model.limits
        line = Mutex(try Self.check(model, sample, isValid))
        live = Live(model)
        self.sample = sample
        self.isValid = isValid
        self.metrics = metrics
        metrics.generation.set(1)
    }

    /// The model in force, and its number.
    package var generation: Live<Model>.Generation { live.generation }

    /// What runs of the model in force cost, as measured when it was put in force: for a `Batcher` to begin with.
    package var cost: CostLine { line.withLock { $0 } }

    /// Whether a replacement is being tried on a share of the calls.
    package var isTrying: Bool { state.withLock { $0.candidate != nil } }

    package func run(_ batch: [Input]) throws -> [Output] {
        let canary = state.withLock { $0.candidate }
        guard let canary else { return try live.current.run(batch) }
        return try run(batch, beside: canary)
    }

    /// Loads a model beside the present one, warms it up, checks it, and puts it in force; with a canary, after trying it
    /// on a share of the calls. The present one stays when anything goes wrong.
    ///
    /// Everything heavy runs on a thread of its own.
    /// - Parameters:
    ///   - canary: how to try it; nil puts it in force at once.
    ///   - load: makes the model, blocking.
    /// - Returns: the number of the model in force then. With a canary that is decided later: see `judge`.
    @discardableResult
    package func replace(
        canary: Canary.Settings? = nil,
        load: @escaping @Sendable () throws -> Model
    ) async throws(ModelRejection) -> UInt64 {
        let isFree = state.withLock { state in
            guard !state.isReplacing, state.candidate == nil else { return false }
            state.isReplacing = true
            return true
        }
        guard isFree else { throw .busy }
        let loaded = await Self.onThread { [sample, isValid, limits] in
            Self.load(load, limits, sample, isValid)
        }
        defer { state.withLock { $0.isReplacing = false } }
        switch loaded {
        case .failure(let rejection):
            metrics.countReplacement("rejected")
            throw rejection
        case .success(let (model, cost)):
            guard let canary else { return putInForce(model, cost) }
            state.withLock {
                $0.candidate = Candidate(model: model, cost: cost, canary: Canary(canary, at: Self.uptime))
            }
            return live.generation.number
        }
    }

    /// Ends a trial if it is decided; to be called now and then, once a second for example.
    ///
    /// - Returns: nil while there is nothing to tell: no trial, or not decided. The model's number when it was put in
    ///   force.
    package func judge() throws(ModelRejection) -> UInt64? {
        let decided = state.withLock { state -> (Candidate, Canary.Verdict)? in
            guard let candidate = state.candidate else { return nil }
            let verdict = candidate.canary.verdict(at: Self.uptime)
            guard verdict != .watching else { return nil }
            state.candidate = nil
            return (candidate, verdict)
        }
        guard let (candidate, verdict) = decided else { return nil }
        if case .rollBack(let reason) = verdict {
            metrics.countReplacement("rolled_back")
            throw .rolledBack(reason)
        }
        return putInForce(candidate.model, candidate.cost)
    }

    // MARK: Runs with a candidate

    private func run(_ batch: [Input], beside candidate: Candidate) throws -> [Output] {
        var outputs = [Output?](repeating: nil, count: batch.count)
        let tried = batch.indices.filter { candidate.canary.takes(batch[$0].stableHash) }
        var rest = batch.indices.filter { !candidate.canary.takes(batch[$0].stableHash) }
        if !tried.isEmpty {
            do {
                let inputs = tried.map { batch[$0] }
                let given = try timed(candidate.model, inputs, isCandidate: true)
                for (index, output) in zip(tried, given) { outputs[index] = output }
            } catch {
                // Counted. The callers are answered by the model in force.
                rest = Array(batch.indices)
            }
        }
        if !rest.isEmpty {
            let given = try timed(live.current, rest.map { batch[$0] }, isCandidate: false)
            for (index, output) in zip(rest, given) { outputs[index] = output }
        }
        return outputs.compactMap { $0 }
    }

    private func timed(_ model: Model, _ batch: [Input], isCandidate: Bool) throws -> [Output] {
        let longest = batch.reduce(1) { max($0, $1.length) }
        let expected = cost.seconds(paddedTokens: batch.count * longest)
        let start = MonotonicTime.now()
        let result = Result { () throws -> [Output] in
            let outputs = try model.run(batch)
            guard outputs.count == batch.count else {
                throw ModelRejection.wrongOutput("\(outputs.count) outputs for \(batch.count) inputs")
            }
            guard isCandidate else { return outputs }
            for (input, output) in zip(batch, outputs) {
                if let wrong = isValid(input, output) { throw ModelRejection.wrongOutput(wrong) }
            }
            return outputs
        }
        let seconds = start.elapsed(until: .now()) / .seconds(1)
        var failed = false
        if case .failure = result { failed = true }
        state.withLock { [failed] state in
            state.candidate?.canary.ran(
                isCandidate: isCandidate,
                calls: batch.count,
                failed: failed,
                seconds: seconds,
                expected: expected
            )
        }
        return try result.get()
    }

    // MARK: Replacement

    private func putInForce(_ model: Model, _ cost: CostLine) -> UInt64 {
        line.withLock { $0 = cost }
        let number = live.swap(model)
        metrics.generation.set(Double(number))
        metrics.countReplacement("replaced")
        return number
    }

    private static func load(
        _ load: () throws -> Model,
        _ limits: BatchLimits,
        _ sample: [[Input]],
        _ isValid: (Input, Output) -> String?
    ) -> Result<(Model, CostLine), ModelRejection> {
        let model: Model
        do {
            model = try load()
        } catch {
            return .failure(.notLoaded("\(error)"))
        }
        guard model.limits.calls >= limits.calls, model.limits.paddedTokens >= limits.paddedTokens else {
            return .failure(.smallerLimits(model.limits))
        }
        do throws(ModelRejection) {
            return .success((model, try check(model, sample, isValid)))
        } catch {
            return .failure(error)
        }
    }

    /// Runs the sample: that warms the model up, shows whether its outputs can be used, and what they cost.
    private static func check(
        _ model: Model,
        _ sample: [[Input]],
        _ isValid: (Input, Output) -> String?
    ) throws(ModelRejection) -> CostLine {
        do {
            for batch in sample {
                let outputs = try model.run(batch)
                guard outputs.count == batch.count else {
                    throw ModelRejection.wrongOutput("\(outputs.count) outputs for \(batch.count) inputs")
                }
                for (input, output) in zip(batch, outputs) {
                    if let wrong = isValid(input, output) { throw ModelRejection.wrongOutput(wrong) }
                }
            }
            return try model.measureCost(of: sample)
        } catch let rejection as ModelRejection {
            throw rejection
        } catch {
            throw .notRunning("\(error)")
        }
    }

    private static var uptime: Duration { .nanoseconds(Int64(clamping: MonotonicTime.now().nanoseconds)) }

    /// Runs blocking work apart from threads that others wait for.
    private static func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            do {
                // As large a stack as models are run with.
                let thread = try ComputeThread(name: "model-load", stackBytes: 8 << 20) {
                    continuation.resume(returning: body())
                }
                thread.detach()
            } catch {
                continuation.resume(returning: body())
            }
        }
    }
}

/// Why a model was not put in force.
package enum ModelRejection: Error, Hashable, Sendable, CustomStringConvertible {
    case notLoaded(String)
    /// It failed on the sample.
    case notRunning(String)
    case wrongOutput(String)
    /// It takes smaller batches than the pool has been told.
    case smallerLimits(BatchLimits)
    /// Another replacement is under way.
    case busy
    case rolledBack(String)

    package var description: String {
        switch self {
        case .notLoaded(let why): "the model could not be loaded: \(why)"
        case .notRunning(let why): "the model could not answer the sample: \(why)"
        case .wrongOutput(let why): "the model answered the sample wrongly: \(why)"
        case .smallerLimits(let limits):
            "the model takes \(limits.calls) calls or \(limits.paddedTokens) tokens at once, fewer than the present one"
        case .busy: "another model is being loaded"
        case .rolledBack(let why): "the model was tried and taken back: \(why)"
        }
    }
}
