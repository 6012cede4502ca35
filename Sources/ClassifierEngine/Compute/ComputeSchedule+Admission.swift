import Glibc

/// Finding a place in the plan.
extension ComputeSchedule {
    struct Arrival: Sendable {
        let model: Int
        let length: Int
        /// When it is planned to end at the latest.
        let due: UInt64
        /// Nanoseconds of a run of its own.
        let cost: UInt64
        /// The part of it that a call in the same batch does not pay again.
        let base: UInt64
        let now: UInt64
    }

    enum Place: Hashable, Sendable {
        /// The batch at `index` of the plan, which then takes `cost`.
        case join(index: Int, cost: UInt64)
        /// A batch of its own, before the one at `index`.
        case new(index: Int, isTrial: Bool)
    }

    /// How busy one thread would be if all calls of late had been taken and runs cost nothing by themselves.
    struct Demand: Sendable {
        /// 100 ms: some hundred calls of a busy machine, and less than people notice.
        private static let window = 1e8
        private var nanoseconds = 0.0
        private var last: UInt64 = 0

        mutating func add(_ work: UInt64, at now: UInt64) {
            nanoseconds = nanoseconds * exp(-Double(now - min(last, now)) / Self.window) + Double(work)
            last = now
        }

        /// 1 when a thread has just as much to do as it can.
        func load(at now: UInt64) -> Double {
            nanoseconds * exp(-Double(now - min(last, now)) / Self.window) / Self.window
        }
    }

    /// What is expected of the plan as it is.
    struct Forecast: Sendable {
        /// When each planned batch starts.
        var starts: [UInt64] = []
        /// By how much the batches from here on may be delayed, one entry more than batches.
        var slack: [UInt64] = []
        /// When each thread is free.
        var free: [UInt64] = []
        /// When a batch after all others would start.
        var tail: UInt64 = 0
    }

    /// Simulations of the whole plan for one arrival. Most places are accepted or refused by the forecast alone; under
    /// overload with long plans this bounds what a refusal costs.
    private static let simulationLimit = 6

    /// Where the call can be put so that it and everything planned end in time; nil if nowhere.
    ///
    /// A batch of its model that it makes least longer is best. A batch of its own comes before all that may end later
    /// than it; where it would end too late there, it comes first of all, which the others' slack may allow.
    mutating func place(for arrival: Arrival) -> Place? {
        makeForecast(at: arrival.now)
        let reserve = reserve(for: arrival)
        let mustEnd = arrival.due - min(reserve, arrival.due)
        if arrival.now + arrival.cost <= mustEnd {
            var simulations = 0
            let load = load(for: arrival)
            let room = room(for: arrival, mustEnd: mustEnd, load: load)
            if let place = bestBatch(for: arrival, mustEnd: mustEnd, room: room, load: load, &simulations) {
                return place
            }
            let byDeadline = plan.firstIndex { $0.due > arrival.due } ?? plan.count
            if fits(at: byDeadline, arrival, mustEnd: mustEnd, room: room, &simulations) {
                return .new(index: byDeadline, isTrial: false)
            }
            if byDeadline > 0, fits(at: 0, arrival, mustEnd: mustEnd, room: room, &simulations) {
                return .new(index: 0, isTrial: false)
            }
            return nil
        }
        // Even an idle machine would be too late, by an estimate that may have gone wrong.
        let lastRun = models[arrival.model].lastRun
        let isDue = lastRun.map { arrival.now - min($0, arrival.now) >= trialInterval } ?? true
        guard isDue, arrival.now + arrival.cost > arrival.due, running.contains(where: { $0 == nil }) else {
            return nil
        }
        return .new(index: 0, isTrial: true)
    }

    /// What the threads are asked for of late, as a multiple of what they can do, if runs cost nothing by themselves.
    ///
    /// A model asked for less than its share of the threads is judged by its own load: its small batches are not what costs
    /// the time.
    private func load(for arrival: Arrival) -> Double {
        var total = 0.0
        var active = 0.0
        for model in models where Self.isActive(model, at: arrival.now) {
            total += model.demand.load(at: arrival.now)
            active += 1
        }
        let own = models[arrival.model].demand.load(at: arrival.now) * active
        return min(total, own) / Double(running.count)
    }

