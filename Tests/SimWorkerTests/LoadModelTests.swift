import NIOCore
import SimWorker
import Testing

@Suite struct LoadModelTests {
    private func model(running: Int = 2, waiting: Int = 2, blocks: Int = 100) -> LoadModel {
        LoadModel(maxRunning: running, maxWaiting: waiting, cache: SimKVCache(blockCount: blocks, blockTokens: 4))
    }

    private func sequence(_ tokens: Int, output: Int = 4) -> [LoadModel.Sequence] {
        [LoadModel.Sequence(hashes: [], promptTokens: tokens, outputTokens: output)]
    }

    @Test("Beyond the batch requests wait, beyond the queue they are rejected, and places go to the longest waiting")
    func batchAndQueue() {
        var model = model()
        let arrivals = (1...5).map { model.arrived(LoadModel.ID($0), sequence(4)) }
        #expect(arrivals == [.admitted(cachedTokens: 0), .admitted(cachedTokens: 0), .queued, .queued, .rejected])
        #expect(model.runningCount == 2 && model.waitingCount == 2)
        let first = model.finished(2, hashes: [[]])
        let second = model.cancelled(1)
        #expect(first.map(\.id) == [3] && second.map(\.id) == [4])
        #expect(model.runningCount == 2 && model.waitingCount == 0)
    }

    @Test("Requests wait while the KV cache has too few free blocks, and nobody overtakes")
    func kvFull() {
        var model = model(running: 10, waiting: 10, blocks: 4)
        let arrivals = [
            model.arrived(1, sequence(8)), model.arrived(2, sequence(8)), model.arrived(3, sequence(1, output: 1)),
        ]
        #expect(arrivals == [.admitted(cachedTokens: 0), .queued, .queued])
        #expect(model.cacheUsage == 0.75)
        let admitted = model.finished(1, hashes: [])
        #expect(admitted.map(\.id) == [2, 3])
        #expect(model.cacheUsage == 1)
    }

    @Test("A request that no empty cache could hold is refused at once")
    func tooLarge() {
        var model = model(blocks: 4)
        let arrivals = [model.arrived(1, sequence(16, output: 1)), model.arrived(2, sequence(12, output: 4))]
        #expect(arrivals == [.tooLarge, .admitted(cachedTokens: 0)])
    }

    @Test("A client that leaves the queue leaves no gap")
    func cancelWaiting() {
        var model = model(running: 1, waiting: 3)
        for id in 1...4 { _ = model.arrived(LoadModel.ID(id), sequence(4)) }
        let none = model.cancelled(3)
        let next = model.finished(1, hashes: [])
        #expect(none.isEmpty && next.map(\.id) == [2])
        #expect(model.waitingCount == 1)
    }

    @Test("While the cache is declared full nobody is admitted; then all who fit are")
    func declaredFull() {
        var model = model(running: 2)
        _ = model.setFull(true)
        let arrivals = [model.arrived(1, sequence(4)), model.arrived(2, sequence(4))]
        #expect(arrivals == [.queued, .queued])
        #expect(model.cacheUsage == 1)
        let admitted = model.setFull(false)
        #expect(admitted.map(\.id) == [1, 2])
    }

    @Test("Of several prompts all are admitted or none")
    func severalPrompts() {
        var model = model(running: 4, waiting: 4, blocks: 4)
        _ = model.arrived(1, sequence(8, output: 0))
        let both = sequence(4, output: 0) + sequence(8, output: 0)
        let arrival = model.arrived(2, both)
        #expect(arrival == .queued)
        #expect(model.cacheUsage == 0.5, "the first prompt's blocks are given back")
        let admitted = model.finished(1, hashes: [])
        #expect(admitted.map(\.id) == [2] && model.cacheUsage == 0.75)
    }

    @Test("Tokens looked up and found are counted")
    func hitCounts() {
        var model = model()
        var hasher = BlockHasher(blockTokens: 4)
        hasher.append([UInt32](0..<9))
        let sequence = [LoadModel.Sequence(hashes: hasher.hashes, promptTokens: 9, outputTokens: 1)]
        let arrivals = [model.arrived(1, sequence), model.arrived(2, sequence)]
        #expect(arrivals == [.admitted(cachedTokens: 0), .admitted(cachedTokens: 8)])
        #expect(model.queriedTokens == 18 && model.hitTokens == 8)
    }

