import ClassifierEngine
import Foundation
import Instruments
import Resilience
import Synchronization

/// An input with nothing but a length.
struct Text: BatchInput {
    var length: Int
}

/// Does what a small encoder costs: keeps the thread's processor busy for a time that grows with the padded tokens.
struct BurningModel: BatchModel {
    var limits = BatchLimits(calls: 32, paddedTokens: 1_024)
    /// Rounds of work, to be set by `calibrated`.
    var baseRounds = 1_000
    var roundsPerToken = 20
    /// Nanoseconds of processor time that runs have taken.
    let processorTime = Tally()
    let batches = Tally()

    /// The lengths of the inputs.
    func run(_ batch: [Text]) throws -> [Result<Int, ComputeError>] {
        let start = Self.threadTime
        let longest = batch.map(\.length).max() ?? 0
        Self.burn(baseRounds + roundsPerToken * longest * batch.count)
        processorTime.add(Self.threadTime - start)
        batches.add(1)
        return batch.map { .success($0.length) }
    }

    private static var threadTime: Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// A model that takes `base` seconds and `perToken` for each padded token on this machine.
    static func calibrated(base: Double, perToken: Double) -> BurningModel {
        let rounds = 2_000_000
        var best = Duration.seconds(1_000)
        for _ in 0..<5 { best = min(best, ContinuousClock().measure { burn(rounds) }) }
        let each = best / .seconds(1) / Double(rounds)
        var model = BurningModel()
        model.baseRounds = Int(base / each)
        model.roundsPerToken = max(1, Int(perToken / each))
        return model
    }

    @inline(never)
    private static func burn(_ rounds: Int) {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<rounds {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
        }
        sink.store(state, ordering: .relaxed)
    }

    /// Keeps the work from being optimised away.
    private static let sink = Atomic<UInt64>(0)
}

/// A model that does what the test says.
struct ScriptedModel: BatchModel {
    var limits = BatchLimits(calls: 4, paddedTokens: 1_000)
    let body: @Sendable ([Text]) throws -> [Int]

    func run(_ batch: [Text]) throws -> [Result<Int, ComputeError>] { try body(batch).map { .success($0) } }
}

/// Holds a model's thread until it is opened.
final class Gate: Sendable {
    private let condition = NSCondition()
    /// Changed with the condition's lock held, so that nobody sleeps through it.
    private let isOpen = Atomic<Bool>(false)
    private let arrived = Atomic<Int>(0)

    var arrivals: Int { arrived.load(ordering: .acquiring) }

    func pass() {
        arrived.add(1, ordering: .releasing)
        condition.lock()
        while !isOpen.load(ordering: .acquiring) { condition.wait() }
        condition.unlock()
    }

    func open() {
        condition.lock()
        isOpen.store(true, ordering: .releasing)
        condition.broadcast()
        condition.unlock()
    }
}

/// A number that many threads change.
final class Tally: Sendable {
    private let count = Atomic<Int>(0)

    func add(_ amount: Int) { count.add(amount, ordering: .sequentiallyConsistent) }
    var value: Int { count.load(ordering: .sequentiallyConsistent) }
}

/// What asynchronous completions said.
final class Collected<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}

func metrics(_ registry: MetricRegistry = MetricRegistry()) -> ComputeMetrics.OfModel {
    ComputeMetrics(registry: registry).model("test")
}

/// Waits, with a limit, until `condition` holds.
func waited(for condition: () -> Bool) async -> Bool {
    let end = MonotonicTime.now() + .seconds(60)
    while MonotonicTime.now() < end {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(1))
    }
    return condition()
}

/// A time that no test reaches.
var farAway: MonotonicTime { .now() + .seconds(600) }
