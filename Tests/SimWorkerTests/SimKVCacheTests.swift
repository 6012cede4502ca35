import SimWorker
import TestRandom
import Testing

@Suite struct SimKVCacheTests {
    /// The cache's contract in the slow way: blocks are records in a list ordered by last use, their contents the whole
    /// prefix itself instead of its hash.
    struct NaiveCache {
        struct Block {
            let number: Int
            var prefix: [UInt32]?
            var references = 0
        }

        let blockTokens: Int
        /// Free blocks and used ones; the free ones in the order in which they will be taken.
        var free: [Block]
        var used: [Block] = []

        init(blockCount: Int, blockTokens: Int) {
            self.blockTokens = blockTokens
            free = (0..<blockCount).map { Block(number: $0) }
        }

        mutating func allocate(_ prompt: [UInt32], total: Int) -> (numbers: [Int], cached: Int)? {
            let before = self
            var numbers: [Int] = []
            let full = prompt.count / blockTokens
            for index in 0..<min(full, max(0, prompt.count - 1) / blockTokens) {
                let prefix = Array(prompt[..<((index + 1) * blockTokens)])
                if let place = used.firstIndex(where: { $0.prefix == prefix }) {
                    used[place].references += 1
                    numbers.append(used[place].number)
                } else if let place = free.firstIndex(where: { $0.prefix == prefix }) {
                    var block = free.remove(at: place)
                    block.references = 1
                    used.append(block)
                    numbers.append(block.number)
                } else {
                    break
                }
            }
            let cached = numbers.count
            let needed = (total + blockTokens - 1) / blockTokens
            while numbers.count < needed {
                guard !free.isEmpty else {
                    self = before
                    return nil
                }
                var block = free.removeFirst()
                block.references = 1
                block.prefix = nil
                let end = (numbers.count + 1) * blockTokens
                if end <= prompt.count {
                    forget(Array(prompt[..<end]))
                    block.prefix = Array(prompt[..<end])
                }
                used.append(block)
                numbers.append(block.number)
            }
            return (numbers, cached * blockTokens)
        }

        mutating func release(_ numbers: [Int], _ tokens: [UInt32]) {
            for (index, number) in numbers.enumerated() {
                let end = (index + 1) * blockTokens
                guard end <= tokens.count, let place = used.firstIndex(where: { $0.number == number }) else { continue }
                let prefix = Array(tokens[..<end])
                let isKnown = (used + free).contains { $0.prefix == prefix }
                if used[place].prefix == nil, !isKnown { used[place].prefix = prefix }
            }
            for number in numbers.reversed() {
                guard let place = used.firstIndex(where: { $0.number == number }) else { continue }
                used[place].references -= 1
                if used[place].references == 0 { free.append(used.remove(at: place)) }
            }
        }

        mutating func forget(_ prefix: [UInt32]) {
            for index in used.indices where used[index].prefix == prefix { used[index].prefix = nil }
            for index in free.indices where free[index].prefix == prefix { free[index].prefix = nil }
        }
    }

    private func hashes(_ tokens: [UInt32], _ blockTokens: Int = 4) -> [UInt64] {
        var hasher = BlockHasher(blockTokens: blockTokens)
        hasher.append(tokens)
        return hasher.hashes
    }

    @Test("Thousands of random requests agree with the naive cache, block by block")
    func againstNaive() {
        var random = SeededRandom.fromEnvironment()
        for blockCount in [1, 3, 8, 40] {
            var cache = SimKVCache(blockCount: blockCount, blockTokens: 4)
            var naive = NaiveCache(blockCount: blockCount, blockTokens: 4)
            var open: [(lease: SimKVCache.Lease, numbers: [Int], tokens: [UInt32])] = []
            for _ in 0..<3_000 {
                if Bool.random(using: &random) || open.isEmpty {
                    // Few distinct tokens, so that prefixes are shared often.
                    let count = Int.random(in: 1...40, using: &random)
                    let prompt = (0..<count).map { _ in UInt32.random(in: 0...1, using: &random) }
                    let answer = (0..<Int.random(in: 0...9, using: &random)).map { _ in
                        UInt32.random(in: 0...1, using: &random)
                    }
                    let total = prompt.count + answer.count
                    let lease = cache.allocate(hashes: hashes(prompt), promptTokens: prompt.count, totalTokens: total)
                    let expected = naive.allocate(prompt, total: total)
                    #expect(lease?.blocks.map(Int.init) == expected?.numbers)
                    #expect(lease?.cachedTokens == expected?.cached)
                    if let lease, let expected { open.append((lease, expected.numbers, prompt + answer)) }
                } else {
                    let (lease, numbers, tokens) = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                    cache.free(lease, hashes: hashes(tokens))
                    naive.release(numbers, tokens)
                }
                #expect(cache.freeCount == naive.free.count)
            }
        }
    }