    /// How long a batch that the call begins, or whose first deadline it becomes, must be able to run.
    ///
    /// With a load u of the calls alone, threads keep up if runs that cost `base` by themselves last base / (1 - u). The
    /// most that can be had of a call's time D: a batch is filled while another runs, in 1 / u of that one's time if more
    /// calls come than can be taken, so that D = T + T / u. Above 2, where little is left to be won, the time is better
    /// used for calls of the same length to come; unless the model has had more than its share (then `mustEnd` is before
    /// `due`), and the shorter its batches wait, the more places are left for the others.
    private func room(for arrival: Arrival, mustEnd: UInt64, load: Double) -> UInt64 {
        let time = Double(mustEnd - min(mustEnd, arrival.now))
        let limits = models[arrival.model].limits
        let count = min(limits.calls, limits.paddedTokens / arrival.length)
        let full = models[arrival.model].estimate.nanoseconds(count: count, longest: arrival.length)
        let excess = mustEnd < arrival.due ? max(load, 1) : min(max(load, 1), 2)
        let most = min(Double(full), time * excess / (1 + excess))
        return UInt64(load < 1 ? min(most, Double(arrival.base) / (1 - load)) : most)
    }

    private func bestBatch(
        for arrival: Arrival,
        mustEnd: UInt64,
        room: UInt64,
        load: Double,
        _ simulations: inout Int
    ) -> Place? {
        var best: (place: Place, growth: UInt64)?
        let alone = models[arrival.model].estimate.smoothNanoseconds(count: 1, longest: arrival.length)
        // Padding may cost what a run of its own would. When there are more calls than can be taken, others will come
        // that fit better: 0.4 got the most done with lengths of 16 to 128 tokens in simulation, 0.25 and 0.6 little less.
        let spare = load <= 1 ? 0 : UInt64(Double(min(arrival.base, alone)) * 0.6)
        for index in plan.indices where plan[index].model == arrival.model && !plan[index].isTrial {
            let count = plan[index].calls.count + 1
            let longest = max(plan[index].longest, arrival.length)
            guard models[arrival.model].limits.admit(count: count, longest: longest) else { continue }
            let padded = Double(count * longest)
            guard padded - Double(plan[index].tokens + arrival.length) <= settings.paddingShare * padded else {
                continue
            }
            let cost = max(
                models[arrival.model].estimate.nanoseconds(count: count, longest: longest),
                plan[index].cost
            )
            let estimate = models[arrival.model].estimate
            let before = estimate.smoothNanoseconds(count: count - 1, longest: plan[index].longest)
            let growth = estimate.smoothNanoseconds(count: count, longest: longest) - before
            guard growth <= alone - spare, growth < best?.growth ?? .max else { continue }
            let due = min(plan[index].due, arrival.due)
            let length = arrival.due < plan[index].due ? max(cost, room) : cost
            guard forecast.starts[index] + length <= min(due, mustEnd) else { continue }
            if cost - plan[index].cost > forecast.slack[index + 1] {
                guard simulations < Self.simulationLimit else { continue }
                simulations += 1
                guard holds(index: index, isNew: false, cost: cost, due: due) else { continue }
            }
            best = (.join(index: index, cost: cost), growth)
        }
        return best?.place
    }

    private func fits(
        at index: Int,
        _ arrival: Arrival,
        mustEnd: UInt64,
        room: UInt64,
        _ simulations: inout Int
    ) -> Bool {
        let start = index < plan.count ? forecast.starts[index] : forecast.tail
        guard start + max(arrival.cost, room) <= mustEnd else { return false }
        if arrival.cost <= forecast.slack[index] { return true }
        guard simulations < Self.simulationLimit else { return false }
        simulations += 1
        return holds(index: index, isNew: true, cost: arrival.cost, due: arrival.due)
    }

    /// When the batches start, and what delay they bear: one more or a longer job delays those behind it by its length at
    /// most.
    private mutating func makeForecast(at now: UInt64) {
        forecast.free.removeAll(keepingCapacity: true)
        for thread in running { forecast.free.append(Self.expectedEnd(of: thread, at: now)) }
        var free = forecast.free
        forecast.starts.removeAll(keepingCapacity: true)
        for batch in plan { forecast.starts.append(Self.run(batch.cost, on: &free)) }
        forecast.tail = free.min() ?? now
        forecast.slack.removeAll(keepingCapacity: true)
        forecast.slack.append(contentsOf: repeatElement(.max, count: plan.count + 1))
        for index in plan.indices.reversed() where !plan[index].isTrial {
            let end = forecast.starts[index] + plan[index].cost
            let slack = plan[index].due - min(end, plan[index].due)
            forecast.slack[index] = min(slack, forecast.slack[index + 1])
        }
    }

