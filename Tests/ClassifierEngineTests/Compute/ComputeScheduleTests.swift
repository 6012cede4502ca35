import ClassifierEngine
import Glibc
import Resilience
import TestRandom
import Testing

private let millisecond: UInt64 = 1_000_000
/// 0.4 ms and 8 µs for each token: about a small encoder.
private let encoder = CostLine(base: 0.0004, perToken: 0.000_008)
private let encoderLimits = BatchLimits(calls: 32, paddedTokens: 1_024)

@Suite struct BatchLimitsTests {
    @Test("Inputs that turn out longer than estimated are run in as many runs as they need, like with like")
    func runs() {
        let limits = BatchLimits(calls: 4, paddedTokens: 40)
        #expect(limits.runs(of: []) == [])
        #expect(limits.runs(of: [10, 3, 10, 10]) == [[0, 1, 2, 3]])
        #expect(limits.runs(of: [20, 3, 19, 4]) == [[1, 3], [2, 0]])
        #expect(limits.runs(of: [1, 1, 1, 1, 1]) == [[0, 1, 2, 3], [4]])
        // What fits nowhere is run alone.
        #expect(limits.runs(of: [50, 60]) == [[0], [1]])
    }
}

@Suite struct ComputeScheduleTests {
    @Test("A lone call starts at once")
    func loneCall() {
        var simulation = Self.simulation(threads: 2)
        simulation.arrive(model: 0, length: 32, within: 10 * millisecond)
        #expect(simulation.threads.count { $0 != nil } == 1)
        #expect(simulation.schedule.waiting == 0)
    }

    @Test("Calls that come while the threads are busy are run together")
    func together() {
        var simulation = Self.simulation(threads: 1)
        for _ in 0..<9 { simulation.arrive(model: 0, length: 32, within: 20 * millisecond) }
        simulation.advance(to: simulation.now + 30 * millisecond)
        #expect(simulation.batches == 2)
        #expect(simulation.answered(0) == 9)
        #expect(simulation.broken.isEmpty)
    }

    @Test("What cannot end in time is refused at once")
    func refusal() {
        var simulation = Self.simulation(threads: 1)
        simulation.arrive(model: 0, length: 512, within: 10 * millisecond)
        // The thread is busy for 4.5 ms.
        let early = simulation.arrive(model: 0, length: 16, within: 4 * millisecond)
        #expect(early == nil)
        #expect(simulation.refused[simulation.models[0]] == [.overBudget: 1])
        let later = simulation.arrive(model: 0, length: 16, within: 7 * millisecond)
        #expect(later != nil)
    }

    @Test("The queue is bounded")
    func bound() {
        var simulation = Self.simulation(threads: 1, maxWaiting: 3)
        for _ in 0..<6 { simulation.arrive(model: 0, length: 32, within: 1_000 * millisecond) }
        #expect(simulation.refused[simulation.models[0]] == [.overloaded: 2])
    }

    @Test("An input longer than any batch, and a call whose time is over, are refused as such")
    func impossible() {
        var simulation = Self.simulation(threads: 1)
        simulation.arrive(model: 0, length: 1_025, within: 1_000 * millisecond)
        simulation.arrive(model: 0, length: 10, within: 0)
        #expect(simulation.refused[simulation.models[0]] == [.tooLong: 1, .deadline: 1])
    }

    @Test("A call with less time overtakes those that can wait")
    func overtaking() throws {
        var simulation = Self.simulation(threads: 1)
        simulation.arrive(model: 0, length: 250, within: 100 * millisecond)
        // Too different in length to share a batch.
        let patientID = simulation.arrive(model: 0, length: 900, within: 100 * millisecond)
        let patient = try #require(patientID)
        let urgentID = simulation.arrive(model: 0, length: 16, within: 5 * millisecond)
        let urgent = try #require(urgentID)
        simulation.advance(to: simulation.now + 100 * millisecond)
        let first = try #require(simulation.calls[urgent]?.ended)
        let second = try #require(simulation.calls[patient]?.ended)
        #expect(first.error == nil && second.error == nil)
        #expect(first.at < second.at)
    }

