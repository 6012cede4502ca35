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
        canary.ran(isCandidate: true, calls: 100, errors: 0, seconds: 1.2, expected: 1)
        canary.ran(isCandidate: false, calls: 300, errors: 0, seconds: 3, expected: 3)
        #expect(canary.verdict(at: .seconds(1_009)) == .watching)
        #expect(canary.verdict(at: .seconds(1_010)) == .promote)
    }

    @Test("A candidate that fails is rolled back before the period is over")
    func failing() {
        var canary = Self.canary()
        canary.ran(isCandidate: true, calls: 2, errors: 2, seconds: 0, expected: 1)
        #expect(canary.verdict(at: .seconds(1_001)) == .watching)
        canary.ran(isCandidate: true, calls: 1, errors: 1, seconds: 0, expected: 1)
        #expect(canary.verdict(at: .seconds(1_001)) == .rollBack("3 of 3 calls failed"))
    }

    @Test("Errors that the model in force has too do not count against the candidate")
    func sharedErrors() {
        var canary = Self.canary()
        for isCandidate in [true, false] {
            canary.ran(isCandidate: isCandidate, calls: 10, errors: 10, seconds: 0, expected: 1)
            canary.ran(isCandidate: isCandidate, calls: 90, errors: 0, seconds: 1, expected: 1)
        }
        #expect(canary.verdict(at: .seconds(1_010)) == .promote)
    }

    @Test("A slow candidate is rolled back, measured against the model in force at the same time")
    func slow() {
        var canary = Self.canary()
        canary.ran(isCandidate: true, calls: 100, errors: 0, seconds: 4, expected: 1)
        canary.ran(isCandidate: false, calls: 300, errors: 0, seconds: 6, expected: 3)
        #expect(canary.verdict(at: .seconds(1_001)) == .rollBack("it takes 2.0 times as long"))
        #expect(canary.verdict(at: .seconds(1_010)) == .rollBack("it takes 2.0 times as long"))
        // The machine was busy: both are slow.
        canary.ran(isCandidate: false, calls: 300, errors: 0, seconds: 30, expected: 6)
        #expect(canary.verdict(at: .seconds(1_010)) == .promote)
    }

    @Test("With too few calls the period goes on, and ends in the end")
    func few() {
        var canary = Self.canary()
        canary.ran(isCandidate: true, calls: 99, errors: 0, seconds: 1, expected: 1)
        #expect(canary.verdict(at: .seconds(1_039)) == .watching)
        #expect(canary.verdict(at: .seconds(1_040)) == .rollBack("only 99 calls came to judge it by"))
    }
}

