import ClassifierEngine
import Instruments
import Resilience
import Synchronization
import TestRandom
import Testing

@Suite struct KeyedHashTests {
    /// From OpenSSL 3's SIPHASH with the paper's key, 00 to 0f: `openssl mac -macopt size:16 … SIPHASH` over the bytes
    /// 0, 1, 2, …
    @Test(
        "Hashes are those of the reference",
        arguments: [
            (0, "A3817F04BA25A8E66DF67214C7550293"),
            (15, "5493E99933B0A8117E08EC0F97CFC3D9"),
            (63, "5150D1772F50834A503E069A973FBD7C"),
        ]
    )
    func reference(_ count: Int, _ expected: String) {
        let hash = KeyedHash(first: 0x0706_0504_0302_0100, second: 0x0f0e_0d0c_0b0a_0908)
        let value = (0..<UInt8(count)).map(\.self).withUnsafeBytes { hash($0) }
        let bytes = [value.low, value.high].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
        let digits = Array("0123456789ABCDEF")
        #expect(String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }) == expected)
    }

    @Test("Where a part ends matters, and every process has its own key")
    func keys() {
        let hash = KeyedHash()
        #expect(hash("a", "bc") != hash("ab", "c"))
        #expect(hash("a", "bc") == hash("a", "bc"))
        #expect(hash("a", "bc") != KeyedHash()("a", "bc"))
        // Equal letters in different bytes are tokenised differently.
        #expect(hash("a", "\u{e9}") != hash("a", "e\u{301}"))
    }
}

@Suite struct ResultKeyTests {
    @Test("Keys tell models apart, and a text from a longer one that begins with it")
    func keys() {
        let cache = ResultCache<Int>(entries: 8, bytes: 1_000) { _ in 8 }
        let keys = [
            cache.key(model: 1, text: "a"), cache.key(model: 2, text: "a"), cache.key(model: 1, text: "a", isCut: true),
            cache.key(model: 1, text: "b"),
        ]
        #expect(Set(keys).count == 4)
        #expect(cache.key(model: 1, text: "a") == keys[0])
    }
}

@Suite struct RecentlyUsedTests {
    @Test("What was not used for longest makes room")
    func order() {
        var kept = RecentlyUsed<Int>(entryLimit: 2, byteLimit: 1_000)
        #expect(Self.insert(1, into: &kept) == 0)
        #expect(Self.insert(2, into: &kept) == 0)
        #expect(Self.value(1, in: &kept) == 1)
        #expect(Self.insert(3, into: &kept) == 1)
        #expect([1, 2, 3].map { Self.value($0, in: &kept) } == [1, nil, 3])
    }

    @Test("Bytes are bounded, and what is larger than all of them is not kept")
    func bytes() {
        var kept = RecentlyUsed<Int>(entryLimit: 100, byteLimit: 10)
        for number in 1...5 { Self.insert(number, into: &kept, sizeBytes: 4) }
        #expect(kept.count == 2)
        #expect(kept.sizeBytes == 8)
        #expect(Self.insert(6, into: &kept, sizeBytes: 11) == 0)
        #expect(kept.count == 2)
        #expect(Self.insert(7, into: &kept, sizeBytes: 10) == 2)
        #expect(kept.count == 1)
    }

    @Test("It holds what a plain list of all uses says it holds")
    func model() {
        var random = SeededRandom.fromEnvironment()
        var kept = RecentlyUsed<Int>(entryLimit: 8, byteLimit: 50)
        var list: [(key: Int, size: Int)] = []
        for _ in 0..<20_000 {
            let key = random.below(20)
            if random.once(in: 2) {
                let found = Self.value(key, in: &kept)
                let index = list.firstIndex { $0.key == key }
                guard (found != nil) == (index != nil) else {
                    Issue.record("key \(key) is \(String(describing: found)), the list says \(list)")
                    return
                }
                if let index { list.append(list.remove(at: index)) }
            } else {
                let size = 1 + random.below(20)
                list.removeAll { $0.key == key }
                while list.count >= 8 || list.reduce(0, { $0 + $1.size }) + size > 50 { list.removeFirst() }
                list.append((key, size))
                Self.insert(key, into: &kept, sizeBytes: size)
            }
        }
        #expect(kept.count == list.count)
        #expect(kept.sizeBytes == list.reduce(0) { $0 + $1.size })
    }

    @discardableResult
    private static func insert(_ number: Int, into kept: inout RecentlyUsed<Int>, sizeBytes: Int = 1) -> Int {
        kept.insert(number, for: KeyedHash.Value(low: UInt64(number), high: 0), sizeBytes: sizeBytes)
    }