    @Test("Short and long inputs do not share a batch when two runs cost less")
    func padding() {
        var simulation = Self.simulation(threads: 1)
        simulation.arrive(model: 0, length: 16, within: 100 * millisecond)
        for _ in 0..<4 {
            simulation.arrive(model: 0, length: 16, within: 100 * millisecond)
            simulation.arrive(model: 0, length: 200, within: 100 * millisecond)
        }
        simulation.advance(to: simulation.now + 100 * millisecond)
        #expect(simulation.batches == 3)
    }

    @Test("A cancelled call leaves the queue without a run")
    func cancellation() throws {
        var simulation = Self.simulation(threads: 1)
        simulation.arrive(model: 0, length: 32, within: 100 * millisecond)
        let waitingID = simulation.arrive(model: 0, length: 32, within: 100 * millisecond)
        let waiting = try #require(waitingID)
        simulation.cancel(waiting)
        simulation.advance(to: simulation.now + 100 * millisecond)
        #expect(simulation.calls[waiting]?.startedRun == false)
        #expect(simulation.calls[waiting]?.ended?.error == .cancelled)
        #expect(simulation.batches == 1)
    }

    @Test("A call whose run takes too long ends at its deadline, not at the run's end")
    func lateRun() throws {
        var simulation = Self.simulation(threads: 1)
        simulation.speed = { _, _ in 50 }
        let callID = simulation.arrive(model: 0, length: 32, within: 10 * millisecond)
        let call = try #require(callID)
        let deadline = simulation.now + 10 * millisecond
        simulation.advance(to: simulation.now + 100 * millisecond)
        let ended = try #require(simulation.calls[call]?.ended)
        #expect(ended.error == .deadline)
        #expect(ended.at == deadline)
        #expect(simulation.broken.isEmpty)
    }

    @Test("A thread that hangs is soon not counted on")
    func hangingThread() {
        var simulation = Self.simulation(threads: 1)
        simulation.speed = { _, _ in 1e6 }
        simulation.arrive(model: 0, length: 32, within: 10 * millisecond)
        simulation.advance(to: simulation.now + 50 * millisecond)
        simulation.arrive(model: 0, length: 32, within: 20 * millisecond)
        #expect(simulation.refused[simulation.models[0]] == [.overBudget: 1])
    }

    @Test("After a stop what waits ends, what runs goes on, and nothing is taken")
    func stop() throws {
        var simulation = Self.simulation(threads: 1)
        let runningID = simulation.arrive(model: 0, length: 32, within: 100 * millisecond)
        let running = try #require(runningID)
        let waitingID = simulation.arrive(model: 0, length: 32, within: 100 * millisecond)
        let waiting = try #require(waitingID)
        simulation.stop()
        simulation.arrive(model: 0, length: 32, within: 100 * millisecond)
        simulation.advance(to: simulation.now + 100 * millisecond)
        #expect(simulation.calls[waiting]?.ended?.error == .shutdown)
        #expect(simulation.calls[running]?.ended?.error == nil)
        #expect(simulation.refused[simulation.models[0]] == [.shutdown: 1])
    }

    @Test("A parked call ends once: with another's output, cancelled, or at its deadline")
    func parked() throws {
        var schedule = ComputeSchedule(ComputeSchedule.Settings(threads: 1, maxWaiting: 2))
        let start = MonotonicTime(nanoseconds: 1_000)
        let end = MonotonicTime(nanoseconds: 2_000)
        var actions = ComputeSchedule.Actions()
        let first = try schedule.parked(deadline: end, at: start)
        let second = try schedule.parked(deadline: end, at: start)
        var refusal: ComputeError?
        do { _ = try schedule.parked(deadline: end, at: start) } catch { refusal = error }
        #expect(refusal == .overloaded)
        let unparked = [schedule.unpark(first), schedule.unpark(first)]
        #expect(unparked == [true, false])
        let next = schedule.nextDeadline()
        #expect(next == end)
        schedule.tick(at: end, &actions)
        #expect(actions.ended.map(\.call) == [second])
        #expect(actions.ended.map(\.error) == [.deadline])
        let isLate = !schedule.unpark(second)
        #expect(isLate)
        let last = schedule.nextDeadline()
        #expect(last == nil)
    }

