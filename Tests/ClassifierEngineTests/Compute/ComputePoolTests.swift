import ClassifierEngine
import Instruments
import Resilience
import Testing

@Suite(.timeLimit(.minutes(1))) struct ComputePoolTests {
    /// Cheap enough that nothing is refused on its account.
    private static let cheap = CostLine(base: 1e-6, perToken: 0)

    private static func pool(threads: Int = 1, maxWaiting: Int = 100) throws -> ComputePool {
        try ComputePool(
            ComputePool.Settings(schedule: ComputeSchedule.Settings(threads: threads, maxWaiting: maxWaiting))
        )
    }

    @Test("Outputs come back to the calls that they belong to")
    func outputs() async throws {
        let pool = try Self.pool(threads: 2)
        let batcher = Batcher(
            ScriptedModel { $0.map { $0.length * 2 } },
            cost: Self.cheap,
            on: pool,
            metrics: metrics()
        )
        try await withThrowingTaskGroup(of: (Int, Int).self) { group in
            for length in 1...200 {
                group.addTask { (length, try await batcher(Text(length: length), by: farAway)) }
                if length.isMultiple(of: 50) {
                    for try await (length, output) in group { #expect(output == 2 * length) }
                }
            }
        }
        pool.stop()
    }

    @Test("What waits while the thread is busy is run as one batch, and metrics tell so")
    func batch() async throws {
        let pool = try Self.pool()
        let gate = Gate()
        let batches = Collected<[Int]>()
        let registry = MetricRegistry()
        let batcher = Batcher(
            ScriptedModel { batch in
                batches.add(batch.map(\.length))
                gate.pass()
                return batch.map(\.length)
            },
            cost: Self.cheap,
            on: pool,
            metrics: metrics(registry)
        )
        let answers = Collected<Result<Int, ComputeError>>()
        batcher.submit(Text(length: 1), by: farAway) { answers.add($0) }
        #expect(await waited { gate.arrivals == 1 })
        for length in 2...5 { batcher.submit(Text(length: length), by: farAway) { answers.add($0) } }
        #expect(pool.waiting == 4)
        gate.open()
        #expect(await waited { answers.all.count == 5 })
        pool.stop()
        #expect(batches.all == [[1], [2, 3, 4, 5]])
        #expect(registry.exposition().contains("sextant_classifier_batch_calls_count{model=\"test\"} 2"))
        #expect(registry.exposition().contains("sextant_classifier_wait_seconds_count{model=\"test\"} 5"))
    }

    @Test("A caller gets its answer at the deadline although the run goes on")
    func deadline() async throws {
        let pool = try Self.pool()
        let gate = Gate()
        let batcher = Batcher(
            ScriptedModel { batch in
                gate.pass()
                return batch.map(\.length)
            },
            cost: Self.cheap,
            on: pool,
            metrics: metrics()
        )
        let end = MonotonicTime.now() + .milliseconds(200)
        await #expect(throws: ComputeError.deadline) { try await batcher(Text(length: 1), by: end) }
        #expect(MonotonicTime.now() >= end)
        #expect(await waited { gate.arrivals == 1 })
        gate.open()
        pool.stop()
    }

    @Test("A cancelled task gets its answer at once, waiting or running, and a waiting call is never run")
    func cancellation() async throws {
        let pool = try Self.pool()
        let gate = Gate()
        let batcher = Batcher(
            ScriptedModel { batch in
                gate.pass()
                return batch.map(\.length)
            },
            cost: Self.cheap,
            on: pool,
            metrics: metrics()
        )
        let running = Task { try await batcher(Text(length: 1), by: farAway) }
        #expect(await waited { gate.arrivals == 1 })
        let waiting = Task { try await batcher(Text(length: 1), by: farAway) }
        #expect(await waited { pool.waiting == 1 })
        waiting.cancel()
        #expect(await waiting.result.failure as? ComputeError == .cancelled)
        #expect(pool.waiting == 0)
        running.cancel()
        #expect(await running.result.failure as? ComputeError == .cancelled)
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await batcher(Text(length: 1), by: farAway)
        }
        #expect(await early.result.failure as? ComputeError == .cancelled)
        gate.open()
        pool.stop()
        #expect(gate.arrivals == 1)
    }

    @Test("Stopping fails what waits, lets what runs end, and then nothing runs")
    func stop() async throws {
        let pool = try Self.pool()
        let gate = Gate()
        let running = Tally()
        let batcher = Batcher(
            ScriptedModel { batch in
                running.add(1)
                gate.pass()
                running.add(-1)
                return batch.map(\.length)
            },
            cost: Self.cheap,
            on: pool,
            metrics: metrics()
        )
        let answers = Collected<Result<Int, ComputeError>>()
        batcher.submit(Text(length: 7), by: farAway) { answers.add($0) }
        #expect(await waited { gate.arrivals == 1 })
        batcher.submit(Text(length: 8), by: farAway) { answers.add($0) }
        async let stopped: Void = pool.shutdown()
        #expect(await waited { answers.all == [.failure(.shutdown)] })
        gate.open()
        await stopped
        #expect(running.value == 0)
        #expect(answers.all == [.failure(.shutdown), .success(7)])
        await #expect(throws: ComputeError.shutdown) { try await batcher(Text(length: 1), by: farAway) }
        pool.stop()
    }

    @Test("A pool that is dropped ends its threads, and calls under way get their answers")
    func dropped() async throws {
        let gate = Gate()
        let answers = Collected<Result<Int, ComputeError>>()
        final class Witness: Sendable {}
        weak var witness: Witness?
        do {
            let pool = try Self.pool(threads: 2)
            let held = Witness()
            witness = held
            let batcher = Batcher(
                ScriptedModel { batch in
                    withExtendedLifetime(held) { gate.pass() }
                    return batch.map(\.length)
                },
                cost: Self.cheap,
                on: pool,
                metrics: metrics()
            )
            batcher.submit(Text(length: 7), by: farAway) { answers.add($0) }
            #expect(await waited { gate.arrivals == 1 })
        }
        gate.open()
        #expect(await waited { answers.all == [.success(7)] })
        // The threads hold the pool's insides, and those the model.
        #expect(await waited { witness == nil })
    }

    @Test("A model's failure, and a wrong number of outputs, fail the calls of that batch only")
    func failures() async throws {
        let pool = try Self.pool()
        struct Broken: Error {}
        let batcher = Batcher(
            ScriptedModel { batch in
                if batch.contains(where: { $0.length == 1 }) { throw Broken() }
                if batch.contains(where: { $0.length == 2 }) { return [] }
                return batch.map(\.length)
            },
            cost: Self.cheap,
            on: pool,
            metrics: metrics()
        )
        await #expect(throws: ComputeError.failed("Broken()")) { try await batcher(Text(length: 1), by: farAway) }
        await #expect(throws: ComputeError.failed("the model gave 0 outputs for 1 inputs")) {
            try await batcher(Text(length: 2), by: farAway)
        }
        #expect(try await batcher(Text(length: 3), by: farAway) == 3)
        pool.stop()
    }

    @Test("A refusal reaches the completion before submit returns, and is counted")
    func refusal() throws {
        let pool = try Self.pool()
        let registry = MetricRegistry()
        let batcher = Batcher(
            ScriptedModel { $0.map(\.length) },
            cost: CostLine(base: 1, perToken: 0),
            on: pool,
            metrics: metrics(registry)
        )
        let answers = Collected<Result<Int, ComputeError>>()
        batcher.submit(Text(length: 1), by: .now() + .milliseconds(10)) { answers.add($0) }
        #expect(answers.all == [.failure(.overBudget)])
        pool.stop()
        let line = "sextant_classifier_unanswered_total{model=\"test\",reason=\"over_budget\"} 1"
        #expect(registry.exposition().contains(line))
    }

    @Test("What waits is shown, and no more when it has been cancelled, has run out of time, or is stopped")
    func depth() async throws {
        let pool = try Self.pool()
        let gate = Gate()
        let registry = MetricRegistry()
        let batcher = Batcher(
            ScriptedModel { batch in
                gate.pass()
                return batch.map(\.length)
            },
            cost: Self.cheap,
            on: pool,
            metrics: metrics(registry)
        )
        func shown() -> Double? { registry.value(of: "sextant_classifier_queue_depth", labels: ["model": "test"]) }
        let answers = Collected<Result<Int, ComputeError>>()
        func submit(by deadline: MonotonicTime) -> ComputeCall {
            batcher.submit(Text(length: 1), by: deadline) { answers.add($0) }
        }
        // At once after each other: the longer the first runs, the less is admitted behind it.
        _ = submit(by: farAway)
        _ = submit(by: .now() + .seconds(2))
        let cancelled = submit(by: farAway)
        _ = submit(by: farAway)
        #expect(await waited { answers.all.contains(.failure(.deadline)) })
        #expect(shown() == 2)
        cancelled.cancel()
        #expect(shown() == 1)
        async let stopped: Void = pool.shutdown()
        #expect(await waited { answers.all.contains(.failure(.shutdown)) })
        #expect(shown() == 0)
        gate.open()
        await stopped
    }

    @Test("What is wrong with one input fails its call only, and a run of none but those teaches nothing about cost")
    func inputFailures() async throws {
        struct Picky: BatchModel {
            let limits = BatchLimits(calls: 4, paddedTokens: 1_000)

            func run(_ batch: [Text]) -> [Result<Int, ComputeError>] {
                batch.map { $0.length == 7 ? .failure(.unknownText) : .success($0.length) }
            }
        }
        let pool = try Self.pool()
        let batcher = Batcher(Picky(), cost: CostLine(base: 1, perToken: 0), on: pool, metrics: metrics())
        for _ in 0..<10 {
            await #expect(throws: ComputeError.unknownText) { try await batcher(Text(length: 7), by: farAway) }
        }
        #expect(batcher.estimate(length: 7) == .seconds(1))
        #expect(try await batcher(Text(length: 8), by: farAway) == 8)
        #expect(batcher.estimate(length: 8) < .seconds(1))
        pool.stop()
    }

    @Test("Many callers on many threads: every call ends once, whatever becomes of it")
    func crowd() async throws {
        let pool = try Self.pool(threads: 3, maxWaiting: 20)
        let batcher = Batcher(BurningModel(), cost: Self.cheap, on: pool, metrics: metrics())
        let ended = Tally()
        await withTaskGroup(of: Void.self) { group in
            for caller in 0..<8 {
                group.addTask {
                    for call in 0..<300 {
                        let budget = Duration.microseconds(100 * (1 + (call * 7 + caller) % 60))
                        let handle = batcher.submit(Text(length: 1 + call % 64), by: .now() + budget) { _ in
                            ended.add(1)
                        }
                        if call % 5 == 0 { handle.cancel() }
                        if call % 7 == 0 { _ = try? await batcher(Text(length: 9), by: .now() + budget) }
                    }
                }
            }
        }
        #expect(await waited { ended.value == 2_400 })
        pool.stop()
        #expect(ended.value == 2_400)
        #expect(pool.waiting == 0)
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
