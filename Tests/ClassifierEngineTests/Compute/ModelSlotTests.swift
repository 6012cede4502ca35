import ClassifierEngine
import ConfigKit
import Instruments
import Resilience
import TestRandom
import Testing

@Suite struct CanaryTests {
    private static let settings = Canary.Settings(
        share: 0.25,
        period: .seconds(10),
        enoughCalls: 100,
        errorShare: 0.02,
        slowdown: 1.5
    )

    private static func canary() -> Canary { Canary(settings, at: .seconds(1_000)) }

    @Test("The share of texts is right, whatever the hashes look like, and every text stays with its model")
    func share() {
        let canary = Self.canary()
        var random = SeededRandom.fromEnvironment()
        let hashes = (0..<20_000).map { $0.isMultiple(of: 2) ? UInt64($0) : random.next() }
        let taken = hashes.map(canary.takes)
        #expect((4_500...5_500).contains(taken.count { $0 }))
        #expect(hashes.map(canary.takes) == taken)
    }

    @Test("A share of nothing takes nothing, a share of all takes all", arguments: [0.0, 1])
    func ends(_ share: Double) {
        let canary = Canary(Canary.Settings(share: share), at: .zero)
        #expect([0, 1, UInt64.max, 12_345].allSatisfy { canary.takes($0) == (share == 1) })
    }

    @Test("A good candidate is promoted at the end of the period, not before")
    func promotion() {
        var canary = Self.canary()
        canary.ran(isCandidate: true, calls: 100, failed: false, seconds: 1.2, expected: 1)
        canary.ran(isCandidate: false, calls: 300, failed: false, seconds: 3, expected: 3)
        #expect(canary.verdict(at: .seconds(1_009)) == .watching)
        #expect(canary.verdict(at: .seconds(1_010)) == .promote)
    }

    @Test("A candidate that fails is rolled back before the period is over")
    func failing() {
        var canary = Self.canary()
        canary.ran(isCandidate: true, calls: 2, failed: true, seconds: 0, expected: 1)
        #expect(canary.verdict(at: .seconds(1_001)) == .watching)
        canary.ran(isCandidate: true, calls: 1, failed: true, seconds: 0, expected: 1)
        #expect(canary.verdict(at: .seconds(1_001)) == .rollBack("3 of 3 calls failed"))
    }

    @Test("Errors that the model in force has too do not count against the candidate")
    func sharedErrors() {
        var canary = Self.canary()
        for isCandidate in [true, false] {
            canary.ran(isCandidate: isCandidate, calls: 10, failed: true, seconds: 0, expected: 1)
            canary.ran(isCandidate: isCandidate, calls: 90, failed: false, seconds: 1, expected: 1)
        }
        #expect(canary.verdict(at: .seconds(1_010)) == .promote)
    }

    @Test("A slow candidate is rolled back, measured against the model in force at the same time")
    func slow() {
        var canary = Self.canary()
        canary.ran(isCandidate: true, calls: 100, failed: false, seconds: 4, expected: 1)
        canary.ran(isCandidate: false, calls: 300, failed: false, seconds: 6, expected: 3)
        #expect(canary.verdict(at: .seconds(1_010)) == .rollBack("it takes 2.0 times as long"))
        // The machine was busy: both are slow.
        canary.ran(isCandidate: false, calls: 300, failed: false, seconds: 30, expected: 6)
        #expect(canary.verdict(at: .seconds(1_010)) == .promote)
    }

    @Test("With too few calls the period goes on, and ends in the end")
    func few() {
        var canary = Self.canary()
        canary.ran(isCandidate: true, calls: 99, failed: false, seconds: 1, expected: 1)
        #expect(canary.verdict(at: .seconds(1_039)) == .watching)
        #expect(canary.verdict(at: .seconds(1_040)) == .rollBack("only 99 calls came to judge it by"))
    }
}

@Suite struct ModelSlotTests {
    /// Answers with its number; a sign of life for as long as it is held.
    private final class Numbered: BatchModel {
        let limits: BatchLimits
        let number: Int
        let body: @Sendable () throws -> Void

        init(_ number: Int, calls: Int = 4, _ body: @escaping @Sendable () throws -> Void = {}) {
            self.number = number
            limits = BatchLimits(calls: calls, paddedTokens: 100)
            self.body = body
        }

        func run(_ batch: [Text]) throws -> [Int] {
            try body()
            return batch.map { _ in number }
        }
    }

    private struct Broken: Error {}
    private static let sample = [[Text(length: 1)], [Text(length: 4), Text(length: 8)]]

    private static func slot(_ model: Numbered, _ registry: MetricRegistry = MetricRegistry()) throws -> ModelSlot<
        Numbered
    > {
        try ModelSlot(model, sample: sample, metrics: metrics(registry)) { _, output in
            output < 0 ? "\(output) is negative" : nil
        }
    }

