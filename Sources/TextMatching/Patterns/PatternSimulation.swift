/// Runs a program by following all ways through it side by side (R. Pike's machine).
///
/// The ways are a list of threads, the preferred one first. When two meet at an instruction, the less preferred one
/// ends: whatever it could match, the other would match first. So no place of the text sees more threads than there are
/// instructions.
///
/// - Complexity: O(instructions) steps per byte and O(instructions) memory.
struct PatternSimulation: ~Copyable {
    private struct Thread {
        var place: Int32
        /// What the caller wants to know of a match: where it began, or how many there are before it.
        var value: Int
    }

    private struct ThreadList {
        let threads: UnsafeMutablePointer<Thread>
        var count = 0

        mutating func append(_ thread: Thread) {
            threads[count] = thread
            count += 1
        }
    }

    private let program: PatternProgram
    /// For each instruction, the round in which it was visited last.
    private let rounds: UnsafeMutablePointer<UInt>
    private var round: UInt = 0
    /// The less preferred ways of the forks that are being followed.
    private let pending: UnsafeMutablePointer<Int32>
    /// Threads before a byte, each at a `take`, and those behind it.
    private var current: ThreadList
    private var next: ThreadList
    /// What holds at the place where ways are being followed.
    private var holding: Assertions = []
    /// Visited instructions.
    private(set) var steps = 0
    /// More than this are not taken: the answer is what was known by then.
    private let stepLimit: Int

    /// Whether an answer was given up.
    var isExhausted: Bool { steps > stepLimit }

    init(_ program: PatternProgram, stepLimit: Int = .max) {
        self.stepLimit = stepLimit
        let size = program.instructions.count
        self.program = program
        rounds = .allocate(capacity: size)
        rounds.initialize(repeating: 0, count: size)
        // An instruction is visited once a round, so that each list and the pending ways have room for all.
        pending = .allocate(capacity: size)
        current = ThreadList(threads: .allocate(capacity: size))
        next = ThreadList(threads: .allocate(capacity: size))
    }

    deinit {
        rounds.deallocate()
        pending.deallocate()
        current.threads.deallocate()
        next.threads.deallocate()
    }
}

// Searches
extension PatternSimulation {
    mutating func isFound(in text: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while let place = nextPlace(from: index, in: text, mayBegin: true) {
            index = place
            if advance(to: index, in: text) != nil { return true }
            if mayBegin(at: index, in: text), follow(program.start, value: 0) { return true }
            guard index < text.count, !isExhausted else { return false }
            swapLists()
            index += 1
        }
        return false
    }

    mutating func firstMatch(in text: UnsafeRawBufferPointer, from start: Int) -> Range<Int>? {
        var best: Range<Int>?
        var index = start
        while let place = nextPlace(from: index, in: text, mayBegin: best == nil) {
            index = place
            // A thread that is preferred to the best match may still replace it.
            if let matchStart = advance(to: index, in: text) { best = matchStart..<index }
            if best == nil, mayBegin(at: index, in: text), follow(program.start, value: index) { best = index..<index }
            guard index < text.count, !isExhausted else { return best }
            swapLists()
            index += 1
        }
        return best
    }

    /// Counts the matches from `start` on, where `count` came before and the last one ended at `previousEnd`.
    ///
    /// Behind a match, the search for the one after it begins at once, while threads that are preferred to the match
    /// still run; should one of them match, all that was found meanwhile is forgotten. The searches share the threads:
    /// one that meets a thread of an earlier search ends, since it only counts if the earlier thread comes to nothing.
    /// That makes it one pass, where searching again behind each match may read the rest of the text every time
    /// (`a.*b|a` in a text of a).
    mutating func countMatches(
        in text: UnsafeRawBufferPointer,
        from start: Int,
        after count: Int,
        previousEnd: Int
    ) -> Int {
        // What the answer is if no thread matches any more.
        var count = count
        var previousEnd = previousEnd
        var index = start
        while let place = nextPlace(from: index, in: text, mayBegin: true) {
            index = place
            if let before = advance(to: index, in: text) {
                count = before + 1
                previousEnd = index
                // The instructions behind the match have not been visited, whatever the marks say, only the threads.
                markThreads()
            }
            if mayBegin(at: index, in: text), follow(program.start, value: count) {
                // An empty match does not count where the match before it ended.
                if previousEnd != index { count += 1 }
                previousEnd = index
            }
            guard index < text.count, !isExhausted else { return count }
            swapLists()
            index += 1
        }
        return count
    }
}