    /// Whether everything ends in time with a batch of `cost` that is new before `index` or takes the place of that one.
    ///
    /// A batch that is late anyway (a run took longer than estimated) must not be delayed further, or it would hold up
    /// every arrival until it is given up: it only has to end no later than it would.
    private func holds(index: Int, isNew: Bool, cost: UInt64, due: UInt64) -> Bool {
        var free = forecast.free
        for position in plan.indices {
            if position == index {
                guard Self.run(cost, on: &free) + cost <= due else { return false }
                if !isNew { continue }
            }
            let batch = plan[position]
            let end = Self.run(batch.cost, on: &free) + batch.cost
            if position > index || isNew, !batch.isTrial {
                let planned = forecast.starts[position] + batch.cost
                guard end <= max(batch.due, planned) else { return false }
            }
        }
        if index == plan.count {
            guard Self.run(cost, on: &free) + cost <= due else { return false }
        }
        return true
    }

    /// Puts a job on the thread that is free first.
    ///
    /// - Returns: when it starts.
    private static func run(_ cost: UInt64, on free: inout [UInt64]) -> UInt64 {
        var first = 0
        for thread in free.indices where free[thread] < free[first] { first = thread }
        let start = free[first]
        free[first] = start + cost
        return start
    }

    /// A run that takes longer than estimated is taken to last as long again as it is late, so that a thread that hangs is
    /// soon not counted on.
    private static func expectedEnd(of thread: Running?, at now: UInt64) -> UInt64 {
        guard let thread else { return now }
        return thread.end >= now ? thread.end : now + (now - thread.end)
    }

    // MARK: Shares

    /// Counts an arrival, taken or not, and lets what was long ago fade.
    mutating func noteDemand(_ arrival: Arrival) {
        let model = arrival.model
        models[model].demand.add(arrival.cost - min(arrival.base, arrival.cost), at: arrival.now)
        models[model].lastArrival = arrival.now
        if models[model].lastRun == nil { models[model].lastRun = arrival.now }
        let typical = models[model].typicalCost
        models[model].typicalCost = typical == 0 ? arrival.cost : (typical * 15 + arrival.cost) / 16
        guard arrival.now >= nextHalving else { return }
        let periods = nextHalving == 0 ? 1 : (arrival.now - nextHalving) / Self.shareHalving + 1
        for index in models.indices { models[index].work >>= min(periods, 63) }
        nextHalving = arrival.now + Self.shareHalving
    }

    /// How much earlier than its deadline the call has to end, so that models that have had less than their share find
    /// room: as long as two of their calls, and a quarter of the call's own time at most.
    private func reserve(for arrival: Arrival) -> UInt64 {
        guard models.count > 1 else { return 0 }
        var active: UInt64 = 0
        var total: UInt64 = 0
        for model in models where Self.isActive(model, at: arrival.now) {
            active += 1
            total += model.work
        }
        guard active > 1, models[arrival.model].work > total / active else { return 0 }
        var reserve: UInt64 = 0
        for model in models where Self.isActive(model, at: arrival.now) && model.work <= total / active {
            reserve = max(reserve, 2 * model.typicalCost)
        }
        return min(reserve, (arrival.due - min(arrival.due, arrival.now)) / 4)
    }

    /// Whether the model was asked for within the last second.
    private static func isActive(_ model: Model, at now: UInt64) -> Bool {
        guard let last = model.lastArrival else { return false }
        return now - min(last, now) < 1_000_000_000
    }

    /// Whether one more call may wait. A quarter of the queue is kept in equal parts for the models, so that none fills it
    /// before another's first call.
    func hasRoom(for model: Int) -> Bool {
        var room = settings.maxWaiting - waiting
        if models.count > 1 {
            let floor = settings.maxWaiting / (4 * models.count)
            for other in models.indices where other != model { room -= max(0, floor - models[other].waiting) }
        }
        return room > 0
    }
}
