import Instruments
package import Resilience
import Synchronization

/// Holds a model that can be replaced while it is asked.
///
/// It is a model itself, so that a `Batcher` need not know. Every input names the model that it is for, so that a text has
/// one answer whatever happens while it waits: an old model answers those that were asked of it, and is freed when the
/// last of them has ended and nobody else holds it. Only what a model on trial cannot answer is given to another, the one
/// in force.
package final class ModelSlot<Model: BatchModel>: BatchModel {
    /// One of the models that the slot holds or has held.
    package final class Version: Sendable {
        package let model: Model
        /// Unlike any other's of the slot, in the order of loading: 1 for the first.
        package let number: UInt64
        /// What its runs cost, as measured when it was loaded: for a `Batcher` to begin with.
        package let cost: CostLine

        fileprivate init(_ model: Model, number: UInt64, cost: CostLine) {
            self.model = model
            self.number = number
            self.cost = cost
        }
    }

    package struct Input: BatchInput {
        package let value: Model.Input
        package let version: Version

        package init(_ value: Model.Input, for version: Version) {
            self.value = value
            self.version = version
        }

        package var length: Int { value.length }
    }

    package struct Output: Sendable {
        package let value: Model.Output
        /// The number of the model that gave it.
        package let version: UInt64
    }

    private struct Trial {
        let version: Version
        var canary: Canary
    }

    private struct State {
        var current: Version
        var trial: Trial?
        var isReplacing = false
        var lastNumber: UInt64 = 1
    }

    package let limits: BatchLimits
    private let state: Mutex<State>
    private let sample: [[Model.Input]]
    private let fits: @Sendable (_ old: Model, _ new: Model) -> String?
    private let metrics: ComputeMetrics.OfModel
    private let clock: @Sendable () -> MonotonicTime

    /// - Parameters:
    ///   - sample: batches of several sizes, which every new model is warmed up, checked and measured with.
    ///   - fits: why a model cannot take another's place, or nil: it does something else, or its outputs are of another
    ///     shape.
    ///   - clock: of trials.
    /// - Throws: when the first model does not pass.
    package init(
        _ model: Model,
        sample: [[Model.Input]],
        metrics: ComputeMetrics.OfModel,
        fits: @escaping @Sendable (_ old: Model, _ new: Model) -> String? = { _, _ in nil },
        clock: @escaping @Sendable () -> MonotonicTime = { .now() }
    ) throws(ModelRejection) {
        limits = model.limits
        state = Mutex(State(current: Version(model, number: 1, cost: try Self.check(model, sample))))
        self.sample = sample
        self.fits = fits
        self.metrics = metrics
        self.clock = clock
        metrics.generation.set(1)
    }

    /// The model in force.
    package var current: Version { state.withLock { $0.current } }

    /// Whether a replacement is being tried on a share of the calls.
    package var isTrying: Bool { state.withLock { $0.trial != nil } }

    /// The model that is to answer a text: the one in force, or one on trial.
    ///
    /// - Parameter hash: depends on the text only, the same in every process; asked for only while a model is tried.
    package func version(for hash: () -> UInt64) -> Version {
        let (current, trial) = state.withLock { ($0.current, $0.trial) }
        guard let trial, trial.canary.takes(hash()) else { return current }
        return trial.version
    }

    // MARK: Runs

    package func run(_ batch: [Input]) -> [Result<Output, ComputeError>] {
        let (current, onTrial) = state.withLock { ($0.current, $0.trial?.version) }
        var results = [Result<Output, ComputeError>?](repeating: nil, count: batch.count)
        func run(_ positions: [Int], by version: Version) -> Run {
            let inputs = positions.map { batch[$0].value }
            let start = MonotonicTime.now()
            let given = version.model.results(of: inputs)
            let seconds = start.elapsed(until: .now()) / .seconds(1)
            for (position, result) in zip(positions, given) {
                results[position] = result.map { Output(value: $0, version: version.number) }
            }
            return Run(
                failed: zip(positions, given).filter { !$0.1.isSuccess }.map(\.0),
                seconds: seconds,
                paddedTokens: inputs.count * inputs.reduce(1) { max($0, $1.length) }
            )
        }
        var forCurrent: [Int] = []
        var others: [UInt64: [Int]] = [:]
        for (position, input) in batch.enumerated() {
            let version = input.version
            // One that is newer than what is in force and not on trial any more has been taken back.
            if version === current || version.number > current.number && version !== onTrial {
                forCurrent.append(position)
            } else {
                others[version.number, default: []].append(position)
            }
        }
        if !forCurrent.isEmpty {
            let ran = run(forCurrent, by: current)
            // What a model refuses to judge is no failure of its.
            let errors = ran.failed.count { results[$0]?.isRefusal == false }
            record(ran, of: current, during: onTrial, calls: forCurrent.count, errors: errors)
        }
        for positions in others.values {
            let version = batch[positions[0]].version
            let ran = run(positions, by: version)
            guard version === onTrial else { continue }
            // The callers of a model on trial do not notice its failures, and what fails with the one in force too, such
            // as a text that neither knows, says nothing about it.
            let failedTwice = ran.failed.isEmpty ? [] : run(ran.failed, by: current).failed
            record(
                ran,
                of: version,
                during: onTrial,
                calls: positions.count - failedTwice.count,
                errors: ran.failed.count - failedTwice.count
            )
        }
        return results.map { result in
            guard let result else { preconditionFailure("every input is run") }
            return result
        }
    }

    /// What came of a batch.
    private struct Run {
        /// Positions without an output.
        let failed: [Int]
        let seconds: Double
        let paddedTokens: Int
    }

    /// Counts a run in the trial of `onTrial`, if it still goes on.
    private func record(_ run: Run, of version: Version, during onTrial: Version?, calls: Int, errors: Int) {
        guard let onTrial else { return }
        state.withLock { state in
            guard state.trial?.version === onTrial else { return }
            state.trial?.canary.ran(
                isCandidate: version === onTrial,
                calls: calls,
                errors: errors,
                seconds: run.seconds,
                expected: state.current.cost.seconds(paddedTokens: run.paddedTokens)
            )
        }
    }

    // MARK: Replacement

    /// Loads a model beside the present one, warms it up, checks it, and puts it in force; with a canary, after trying it
    /// on a share of the calls. The present one stays when anything goes wrong. A trial under way ends without effect.
    ///
    /// Everything heavy runs on a thread of its own.
    /// - Parameters:
    ///   - canary: how to try it; nil puts it in force at once. With a share of 0 that is done too, unless it takes longer
    ///     for the sample than allowed.
    ///   - load: makes the model, blocking.
    /// - Returns: the number of the model in force then. With a canary that is decided later: see `judge`.
    @discardableResult
    package func replace(
        canary: Canary.Settings? = nil,
        load: @escaping @Sendable () throws -> Model
    ) async throws(ModelRejection) -> UInt64 {
        endTrial()
        let begun = state.withLock { state -> (Version, number: UInt64)? in
            guard !state.isReplacing else { return nil }
            state.isReplacing = true
            state.lastNumber += 1
            return (state.current, state.lastNumber)
        }
        guard let (present, number) = begun else { throw .busy }
        let loaded = await onThread("model-load") { [self] in
            prepare(load, number: number, beside: present, slowdown: canary?.slowdown)
        }
        defer { state.withLock { $0.isReplacing = false } }
        switch loaded {
        case .failure(let rejection):
            metrics.countReplacement("rejected")
            throw rejection
        case .success(let version):
            guard let canary, canary.share > 0 else { return putInForce(version) }
            let uptime = uptime
            state.withLock { $0.trial = Trial(version: version, canary: Canary(canary, at: uptime)) }
            return present.number
        }
    }

    /// Ends a trial without effect, if there is one: what it tries is not wanted any more.
    @discardableResult
    package func endTrial() -> Bool {
        // Freed after the lock is released.
        let trial = state.withLock { state in
            defer { state.trial = nil }
            return state.trial
        }
        guard trial != nil else { return false }
        metrics.countReplacement("superseded")
        return true
    }

    /// Ends a trial if it is decided; to be called now and then, once a second for example.
    ///
    /// - Returns: nil while there is nothing to tell: no trial, or not decided. The model's number when it was put in
    ///   force.
    package func judge() throws(ModelRejection) -> UInt64? {
        let uptime = uptime
        let decided = state.withLock { state -> (Version, Canary.Verdict)? in
            guard let trial = state.trial else { return nil }
            let verdict = trial.canary.verdict(at: uptime)
            guard verdict != .watching else { return nil }
            state.trial = nil
            return (trial.version, verdict)
        }
        guard let (version, verdict) = decided else { return nil }
        if case .rollBack(let reason) = verdict {
            metrics.countReplacement("rolled_back")
            throw .rolledBack(reason)
        }
        return putInForce(version)
    }

    private func putInForce(_ version: Version) -> UInt64 {
        // The old one may be large to free: that happens after the lock is released.
        let old = state.withLock { state in
            defer { state.current = version }
            return state.current
        }
        withExtendedLifetime(old) {}
        metrics.generation.set(Double(version.number))
        metrics.countReplacement("replaced")
        return version.number
    }

    private func prepare(
        _ load: () throws -> Model,
        number: UInt64,
        beside present: Version,
        slowdown: Double?
    ) -> Result<Version, ModelRejection> {
        do throws(ModelRejection) {
            let model: Model
            do {
                model = try load()
            } catch {
                throw ModelRejection.notLoaded("\(error)")
            }
            guard model.limits.calls >= limits.calls, model.limits.paddedTokens >= limits.paddedTokens else {
                throw .smallerLimits(model.limits)
            }
            if let why = fits(present.model, model) { throw .unfit(why) }
            let cost = try Self.check(model, sample)
            if let slowdown {
                // Measured anew: the machine may be busier than when the present one was loaded.
                let times = sampleSeconds(cost) / sampleSeconds(try Self.measure(present.model, sample))
                guard times <= slowdown else { throw .slow(times: (times * 100).rounded() / 100) }
            }
            return .success(Version(model, number: number, cost: cost))
        } catch {
            return .failure(error)
        }
    }

    private func sampleSeconds(_ cost: CostLine) -> Double {
        sample.reduce(0) { sum, batch in
            sum + cost.seconds(paddedTokens: batch.count * batch.reduce(1) { max($0, $1.length) })
        }
    }

    /// Runs the sample: that warms the model up, shows whether it answers, and what that costs.
    private static func check(_ model: Model, _ sample: [[Model.Input]]) throws(ModelRejection) -> CostLine {
        for batch in sample {
            for case .failure(let error) in model.results(of: batch) {
                if case .failed(let why) = error { throw .notRunning(why) }
                throw .notRunning(error.reason)
            }
        }
        return try measure(model, sample)
    }

    private static func measure(_ model: Model, _ sample: [[Model.Input]]) throws(ModelRejection) -> CostLine {
        do {
            return try model.measureCost(of: sample)
        } catch {
            throw .notRunning("\(error)")
        }
    }

    private var uptime: Duration { .nanoseconds(Int64(clamping: clock().nanoseconds)) }
}

