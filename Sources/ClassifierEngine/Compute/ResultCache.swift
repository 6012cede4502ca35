import Instruments
package import Resilience
import Synchronization

/// Outputs of models by the text they were made from, and what is under way for which text.
///
/// A text is kept as a keyed 128-bit hash only: nobody can read prompts from a cache. Two calls for one text at the same
/// time are one run; each has its own deadline and cancellation, and while one of them still waits, the run goes on.
///
/// - Complexity: a hit is one hash of the text and one lock that a sixteenth of all calls share.
package final class ResultCache<Output: Sendable>: Sendable {
    package typealias Completion = @Sendable (Result<Output, ComputeError>) -> Void

    /// What a text is known by, and the model that it is for.
    package struct Key: Hashable, Sendable {
        let hash: KeyedHash.Value
        let model: UInt64
    }

    private struct Shard {
        var results: RecentlyUsed<Output>
        var flights: [KeyedHash.Value: Flight] = [:]
    }

    /// A text under way, and those who wait for it.
    private struct Flight {
        /// Of its run: tells that from the runs before it, and the flight from a later one of the same text.
        var number: UInt64
        /// The end that the run was asked to keep.
        var deadline: MonotonicTime
        var waiters: [Waiter]
        /// Nil until the run has been submitted.
        var run: ComputeCall?
    }

    /// What there is for a text that is asked for.
    private enum Found {
        case hit(Output)
        case flight
        case nothing(UInt64)
    }

    /// Someone who waits for a text.
    fileprivate final class Waiter: PendingCall {
        let deadline: MonotonicTime
        private let isOver = Atomic<Bool>(false)
        private let completion: Completion
        /// Starts a run with this waiter's deadline.
        let start: @Sendable (_ completion: @escaping Completion) -> ComputeCall
        let parked = Mutex<CallID?>(nil)
        private let gone: @Sendable (Waiter) -> Void

        init(
            deadline: MonotonicTime,
            completion: @escaping Completion,
            start: @escaping @Sendable (_ completion: @escaping Completion) -> ComputeCall,
            gone: @escaping @Sendable (Waiter) -> Void
        ) {
            self.deadline = deadline
            self.completion = completion
            self.start = start
            self.gone = gone
        }

        var hasEnded: Bool { isOver.load(ordering: .acquiring) }

        /// - Returns: false if it had its answer already.
        @discardableResult
        func answer(_ result: Result<Output, ComputeError>) -> Bool {
            guard !isOver.exchange(true, ordering: .acquiringAndReleasing) else { return false }
            completion(result)
            return true
        }

        /// Its time is over, or the pool stops.
        func end(_ error: ComputeError) {
            if answer(.failure(error)) { gone(self) }
        }
    }

    /// 16: far more than the event loops that ask at the same instant.
    private static var shardCount: Int { 16 }

    private let hash: KeyedHash
    private let shards: [Mutex<Shard>.Box]
    private let sizeBytes: @Sendable (Output) -> Int
    private let isOf: @Sendable (Output, _ model: UInt64) -> Bool
    private let numbers = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - entries: results kept at most.
    ///   - bytes: what they may take together, with about 100 bytes for keeping each.
    ///   - isOf: whether an output is the model's whose key it was asked for under. One that another model has given in
    ///     its place is not kept.
    ///   - sizeBytes: what an output takes.
    package init(
        entries: Int,
        bytes: Int,
        isOf: @escaping @Sendable (Output, _ model: UInt64) -> Bool = { _, _ in true },
        sizeBytes: @escaping @Sendable (Output) -> Int
    ) {
        hash = KeyedHash()
        self.isOf = isOf
        self.sizeBytes = sizeBytes
        // A small cache in one piece keeps what it should.
        let count = entries >= 16 * Self.shardCount ? Self.shardCount : 1
        shards = (0..<count).map { _ in
            Mutex<Shard>.Box(
                Shard(
                    results: RecentlyUsed(entryLimit: (entries + count - 1) / count, byteLimit: bytes / count)
                )
            )
        }
    }

    /// - Parameters:
    ///   - model: the number that no other model of this cache has or will have: outputs of two models must not be mixed.
    ///   - isCut: whether the text goes on after what is given of it.
    package func key(model: UInt64, text: String, isCut: Bool = false) -> Key {
        let hash = hash(isCut ? "cut" : "", text)
        // Mixed in by a bijection, so that two models' keys of one text differ, and no other two are nearer for it.
        let low = hash.low ^ (model &* 0x9E37_79B9_7F4A_7C15)
        return Key(hash: KeyedHash.Value(low: low, high: hash.high), model: model)
    }

    /// The output, if there is one.
    package func output(for key: Key) -> Output? {
        shard(key).withLock { $0.results.value(for: key.hash) }
    }

    /// Outputs kept.
    package var count: Int { shards.reduce(0) { $0 + $1.withLock { $0.results.count } } }

    /// Forgets all outputs; what is under way goes on and is kept.
    package func removeAll() {
        for shard in shards { shard.withLock { $0.results.removeAll() } }
    }

    /// The output for a text: kept, under way, or from a run.
    ///
    /// - Parameters:
    ///   - completion: is called once, at once on this thread or later on one of the pool's; must not block.
    /// - Returns: what gives the wait up; the run goes on while others wait for it.
    @discardableResult
    package func submit<Model: BatchModel>(
        _ key: Key,
        to batcher: Batcher<Model>,
        by deadline: MonotonicTime,
        input: Model.Input,
        completion: @escaping Completion
    ) -> CachedCall where Model.Output == Output {
        let waiter = Waiter(
            deadline: deadline,
            completion: batcher.metrics.countingErrors(completion),
            start: { batcher.start(input, by: deadline, completion: $0) },
            gone: { [weak self] in self?.leave(key, $0) }
        )
        let found = shard(key).withLock { shard -> Found in
            if let output = shard.results.value(for: key.hash) { return .hit(output) }
            if shard.flights[key.hash] != nil {
                shard.flights[key.hash]?.waiters.append(waiter)
                return .flight
            }
            let number = numbers.add(1, ordering: .relaxed).newValue
            shard.flights[key.hash] = Flight(number: number, deadline: deadline, waiters: [waiter])
            return .nothing(number)
        }
        switch found {
        case .hit(let output):
            batcher.metrics.hits.increment()
            completion(.success(output))
            return CachedCall(end: nil)
        case .flight:
            batcher.metrics.joined.increment()
            park(waiter, on: batcher.core)
        case .nothing(let number):
            batcher.metrics.misses.increment()
            run(key, number, for: waiter, on: batcher.core, batcher.metrics)
        }
        return CachedCall { [weak self] in
            guard waiter.answer(.failure(.cancelled)) else { return }
            waiter.parked.withLock { $0 }.map(batcher.core.unpark)
            self?.leave(key, waiter)
        }
    }

    /// `submit`, for tasks; a cancelled task gives its wait up.
    package func output<Model: BatchModel>(
        for key: Key,
        from batcher: Batcher<Model>,
        by deadline: MonotonicTime,
        input: Model.Input
    ) async throws(ComputeError) -> Output where Model.Output == Output {
        let cancellation = CallCancellation()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let call = submit(key, to: batcher, by: deadline, input: input) { continuation.resume(returning: $0) }
                cancellation.isAbout(call.cancel)
            }
        } onCancel: {
            cancellation.cancel()
        }
        return try result.get()
    }

    // MARK: Flights

    private func shard(_ key: Key) -> Mutex<Shard>.Box {
        shards[Int(truncatingIfNeeded: key.hash.high) & (shards.count - 1)]
    }

    /// Gives a waiter whose text is under way an end of its own.
    private func park(_ waiter: Waiter, on core: PoolCore) {
        do {
            let id = try core.park(waiter, deadline: waiter.deadline)
            waiter.parked.withLock { $0 = id }
            // The output may have come in between.
            if waiter.hasEnded { core.unpark(id) }
        } catch {
            waiter.end(error)
        }
    }

    /// Runs the model for a flight, with the deadline of one of its waiters.
    private func run(
        _ key: Key,
        _ number: UInt64,
        for waiter: Waiter,
        on core: PoolCore,
        _ metrics: ComputeMetrics.OfModel
    ) {
        let call = waiter.start { [self] result in finished(key, number, waiter, result, on: core, metrics) }
        let isWanted = shard(key).withLock { shard in
            // It is over, and another may have begun in its place.
            guard shard.flights[key.hash]?.number == number else { return true }
            shard.flights[key.hash]?.run = call
            return shard.flights[key.hash]?.waiters.contains { !$0.hasEnded } ?? true
        }
        if !isWanted { call.cancel() }
    }

    /// The run for `leader` is over: everyone gets the output, or the next one tries.
    private func finished(
        _ key: Key,
        _ number: UInt64,
        _ leader: Waiter,
        _ result: Result<Output, ComputeError>,
        on core: PoolCore,
        _ metrics: ComputeMetrics.OfModel
    ) {
        let (served, next, evicted) = shard(key).withLock { shard -> ([Waiter], (Waiter, UInt64)?, Int) in
            var evicted = 0
            if case .success(let output) = result, isOf(output, key.model) {
                let size = sizeBytes(output) + 100
                evicted = shard.results.insert(output, for: key.hash, sizeBytes: size)
            }
            guard var flight = shard.flights[key.hash], flight.number == number else { return ([leader], nil, evicted) }
            flight.waiters.removeAll { $0.hasEnded }
            if case .failure(let error) = result, let next = Self.successor(of: leader, after: error, in: flight) {
                flight.waiters.removeAll { $0 === leader }
                flight.deadline = next.deadline
                flight.run = nil
                flight.number = numbers.add(1, ordering: .relaxed).newValue
                shard.flights[key.hash] = flight
                return ([leader], (next, flight.number), evicted)
            }
            shard.flights[key.hash] = nil
            return (flight.waiters, nil, evicted)
        }
        if evicted > 0 { metrics.evictions.increment(by: evicted) }
        for waiter in served where waiter.answer(result) {
            waiter.parked.withLock { $0 }.map(core.unpark)
        }
        if let (next, number) = next { run(key, number, for: next, on: core, metrics) }
    }

    /// Who tries again after a failure that was the leader's own: the one with the most time. Where even that one would
    /// be refused at once, so would all; a run therefore never fails at once twice in a row.
    private static func successor(of leader: Waiter, after error: ComputeError, in flight: Flight) -> Waiter? {
        let others = flight.waiters.filter { $0 !== leader }
        guard let best = others.max(by: { $0.deadline < $1.deadline }) else { return nil }
        switch error {
        case .cancelled: return best
        case .deadline, .overBudget: return best.deadline > flight.deadline ? best : nil
        case .overloaded, .shutdown, .tooLong, .unknownText, .unavailable, .unsupported, .failed: return nil
        }
    }

    /// A waiter had enough. The run of a flight that nobody waits for is given up.
    private func leave(_ key: Key, _ waiter: Waiter) {
        let run = shard(key).withLock { shard -> ComputeCall? in
            guard var flight = shard.flights[key.hash] else { return nil }
            guard let index = flight.waiters.firstIndex(where: { $0 === waiter }) else { return nil }
            flight.waiters.remove(at: index)
            shard.flights[key.hash] = flight
            return flight.waiters.isEmpty ? flight.run : nil
        }
        // Its end takes the flight away.
        run?.cancel()
    }
}

/// Lets go of a wait for a cached output.
package struct CachedCall: Sendable {
    let end: (@Sendable () -> Void)?

    package func cancel() { end?() }
}

extension Mutex where Value: Sendable {
    /// A lock that can be in an array.
    fileprivate final class Box: Sendable {
        private let mutex: Mutex<Value>

        init(_ value: Value) { mutex = Mutex(value) }

        func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
            mutex.withLock { body(&$0) }
        }
    }
}
