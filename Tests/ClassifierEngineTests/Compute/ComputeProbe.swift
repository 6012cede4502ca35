import ClassifierEngine
import Glibc
import Resilience
import Synchronization
import TestRandom
import Testing

/// Measures a pool in real time; prints and claims nothing. Runs with `SEXTANT_COMPUTE_PROBE=1`, in a release build, on a
/// quiet machine. `SEXTANT_COMPUTE_PROBE_SECONDS` is the length of each part, 5 by default.
@Suite(.serialized, .enabled(if: getenv("SEXTANT_COMPUTE_PROBE") != nil))
struct ComputeProbe {
    private static let seconds = getenv("SEXTANT_COMPUTE_PROBE_SECONDS").flatMap { Int(String(cString: $0)) } ?? 5
    private static let threads = 2

    /// Calls offered: their lengths, and how many a second (0: twice the peak).
    struct Load: Sendable, CustomTestStringConvertible {
        let lengths: ClosedRange<Int>
        let rate: Int
        var testDescription: String { "\(rate) calls/s of \(lengths) tokens" }
    }

    @Test(
        "Throughput, and times until an answer or a refusal",
        arguments: [
            Load(lengths: 32...32, rate: 2_000), Load(lengths: 64...64, rate: 2_000),
            Load(lengths: 128...128, rate: 2_000), Load(lengths: 16...128, rate: 2_000),
            Load(lengths: 64...64, rate: 0), Load(lengths: 16...128, rate: 0),
        ]
    )
    func probe(_ load: Load) throws {
        let model = BurningModel.calibrated(base: 0.0004, perToken: 0.000_008)
        let peak = try Self.peak(of: model, load.lengths)
        let peakPerSecond = peak * 2 / (Double(model.processorTime.value) * 1e-9)
        let rate = load.rate > 0 ? load.rate : Int(2 * peak)
        let samples = [1, 4, 16].map { [Text](repeating: Text(length: load.lengths.upperBound / 2), count: $0) }
        let cost = try model.measureCost(of: samples)
        let pool = try ComputePool(
            ComputePool.Settings(schedule: ComputeSchedule.Settings(threads: Self.threads, maxWaiting: 1_024))
        )
        let batcher = Batcher(model, cost: cost, on: pool, metrics: metrics())
        // The first half second teaches the costs.
        _ = Self.offer(rate, load.lengths, to: batcher, for: .milliseconds(500))
        let (before, batches) = (model.processorTime.value, model.batches.value)
        let result = Self.offer(rate, load.lengths, to: batcher, for: .seconds(Self.seconds))
        pool.stop()
        print("\n\(load.lengths) tokens, \(rate) calls/s offered; peak of full batches \(Int(peak)) calls/s")
        let processorSeconds = Double(model.processorTime.value - before) * 1e-9
        print(
            result.description(
                peak: peak,
                seconds: Double(Self.seconds),
                peakPerSecond: peakPerSecond,
                processorSeconds: processorSeconds,
                batches: model.batches.value - batches
            )
        )
    }

    /// Calls a second when every thread runs one full batch after the other, sorted by length.
    private static func peak(of model: BurningModel, _ lengths: ClosedRange<Int>) throws -> Double {
        var batches: [[Text]] = []
        var batch: [Text] = []
        for length in stride(from: lengths.lowerBound, through: lengths.upperBound, by: 1) {
            for _ in 0..<max(1, 128 / lengths.count) {
                let isFull =
                    batch.count == model.limits.calls || (batch.count + 1) * length > model.limits.paddedTokens
                if isFull {
                    batches.append(batch)
                    batch = []
                }
                batch.append(Text(length: length))
            }
        }
        let done = Tally()
        let all = batches
        let start = ContinuousClock.now
        try withThreads(threads) {
            let end = ContinuousClock.now + .seconds(2)
            while ContinuousClock.now < end {
                for batch in all { done.add((try? model.run(batch).count) ?? 0) }
            }
        }
        return Double(done.value) / ((ContinuousClock.now - start) / .seconds(1))
    }

