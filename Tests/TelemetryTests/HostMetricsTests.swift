import Instruments
import Telemetry
import Testing

@Suite struct HostMetricsTests {
    @Test("CPU use is the share of time between two looks in which the machine was neither idle nor waiting")
    func cpu() throws {
        // proc(5): user nice system idle iowait irq softirq steal guest guest_nice; guests are in user already.
        let before = try #require(HostFigures.cpuTime(stat: "cpu  100 0 50 800 50 0 0 0 90 0\ncpu0 1 2 3\n"))
        let after = try #require(HostFigures.cpuTime(stat: "cpu  130 5 60 840 60 3 2 0 110 0\n"))
        #expect(before == .init(busy: 150, all: 1_000))
        #expect(after.percent(since: before) == 50)
        #expect(after.percent(since: after) == 0)
        #expect(before.percent(since: .init(busy: 0, all: 0)) == 15)
        #expect(HostFigures.cpuTime(stat: "cpu0 1 2 3 4 5") == nil)
        #expect(HostFigures.cpuTime(stat: "cpu 1 2") == nil)
    }

    @Test("Memory in use is what is not available")
    func memory() {
        let text = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n"
        #expect(HostFigures.memoryPercent(meminfo: text) == 75)
        #expect(HostFigures.memoryPercent(meminfo: "MemTotal: 1000 kB\n") == nil)
    }

    @Test("All figures are percentages here")
    func plausible() throws {
        let registry = MetricRegistry()
        HostMetrics.register(in: registry)
        for definition in HostMetrics.definitions {
            #expect((0...100).contains(try #require(registry.value(of: definition.name))), "\(definition.name)")
        }
    }
}