    @Test("An estimate that refuses everything is tried again, and corrects itself", arguments: [100.0, 10_000])
    func wrongEstimate(_ factor: Double) {
        let wrong = CostLine(base: encoder.base * factor, perToken: encoder.perToken * factor)
        var simulation = ScheduleSimulation(
            ComputeSchedule.Settings(threads: 1),
            models: [(encoderLimits, encoder)],
            estimates: [wrong],
            random: .fromEnvironment()
        )
        for _ in 0..<2_000 {
            simulation.arrive(model: 0, length: 32, within: 10 * millisecond)
            simulation.advance(to: simulation.now + 10 * millisecond)
        }
        let before = simulation.answered(0)
        for _ in 0..<1_000 {
            simulation.arrive(model: 0, length: 32, within: 10 * millisecond)
            simulation.advance(to: simulation.now + 10 * millisecond)
        }
        #expect(simulation.answered(0) - before == 1_000)
        #expect(simulation.broken.isEmpty)
    }

    @Test(
        "With exact estimates everything that is admitted ends in time, whatever arrives and is cancelled",
        arguments: 0..<20
    )
    func admittedIsKept(_ round: Int) {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<round { _ = random.next() }
        random = SeededRandom(seed: random.next())
        var simulation = Self.randomSimulation(&random)
        Self.play(&simulation, steps: 1_500, &random)
        #expect(simulation.broken.isEmpty, "\(simulation.broken.prefix(3)), round \(round)")
        for (model, counts) in simulation.ended {
            #expect(Set(counts.keys).isSubset(of: [nil, .cancelled]), "\(model): \(counts), round \(round)")
        }
        #expect(simulation.live.isEmpty)
    }

    @Test("With wrong estimates and runs that hang every call still ends once and in time", arguments: 0..<20)
    func everyCallEnds(_ round: Int) {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<round { _ = random.next() }
        random = SeededRandom(seed: random.next())
        var simulation = Self.randomSimulation(&random)
        simulation.speed = { _, random in
            random.once(in: 50) ? Double(random.below(200)) : 0.2 + Double(random.below(200)) / 100
        }
        Self.play(&simulation, steps: 1_500, &random)
        #expect(simulation.broken.isEmpty, "\(simulation.broken.prefix(3)), round \(round)")
        #expect(simulation.live.isEmpty)
    }

    @Test("Every order of a few arrivals, cancellations and times keeps the promises")
    func allOrders() {
        // Each step is one of six events; all 6⁵ sequences.
        var sequences = 0
        for code in 0..<7_776 {
            var simulation = Self.simulation(threads: 1, maxWaiting: 3)
            var rest = code
            for _ in 0..<5 {
                switch rest % 6 {
                case 0: simulation.arrive(model: 0, length: 16, within: 2 * millisecond)
                case 1: simulation.arrive(model: 0, length: 100, within: 6 * millisecond)
                case 2: simulation.arrive(model: 0, length: 16, within: 6 * millisecond)
                case 3: simulation.advance(to: simulation.now + millisecond / 2)
                case 4: simulation.advance(to: simulation.now + 2 * millisecond)
                default: if let call = simulation.live.min(by: Self.byArrival(simulation)) { simulation.cancel(call) }
                }
                rest /= 6
            }
            simulation.advance(to: simulation.now + 20 * millisecond)
            let outcomes = Set((simulation.ended[simulation.models[0]] ?? [:]).keys)
            guard simulation.broken.isEmpty, simulation.live.isEmpty, outcomes.isSubset(of: [nil, .cancelled]) else {
                Issue.record("sequence \(code): \(simulation.broken), \(outcomes)")
                return
            }
            sequences += 1
        }
        #expect(sequences == 7_776)
    }

