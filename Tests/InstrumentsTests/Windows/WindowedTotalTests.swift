import Instruments
import Testing

@Suite struct WindowedTotalTests {
    @Test("A window holds what came since a look at least as long ago, and says how long that is")
    func window() {
        let second: UInt64 = 1_000_000_000
        let total = WindowedTotal(at: 100 * second)
        #expect(total.within(.seconds(60), at: 100 * second).rate == 0)
        #expect(total.within(.seconds(60), at: 100 * second).mean == nil)
        for value in [1.0, 2, 3] { total.record(value) }
        let young = total.within(.seconds(60), at: 110 * second)
        #expect(young == .init(count: 3, sum: 6, seconds: 10))
        #expect(young.mean == 2)
        #expect(young.rate == 0.3)
        total.record(6)
        // The look at 110 is 60 seconds ago; what was recorded by then is out.
        #expect(total.within(.seconds(60), at: 170 * second) == .init(count: 1, sum: 6, seconds: 60))
        #expect(total.within(.seconds(60), at: 300 * second) == .init(count: 0, sum: 0, seconds: 130))
    }
}
