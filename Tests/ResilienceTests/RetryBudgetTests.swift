import Resilience
import Testing

@Suite struct RetryBudgetTests {
    enum Event: CaseIterable {
        case request, retry, tick
    }

    @Test("Every order of eleven events agrees with exact fractions of a token")
    func allOrders() {
        // In sixths of a token: half a token a request, a third of a token a second, at most two tokens.
        let settings = RetryBudget.Settings(ratio: 0.5, minimumPerSecond: 1.0 / 3, capacity: 2)
        var disagreements = 0
        func explore(_ budget: RetryBudget, _ sixths: Int, _ now: UInt64, depth: Int) {
            guard depth > 0, disagreements == 0 else { return }
            for event in Event.allCases {
                var budget = budget
                var sixths = sixths
                var now = now
                switch event {
                case .request:
                    budget.requestSent()
                    sixths = min(12, sixths + 3)
                case .retry:
                    budget.retry(at: seconds(now), sixths: &sixths, disagreements: &disagreements)
                case .tick:
                    // Three seconds are exactly one token, so no rounding enters.
                    now += 3
                    sixths = min(12, sixths + 6)
                }
                if budget.available(at: seconds(now)) != sixths / 6 { disagreements += 1 }
                explore(budget, sixths, now, depth: depth - 1)
            }
        }
        explore(RetryBudget(settings, at: seconds(5)), 12, 5, depth: 11)
        #expect(disagreements == 0)
    }

    @Test("Retries never exceed the burst, plus the share of requests, plus the rate times the time")
    func boundHolds() {
        var random = SeededRandom.fromEnvironment()
        for _ in 0..<200 {
            let settings = RetryBudget.Settings(
                ratio: Double.random(in: 0...1, using: &random),
                minimumPerSecond: Double.random(in: 0...20, using: &random),
                capacity: Double.random(in: 0...10, using: &random)
            )
            var budget = RetryBudget(settings, at: seconds(0))
            var now = MonotonicTime(nanoseconds: 0)
            var requests = 0
            var retries = 0
            for _ in 0..<500 {
                switch Int.random(in: 0..<3, using: &random) {
                case 0:
                    requests += 1
                    budget.requestSent()
                case 1:
                    retries += budget.allowRetry(at: now) ? 1 : 0
                default:
                    now = now + .nanoseconds(Int64.random(in: 0...100_000_000, using: &random))
                }
                let elapsed = Double(now.nanoseconds) / 1e9
                let bound =
                    settings.capacity + settings.ratio * Double(requests) + settings.minimumPerSecond * elapsed
                #expect(Double(retries) <= bound + 1e-6)
            }
        }
    }

    @Test("A budget of nothing allows no retry, ever")
    func emptyBudget() {
        var budget = RetryBudget(.init(ratio: 0, minimumPerSecond: 0, capacity: 0), at: seconds(0))
        budget.requestSent()
        let allowed = budget.allowRetry(at: seconds(1_000_000))
        #expect(!allowed)
    }

    @Test("A clock that steps back earns nothing")
    func timeBackwards() {
        var budget = RetryBudget(.init(ratio: 0, minimumPerSecond: 1, capacity: 1), at: seconds(10))
        let allowed = [10, 5, 10, 11].map { budget.allowRetry(at: seconds($0)) }
        #expect(allowed == [true, false, false, true])
    }
}

extension RetryBudget {
    /// Retries on the budget and on the model in sixths of a token, and counts when the two answer differently.
    fileprivate mutating func retry(at now: MonotonicTime, sixths: inout Int, disagreements: inout Int) {
        let expected = sixths >= 6
        if allowRetry(at: now) != expected { disagreements += 1 }
        if expected { sixths -= 6 }
    }
}