    @Test("Under overload the threads stay busy with nearly full batches", arguments: [1.2, 2, 5, 20])
    func overload(_ load: Double) {
        var random = SeededRandom.fromEnvironment()
        var simulation = Self.simulation(threads: 2)
        // At 64 tokens a full batch of 16 takes 8.6 ms, longer than leaves time to wait in a budget of 10 ms: half of it
        // is what two threads can do at best.
        let seconds = 2.0
        let peak = 2 * 16 / encoder.seconds(paddedTokens: 16 * 64)
        let start = simulation.now
        while simulation.now - start < UInt64(seconds * 1e9) {
            simulation.arrive(model: 0, length: 64, within: 10 * millisecond)
            let gap = -logarithm(of: &random) / (peak * load)
            simulation.advance(to: simulation.now + UInt64(gap * 1e9))
        }
        let share = Double(simulation.answered(0)) / seconds / peak
        print("load \(load): \(Int(share * 100)) % of the peak")
        #expect(share >= 0.9)
        #expect(simulation.broken.isEmpty)
    }

    @Test("Under overload with inputs of all lengths most of a batch is no padding", arguments: [1.2, 2, 5])
    func mixedOverload(_ load: Double) {
        var random = SeededRandom.fromEnvironment()
        var simulation = Self.simulation(threads: 2)
        let seconds = 2.0
        // With batches of one length each, and a call's share of the base in a full one.
        let lengths = 16...128
        let alone = lengths.map { encoder.base * Double($0) / 1_024 + encoder.perToken * Double($0) }
        let peak = 2 / (alone.reduce(0, +) / Double(lengths.count))
        let start = simulation.now
        var work = 0.0
        while simulation.now - start < UInt64(seconds * 1e9) {
            let length = lengths.lowerBound + random.below(lengths.count)
            simulation.arrive(model: 0, length: length, within: 10 * millisecond)
            let gap = -logarithm(of: &random) / (peak * load)
            simulation.advance(to: simulation.now + UInt64(gap * 1e9))
        }
        for call in simulation.calls.values where call.ended?.error == nil && call.ended != nil {
            work += alone[call.length - lengths.lowerBound]
        }
        let share = work / (2 * seconds)
        print("load \(load), lengths \(lengths): \(Int(share * 100)) % of the work of full batches without padding")
        #expect(share >= 0.75)
        #expect(simulation.broken.isEmpty)
    }

    @Test("A model with few calls is served while another is asked for far too much")
    func fairness() {
        var random = SeededRandom.fromEnvironment()
        var simulation = ScheduleSimulation(
            ComputeSchedule.Settings(threads: 2),
            models: [(encoderLimits, encoder), (encoderLimits, encoder)],
            random: random
        )
        let peak = 2 * 16 / encoder.seconds(paddedTokens: 16 * 64)
        let start = simulation.now
        while simulation.now - start < 2_000_000_000 {
            // The second model is asked for a tenth of what the threads can do, the first for five times as much.
            simulation.arrive(model: random.below(51) == 0 ? 1 : 0, length: 64, within: 10 * millisecond)
            let gap = -logarithm(of: &random) / (peak * 5.1)
            simulation.advance(to: simulation.now + UInt64(gap * 1e9))
        }
        let served = Double(simulation.answered(1)) / Double(simulation.offered(1))
        print("modest model served: \(served), greedy: \(Double(simulation.answered(0)) / 2 / peak) of the peak")
        #expect(served > 0.9)
        #expect(simulation.broken.isEmpty)
    }

