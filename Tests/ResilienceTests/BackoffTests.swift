import Resilience
import TestRandom
import Testing

@Suite struct BackoffTests {
    @Test(
        "The ceiling doubles until the cap, however many attempts",
        arguments: [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1_000), (62, 1_000), (63, 1_000), (1_000_000, 1_000)]
    )
    func ceilingDoubles(attempt: Int, milliseconds: Int) {
        let backoff = Backoff(base: .milliseconds(100), cap: .seconds(1))
        #expect(backoff.ceiling(attempt: attempt) == .milliseconds(milliseconds))
    }

    @Test("A base of zero never waits")
    func zeroBase() {
        let backoff = Backoff(base: .zero, cap: .seconds(1))
        #expect([0, 1, 63, 64].map { backoff.ceiling(attempt: $0) } == Array(repeating: .zero, count: 4))
    }

    @Test("A thousand waits fill the range from nothing to the ceiling evenly")
    func uniform() {
        var random = SeededRandom.fromEnvironment()
        let backoff = Backoff(base: .milliseconds(100), cap: .seconds(10))
        let waits = (0..<1_000).map { _ in backoff.delay(attempt: 3, using: &random) }
        #expect(waits.allSatisfy { $0 >= .zero && $0 <= .milliseconds(800) })
        #expect(waits.contains { $0 < .milliseconds(40) } && waits.contains { $0 > .milliseconds(760) })
        let mean = waits.reduce(Duration.zero, +) / 1_000
        #expect(mean > .milliseconds(350) && mean < .milliseconds(450), "mean \(mean), seed \(random.seed)")
    }
}