    @Test("A repeated prompt is found but for its last token's block")
    func repeatedPrompt() throws {
        var cache = SimKVCache(blockCount: 10, blockTokens: 4)
        let prompt = [UInt32](0..<12)
        let first = try cache.take(prompt, total: 13)
        #expect(first.cachedTokens == 0)
        #expect(cache.usage == 0.4)
        let second = try cache.take(prompt, total: 13)
        #expect(second.cachedTokens == 8)
        #expect(cache.usage == 0.6)
        cache.free(first, hashes: hashes(prompt))
        cache.free(second, hashes: hashes(prompt))
        #expect(cache.usage == 0)
        #expect(cache.cachedTokens(hashes: hashes(prompt), promptTokens: 12) == 8)
    }

    @Test("A follow-up question finds the answer before it")
    func followUp() throws {
        var cache = SimKVCache(blockCount: 10, blockTokens: 4)
        let turn = [UInt32](0..<6)
        let answer = [UInt32](100..<106)
        let lease = try cache.take(turn, total: 12)
        cache.free(lease, hashes: hashes(turn + answer))
        let next = turn + answer + [7, 8]
        let second = try cache.take(next, total: 15)
        #expect(second.cachedTokens == 12)
    }

    @Test("The end of a prefix is evicted before its beginning")
    func evictionOrder() throws {
        var cache = SimKVCache(blockCount: 4, blockTokens: 4)
        let long = [UInt32](0..<16)
        let lease = try cache.take(long, total: 16)
        cache.free(lease, hashes: hashes(long))
        let other = [UInt32](50..<55)
        let second = try cache.take(other, total: 5)
        #expect(second.blocks == [3, 2])
        #expect(cache.cachedTokens(hashes: hashes(long), promptTokens: 17) == 8)
    }

    @Test("Clearing forgets what is free and keeps what is in use")
    func clearing() throws {
        var cache = SimKVCache(blockCount: 8, blockTokens: 4)
        let (kept, gone) = ([UInt32](0..<9), [UInt32](20..<29))
        let inUse = try cache.take(kept, total: 9)
        let free = try cache.take(gone, total: 9)
        cache.free(free, hashes: hashes(gone))
        cache.clear()
        #expect(cache.cachedTokens(hashes: hashes(gone), promptTokens: 9) == 0)
        #expect(cache.cachedTokens(hashes: hashes(kept), promptTokens: 9) == 8)
        cache.free(inUse, hashes: hashes(kept))
        #expect(cache.freeCount == 8)
    }

    @Test("Hashes chain: equal blocks after different beginnings differ, and the cut of the input does not matter")
    func chaining() {
        let left = hashes([1, 2, 3, 4, 9, 9, 9, 9])
        let right = hashes([1, 2, 3, 5, 9, 9, 9, 9])
        #expect(left.count == 2 && left[1] != right[1])
        var hasher = BlockHasher(blockTokens: 4)
        for token in [1, 2, 3, 4, 9, 9, 9, 9] as [UInt32] { hasher.append([token]) }
        #expect(hasher.hashes == left)
    }
}

extension SimKVCache {
    /// Takes the blocks of a prompt, which must be there.
    fileprivate mutating func take(_ prompt: [UInt32], total: Int) throws -> Lease {
        var hasher = BlockHasher(blockTokens: blockTokens)
        hasher.append(prompt)
        let lease = allocate(hashes: hasher.hashes, promptTokens: prompt.count, totalTokens: total)
        return try #require(lease)
    }
}