    @Test(
        "Models that are together asked for too much get what they ask for, or near an equal part of the threads",
        arguments: [[1, 5], [1, 20], [1, 1], [1, 2, 6]]
    )
    func shares(_ weights: [Int]) {
        var random = SeededRandom.fromEnvironment()
        var simulation = ScheduleSimulation(
            ComputeSchedule.Settings(threads: 2),
            models: weights.map { _ in (encoderLimits, encoder) },
            random: random
        )
        let peak = 2 * 16 / encoder.seconds(paddedTokens: 16 * 64)
        let sum = weights.reduce(0, +)
        let start = simulation.now
        while simulation.now - start < 2_000_000_000 {
            var drawn = random.below(sum)
            let model = weights.firstIndex { weight in
                drawn -= weight
                return drawn < 0
            }
            simulation.arrive(model: model ?? 0, length: 64, within: 10 * millisecond)
            let gap = -logarithm(of: &random) / (peak * 6)
            simulation.advance(to: simulation.now + UInt64(gap * 1e9))
        }
        for (index, weight) in weights.enumerated() {
            let got = Double(simulation.answered(index)) / 2 / peak
            let asked = 6 * Double(weight) / Double(sum)
            print("models asked \(weights): number \(index) got \(got) of the peak, was asked for \(asked)")
            #expect(got >= 0.7 * min(asked, 1 / Double(weights.count)))
        }
        #expect(simulation.broken.isEmpty)
    }

    // MARK: Tools

    private static func simulation(threads: Int, maxWaiting: Int = 1_024) -> ScheduleSimulation {
        ScheduleSimulation(
            ComputeSchedule.Settings(threads: threads, maxWaiting: maxWaiting, margin: .microseconds(500)),
            models: [(encoderLimits, encoder)],
            random: SeededRandom(seed: 1)
        )
    }

    private static func randomSimulation(_ random: inout SeededRandom) -> ScheduleSimulation {
        let models = (0...random.below(3)).map { _ in
            (
                limits: BatchLimits(calls: 1 + random.below(32), paddedTokens: 256 + random.below(2_000)),
                line: CostLine(
                    base: Double(1 + random.below(2_000)) * 1e-6,
                    perToken: Double(1 + random.below(20)) * 1e-6
                )
            )
        }
        return ScheduleSimulation(
            ComputeSchedule.Settings(
                threads: 1 + random.below(4),
                maxWaiting: 1 + random.below(100),
                // Costs are rounded to nanoseconds.
                margin: .microseconds(1),
                // A trial runs against the estimate.
                trialInterval: .seconds(1_000_000)
            ),
            models: models,
            random: random
        )
    }

    private static func play(_ simulation: inout ScheduleSimulation, steps: Int, _ random: inout SeededRandom) {
        for _ in 0..<steps {
            switch random.below(10) {
            case 0..<6:
                simulation.arrive(
                    model: random.below(simulation.models.count),
                    length: 1 + random.below(256),
                    within: UInt64(1 + random.below(random.once(in: 10) ? 500 : 20)) * millisecond
                )
            case 6:
                if let call = simulation.live.min(by: byArrival(simulation)), random.once(in: 4) {
                    simulation.cancel(call)
                }
            default:
                simulation.advance(to: simulation.now + UInt64(random.below(2_000_000)))
            }
        }
        simulation.advance(to: simulation.now + 2_000 * millisecond)
    }

    private static func byArrival(_ simulation: ScheduleSimulation) -> (CallID, CallID) -> Bool {
        { left, right in
            let (first, second) = (simulation.calls[left], simulation.calls[right])
            return (first?.arrived ?? 0, first?.deadline ?? 0, first?.length ?? 0)
                < (second?.arrived ?? 0, second?.deadline ?? 0, second?.length ?? 0)
        }
    }
}

/// The logarithm of a number drawn evenly from 0..<1, for arrivals at random times.
private func logarithm(of random: inout SeededRandom) -> Double {
    log(Double(random.next() >> 11 | 1) * 0x1p-53)
}
