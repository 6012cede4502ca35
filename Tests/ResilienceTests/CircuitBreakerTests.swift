import Resilience
import Testing

@Suite struct CircuitBreakerTests {
    /// Everything that can happen to a breaker. The ticks are chosen against open times of 1, 2, 3, 3, … s.
    enum Event: CaseIterable {
        case allow, succeeded, failed, abandoned, tickOne, tickThree
    }

    /// The breaker's contract written the slow way: as plain facts, without the states' names.
    struct Oracle {
        let threshold: Int
        let openTimes: [UInt64]
        var now: UInt64 = 0
        var failuresInARow = 0
        var failedProbes = 0
        /// Nil while everything is admitted.
        var closedUntil: UInt64?
        var hasLeftOpen = false
        var probeSince: UInt64?

        mutating func apply(_ event: Event) -> Bool? {
            switch event {
            case .tickOne: now += 1
            case .tickThree: now += 3
            case .allow: return allow()
            case .succeeded:
                closedUntil = nil
                failuresInARow = 0
                failedProbes = 0
                probeSince = nil
                hasLeftOpen = false
            case .failed:
                if closedUntil == nil {
                    failuresInARow += 1
                    if failuresInARow >= threshold { shut() }
                } else if hasLeftOpen {
                    failedProbes += 1
                    shut()
                }
            case .abandoned:
                probeSince = nil
            }
            return nil
        }

        mutating func allow() -> Bool {
            guard let closedUntil else { return true }
            guard now >= closedUntil else { return false }
            if hasLeftOpen, let probeSince, now - probeSince < openTimes.last ?? 0 { return false }
            hasLeftOpen = true
            probeSince = now
            return true
        }

        mutating func shut() {
            closedUntil = now + openTimes[min(failedProbes, openTimes.count - 1)]
            hasLeftOpen = false
            probeSince = nil
        }
    }

    private let settings = CircuitBreaker.Settings(
        failureThreshold: 2,
        firstOpen: .seconds(1),
        longestOpen: .seconds(3)
    )

    @Test("Every order of eight events agrees with the contract")
    func allOrders() {
        var disagreements = 0
        var visited = 0
        func explore(_ breaker: CircuitBreaker, _ oracle: Oracle, depth: Int, _ path: [Event]) {
            guard depth > 0, disagreements == 0 else { return }
            for event in Event.allCases {
                var breaker = breaker
                var oracle = oracle
                let expected = oracle.apply(event)
                let now = seconds(oracle.now)
                var actual: Bool?
                switch event {
                case .allow:
                    let foreseen = breaker.wouldAllow(at: now)
                    actual = breaker.allow(at: now)
                    if foreseen != actual { disagreements += 1 }
                case .succeeded: breaker.succeeded()
                case .failed: breaker.failed(at: now)
                case .abandoned: breaker.abandoned()
                case .tickOne, .tickThree: break
                }
                visited += 1
                let state: CircuitBreaker.State =
                    switch oracle.closedUntil {
                    case nil: .closed
                    case let until?: oracle.now >= until ? .halfOpen : .open
                    }
                if actual != expected || breaker.state(at: now) != state {
                    disagreements += 1
                    Issue.record("after \(path + [event]): \(String(describing: actual)) \(breaker.state(at: now))")
                }
                explore(breaker, oracle, depth: depth - 1, path + [event])
            }
        }
        explore(CircuitBreaker(settings), Oracle(threshold: 2, openTimes: [1, 2, 3]), depth: 8, [])
        #expect(disagreements == 0)
        #expect(visited == 2_015_538, "the sum of 6ⁿ for n in 1…8")
    }

    @Test("Failures that are not in a row never open it")
    func successResets() {
        var breaker = CircuitBreaker(settings)
        for _ in 0..<100 {
            breaker.failed(at: seconds(0))
            breaker.succeeded()
        }
        #expect(breaker.state(at: seconds(0)) == .closed)
    }

    @Test("The open time doubles with each failed probe, up to the cap, and starts over after a success")
    func openTimesGrow() {
        var breaker = CircuitBreaker(settings)
        var now: UInt64 = 0
        func openTime(of breaker: inout CircuitBreaker) -> UInt64 {
            let start = now
            while !breaker.allow(at: seconds(now)) { now += 1 }
            return now - start
        }
        breaker.failed(at: seconds(0))
        breaker.failed(at: seconds(0))
        var times: [UInt64] = []
        for _ in 0..<4 {
            times.append(openTime(of: &breaker))
            breaker.failed(at: seconds(now))
        }
        #expect(times == [1, 2, 3, 3])
        #expect(openTime(of: &breaker) == 3)
        breaker.succeeded()
        breaker.failed(at: seconds(now))
        breaker.failed(at: seconds(now))
        #expect(openTime(of: &breaker) == 1)
    }
}

/// A reading `value` seconds after the clock's origin.
func seconds(_ value: UInt64) -> MonotonicTime {
    MonotonicTime(nanoseconds: value * 1_000_000_000)
}
