import Instruments
import Resilience
import Synchronization

/// The threads that run models, apart from the event loops and Swift's own threads, and the one queue before them.
///
/// `ComputeSchedule` decides what runs; a pool does it. It also ends calls at their deadlines, from one thread for all of
/// them, or from whichever comes by when that one is late. Make one for a process, and a `Batcher` on it for each model.
///
/// - Complexity: an arrival takes one lock for some microseconds and wakes a thread if one is idle.
package final class ComputePool: Sendable {
    package struct Settings: Hashable, Sendable {
        package var schedule: ComputeSchedule.Settings
        /// The threads are named by this, a dash and a number.
        package var name: String
        /// 8 MiB, what Linux gives a main thread: inference libraries are written for that.
        package var stackBytes: Int

        package init(schedule: ComputeSchedule.Settings, name: String = "compute", stackBytes: Int = 8 << 20) {
            self.schedule = schedule
            self.name = name
            self.stackBytes = stackBytes
        }
    }

    let core: PoolCore

    /// Starts the threads.
    package init(_ settings: Settings) throws(ThreadUnavailable) {
        core = PoolCore(settings.schedule)
        try core.start(settings)
    }

    /// A pool that is dropped without `stop` stops by itself, and does not wait for its threads.
    deinit {
        core.beginStop()
        core.abandonThreads()
    }

    /// Takes no more calls, fails those that wait with `.shutdown`, and waits for what runs. After it returns, nothing
    /// runs, and every call has had its answer.
    ///
    /// Blocks for as long as the longest run: not to be called on an event loop, nor by a call's completion.
    package func stop() {
        core.stop()
    }

    /// `stop`, without blocking a thread of Swift's.
    package func shutdown() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            do {
                let thread = try ComputeThread(name: "compute-stop", stackBytes: 256 << 10) { [core] in
                    core.stop()
                    continuation.resume()
                }
                thread.detach()
            } catch {
                // Without a thread to spare the caller's has to wait.
                core.stop()
                continuation.resume()
            }
        }
    }

    /// Calls of all models that wait for a thread.
    package var waiting: Int { core.waiting }
}

/// A call as the pool holds it, whatever its model.
protocol PendingCall: AnyObject, Sendable {
    /// It is over without an output. Called once at most, and not when it is answered.
    func end(_ error: ComputeError)
}

/// What threads, timer and callers share.
final class PoolCore: Sendable {
    /// How a model runs a batch.
    typealias Runner = @Sendable (_ calls: [any PendingCall]) -> Ran

    /// What became of a batch.
    struct Ran {
        /// How many calls the model has computed an output for.
        let outputs: Int
        /// Hands the result of a position of the batch to its call.
        let deliver: (_ position: Int) -> Void
    }

    struct Model: Sendable {
        let run: Runner
        let metrics: ComputeMetrics.OfModel
    }

    private struct Entry {
        let call: any PendingCall
        let arrived: MonotonicTime
        /// Nil when it waits for another's output.
        let model: ModelID?
    }

    private struct Assignment {
        let model: Model
        let calls: [any PendingCall]
        let waits: [Duration]
    }

    private struct State {
        var schedule: ComputeSchedule
        var models: [Model] = []
        /// By the index of the call's name.
        var entries: [Entry?] = []
        var assignments: [Assignment?]
        /// The names of the calls that each thread runs.
        var running: [[CallID]]
        /// When the timer will look; the end of time when it waits to be rung for.
        var nextLook = MonotonicTime.distantFuture
        var isStopping = false
        var workersAreGone = false
    }

    /// What is left to do after the lock is released.
    private struct Aftermath {
        var ended: [(call: any PendingCall, error: ComputeError)] = []
        var wake: [Int] = []
        var isTimerLate = false
    }

    private let state: Mutex<State>
    private let bells: [Doorbell]
    private let timerBell = Doorbell()
    /// Those not joined yet. Held while joining, so that a second `stop` waits for the first.
    private let threads = Mutex<[ComputeThread]>([])
    private let timer = Mutex<ComputeThread?>(nil)

    init(_ settings: ComputeSchedule.Settings) {
        let assignments = [Assignment?](repeating: nil, count: settings.threads)
        let running = [[CallID]](repeating: [], count: settings.threads)
        state = Mutex(State(schedule: ComputeSchedule(settings), assignments: assignments, running: running))
        bells = (0..<settings.threads).map { _ in Doorbell() }
    }

    func start(_ settings: ComputePool.Settings) throws(ThreadUnavailable) {
        do {
            for number in bells.indices {
                let thread = try ComputeThread(
                    name: "\(settings.name)-\(number)",
                    stackBytes: settings.stackBytes
                ) { [self] in work(number) }
                threads.withLock { $0.append(thread) }
            }
            let clock = try ComputeThread(name: "\(settings.name)-timer", stackBytes: 256 << 10) { [self] in keepTime()
            }
            timer.withLock { $0 = clock }
        } catch {
            stop()
            throw error
        }
    }

