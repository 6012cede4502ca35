import Resilience
import Testing

@Suite struct DeadlineTests {
    @Test("The time left shrinks to zero and stays there")
    func remaining() {
        let deadline = Deadline(after: .seconds(2), from: seconds(10))
        #expect(deadline.remaining(at: seconds(10)) == .seconds(2))
        #expect(deadline.remaining(at: seconds(11)) == .seconds(1))
        #expect(deadline.remaining(at: seconds(13)) == .zero)
        #expect(!deadline.hasPassed(at: seconds(11)))
        #expect(deadline.hasPassed(at: seconds(12)))
    }

    @Test("A deadline of never has no end, even at the end of time")
    func never() {
        #expect(Deadline.never.remaining(at: seconds(1)) == nil)
        #expect(!Deadline.never.hasPassed(at: .distantFuture))
    }

    @Test("A shorter time-out wins over the deadline, a longer one does not extend it")
    func shortened() {
        let deadline = Deadline(after: .seconds(5), from: seconds(0))
        #expect(deadline.shortened(to: .seconds(1), from: seconds(1)).time == seconds(2))
        #expect(deadline.shortened(to: .seconds(60), from: seconds(1)) == deadline)
        #expect(Deadline.never.shortened(to: .seconds(1), from: seconds(1)).time == seconds(2))
    }

    @Test("Times stop at the ends of the clock instead of wrapping")
    func saturation() {
        #expect(seconds(1) + .seconds(Int64.max) == MonotonicTime(nanoseconds: 1_000_000_000 + UInt64(Int64.max)))
        #expect(MonotonicTime(nanoseconds: .max - 1) + .seconds(1) == .distantFuture)
        #expect(seconds(1) + .seconds(-5) == MonotonicTime(nanoseconds: 0))
        #expect(seconds(5) + .seconds(-1) == seconds(4))
        #expect(seconds(5).elapsed(until: seconds(4)) == .zero)
    }

    @Test("The clock does not run backwards")
    func clock() {
        let first = MonotonicTime.now()
        #expect(MonotonicTime.now() >= first)
        #expect(first.nanoseconds > 0)
    }
}
