import ClassifierEngine
import TestRandom
import Testing

@Suite struct CostEstimateTests {
    private static let line = CostLine(base: 0.001, perToken: 0.000_01)

    @Test("A line through measurements on a line is that line")
    func fit() {
        let runs = [16, 64, 512].map { (paddedTokens: $0, seconds: Self.line.seconds(paddedTokens: $0)) }
        let fitted = CostLine(fitting: runs)
        #expect(abs(fitted.base - 0.001) < 1e-9)
        #expect(abs(fitted.perToken - 0.000_01) < 1e-12)
    }

    @Test("Odd measurements give no line that costs nothing or less with length")
    func oddMeasurements() {
        let falling = CostLine(fitting: [(10, 0.02), (100, 0.01)])
        #expect(falling.perToken == 0)
        #expect(falling.base > 0.01)
        let one = CostLine(fitting: [(100, 0.01)])
        #expect(abs(one.seconds(paddedTokens: 1_000) - 0.1) < 1e-6)
        #expect(CostLine(fitting: []).base > 0)
        #expect(CostLine(base: .nan, perToken: -.infinity).seconds(paddedTokens: 5) > 0)
    }

    @Test("Runs as estimated leave the estimate where it is")
    func exact() {
        var estimate = CostEstimate(Self.line)
        let before = estimate.nanoseconds(count: 4, longest: 32)
        for _ in 0..<1_000 { estimate.observe(count: 4, longest: 32, nanoseconds: before) }
        #expect(estimate.nanoseconds(count: 4, longest: 32).distance(to: before).magnitude <= 1)
    }

    @Test("The estimate follows a model that is slower or faster than its line", arguments: [0.25, 0.9, 1.5, 4])
    func following(_ factor: Double) {
        var random = SeededRandom.fromEnvironment()
        var estimate = CostEstimate(Self.line)
        let truth = Self.line.seconds(paddedTokens: 128) * 1e9 * factor
        for _ in 0..<500 {
            let scatter = 0.95 + 0.1 * Double(random.below(1_000)) / 1_000
            estimate.observe(count: 4, longest: 32, nanoseconds: UInt64(truth * scatter))
        }
        let ratio = Double(estimate.nanoseconds(count: 4, longest: 32)) / truth
        #expect(ratio > 0.99 && ratio < 1.06)
    }

    @Test("A run that was held up for a second moves the estimate by 5 %")
    func outlier() {
        var estimate = CostEstimate(Self.line)
        let before = estimate.nanoseconds(count: 1, longest: 32)
        for _ in 0..<10 { estimate.observe(count: 1, longest: 32, nanoseconds: before) }
        estimate.observe(count: 1, longest: 32, nanoseconds: 1_000_000_000)
        #expect(Double(estimate.nanoseconds(count: 1, longest: 32)) / Double(before) < 1.051)
    }

    @Test("A kind of batch that looked dear is forgotten when it has not been run for long")
    func forgetting() {
        var estimate = CostEstimate(Self.line)
        let cheap = estimate.nanoseconds(count: 16, longest: 64)
        let lone = estimate.nanoseconds(count: 1, longest: 64)
        for _ in 0..<20 { estimate.observe(count: 16, longest: 64, nanoseconds: cheap * 3) }
        #expect(estimate.nanoseconds(count: 16, longest: 64) > cheap * 2)
        for _ in 0..<1_000 { estimate.observe(count: 1, longest: 64, nanoseconds: lone) }
        #expect(Double(estimate.nanoseconds(count: 16, longest: 64)) < 1.01 * Double(cheap))
    }

    @Test("A model is measured by the fastest of its runs")
    func measuring() throws {
        let runs = Tally()
        let model = ScriptedModel { batch in
            runs.add(1)
            return batch.map(\.length)
        }
        let line = try model.measureCost(of: [[Text(length: 1)], [], [Text(length: 4), Text(length: 8)]])
        #expect(line.base > 0)
        // Two batches, one run to warm up and three to measure each.
        #expect(runs.value == 8)
    }
}
