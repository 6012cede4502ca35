import ClassifierEngine
import Resilience
import TestRandom

/// Plays a schedule against threads and a clock that are made up, and checks at every step what must always hold.
struct ScheduleSimulation {
    struct Call {
        let model: ModelID
        let length: Int
        let arrived: UInt64
        let deadline: UInt64
        var startedRun = false
        var ended: (at: UInt64, error: ComputeError?)?
    }

    struct Busy {
        let calls: [CallID]
        let end: UInt64
        let took: UInt64
    }

    let lines: [CostLine]
    let limits: [BatchLimits]
    var schedule: ComputeSchedule
    var models: [ModelID] = []
    var threads: [Busy?]
    var now: UInt64 = 1_000_000_000
    var calls: [CallID: Call] = [:]
    /// Refusals at arrival, by model and reason.
    var refused: [ModelID: [ComputeError: Int]] = [:]
    /// Ended calls, by model, with nil for an output.
    var ended: [ModelID: [ComputeError?: Int]] = [:]
    var answeredTokens: [ModelID: Int] = [:]
    var broken: [String] = []
    var batches = 0
    var busyNanoseconds: UInt64 = 0
    /// What a run takes, as a multiple of the line.
    var speed: @Sendable (_ model: Int, _ random: inout SeededRandom) -> Double = { _, _ in 1 }
    var random: SeededRandom

    init(
        _ settings: ComputeSchedule.Settings,
        models definitions: [(limits: BatchLimits, line: CostLine)],
        estimates: [CostLine]? = nil,
        random: SeededRandom
    ) {
        self.random = random
        lines = definitions.map(\.line)
        limits = definitions.map(\.limits)
        schedule = ComputeSchedule(settings)
        threads = Array(repeating: nil, count: settings.threads)
        for (index, definition) in definitions.enumerated() {
            let line = estimates?[index] ?? definition.line
            models.append(schedule.addModel(limits: definition.limits, cost: line))
        }
    }

    var time: MonotonicTime { MonotonicTime(nanoseconds: now) }
    var live: [CallID] { calls.filter { $0.value.ended == nil }.map(\.key) }

    /// - Returns: the call, or nil if it was refused.
    @discardableResult
    mutating func arrive(model index: Int, length: Int, within budget: UInt64) -> CallID? {
        let model = models[index]
        var actions = ComputeSchedule.Actions()
        do {
            let id = try schedule.arrived(
                length: length,
                for: model,
                deadline: MonotonicTime(nanoseconds: now + budget),
                at: time,
                &actions
            )
            check(calls[id] == nil, "a name was given twice")
            calls[id] = Call(model: model, length: length, arrived: now, deadline: now + budget)
            perform(actions)
            return id
        } catch {
            refused[model, default: [:]][error, default: 0] += 1
            check(actions.runs.isEmpty, "a refusal started a run")
            return nil
        }
    }

    mutating func cancel(_ call: CallID) {
        var actions = ComputeSchedule.Actions()
        schedule.cancelled(call, &actions)
        perform(actions)
        check(calls[call]?.ended != nil, "a cancelled call goes on")
    }

    mutating func stop() {
        var actions = ComputeSchedule.Actions()
        schedule.stop(&actions)
        perform(actions)
    }

    /// Lets the time pass until `end`; ends of runs come before ends of calls at the same time.
    mutating func advance(to end: UInt64) {
        while true {
            let next = threads.indices.filter { threads[$0] != nil }
                .min { (threads[$0]?.end ?? 0) < (threads[$1]?.end ?? 0) }
            let finish = next.flatMap { threads[$0]?.end } ?? .max
            let tick = schedule.nextDeadline()?.nanoseconds ?? .max
            guard min(finish, tick) <= end else { break }
            now = max(now, min(finish, tick))
            var actions = ComputeSchedule.Actions()
            if finish <= tick, let thread = next, let busy = threads[thread] {
                threads[thread] = nil
                let answered = schedule.finished(thread: thread, took: busy.took, at: time, &actions)
                for position in answered { over(busy.calls[position], nil) }
            } else {
                schedule.tick(at: time, &actions)
            }
            perform(actions)
        }
        now = max(now, end)
    }

    private mutating func perform(_ actions: ComputeSchedule.Actions) {
        for run in actions.runs {
            check(threads[run.thread] == nil, "a busy thread was given a batch")
            let longest = run.calls.map { calls[$0]?.length ?? 0 }.max() ?? 0
            let limits = limits[models.firstIndex(of: run.model) ?? 0]
            check(!run.calls.isEmpty, "an empty batch")
            check(
                run.calls.count <= limits.calls && run.calls.count * longest <= limits.paddedTokens,
                "a batch above the limits"
            )
            for id in run.calls {
                check(calls[id]?.ended == nil, "a call was run after its end")
                check(calls[id]?.startedRun == false, "a call was run twice")
                check(calls[id]?.model == run.model, "a call was run by another model")
                calls[id]?.startedRun = true
            }
            let index = models.firstIndex(of: run.model) ?? 0
            let seconds = lines[index].seconds(paddedTokens: run.calls.count * longest) * speed(index, &random)
            let took = UInt64(seconds * 1e9)
            batches += 1
            busyNanoseconds += took
            threads[run.thread] = Busy(calls: run.calls, end: now + took, took: took)
        }
        for (id, error) in actions.ended { over(id, error) }
        check(schedule.waiting <= schedule.settings.maxWaiting, "more wait than may")
        check(
            schedule.waiting == 0 || threads.allSatisfy { $0 != nil },
            "calls wait while a thread is idle"
        )
    }

    private mutating func over(_ id: CallID, _ error: ComputeError?) {
        guard let call = calls[id] else {
            broken.append("an unknown call ended")
            return
        }
        check(call.ended == nil, "a call ended twice")
        check(now <= call.deadline, "a call ended after its deadline")
        check(error != nil || call.startedRun, "an output without a run")
        calls[id]?.ended = (now, error)
        ended[call.model, default: [:]][error, default: 0] += 1
        if error == nil { answeredTokens[call.model, default: 0] += call.length }
    }

    private mutating func check(_ holds: Bool, _ what: String) {
        if !holds { broken.append("\(what), at \(now)") }
    }

    func answered(_ index: Int) -> Int { ended[models[index]]?[nil] ?? 0 }
    func refusals(_ index: Int) -> Int { refused[models[index]]?.values.reduce(0, +) ?? 0 }
    func offered(_ index: Int) -> Int {
        refusals(index) + calls.values.count { $0.model == models[index] }
    }
}