    var waiting: Int { state.withLock { $0.schedule.waiting } }

    // MARK: Models

    func add(
        limits: BatchLimits,
        cost: CostLine,
        metrics: ComputeMetrics.OfModel,
        run: @escaping Runner
    ) -> ModelID {
        state.withLock { state in
            state.models.append(Model(run: run, metrics: metrics))
            return state.schedule.addModel(limits: limits, cost: cost)
        }
    }

    func replaceCost(of model: ModelID, by cost: CostLine) {
        state.withLock { $0.schedule.replaceCost(of: model, by: cost) }
    }

    func estimate(length: Int, for model: ModelID) -> Duration {
        state.withLock { $0.schedule.estimate(length: length, for: model) }
    }

    // MARK: Calls

    /// Takes a call, or says at once why not; then `call` is not held.
    func submit(
        _ call: any PendingCall,
        length: Int,
        for model: ModelID,
        deadline: MonotonicTime
    ) throws(ComputeError) -> CallID {
        let now = MonotonicTime.now()
        let (result, aftermath) = state.withLock { state -> (Result<CallID, ComputeError>, Aftermath) in
            var actions = ComputeSchedule.Actions()
            do throws(ComputeError) {
                let id = try state.schedule.arrived(length: length, for: model, deadline: deadline, at: now, &actions)
                Self.hold(call, id, for: model, since: now, &state)
                Self.helpTimer(at: now, &state, &actions)
                let aftermath = Self.carryOut(actions, at: now, &state)
                state.models[model.index].metrics.depth.set(state.schedule.waiting(for: model))
                return (.success(id), aftermath)
            } catch {
                Self.helpTimer(at: now, &state, &actions)
                return (.failure(error), Self.carryOut(actions, at: now, &state))
            }
        }
        finish(aftermath)
        return try result.get()
    }

    /// Takes a call that waits for another's output: only its end concerns the pool.
    func park(_ call: any PendingCall, deadline: MonotonicTime) throws(ComputeError) -> CallID {
        let now = MonotonicTime.now()
        let (result, aftermath) = state.withLock { state -> (Result<CallID, ComputeError>, Aftermath) in
            do throws(ComputeError) {
                let id = try state.schedule.parked(deadline: deadline, at: now)
                Self.hold(call, id, for: nil, since: now, &state)
                return (.success(id), Self.carryOut(ComputeSchedule.Actions(), at: now, &state))
            } catch {
                return (.failure(error), Aftermath())
            }
        }
        finish(aftermath)
        return try result.get()
    }

    /// A parked call is served, or not wanted any more; its `end` will not be called, unless it is being called now.
    func unpark(_ id: CallID) {
        let entry = state.withLock { state -> Entry? in
            guard state.schedule.unpark(id) else { return nil }
            return Self.release(id, &state)
        }
        withExtendedLifetime(entry) {}
    }

    /// Ends a call with `.cancelled` unless it has ended.
    func cancel(_ id: CallID) {
        let now = MonotonicTime.now()
        let aftermath = state.withLock { state in
            var actions = ComputeSchedule.Actions()
            state.schedule.cancelled(id, &actions)
            return Self.carryOut(actions, at: now, &state)
        }
        finish(aftermath)
    }

    // MARK: End

    func beginStop() {
        let now = MonotonicTime.now()
        let aftermath = state.withLock { state in
            var actions = ComputeSchedule.Actions()
            state.isStopping = true
            state.schedule.stop(&actions)
            return Self.carryOut(actions, at: now, &state)
        }
        finish(aftermath)
        for bell in bells { bell.ring() }
    }

    func stop() {
        beginStop()
        threads.withLock { threads in
            precondition(!threads.contains(where: \.isCurrent), "a compute thread cannot wait for itself")
            for thread in threads { thread.join() }
            threads = []
        }
        // Until now calls that run could reach their deadlines.
        state.withLock { $0.workersAreGone = true }
        timerBell.ring()
        timer.withLock { timer in
            timer?.join()
            timer = nil
        }
    }

    /// After `beginStop`, when nobody is there to wait: the threads end by themselves, the timer with the last of them.
    func abandonThreads() {
        threads.withLock { threads in
            for thread in threads { thread.detach() }
            threads = []
        }
        timer.withLock { timer in
            timer?.detach()
            timer = nil
        }
        state.withLock { state in
            if state.schedule.isIdle { state.workersAreGone = true }
        }
        timerBell.ring()
    }

    // MARK: Threads

