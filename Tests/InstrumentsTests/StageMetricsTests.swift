import Instruments
import Testing

@Suite("Stages")
struct StageMetricsTests {
    @Test("Every stage is recorded under its own name", arguments: StageMetrics.Stage.allCases)
    func names(stage: StageMetrics.Stage) {
        let registry = MetricRegistry()
        StageMetrics(registry: registry).record(stage, 0.001)
        let counts = StageMetrics.Stage.allCases.map {
            registry.value(of: "sextant_stage_seconds", labels: ["stage": $0.rawValue])
        }
        #expect(counts == StageMetrics.Stage.allCases.map { $0 == stage ? 1 : 0 })
    }

    @Test("Laps follow one another, and come to the whole")
    func watch() {
        var watch = Stopwatch()
        let laps = (0..<100).map { _ in watch.lap() }
        #expect(laps.allSatisfy { $0 >= 0 })
        #expect(abs(laps.reduce(0, +) - watch.total) < 1e-9)
    }

    @Test("A registry that records nothing shows nothing but what is sampled")
    func off() {
        let registry = MetricRegistry(isRecording: false)
        let stages = StageMetrics(registry: registry)
        for stage in StageMetrics.Stage.allCases { stages.record(stage, 1) }
        let counter = registry.counter(.counter("things", "Things."))
        counter.increment()
        counter.increment(by: 3)
        counter.add(0.5)
        counter.increment(exemplar: TraceID(high: 1, low: 2))
        #expect(counter.value == 0)
        #expect(counter.exemplar == nil)
        #expect(registry.value(of: "sextant_stage_seconds", labels: ["stage": "parse"]) == 0)
        registry.sample(.gauge("level", "A level.")) { 7 }
        #expect(registry.value(of: "level") == 7)
    }
}
