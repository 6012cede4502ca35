/// Which requests run and which wait: continuous batching as vLLM's scheduler does it, first come first served.
///
/// A request runs when there is a free sequence slot and enough free KV blocks; else it waits, and everything behind it
/// waits too. A value without a clock: the owner tells what happened, and guards the value if threads share it.
package struct LoadModel: Sendable {
    package typealias ID = UInt64

    /// One prompt of a request, and the most tokens that its answers may have.
    package struct Sequence: Sendable {
        package let hashes: [UInt64]
        package let promptTokens: Int
        package let outputTokens: Int

        package init(hashes: [UInt64], promptTokens: Int, outputTokens: Int) {
            self.hashes = hashes
            self.promptTokens = promptTokens
            self.outputTokens = outputTokens
        }
    }

    package enum Arrival: Sendable, Equatable {
        case admitted(cachedTokens: Int)
        /// The request will be among those that a later `finished`, `cancelled` or `setFull` admits.
        case queued
        /// The queue is full.
        case rejected
        /// The cache could not hold the request even if it were empty.
        case tooLarge
    }

    /// A waiting request that may run now.
    package struct Admission: Sendable, Equatable {
        package let id: ID
        package let cachedTokens: Int

        package init(id: ID, cachedTokens: Int) {
            self.id = id
            self.cachedTokens = cachedTokens
        }
    }

    private let maxRunning: Int
    private let maxWaiting: Int
    package private(set) var cache: SimKVCache
    private var running: [ID: [SimKVCache.Lease]] = [:]
    /// In order of arrival. Short in practice, bounded by `maxWaiting` always.
    private var waiting: [(id: ID, sequences: [Sequence])] = []
    /// While set, nobody is admitted: what clients see of a worker whose cache is full.
    private var isFull = false

    /// Prompt tokens that were looked up in the cache, and those found: `vllm:prefix_cache_queries_total`, `…hits_total`.
    package private(set) var queriedTokens = 0
    package private(set) var hitTokens = 0

    package init(maxRunning: Int, maxWaiting: Int, cache: SimKVCache) {
        precondition(maxRunning >= 1 && maxWaiting >= 0)
        self.maxRunning = maxRunning
        self.maxWaiting = maxWaiting
        self.cache = cache
    }

    package var runningCount: Int { running.count }
    package var waitingCount: Int { waiting.count }

    /// `vllm:kv_cache_usage_perc`; 1 while the cache is declared full.
    package var cacheUsage: Double { isFull ? 1 : cache.usage }

    package mutating func arrived(_ id: ID, _ sequences: [Sequence]) -> Arrival {
        let needed = sequences.reduce(0) { $0 + cache.blocksNeeded(tokens: $1.promptTokens + $1.outputTokens) }
        guard needed <= cache.blockCount else { return .tooLarge }
        if waiting.isEmpty, let cachedTokens = admit(id, sequences) { return .admitted(cachedTokens: cachedTokens) }
        guard waiting.count < maxWaiting else { return .rejected }
        waiting.append((id, sequences))
        return .queued
    }

    /// A running request is complete. `hashes` are those of each sequence's full blocks, answer included.
    package mutating func finished(_ id: ID, hashes: [[UInt64]]) -> [Admission] {
        release(id, hashes: hashes)
        return admitWaiting()
    }

    /// The client of a running or waiting request has gone.
    package mutating func cancelled(_ id: ID) -> [Admission] {
        waiting.removeAll { $0.id == id }
        release(id, hashes: [])
        return admitWaiting()
    }

    /// Declares the cache full, or ends that.
    package mutating func setFull(_ isFull: Bool) -> [Admission] {
        self.isFull = isFull
        return admitWaiting()
    }

    /// Forgets what the cache knows, as sleeping does.
    package mutating func clearCache() {
        cache.clear()
    }

    private mutating func release(_ id: ID, hashes: [[UInt64]]) {
        guard let leases = running.removeValue(forKey: id) else { return }
        for (index, lease) in leases.enumerated() {
            cache.free(lease, hashes: index < hashes.count ? hashes[index] : [])
        }
    }

    private mutating func admitWaiting() -> [Admission] {
        var admitted: [Admission] = []
        while let first = waiting.first, let cachedTokens = admit(first.id, first.sequences) {
            waiting.removeFirst()
            admitted.append(Admission(id: first.id, cachedTokens: cachedTokens))
        }
        return admitted
    }

    /// The tokens found in the cache, or nil if the request must wait.
    private mutating func admit(_ id: ID, _ sequences: [Sequence]) -> Int? {
        guard !isFull, running.count < maxRunning else { return nil }
        var leases: [SimKVCache.Lease] = []
        leases.reserveCapacity(sequences.count)
        for sequence in sequences {
            let lease = cache.allocate(
                hashes: sequence.hashes,
                promptTokens: sequence.promptTokens,
                totalTokens: sequence.promptTokens + sequence.outputTokens
            )
            guard let lease else {
                for lease in leases { cache.free(lease, hashes: []) }
                return nil
            }
            leases.append(lease)
        }
        running[id] = leases
        let cachedTokens = leases.reduce(0) { $0 + $1.cachedTokens }
        queriedTokens += sequences.reduce(0) { $0 + $1.promptTokens }
        hitTokens += cachedTokens
        return cachedTokens
    }
}
