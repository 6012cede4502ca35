import Glibc
import Instruments
import Telemetry
import Testing

@Suite struct ProcessMetricsTests {
    private let registry = MetricRegistry()

    init() {
        ProcessMetrics.register(in: registry)
    }

    @Test("Every process metric has a plausible value")
    func plausible() throws {
        let cpu = try #require(registry.value(of: "process_cpu_seconds_total"))
        let memory = try #require(registry.value(of: "process_resident_memory_bytes"))
        let start = try #require(registry.value(of: "process_start_time_seconds"))
        #expect(cpu >= 0 && cpu < 1_000_000)
        #expect(memory > 1_000_000 && memory < 1e12)
        // Started in the past, and since 2025.
        #expect(start > 1_735_689_600 && start <= Double(time(nil)) + 1)
        let virtual = try #require(registry.value(of: "process_virtual_memory_bytes"))
        let open = try #require(registry.value(of: "process_open_fds"))
        #expect(virtual > memory)
        #expect(try #require(registry.value(of: "process_max_fds")) >= open)
        #expect(ProcessMetrics.definitions.allSatisfy { registry.value(of: $0.name)?.isNaN == false })
    }

    @Test("An opened descriptor is counted", .timeLimit(.minutes(1)))
    func descriptors() throws {
        // Other tests open descriptors too, so only a number larger than theirs proves anything.
        let before = try #require(ProcessFigures.openDescriptors())
        var ends = [Int32](repeating: 0, count: 2)
        var all: [Int32] = []
        for _ in 0..<50 {
            try #require(pipe(&ends) == 0)
            all += ends
        }
        let after = try #require(ProcessFigures.openDescriptors())
        for descriptor in all { close(descriptor) }
        #expect(after - before > 80 && after - before < 120)
    }

    @Test("Work shows up as CPU time")
    func cpuTime() throws {
        let before = try #require(ProcessFigures.cpuSeconds())
        var sum: UInt64 = 0
        var rounds = 0
        while try #require(ProcessFigures.cpuSeconds()) <= before {
            for value in 0..<100_000 as Range<UInt64> { sum = sum &* 31 &+ value }
            rounds += 1
            try #require(rounds < 100_000, "CPU time never grows")
        }
        #expect(sum != 0)
    }
}
