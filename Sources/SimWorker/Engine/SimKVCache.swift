/// A worker's KV cache in blocks of tokens, with vLLM's prefix caching
/// (https://docs.vllm.ai/en/latest/design/prefix_caching.html).
///
/// A full block is known by the hash of its tokens and of everything before it. A request shares the blocks of its
/// longest known prefix, and takes the least recently used free blocks for the rest; a block that is freed keeps its
/// contents until it is taken. A request's blocks are freed from the last to the first, so that the ends of prefixes go
/// before their beginnings.
///
/// Differences from vLLM: all blocks of a request, those for its answer included, are taken when it is admitted, so that
/// no running request ever has to be preempted; and of two blocks with equal contents only the newer one is known.
package struct SimKVCache: Sendable {
    /// A request's hold on its blocks. Returned with `free`, exactly once.
    package struct Lease: Sendable, Hashable {
        /// Block numbers, in the order of the tokens.
        package let blocks: [Int32]
        /// How many of the prompt's tokens were already in the cache.
        package let cachedTokens: Int
    }

    private struct Block {
        var hash: UInt64?
        var references: Int32 = 0
        /// Neighbours in the free list; -1 at its ends.
        var previous: Int32 = -1
        var next: Int32 = -1
    }

    package let blockTokens: Int
    private var blocks: [Block]
    /// The blocks with known contents, in use or free.
    private var known: [UInt64: Int32] = [:]
    /// The free list, from the least to the most recently used.
    private var firstFree: Int32 = -1
    private var lastFree: Int32 = -1
    package private(set) var freeCount = 0

    /// - Parameter blockCount: The capacity, at least 1.
    package init(blockCount: Int, blockTokens: Int) {
        precondition(blockCount >= 1 && blockCount <= Int(Int32.max) && blockTokens >= 1)
        self.blockTokens = blockTokens
        blocks = Array(repeating: Block(), count: blockCount)
        for block in 0..<Int32(blockCount) { appendFree(block) }
    }

    package var blockCount: Int { blocks.count }

    /// The share of blocks in use, 0…1: `vllm:kv_cache_usage_perc`.
    package var usage: Double { Double(blocks.count - freeCount) / Double(blocks.count) }

    /// The blocks that so many tokens take.
    package func blocksNeeded(tokens: Int) -> Int {
        (tokens + blockTokens - 1) / blockTokens
    }

    /// Takes the blocks of a request, or nothing at all and answers nil when too few are free.
    ///
    /// - Parameters:
    ///   - hashes: Of the prompt's full blocks.
    ///   - promptTokens: The prompt's length.
    ///   - totalTokens: The most tokens of prompt and answer together.
    /// - Complexity: O(blocks of the request).
    package mutating func allocate(hashes: [UInt64], promptTokens: Int, totalTokens: Int) -> Lease? {
        // The last token is always computed, as its output is wanted: a prompt that is wholly known loses its last block.
        let usable = min(hashes.count, max(0, promptTokens - 1) / blockTokens)
        var shared: [Int32] = []
        var freeShared = 0
        for hash in hashes.prefix(usable) {
            guard let block = known[hash] else { break }
            shared.append(block)
            if blocks[Int(block)].references == 0 { freeShared += 1 }
        }
        let fresh = blocksNeeded(tokens: max(totalTokens, promptTokens)) - shared.count
        guard freeCount - freeShared >= fresh else { return nil }
        for block in shared {
            if blocks[Int(block)].references == 0 { removeFree(block) }
            blocks[Int(block)].references += 1
        }
        var all = shared
        all.reserveCapacity(shared.count + fresh)
        for _ in 0..<fresh {
            let block = firstFree
            removeFree(block)
            forget(block)
            blocks[Int(block)].references = 1
            all.append(block)
        }
        for index in shared.count..<max(shared.count, hashes.count) { learn(hashes[index], of: all[index]) }
        return Lease(blocks: all, cachedTokens: shared.count * blockTokens)
    }

    /// Gives a request's blocks back.
    ///
    /// - Parameter hashes: Of the full blocks of prompt and answer, as far as they were computed: what a follow-up
    ///   question can share.
    package mutating func free(_ lease: Lease, hashes: [UInt64]) {
        for (block, hash) in zip(lease.blocks, hashes) where blocks[Int(block)].hash == nil && known[hash] == nil {
            learn(hash, of: block)
        }
        for block in lease.blocks.reversed() {
            blocks[Int(block)].references -= 1
            if blocks[Int(block)].references == 0 { appendFree(block) }
        }
    }

    /// Forgets the contents of all blocks that no request uses, as sleeping does.
    package mutating func clear() {
        for block in blocks.indices where blocks[block].references == 0 { forget(Int32(block)) }
    }

    /// How many of the prompt's tokens a request would find here now.
    package func cachedTokens(hashes: [UInt64], promptTokens: Int) -> Int {
        let usable = min(hashes.count, max(0, promptTokens - 1) / blockTokens)
        return hashes.prefix(usable).prefix { known[$0] != nil }.count * blockTokens
    }

    private mutating func learn(_ hash: UInt64, of block: Int32) {
        if let older = known.updateValue(block, forKey: hash), older != block { blocks[Int(older)].hash = nil }
        blocks[Int(block)].hash = hash
    }

    private mutating func forget(_ block: Int32) {
        guard let hash = blocks[Int(block)].hash else { return }
        known[hash] = nil
        blocks[Int(block)].hash = nil
    }

    private mutating func appendFree(_ block: Int32) {
        blocks[Int(block)].previous = lastFree
        blocks[Int(block)].next = -1
        if lastFree >= 0 { blocks[Int(lastFree)].next = block } else { firstFree = block }
        lastFree = block
        freeCount += 1
    }

    private mutating func removeFree(_ block: Int32) {
        let (previous, next) = (blocks[Int(block)].previous, blocks[Int(block)].next)
        if previous >= 0 { blocks[Int(previous)].next = next } else { firstFree = next }
        if next >= 0 { blocks[Int(next)].previous = previous } else { lastFree = previous }
        freeCount -= 1
    }
}

/// The chained hashes of a sequence's full blocks, block by block: equal hashes mean equal tokens up to there.
package struct BlockHasher: Sendable {
    private let blockTokens: Int
    // FNV-1a over whole tokens; each block's value goes through SplitMix64's mixer, so that close values spread.
    private var chain: UInt64 = 0xCBF2_9CE4_8422_2325
    private var inBlock = 0
    /// Of the full blocks so far.
    package private(set) var hashes: [UInt64] = []

    package init(blockTokens: Int) {
        self.blockTokens = blockTokens
    }

    package mutating func append(_ tokens: [UInt32]) {
        hashes.reserveCapacity(hashes.count + tokens.count / blockTokens + 1)
        for token in tokens {
            chain = (chain ^ UInt64(token)) &* 0x0000_0100_0000_01B3
            chain ^= chain >> 32
            inBlock += 1
            guard inBlock == blockTokens else { continue }
            chain = (chain ^ (chain >> 30)) &* 0xBF58_476D_1CE4_E5B9
            chain = (chain ^ (chain >> 27)) &* 0x94D0_49BB_1331_11EB
            chain ^= chain >> 31
            hashes.append(chain)
            inBlock = 0
        }
    }
}