// Steps
extension PatternSimulation {
    /// `index`, or without threads the next place where a match can begin; nil if there is none.
    private func nextPlace(from index: Int, in text: UnsafeRawBufferPointer, mayBegin: Bool) -> Int? {
        guard current.count == 0 else { return index }
        guard mayBegin, index <= text.count, index == 0 || !program.isAnchored else { return nil }
        guard let stops = program.firstBytes else { return index }
        let place = stops.next(in: text, from: index)
        return place < text.count ? place : nil
    }

    private func mayBegin(at index: Int, in text: UnsafeRawBufferPointer) -> Bool {
        if program.isAnchored, index > 0 { return false }
        guard let stops = program.firstBytes else { return true }
        return index < text.count && stops.contains(text[index])
    }

    private mutating func swapLists() {
        swap(&current, &next)
    }

    /// Lets all threads take the byte before `index`. Returns the value of the first one that matches there; the
    /// threads that are less preferred are gone then.
    private mutating func advance(to index: Int, in text: UnsafeRawBufferPointer) -> Int? {
        if !program.assertions.isEmpty {
            let before = Surrounding(before: index, in: text)
            holding = Assertions(before: before, after: Surrounding(at: index, in: text))
        }
        beginRound()
        for position in 0..<current.count {
            let thread = current.threads[position]
            let target = target(of: thread.place, taking: text[index - 1])
            steps += 1
            if target >= 0, follow(target, value: thread.value) { return thread.value }
        }
        return nil
    }

    private mutating func beginRound() {
        next.count = 0
        round += 1
    }

    /// Begins a round in which only the threads of the list count as visited.
    private mutating func markThreads() {
        round += 1
        for position in 0..<next.count { rounds[Int(next.threads[position].place)] = round }
        steps += next.count
    }

    /// Adds threads for all ways from `place`, in order of preference. Stops at the first that matches and says so.
    private mutating func follow(_ place: Int32, value: Int) -> Bool {
        program.instructions.withUnsafeBufferPointer { instructions in
            var place = place
            var pendingCount = 0
            while true {
                steps += 1
                var isDead = rounds[Int(place)] == round
                if !isDead {
                    rounds[Int(place)] = round
                    let instruction = instructions[Int(place)]
                    switch instruction.operation {
                    case .take:
                        next.append(Thread(place: place, value: value))
                        isDead = true
                    case .fork:
                        pending[pendingCount] = instruction.second
                        pendingCount += 1
                        place = instruction.first
                    case .check:
                        let needed = Assertions(rawValue: UInt8(truncatingIfNeeded: instruction.second))
                        isDead = !holding.isSuperset(of: needed)
                        place = instruction.first
                    case .match: return true
                    }
                }
                guard isDead else { continue }
                guard pendingCount > 0 else { return false }
                pendingCount -= 1
                place = pending[pendingCount]
            }
        }
    }

    /// Where the `take` at `place` goes with `byte`, or -1.
    private func target(of place: Int32, taking byte: UInt8) -> Int32 {
        let instruction = program.instructions[Int(place)]
        return program.edges.withUnsafeBufferPointer { edges in
            var low = Int(instruction.first)
            var high = low + Int(instruction.second)
            while low < high {
                let middle = (low + high) / 2
                let edge = edges[middle]
                if byte < edge.low {
                    high = middle
                } else if byte > edge.high {
                    low = middle + 1
                } else {
                    return edge.target
                }
            }
            return -1
        }
    }
}

// One transition of the automaton at a time
extension PatternSimulation {
    /// The threads that wait for a byte, where ways begin at `places` and `holding` holds, and whether one matches.
    /// Those that are less preferred than the match are left out.
    mutating func expand(_ places: [Int32], holding: Assertions) -> (takes: [Int32], isMatch: Bool) {
        self.holding = holding
        beginRound()
        let isMatch = places.contains { follow($0, value: 0) }
        return ((0..<next.count).map { next.threads[$0].place }, isMatch)
    }

    /// Where the threads at `takes` go with `byte`: each place once, in order.
    mutating func targets(of takes: [Int32], taking byte: UInt8) -> [Int32] {
        round += 1
        steps += takes.count
        return takes.compactMap { take in
            let target = target(of: take, taking: byte)
            guard target >= 0, rounds[Int(target)] != round else { return nil }
            rounds[Int(target)] = round
            return target
        }
    }
}