    private func work(_ number: Int) {
        while let assignment = nextAssignment(for: number) {
            let start = MonotonicTime.now()
            let ran = assignment.model.run(assignment.calls)
            let end = MonotonicTime.now()
            let (answered, aftermath) = state.withLock { state -> ([Int], Aftermath) in
                var actions = ComputeSchedule.Actions()
                state.assignments[number] = nil
                let names = state.running[number]
                let answered = state.schedule.finished(
                    thread: number,
                    took: end.nanoseconds - start.nanoseconds,
                    outputs: ran.outputs,
                    at: end,
                    &actions
                )
                for position in answered { _ = Self.release(names[position], &state) }
                Self.helpTimer(at: end, &state, &actions)
                var aftermath = Self.carryOut(actions, at: end, &state)
                // This thread is awake.
                aftermath.wake.removeAll { $0 == number }
                if state.isStopping, state.schedule.isIdle { aftermath.isTimerLate = true }
                return (answered, aftermath)
            }
            finish(aftermath)
            for position in answered { ran.deliver(position) }
            let metrics = assignment.model.metrics
            metrics.run.record(start.elapsed(until: end))
            metrics.batchCalls.record(Double(assignment.calls.count))
            for wait in assignment.waits { metrics.wait.record(wait) }
        }
    }

    /// Waits for a batch; nil when the pool stops.
    private func nextAssignment(for number: Int) -> Assignment? {
        while true {
            let (assignment, isStopping) = state.withLock { ($0.assignments[number], $0.isStopping) }
            if let assignment { return assignment }
            if isStopping { return nil }
            bells[number].wait(until: nil)
        }
    }

    private func keepTime() {
        while true {
            let now = MonotonicTime.now()
            let (aftermath, end) = state.withLock { state -> (Aftermath, MonotonicTime?) in
                var actions = ComputeSchedule.Actions()
                state.schedule.tick(at: now, &actions)
                var aftermath = Self.carryOut(actions, at: now, &state)
                aftermath.isTimerLate = false
                let next = state.schedule.nextDeadline() ?? .distantFuture
                state.nextLook = next
                let isOver = state.workersAreGone || (state.isStopping && state.schedule.isIdle)
                return (aftermath, isOver ? nil : next)
            }
            finish(aftermath)
            guard let end else { return }
            timerBell.wait(until: end == .distantFuture ? nil : end)
        }
    }

    // MARK: Under the lock

    private static func hold(
        _ call: any PendingCall,
        _ id: CallID,
        for model: ModelID?,
        since now: MonotonicTime,
        _ state: inout State
    ) {
        let index = Int(id.index)
        while state.entries.count <= index { state.entries.append(nil) }
        state.entries[index] = Entry(call: call, arrived: now, model: model)
    }

    /// Does the timer's work when it should have woken before: threads that compute may keep it from a processor for
    /// milliseconds.
    private static func helpTimer(
        at now: MonotonicTime,
        _ state: inout State,
        _ actions: inout ComputeSchedule.Actions
    ) {
        if state.nextLook <= now { state.schedule.tick(at: now, &actions) }
    }

    @discardableResult
    private static func release(_ id: CallID, _ state: inout State) -> Entry? {
        let entry = state.entries[Int(id.index)]
        state.entries[Int(id.index)] = nil
        return entry
    }

    private static func carryOut(
        _ actions: ComputeSchedule.Actions,
        at now: MonotonicTime,
        _ state: inout State
    ) -> Aftermath {
        var aftermath = Aftermath()
        // Before the ends: the time of a call that has just been put on a thread may be over at the same instant.
        for run in actions.runs {
            let entries = run.calls.map { id in
                guard let entry = state.entries[Int(id.index)] else {
                    preconditionFailure("a call that is run is held")
                }
                return entry
            }
            let model = state.models[run.model.index]
            state.running[run.thread] = run.calls
            state.assignments[run.thread] = Assignment(
                model: model,
                calls: entries.map(\.call),
                waits: entries.map { $0.arrived.elapsed(until: now) }
            )
            model.metrics.depth.set(state.schedule.waiting(for: run.model))
            aftermath.wake.append(run.thread)
        }
        for (id, error) in actions.ended {
            guard let entry = release(id, &state) else { continue }
            aftermath.ended.append((entry.call, error))
            guard let model = entry.model else { continue }
            state.models[model.index].metrics.depth.set(state.schedule.waiting(for: model))
        }
        if let next = state.schedule.nextDeadline(), next < state.nextLook {
            state.nextLook = next
            aftermath.isTimerLate = true
        }
        return aftermath
    }

    /// Wakes whom it concerns. Called without the lock: a call's completion may submit the next one.
    private func finish(_ aftermath: Aftermath) {
        for thread in aftermath.wake { bells[thread].ring() }
        if aftermath.isTimerLate { timerBell.ring() }
        for (call, error) in aftermath.ended { call.end(error) }
    }
}