    @Test("Every order of seven events keeps the counts, the order and the blocks right")
    func allOrders() {
        enum Event: CaseIterable { case small, large, finish, cancel, full, notFull }
        struct World {
            var model: LoadModel
            var running: [LoadModel.ID: Int] = [:]
            var waiting: [(LoadModel.ID, Int)] = []
            var next: LoadModel.ID = 1
            var isFull = false

            /// Admits by the rules, told in the plainest way; answers who was let in.
            mutating func settle() -> [LoadModel.ID] {
                var admitted: [LoadModel.ID] = []
                while let (id, blocks) = waiting.first, !isFull, running.count < 2,
                    running.values.reduce(0, +) + blocks <= 3
                {
                    waiting.removeFirst()
                    running[id] = blocks
                    admitted.append(id)
                }
                return admitted
            }
        }
        var wrong = 0
        func explore(_ world: World, depth: Int) {
            guard depth > 0, wrong == 0 else { return }
            for event in Event.allCases {
                var world = world
                var admitted: [LoadModel.ID] = []
                switch event {
                case .small, .large:
                    let blocks = event == .small ? 1 : 2
                    let id = world.next
                    world.next += 1
                    let sequence = LoadModel.Sequence(hashes: [], promptTokens: blocks * 4, outputTokens: 0)
                    let arrival = world.model.arrived(id, [sequence])
                    world.waiting.append((id, blocks))
                    let expected = world.settle()
                    if arrival == .admitted(cachedTokens: 0) {
                        admitted = [id]
                    } else if arrival == .rejected {
                        if world.waiting.count != 3 { wrong += 1 }
                        world.waiting.removeLast()
                    }
                    if admitted != expected { wrong += 1 }
                case .finish:
                    guard let id = world.running.keys.min() else { continue }
                    admitted = world.model.finished(id, hashes: []).map(\.id)
                    world.running[id] = nil
                    if admitted != world.settle() { wrong += 1 }
                case .cancel:
                    guard let id = world.waiting.last?.0 else { continue }
                    admitted = world.model.cancelled(id).map(\.id)
                    world.waiting.removeLast()
                    if admitted != world.settle() { wrong += 1 }
                case .full, .notFull:
                    world.isFull = event == .full
                    admitted = world.model.setFull(world.isFull).map(\.id)
                    if admitted != world.settle() { wrong += 1 }
                }
                if world.model.runningCount != world.running.count { wrong += 1 }
                if world.model.waitingCount != world.waiting.count { wrong += 1 }
                let used = Double(world.running.values.reduce(0, +)) / 3
                if world.model.cacheUsage != (world.isFull ? 1 : used) { wrong += 1 }
                if wrong > 0 { Issue.record("after \(event) at depth \(depth): admitted \(admitted)") }
                explore(world, depth: depth - 1)
            }
        }
        explore(World(model: model(running: 2, waiting: 2, blocks: 3)), depth: 7)
        #expect(wrong == 0)
    }
}

@Suite struct TokenClockTests {
    private func settings(_ change: (inout SimConfig) -> Void = { _ in }) -> TokenClock.Settings {
        var config = SimConfig()
        config.prefillOverhead = .milliseconds(10)
        config.prefillTimePerToken = .milliseconds(1)
        config.interTokenLatency = .milliseconds(5)
        config.maxRunning = 11
        change(&config)
        return TokenClock.Settings(config)
    }

    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test("The first token comes after the prefill of what is not cached, the others one latency apart")
    func times() {
        var clock = TokenClock(settings(), uncachedTokens: 30, running: 1, admittedAt: start)
        #expect(clock.due == start + .milliseconds(40))
        clock.tokenSent(running: 1)
        clock.tokenSent(running: 1)
        #expect(clock.due == start + .milliseconds(50))
    }

    @Test("A prompt that is wholly cached costs the overhead only")
    func cached() {
        #expect(
            TokenClock(settings(), uncachedTokens: 0, running: 1, admittedAt: start).due == start + .milliseconds(10)
        )
    }

    @Test(
        "Time stretches linearly with the load, up to the factor",
        arguments: [(1, 1.0), (6, 2.0), (11, 3.0), (50, 3.0), (0, 1.0)]
    )
    func load(running: Int, factor: Double) {
        let settings = settings { $0.timeFactorUnderLoad = 3 }
        #expect(TokenClock.loadFactor(running: running, settings) == factor)
        var clock = TokenClock(settings, uncachedTokens: 0, running: running, admittedAt: start)
        #expect(clock.due == start + .milliseconds(Int64(10 * factor)))
        clock.tokenSent(running: 1)
        #expect(clock.due == start + .milliseconds(Int64(10 * factor) + 5), "each token knows the load of its moment")
    }

    @Test("A fault's slowness multiplies everything")
    func slowness() {
        let clock = TokenClock(settings(), uncachedTokens: 10, slowness: 5, running: 1, admittedAt: start)
        #expect(clock.due == start + .milliseconds(100))
    }
}
