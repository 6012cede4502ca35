package import Resilience

/// Names one call until it has ended; a later call never has the same name.
package struct CallID: Hashable, Sendable {
    let index: UInt32
    let generation: UInt32
}

/// Names a model within its pool.
package struct ModelID: Hashable, Sendable {
    let index: Int
}

/// Decides which calls run when, on a fixed number of threads. Pure: it is told what happens and when, and answers what
/// to do.
///
/// What waits is kept as a *plan*: batches in the order in which free threads take them. A call is admitted only if, by
/// the estimated costs, it ends in time within the plan and everything planned before still does; otherwise it is refused
/// at once. From then on a plan only gets better: jobs without dependencies that are taken from one list start no later
/// when one of them becomes shorter or goes away (the anomalies of Graham, "Bounds on multiprocessing timing anomalies",
/// 1969, need dependencies). So what is admitted ends in time whenever no run takes longer than estimated.
///
/// - A call joins a planned batch of its model when that costs less than a run of its own, else it starts a batch, placed
///   by its deadline. A thread that is free takes the first batch at once.
/// - The busier the threads, the longer a new batch must be able to grow before its first call's time is over: calls
///   admitted at the last moment would fill the plan with small batches, and the threads would get less done the more
///   they are asked for.
/// - Where several models are asked, one that has had more than its share of the time leaves slack for the others.
/// - Every call ends once: run, or with an error in `Actions.ended`.
///
/// - Complexity: an arrival is linear in the planned batches, times the threads; nothing depends on the calls waiting.
package struct ComputeSchedule: Sendable {
    package struct Settings: Hashable, Sendable {
        /// Threads that run batches; at least 1.
        package var threads: Int
        /// Calls that may wait, of all models together; at least 1.
        package var maxWaiting: Int
        /// How long before its deadline a call is planned to end: what waking a thread and a caller takes, and a part of
        /// what estimates are wrong by.
        package var margin: Duration
        /// A model whose estimate refuses everything is tried again after this time, when a thread is idle: an estimate
        /// cannot get better without a run.
        package var trialInterval: Duration
        /// The most of a batch that may be padding, 0…1.
        package var paddingShare: Double

        /// 1,024 calls hold a few megabytes of tokens. 500 µs: threads of a busy system wake late by about as much.
        package init(
            threads: Int,
            maxWaiting: Int = 1_024,
            margin: Duration = .microseconds(500),
            trialInterval: Duration = .seconds(1),
            paddingShare: Double = 0.5
        ) {
            precondition(threads >= 1 && maxWaiting >= 1, "a schedule needs a thread and room for a call")
            precondition(margin >= .zero && trialInterval >= .zero, "times are not negative")
            precondition((0...1).contains(paddingShare), "a share lies in 0…1")
            self.threads = threads
            self.maxWaiting = maxWaiting
            self.margin = margin
            self.trialInterval = trialInterval
            self.paddingShare = paddingShare
        }
    }

    /// What the owner has to do after an event.
    package struct Actions: Sendable {
        package struct Run: Hashable, Sendable {
            package let thread: Int
            package let model: ModelID
            package let calls: [CallID]
        }

        /// Batches to start, each on its thread, which is idle.
        package var runs: [Run] = []
        /// Calls that are over without an output.
        package var ended: [(call: CallID, error: ComputeError)] = []

        package init() {}
    }

    struct Call: Sendable {
        enum Phase: Hashable, Sendable {
            case free
            /// Waits for another call's output.
            case parked
            case waiting(batch: UInt64)
            case running
        }

        var generation: UInt32 = 0
        var phase = Phase.free
        var model = 0
        var length = 0
        var deadline: UInt64 = 0
    }

    struct Batch: Sendable {
        let serial: UInt64
        let model: Int
        var calls: [CallID]
        var longest: Int
        /// The sum of the lengths.
        var tokens: Int
        /// When it has to end for all its calls, the margin taken off.
        var due: UInt64
        /// Nanoseconds that it is estimated to run.
        var cost: UInt64
        /// Runs although it is estimated to be late.
        let isTrial: Bool
    }

    struct Running: Sendable {
        let model: Int
        let calls: [CallID]
        let longest: Int
        let end: UInt64
    }

    struct Model: Sendable {
        let limits: BatchLimits
        var estimate: CostEstimate
        var waiting = 0
        /// When a run of it began, or its first call came.
        var lastRun: UInt64?
        /// Nanoseconds of runs admitted of late; halved every `shareHalving`.
        var work: UInt64 = 0
        var lastArrival: UInt64?
        var demand = Demand()
        /// What a call of it costs alone, averaged over about 16 calls.
        var typicalCost: UInt64 = 0
    }

    /// 250 ms: shares are even within a second, and bursts shorter than a request's budget do not count against a model.
    static let shareHalving: UInt64 = 250_000_000

    package let settings: Settings
    let margin: UInt64
    let trialInterval: UInt64
    var models: [Model] = []
    var plan: [Batch] = []
    var running: [Running?]
    var calls: [Call] = []
    var forecast = Forecast()
    package private(set) var waiting = 0
    private(set) var parked = 0
    private(set) var isStopped = false
    private var freeCalls: [UInt32] = []
    private var deadlines = DeadlineHeap()
    private var deadEntries = 0
    private var nextSerial: UInt64 = 0
    var nextHalving: UInt64 = 0

    package init(_ settings: Settings) {
        self.settings = settings
        margin = UInt64(settings.margin.wholeNanoseconds)
        trialInterval = UInt64(settings.trialInterval.wholeNanoseconds)
        running = Array(repeating: nil, count: settings.threads)
    }

    package mutating func addModel(limits: BatchLimits, cost: CostLine) -> ModelID {
        models.append(Model(limits: limits, estimate: CostEstimate(cost)))
        return ModelID(index: models.count - 1)
    }

    /// Forgets what was learned of a model's cost: it has been replaced by another.
    package mutating func replaceCost(of model: ModelID, by cost: CostLine) {
        models[model.index].estimate = CostEstimate(cost)
    }

    // MARK: Events

    /// A call of `length` tokens came in.
    ///
    /// - Returns: its name. It may be in `actions.runs` already.
    /// - Throws: why it is not taken; then nothing has changed for others.
    package mutating func arrived(
        length: Int,
        for model: ModelID,
        deadline: MonotonicTime,
        at now: MonotonicTime,
        _ actions: inout Actions
    ) throws(ComputeError) -> CallID {
        guard !isStopped else { throw .shutdown }
        guard models[model.index].limits.admit(count: 1, longest: length) else { throw .tooLong }
        guard deadline > now else { throw .deadline }
        let arrival = Arrival(
            model: model.index,
            length: max(length, 1),
            due: deadline.nanoseconds - min(margin, deadline.nanoseconds),
            cost: models[model.index].estimate.nanoseconds(count: 1, longest: max(length, 1)),
            base: models[model.index].estimate.baseNanoseconds,
            now: now.nanoseconds
        )
        noteDemand(arrival)
        guard hasRoom(for: model.index) else { throw .overloaded }
        guard let place = place(for: arrival) else { throw .overBudget }
        let id = take(phase: .waiting(batch: 0), arrival.model, arrival.length, deadline.nanoseconds)
        waiting += 1
        models[arrival.model].waiting += 1
        put(id, arrival, at: place)
        dispatch(at: now.nanoseconds, &actions)
        return id
    }

    /// A call came in that waits for another's output and needs no run; it ends by `unpark`, or as others do.
    package mutating func parked(
        deadline: MonotonicTime,
        at now: MonotonicTime
    ) throws(ComputeError) -> CallID {
        guard !isStopped else { throw .shutdown }
        guard deadline > now else { throw .deadline }
        guard parked < settings.maxWaiting else { throw .overloaded }
        parked += 1
        return take(phase: .parked, 0, 0, deadline.nanoseconds)
    }

    /// A parked call has its output.
    ///
    /// - Returns: false when it had ended before.
    package mutating func unpark(_ call: CallID) -> Bool {
        guard isLive(call), calls[Int(call.index)].phase == .parked else { return false }
        release(call)
        return true
    }

    /// The batch on `thread` has been run, in `took` nanoseconds of the thread's time.
    ///
    /// - Parameter outputs: for how many calls there is an output; nil for all. Runs without any take no time worth
    ///   learning from.
    /// - Returns: the positions within the batch of the calls that get their outputs; the others have ended before, or end
    ///   now because their time is over.
    package mutating func finished(
        thread: Int,
        took: UInt64,
        outputs: Int? = nil,
        at now: MonotonicTime,
        _ actions: inout Actions
    ) -> [Int] {
        guard let batch = running[thread] else { return [] }
        running[thread] = nil
        let outputs = outputs ?? batch.calls.count
        if outputs > 0 {
            models[batch.model].estimate.observe(count: outputs, longest: batch.longest, nanoseconds: took)
        }
        var answered: [Int] = []
        answered.reserveCapacity(batch.calls.count)
        for (position, call) in batch.calls.enumerated() where isLive(call) {
            if calls[Int(call.index)].deadline < now.nanoseconds {
                end(call, .deadline, &actions)
            } else {
                answered.append(position)
                release(call)
            }
        }
        dispatch(at: now.nanoseconds, &actions)
        return answered
    }

    /// A caller does not want its output any more. A run that has begun goes on, for nothing if it was the only one.
    package mutating func cancelled(_ call: CallID, _ actions: inout Actions) {
        guard isLive(call) else { return }
        end(call, .cancelled, &actions)
    }

    /// Ends what is over. To be called at `nextDeadline`.
    package mutating func tick(at now: MonotonicTime, _ actions: inout Actions) {
        while let first = deadlines.first, first.deadline <= now.nanoseconds {
            deadlines.removeFirst()
            // Of a call that is over, or is about to be: `release` counts its entry as if it were still there.
            deadEntries -= 1
            if isLive(first.call) { end(first.call, .deadline, &actions) }
        }
    }

    /// Takes no more calls and ends those that wait. What runs ends as usual.
    package mutating func stop(_ actions: inout Actions) {
        isStopped = true
        for index in calls.indices {
            switch calls[index].phase {
            case .waiting, .parked:
                end(CallID(index: UInt32(index), generation: calls[index].generation), .shutdown, &actions)
            case .free, .running: break
            }
        }
    }

    // MARK: What is

    /// When the next call's time is over, or nil when nobody waits for an end.
    package mutating func nextDeadline() -> MonotonicTime? {
        while let first = deadlines.first {
            if isLive(first.call) { return MonotonicTime(nanoseconds: first.deadline) }
            deadlines.removeFirst()
            deadEntries -= 1
        }
        return nil
    }

    /// Calls of the model that wait for a thread.
    package func waiting(for model: ModelID) -> Int { models[model.index].waiting }

    /// What a call would cost alone.
    package func estimate(length: Int, for model: ModelID) -> Duration {
        .nanoseconds(Int64(models[model.index].estimate.nanoseconds(count: 1, longest: max(length, 1))))
    }

    package var isIdle: Bool { running.allSatisfy { $0 == nil } }

    func isLive(_ call: CallID) -> Bool {
        let held = calls[Int(call.index)]
        return held.generation == call.generation && held.phase != .free
    }

    // MARK: Calls

    private mutating func take(phase: Call.Phase, _ model: Int, _ length: Int, _ deadline: UInt64) -> CallID {
        let index: UInt32
        if let free = freeCalls.popLast() {
            index = free
        } else {
            index = UInt32(calls.count)
            calls.append(Call())
        }
        let generation = calls[Int(index)].generation &+ 1
        calls[Int(index)] = Call(
            generation: generation,
            phase: phase,
            model: model,
            length: length,
            deadline: deadline
        )
        let id = CallID(index: index, generation: generation)
        deadlines.insert(DeadlineHeap.Entry(deadline: deadline, call: id))
        return id
    }

    /// The call is over; its place may be taken by another.
    private mutating func release(_ call: CallID) {
        let index = Int(call.index)
        switch calls[index].phase {
        case .parked: parked -= 1
        case .waiting(let serial):
            waiting -= 1
            models[calls[index].model].waiting -= 1
            leave(serial, call)
        case .running, .free: break
        }
        calls[index].phase = .free
        freeCalls.append(call.index)
        deadEntries += 1
        if deadEntries > 64, deadEntries > deadlines.count / 2 {
            deadlines.keep { [calls] id in
                calls[Int(id.index)].generation == id.generation && calls[Int(id.index)].phase != .free
            }
            deadEntries = 0
        }
    }

    private mutating func end(_ call: CallID, _ error: ComputeError, _ actions: inout Actions) {
        release(call)
        actions.ended.append((call, error))
    }

    /// Takes a call out of its planned batch.
    private mutating func leave(_ serial: UInt64, _ call: CallID) {
        guard let index = plan.firstIndex(where: { $0.serial == serial }) else { return }
        plan[index].calls.removeAll { $0 == call }
        if plan[index].calls.isEmpty {
            plan.remove(at: index)
        } else {
            measure(&plan[index])
        }
    }

    /// Brings a batch that has lost calls up to date.
    private func measure(_ batch: inout Batch) {
        batch.longest = 0
        batch.tokens = 0
        batch.due = .max
        for call in batch.calls {
            let held = calls[Int(call.index)]
            batch.longest = max(batch.longest, held.length)
            batch.tokens += held.length
            batch.due = min(batch.due, held.deadline - min(margin, held.deadline))
        }
        // A batch that becomes smaller takes no longer, whatever the factors of its former and new kind.
        let cost = models[batch.model].estimate.nanoseconds(count: batch.calls.count, longest: batch.longest)
        batch.cost = min(batch.cost, cost)
    }

    private mutating func put(_ id: CallID, _ arrival: Arrival, at place: Place) {
        let serial: UInt64
        let before: UInt64
        switch place {
        case .join(let index, let cost):
            serial = plan[index].serial
            before = plan[index].cost
            plan[index].calls.append(id)
            plan[index].longest = max(plan[index].longest, arrival.length)
            plan[index].tokens += arrival.length
            plan[index].due = min(plan[index].due, arrival.due)
            plan[index].cost = cost
            models[arrival.model].work += cost - min(before, cost)
        case .new(let index, let isTrial):
            nextSerial += 1
            serial = nextSerial
            plan.insert(
                Batch(
                    serial: serial,
                    model: arrival.model,
                    calls: [id],
                    longest: arrival.length,
                    tokens: arrival.length,
                    due: arrival.due,
                    cost: arrival.cost,
                    isTrial: isTrial
                ),
                at: index
            )
            models[arrival.model].work += arrival.cost
        }
        calls[Int(id.index)].phase = .waiting(batch: serial)
    }

    /// Gives idle threads what is planned first.
    private mutating func dispatch(at now: UInt64, _ actions: inout Actions) {
        while !plan.isEmpty, let thread = running.firstIndex(where: { $0 == nil }) {
            dropLate(at: now, &actions)
            guard let batch = plan.first else { return }
            // A batch that lost all its calls is gone, and the next one has not been looked at.
            guard batch.isTrial || !isLate(batch, at: now) else { continue }
            plan.removeFirst()
            for call in batch.calls { calls[Int(call.index)].phase = .running }
            waiting -= batch.calls.count
            models[batch.model].waiting -= batch.calls.count
            models[batch.model].lastRun = now
            let (end, overflow) = now.addingReportingOverflow(batch.cost)
            running[thread] = Running(
                model: batch.model,
                calls: batch.calls,
                longest: batch.longest,
                end: overflow ? .max : end
            )
            actions.runs.append(
                Actions.Run(thread: thread, model: ModelID(index: batch.model), calls: batch.calls)
            )
        }
    }

    private func isLate(_ batch: Batch, at now: UInt64) -> Bool {
        batch.calls.contains { calls[Int($0.index)].deadline < now + batch.cost }
    }

    /// Gives up those calls of the first batch that it would answer too late, because runs before it took longer than
    /// estimated: the others get their outputs the sooner.
    private mutating func dropLate(at now: UInt64, _ actions: inout Actions) {
        let serial = plan[0].serial
        while let first = plan.first, first.serial == serial, !first.isTrial, isLate(first, at: now) {
            let earliest = first.calls.min { calls[Int($0.index)].deadline < calls[Int($1.index)].deadline }
            guard let earliest else { return }
            end(earliest, .overBudget, &actions)
        }
    }
}