@Suite(.timeLimit(.minutes(1))) struct ModelSlotTests {
    /// Answers with its number; a sign of life for as long as it is held. A negative number is none.
    private final class Numbered: BatchModel {
        let limits: BatchLimits
        let number: Int
        /// Texts of this length are none that it knows.
        let unknown: Int?
        let body: @Sendable () throws -> Void

        init(
            _ number: Int,
            calls: Int = 4,
            unknown: Int? = nil,
            _ body: @escaping @Sendable () throws -> Void = {}
        ) {
            self.number = number
            self.unknown = unknown
            limits = BatchLimits(calls: calls, paddedTokens: 100)
            self.body = body
        }

        func run(_ batch: [Text]) throws -> [Result<Int, ComputeError>] {
            try body()
            return batch.map { text in
                if text.length == unknown { return .failure(.unknownText) }
                return number < 0 ? .failure(.failed("\(number) is negative")) : .success(number)
            }
        }
    }

    private typealias Slot = ModelSlot<Numbered>
    private struct Broken: Error {}
    private static let sample = [[Text(length: 1)], [Text(length: 4), Text(length: 8)]]
    /// Models that take no time differ by any factor.
    private static let trial = Canary.Settings(share: 0.5, period: .zero, enoughCalls: 50, slowdown: 1e9)

    private static func slot(_ model: Numbered, _ registry: MetricRegistry = MetricRegistry()) throws -> Slot {
        try ModelSlot(model, sample: sample, metrics: metrics(registry)) { old, new in
            old.number % 10 == new.number % 10 || new.number < 10 ? nil : "\(new.number) is of another kind"
        }
    }

    /// Texts with these hashes, each for the model that is to answer it.
    private static func inputs(_ hashes: Range<UInt64>, for slot: Slot) -> [Slot.Input] {
        hashes.map { hash in Slot.Input(Text(length: 1), for: slot.version { hash }) }
    }

    private static func answers(_ slot: Slot, _ inputs: [Slot.Input]) throws -> [Int] {
        try slot.run(inputs).map { try $0.get().value }
    }

    private static func answer(_ slot: Slot) throws -> [Int] { try answers(slot, inputs(0..<1, for: slot)) }

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
        #expect(try Self.answer(slot) == [1])
        #expect(try await slot.replace { Numbered(2) } == 2)
        #expect(try Self.answer(slot) == [2])
        #expect(old == nil)
        #expect(registry.exposition().contains("sextant_classifier_model_generation{model=\"test\"} 2"))
    }

    @Test("An old model lives until the last call that was asked of it has ended")
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
        let batcher = Batcher(slot, cost: slot.current.cost, on: pool, metrics: metrics())
        isServing.add(1)
        let answers = Collected<Result<Int, ComputeError>>()
        func input() -> Slot.Input { Slot.Input(Text(length: 1), for: slot.current) }
        for _ in 0..<2 { batcher.submit(input(), by: farAway) { answers.add($0.map(\.value)) } }
        #expect(await waited { gate.arrivals == 1 })
        #expect(try await slot.replace { Numbered(2) } == 2)
        #expect(old != nil)
        gate.open()
        // One waited while the other ran, and while its model was replaced.
        #expect(await waited { answers.all == [.success(1), .success(1)] })
        #expect(await waited { old == nil })
        #expect(try await batcher(input(), by: farAway).value == 2)
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
        await #expect(throws: ModelRejection.notRunning("-1 is negative")) {
            try await slot.replace { Numbered(-1) }
        }
        await #expect(throws: ModelRejection.smallerLimits(BatchLimits(calls: 3, paddedTokens: 100))) {
            try await slot.replace { Numbered(2, calls: 3) }
        }
        await #expect(throws: ModelRejection.unfit("12 is of another kind")) {
            try await slot.replace { Numbered(12) }
        }
        #expect(try Self.answer(slot) == [1])
        #expect(slot.current.number == 1)
        let line = "sextant_classifier_model_replacements_total{model=\"test\",outcome=\"rejected\"} 5"
        #expect(registry.exposition().contains(line))
    }

    @Test("A first model that does not answer the sample is refused")
    func firstModel() {
        #expect(throws: ModelRejection.notRunning("-1 is negative")) { try Self.slot(Numbered(-1)) }
    }

    @Test("A candidate gets its share of a batch, every text the same model, and is promoted")
    func canary() async throws {
        let slot = try Self.slot(Numbered(1))
        #expect(try await slot.replace(canary: Self.trial) { Numbered(2) } == 1)
        #expect(slot.isTrying)
        func run() throws -> [[Int]] {
            try (0..<50).map { try Self.answers(slot, Self.inputs($0 * 4..<$0 * 4 + 4, for: slot)) }
        }
        let outputs = try run()
        #expect(Set(outputs.joined()) == [1, 2])
        #expect(try run() == outputs)
        #expect(try slot.judge() == 2)
        #expect(!slot.isTrying)
        #expect(try Set(run().joined()) == [2])
    }

    @Test("Callers do not notice a candidate that fails, nor are their answers taken for its own; it is rolled back")
    func rollBack() async throws {
        let isServing = Tally()
        let slot = try Self.slot(Numbered(1))
        var settings = Self.trial
        settings.enoughCalls = 1
        settings.period = .seconds(60)
        try await slot.replace(canary: settings) { Numbered(2) { if isServing.value > 0 { throw Broken() } } }
        isServing.add(1)
        let inputs = Self.inputs(0..<4, for: slot)
        #expect(inputs.contains { $0.version.number == 2 })
        for _ in 0..<10 {
            let outputs = try slot.run(inputs).map { try $0.get() }
            #expect(outputs.map(\.value) == [1, 1, 1, 1])
            #expect(outputs.map(\.version) == [1, 1, 1, 1])
        }
        #expect(throws: ModelRejection.self) { try slot.judge() }
        #expect(!slot.isTrying)
        #expect(slot.current.number == 1)
        isServing.add(-1)
        // What was meant for it and still waits is answered by the model in force.
        #expect(try Self.answers(slot, inputs) == [1, 1, 1, 1])
    }

    @Test("A text that no model knows says nothing about a candidate; one that only the candidate does not know does")
    func unknownTexts() async throws {
        var settings = Self.trial
        settings.share = 1
        settings.enoughCalls = 1
        for (known, isRolledBack) in [(nil, true), (7, false)] as [(Int?, Bool)] {
            let slot = try Self.slot(Numbered(1, unknown: known))
            try await slot.replace(canary: settings) { Numbered(2, unknown: 7) }
            let version = slot.version { 0 }
            #expect(version.number == 2)
            for length in [1, 7, 1, 7] {
                let result = slot.run([Slot.Input(Text(length: length), for: version)])[0]
                #expect(
                    result.map(\.value) == (length == known ? .failure(.unknownText) : .success(length == 7 ? 1 : 2))
                )
            }
            if isRolledBack {
                #expect(throws: ModelRejection.rolledBack("2 of 4 calls failed")) { try slot.judge() }
            } else {
                #expect(try slot.judge() == 2)
            }
        }
    }

    @Test("No number is given twice, so that nothing kept of a candidate is taken for its successor's")
    func numbers() async throws {
        let slot = try Self.slot(Numbered(1))
        var settings = Self.trial
        settings.share = 1
        var seen: [UInt64] = [1]
        for _ in 0..<3 {
            try await slot.replace(canary: settings) { Numbered(2) }
            seen.append(slot.version { 0 }.number)
            #expect(slot.endTrial())
        }
        seen.append(try await slot.replace { Numbered(3) })
        #expect(seen == [1, 2, 3, 4, 5])
    }

    @Test("A new model ends a trial, and runs that began in it do not count for the new one's")
    func superseded() async throws {
        let registry = MetricRegistry()
        let gate = Gate()
        let isServing = Tally()
        let slot = try Self.slot(Numbered(1), registry)
        var settings = Self.trial
        settings.share = 1
        settings.enoughCalls = 1
        try await slot.replace(canary: settings) {
            Numbered(2) {
                guard isServing.value > 0 else { return }
                gate.pass()
                throw Broken()
            }
        }
        isServing.add(1)
        let inputs = Self.inputs(0..<1, for: slot)
        let run = Task.detached { try Self.answers(slot, inputs) }
        #expect(await waited { gate.arrivals == 1 })
        settings.period = .seconds(60)
        #expect(try await slot.replace(canary: settings) { Numbered(3) } == 1)
        gate.open()
        #expect(try await run.value == [1])
        // One failure of one call would be enough.
        #expect(try slot.judge() == nil)
        #expect(slot.isTrying)
        let labels = ["model": "test", "outcome": "superseded"]
        #expect(registry.value(of: "sextant_classifier_model_replacements_total", labels: labels) == 1)
    }

    @Test("A candidate that is slower than allowed by the sample is not tried at all")
    func slowSample() async throws {
        let slot = try ModelSlot(
            BurningModel.calibrated(base: 0.000_5, perToken: 0),
            sample: Self.sample,
            metrics: metrics()
        )
        var settings = Self.trial
        settings.slowdown = 3
        await #expect {
            try await slot.replace(canary: settings) { BurningModel.calibrated(base: 0.01, perToken: 0) }
        } throws: { error in
            if case .slow = error as? ModelRejection { true } else { false }
        }
        #expect(!slot.isTrying)
    }

    @Test("With a share of nothing a model is compared by its sample and takes over at once")
    func noShare() async throws {
        let slot = try Self.slot(Numbered(1))
        var settings = Self.trial
        settings.share = 0
        #expect(try await slot.replace(canary: settings) { Numbered(2) } == 2)
        #expect(!slot.isTrying)
    }

    @Test(
        "A refusal may pass when the machine was short of something, not when the model is broken",
        arguments: [
            (ModelRejection.busy, true), (.notLoaded("/m/model.safetensors: Cannot allocate memory"), true),
            (.notLoaded("/m/config.json: Too many open files"), true), (.notRunning("std::bad_alloc"), true),
            (.notLoaded("/m/config.json: No such file or directory"), false), (.unfit("its task"), false),
            (.notRunning("its numbers are not finite"), false), (.slow(times: 3), false), (.superseded, false),
        ]
    )
    func mayPass(_ rejection: ModelRejection, _ mayPass: Bool) {
        #expect(rejection.mayPass == mayPass)
    }
}