    private static func value(_ number: Int, in kept: inout RecentlyUsed<Int>) -> Int? {
        kept.value(for: KeyedHash.Value(low: UInt64(number), high: 0))
    }
}

@Suite(.timeLimit(.minutes(1))) struct ResultCacheTests {
    private let pool: ComputePool
    private let gate = Gate()
    private let runs = Tally()
    private let registry = MetricRegistry()
    private let batcher: Batcher<ScriptedModel>
    private let cache = ResultCache<Int>(entries: 100, bytes: 100_000) { _ in 8 }
    private let answers = Collected<Result<Int, ComputeError>>()

    init() throws {
        pool = try ComputePool(ComputePool.Settings(schedule: ComputeSchedule.Settings(threads: 1)))
        batcher = Batcher(
            ScriptedModel(limits: BatchLimits(calls: 1, paddedTokens: 100)) { [gate, runs] batch in
                runs.add(1)
                gate.pass()
                if batch.contains(where: { $0.length == 99 }) { throw Broken() }
                return batch.map(\.length)
            },
            cost: CostLine(base: 1e-6, perToken: 0),
            on: pool,
            metrics: metrics(registry)
        )
    }

    private struct Broken: Error {}

    @discardableResult
    private func ask(_ text: String, length: Int = 1, by deadline: MonotonicTime = farAway) -> CachedCall {
        cache.submit(cache.key(model: 1, text: text), to: batcher, by: deadline, input: Text(length: length)) {
            [answers] in answers.add($0)
        }
    }

    @Test("A text is run once; the next one gets the output at once, and other models do not")
    func hit() async {
        gate.open()
        ask("a", length: 5)
        #expect(await waited { answers.all == [.success(5)] })
        ask("a", length: 5)
        #expect(answers.all == [.success(5), .success(5)])
        #expect(cache.output(for: cache.key(model: 1, text: "a")) == 5)
        #expect(cache.output(for: cache.key(model: 2, text: "a")) == nil)
        pool.stop()
        #expect(runs.value == 1)
        for outcome in ["hit", "miss"] {
            let line = "sextant_classifier_cache_lookups_total{model=\"test\",outcome=\"\(outcome)\"} 1"
            #expect(registry.exposition().contains(line))
        }
    }

    @Test("Equal texts under way are one run")
    func single() async {
        for _ in 0..<5 { ask("a", length: 3) }
        #expect(await waited { gate.arrivals == 1 })
        ask("a", length: 3)
        gate.open()
        #expect(await waited { answers.all.count == 6 })
        pool.stop()
        #expect(runs.value == 1)
        #expect(answers.all == Array(repeating: .success(3), count: 6))
    }

    @Test("When the first of two is cancelled, the other is served by the same run")
    func firstCancelled() async {
        let first = ask("a", length: 3)
        #expect(await waited { gate.arrivals == 1 })
        ask("a", length: 3)
        first.cancel()
        #expect(answers.all == [.failure(.cancelled)])
        gate.open()
        #expect(await waited { answers.all.count == 2 })
        pool.stop()
        #expect(answers.all == [.failure(.cancelled), .success(3)])
        #expect(runs.value == 1)
    }

    @Test("When both are cancelled, a run that has not begun is given up")
    func bothCancelled() async {
        ask("busy")
        #expect(await waited { gate.arrivals == 1 })
        let first = ask("a")
        let second = ask("a")
        #expect(pool.waiting == 1)
        first.cancel()
        #expect(pool.waiting == 1)
        second.cancel()
        #expect(pool.waiting == 0)
        gate.open()
        #expect(await waited { answers.all.count == 3 })
        pool.stop()
        #expect(runs.value == 1)
    }

    @Test("When the first's time is over, the other, which has more, is still served")
    func firstExpired() async {
        ask("a", length: 4, by: .now() + .milliseconds(200))
        #expect(await waited { gate.arrivals == 1 })
        ask("a", length: 4)
        #expect(await waited { answers.all == [.failure(.deadline)] })
        gate.open()
        #expect(await waited { answers.all.count == 2 })
        pool.stop()
        #expect(answers.all == [.failure(.deadline), .success(4)])
        #expect(runs.value == 2)
    }

    @Test("The one with less time does not wait longer for having come second")
    func secondExpires() async {
        ask("a", length: 4)
        #expect(await waited { gate.arrivals == 1 })
        ask("a", length: 4, by: .now() + .milliseconds(200))
        #expect(await waited { answers.all == [.failure(.deadline)] })
        gate.open()
        #expect(await waited { answers.all.count == 2 })
        pool.stop()
    }

    @Test("When the first is refused for want of time, the second's run is the one that its cancellation gives up")
    func firstRefused() async throws {
        // 10 s for a call: the first has less, the second more.
        let slow = Batcher(HookedModel(), cost: CostLine(base: 10, perToken: 0), on: pool, metrics: metrics(registry))
        ask("busy")
        #expect(await waited { gate.arrivals == 1 })
        let key = cache.key(model: 1, text: "a")
        let second = Mutex<CachedCall?>(nil)
        // The second comes while the first is being submitted.
        let first = HookedModel.Input { [cache, answers] in
            second.withLock { call in
                guard call == nil else { return }
                call = cache.submit(key, to: slow, by: farAway, input: HookedModel.Input {}) { answers.add($0) }
            }
        }
        cache.submit(key, to: slow, by: .now() + .seconds(1), input: first) { [answers] in answers.add($0) }
        #expect(answers.all == [.failure(.overBudget)])
        #expect(pool.waiting == 1)
        second.withLock { $0 }?.cancel()
        #expect(answers.all == [.failure(.overBudget), .failure(.cancelled)])
        #expect(pool.waiting == 0)
        gate.open()
        #expect(await waited { answers.all.count == 3 })
        pool.stop()
    }

    /// A model whose inputs do something when they are asked for their length, which a submission does once.
    private struct HookedModel: BatchModel {
        struct Input: BatchInput {
            let hook: @Sendable () -> Void

            var length: Int {
                hook()
                return 1
            }
        }

        let limits = BatchLimits(calls: 1, paddedTokens: 100)

        func run(_ batch: [Input]) -> [Result<Int, ComputeError>] { batch.map { _ in .success(1) } }
    }

    @Test("Every caller that gets an error is counted, and none that is served")
    func unanswered() async {
        func count(_ reason: String) -> Double {
            registry.value(of: "sextant_classifier_unanswered_total", labels: ["model": "test", "reason": reason]) ?? 0
        }
        // The leader's time ends, and those of two who joined it; the fourth is served.
        let end = MonotonicTime.now() + .milliseconds(200)
        for _ in 0..<3 { ask("a", by: end) }
        ask("a")
        #expect(await waited { answers.all.count == 3 })
        #expect(count("deadline") == 3)
        for _ in 0..<2 { ask("b", length: 99) }
        gate.open()
        #expect(await waited { answers.all.count == 6 })
        #expect(count("failed") == 2)
        #expect(count("deadline") == 3)
        pool.stop()
    }

    @Test("An output that another model has given in the asked one's place is not kept")
    func otherModel() async {
        let cache = ResultCache<Int>(entries: 10, bytes: 1_000, isOf: { $0 == Int($1) }, sizeBytes: { _ in 8 })
        gate.open()
        for (model, kept) in [(UInt64(3), true), (4, false)] {
            let key = cache.key(model: model, text: "a")
            cache.submit(key, to: batcher, by: farAway, input: Text(length: 3)) { [answers] in answers.add($0) }
            #expect(await waited { answers.all.count == (kept ? 1 : 2) })
            #expect((cache.output(for: key) != nil) == kept)
        }
        #expect(answers.all == [.success(3), .success(3)])
        pool.stop()
    }

    @Test("A refusal is not kept, and a failure of the model reaches all who wait")
    func failures() async {
        gate.open()
        ask("long", length: 101)
        #expect(answers.all == [.failure(.tooLong)])
        ask("bad", length: 99)
        ask("bad", length: 99)
        #expect(await waited { answers.all.count == 3 })
        #expect(answers.all[1...].allSatisfy { $0 == .failure(.failed("Broken()")) })
        #expect(cache.count == 0)
        pool.stop()
    }

    @Test("A pool that stops ends all waits")
    func stop() async {
        ask("busy")
        #expect(await waited { gate.arrivals == 1 })
        for _ in 0..<3 { ask("a") }
        async let stopped: Void = pool.shutdown()
        #expect(await waited { answers.all.count == 3 })
        gate.open()
        await stopped
        #expect(answers.all == [.failure(.shutdown), .failure(.shutdown), .failure(.shutdown), .success(1)])
    }

    @Test("Many threads, few texts, short deadlines, cancellations: every wait ends once")
    func crowd() async {
        gate.open()
        await withTaskGroup(of: Void.self) { group in
            for caller in 0..<8 {
                group.addTask {
                    for call in 0..<500 {
                        if call % 50 == 0 { cache.removeAll() }
                        let handle = ask(
                            "text \((call + caller) % 7)",
                            by: .now() + .microseconds(50 * (1 + call * 13 % 40))
                        )
                        if (call + caller) % 3 == 0 { handle.cancel() }
                    }
                }
            }
        }
        #expect(await waited { answers.all.count == 4_000 })
        pool.stop()
        #expect(answers.all.count == 4_000)
    }
}