    /// Runs `body` on `count` threads, and waits for them.
    private static func withThreads(_ count: Int, _ body: @escaping @Sendable () -> Void) throws {
        let model = ScriptedModel(limits: BatchLimits(calls: 1, paddedTokens: 1)) { batch in
            body()
            return batch.map(\.length)
        }
        let pool = try ComputePool(ComputePool.Settings(schedule: ComputeSchedule.Settings(threads: count)))
        let batcher = Batcher(model, cost: CostLine(base: 1e-6, perToken: 0), on: pool, metrics: metrics())
        for _ in 0..<count { batcher.submit(Text(length: 1), by: farAway) { _ in } }
        pool.stop()
    }

    /// Offers calls at random times from one thread, as an event loop does.
    private static func offer(
        _ rate: Int,
        _ lengths: ClosedRange<Int>,
        to batcher: Batcher<BurningModel>,
        for duration: Duration
    ) -> Outcomes {
        var random = SeededRandom(seed: 7)
        let outcomes = Collected<Outcomes.Call>()
        let start = MonotonicTime.now()
        let end = start + duration
        var next = start
        var offered = 0
        var latestStart = Duration.zero
        while next < end {
            var time = timespec(
                tv_sec: Int(next.nanoseconds / 1_000_000_000),
                tv_nsec: Int(next.nanoseconds % 1_000_000_000)
            )
            if MonotonicTime.now() < next { clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) }
            let now = MonotonicTime.now()
            latestStart = max(latestStart, next.elapsed(until: now))
            let length = lengths.lowerBound + random.below(lengths.count)
            offered += 1
            batcher.submit(Text(length: length), by: now + .milliseconds(10)) { result in
                let error: ComputeError? = if case .failure(let error) = result { error } else { nil }
                outcomes.add(Outcomes.Call(length: length, error: error, after: now.elapsed(until: .now())))
            }
            let gap = -log(Double(random.next() >> 11 | 1) * 0x1p-53) / Double(rate)
            next = next + .nanoseconds(Int64(gap * 1e9))
        }
        while outcomes.all.count < offered { usleep(1_000) }
        return Outcomes(calls: outcomes.all, latestStart: latestStart)
    }
}

/// What became of the calls of one part of a probe.
struct Outcomes {
    struct Call: Sendable {
        let length: Int
        let error: ComputeError?
        let after: Duration
    }

    let calls: [Call]
    /// How late the offering thread itself was at worst: what other processes did to the measurement.
    let latestStart: Duration

    /// - Parameters:
    ///   - peakPerSecond: calls for a second of processor time, in full batches.
    ///   - processorSeconds: the time that the model had.
    func description(
        peak: Double,
        seconds: Double,
        peakPerSecond: Double,
        processorSeconds: Double,
        batches: Int
    ) -> String {
        let answered = calls.filter { $0.error == nil }
        let refused = calls.filter { $0.error == .overBudget || $0.error == .overloaded }
        let late = calls.count - answered.count - refused.count
        let rate = Double(answered.count) / seconds
        func share(_ count: Int) -> String { Self.rounded(100 * Double(count) / Double(max(calls.count, 1))) }
        return """
              answered \(Int(rate)) calls/s, \(Self.rounded(100 * rate / peak)) % of the peak
              \(Self.rounded(100 * Double(answered.count) / (processorSeconds * peakPerSecond))) % of the peak for the \
            \(Self.rounded(processorSeconds)) s of processor time that the model had, \
            \(Self.rounded(Double(answered.count) / Double(max(batches, 1)))) calls a batch
              answered \(share(answered.count)) %, refused \(share(refused.count)) %, late \(share(late)) %
              ms until an answer:   \(Self.times(answered))
              ms until a refusal:   \(Self.times(refused))
              ms until either:      \(Self.times(calls))
              the offering thread woke late by \(Self.rounded(latestStart / .milliseconds(1))) ms at worst
            """
    }

    private static func times(_ calls: [Call]) -> String {
        let sorted = calls.map { $0.after / .milliseconds(1) }.sorted()
        guard let last = sorted.last else { return "-" }
        func quantile(_ share: Double) -> String {
            rounded(sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))])
        }
        return "p50 \(quantile(0.5)) p99 \(quantile(0.99)) p99.9 \(quantile(0.999)) most \(rounded(last))"
    }

    private static func rounded(_ value: Double) -> String {
        "\((value * 100).rounded() / 100)"
    }
}