/// Why a model was not put in force.
package enum ModelRejection: Error, Hashable, Sendable, CustomStringConvertible {
    case notLoaded(String)
    /// It failed on the sample.
    case notRunning(String)
    /// It does something else than the present one, or answers in another shape.
    case unfit(String)
    /// It takes smaller batches than the pool has been told.
    case smallerLimits(BatchLimits)
    /// It takes longer for the sample than is allowed.
    case slow(times: Double)
    /// Another replacement is under way.
    case busy
    case rolledBack(String)
    /// Its folder has changed while it was tried.
    case superseded

    package var description: String {
        switch self {
        case .notLoaded(let why): "the model could not be loaded: \(why)"
        case .notRunning(let why): "the model could not answer the sample: \(why)"
        case .unfit(let why): "the model cannot take the present one's place: \(why)"
        case .smallerLimits(let limits):
            "the model takes \(limits.calls) calls or \(limits.paddedTokens) tokens at once, fewer than the present one"
        case .slow(let times): "the model takes \(times) times as long for the sample as the present one"
        case .busy: "another model is being loaded"
        case .rolledBack(let why): "the model was tried and taken back: \(why)"
        case .superseded: "the model's folder has changed during its trial"
        }
    }

    /// Whether the same model may pass at another time: the process or the system was short of something.
    package var mayPass: Bool {
        switch self {
        case .busy: true
        case .notLoaded(let why), .notRunning(let why): Shortage.isTold(by: why)
        case .unfit, .smallerLimits, .slow, .rolledBack, .superseded: false
        }
    }
}