    @Test("A new model answers once it is in force, and the old one is freed")
    func replacement() async throws {
        let registry = MetricRegistry()
        weak var old: Numbered?
        let slot: ModelSlot<Numbered>
        do {
            let model = Numbered(1)
            old = model
            slot = try Self.slot(model, registry)
        }
        #expect(old != nil)
        #expect(try slot.run([Text(length: 1)]) == [1])
        #expect(try await slot.replace { Numbered(2) } == 2)
        #expect(try slot.run([Text(length: 1)]) == [2])
        #expect(old == nil)
        #expect(registry.exposition().contains("sextant_classifier_model_generation{model=\"test\"} 2"))
    }

    @Test("An old model lives until its last run has ended")
    func lastRun() async throws {
        let gate = Gate()
        let isServing = Tally()
        weak var old: Numbered?
        let slot: ModelSlot<Numbered>
        do {
            let model = Numbered(1) { if isServing.value > 0 { gate.pass() } }
            old = model
            slot = try Self.slot(model)
        }
        let pool = try ComputePool(ComputePool.Settings(schedule: ComputeSchedule.Settings(threads: 1)))
        let batcher = Batcher(slot, cost: slot.cost, on: pool, metrics: metrics())
        isServing.add(1)
        let answers = Collected<Result<Int, ComputeError>>()
        batcher.submit(Text(length: 1), by: farAway) { answers.add($0) }
        #expect(await waited { gate.arrivals == 1 })
        #expect(try await slot.replace { Numbered(2) } == 2)
        #expect(old != nil)
        gate.open()
        #expect(await waited { answers.all == [.success(1)] })
        #expect(await waited { old == nil })
        #expect(try await batcher(Text(length: 1), by: farAway) == 2)
        pool.stop()
    }

    @Test("What cannot be loaded, run, or trusted is not put in force, and says why")
    func rejections() async throws {
        let registry = MetricRegistry()
        let slot = try Self.slot(Numbered(1), registry)
        await #expect(throws: ModelRejection.notLoaded("Broken()")) {
            try await slot.replace { throw Broken() }
        }
        await #expect(throws: ModelRejection.notRunning("Broken()")) {
            try await slot.replace { Numbered(2) { throw Broken() } }
        }
        await #expect(throws: ModelRejection.wrongOutput("-1 is negative")) {
            try await slot.replace { Numbered(-1) }
        }
        await #expect(throws: ModelRejection.smallerLimits(BatchLimits(calls: 3, paddedTokens: 100))) {
            try await slot.replace { Numbered(2, calls: 3) }
        }
        #expect(try slot.run([Text(length: 1)]) == [1])
        #expect(slot.generation.number == 1)
        let line = "sextant_classifier_model_replacements_total{model=\"test\",outcome=\"rejected\"} 4"
        #expect(registry.exposition().contains(line))
    }

    @Test("A first model that does not answer the sample is refused")
    func firstModel() {
        #expect(throws: ModelRejection.wrongOutput("-1 is negative")) { try Self.slot(Numbered(-1)) }
    }

    @Test("A candidate gets its share of a batch, every text the same model, and is promoted")
    func canary() async throws {
        let slot = try Self.slot(Numbered(1))
        let settings = Canary.Settings(share: 0.5, period: .zero, enoughCalls: 50, slowdown: 1e9)
        #expect(try await slot.replace(canary: settings) { Numbered(2) } == 1)
        #expect(slot.isTrying)
        await #expect(throws: ModelRejection.busy) { try await slot.replace { Numbered(3) } }
        let batches = (0..<50).map { batch in (0..<4).map { Text(length: 1, stableHash: UInt64(batch * 4 + $0)) } }
        let outputs = try batches.map(slot.run)
        #expect(Set(outputs.joined()) == [1, 2])
        #expect(try batches.map(slot.run) == outputs)
        #expect(try slot.judge() == 2)
        #expect(!slot.isTrying)
        #expect(try Set(batches.map(slot.run).joined()) == [2])
    }

    @Test("Callers do not notice a candidate that fails, and it is rolled back")
    func rollBack() async throws {
        let isServing = Tally()
        let slot = try Self.slot(Numbered(1))
        try await slot.replace(canary: Canary.Settings(share: 0.5, period: .seconds(60), enoughCalls: 1)) {
            Numbered(2) { if isServing.value > 0 { throw Broken() } }
        }
        isServing.add(1)
        let batch = (0..<4).map { Text(length: 1, stableHash: UInt64($0)) }
        for _ in 0..<10 { #expect(try slot.run(batch) == [1, 1, 1, 1]) }
        #expect(throws: ModelRejection.self) { try slot.judge() }
        #expect(!slot.isTrying)
        #expect(slot.generation.number == 1)
    }
}
