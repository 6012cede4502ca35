package import Instruments
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The machine's figures, as upstream's `vllm-router` shows them. Read at scrape, without waiting.
package enum HostMetrics {
    package static let definitions = [cpuPercent, memoryPercent, diskPercent]

    private static let cpuPercent = MetricDefinition.gauge(
        "router_cpu_usage_percent",
        "Share of the machine's CPU time in use since the last scrape, 0 to 100."
    )
    private static let memoryPercent = MetricDefinition.gauge(
        "router_memory_usage_percent",
        "Share of the machine's memory that is not available, 0 to 100."
    )
    private static let diskPercent = MetricDefinition.gauge(
        "router_disk_usage_percent",
        "Share of the root file system in use, 0 to 100."
    )

    /// Adds the metrics to `registry`. A figure that the system does not tell reads as NaN.
    package static func register(in registry: MetricRegistry) {
        // Before the first scrape: since the machine's start.
        let former = Mutex(HostFigures.CPUTime(busy: 0, all: 0))
        registry.sample(cpuPercent) {
            guard let now = HostFigures.cpuTime() else { return .nan }
            let then = former.withLock { former in
                defer { former = now }
                return former
            }
            return now.percent(since: then)
        }
        registry.sample(memoryPercent) { HostFigures.memoryPercent() ?? .nan }
        registry.sample(diskPercent) { HostFigures.diskPercent() ?? .nan }
    }
}

/// Readings of /proc/stat, /proc/meminfo (proc(5)) and statvfs(3).
package enum HostFigures {
    /// CPU time of all cores, in clock ticks since the machine's start.
    package struct CPUTime: Hashable, Sendable {
        package let busy: Double
        package let all: Double

        package init(busy: Double, all: Double) {
            self.busy = busy
            self.all = all
        }

        /// 0 to 100; 0 when no time has passed.
        package func percent(since former: CPUTime) -> Double {
            guard all > former.all else { return 0 }
            return min(100, max(0, (busy - former.busy) / (all - former.all) * 100))
        }
    }

    package static func cpuTime() -> CPUTime? {
        ProcessFigures.contents(of: "/proc/stat").flatMap { cpuTime(stat: $0) }
    }

    /// Reads the first line of /proc/stat: user, nice, system, idle, I/O wait, interrupts, soft interrupts, stolen. What
    /// guests take follows, and is part of user time already.
    package static func cpuTime(stat: String) -> CPUTime? {
        let words = stat.prefix { $0 != "\n" }.split(separator: " ")
        guard words.first == "cpu" else { return nil }
        let times = words.dropFirst().prefix(8).compactMap { Double($0) }
        guard times.count >= 5 else { return nil }
        let all = times.reduce(0, +)
        return CPUTime(busy: all - times[3] - times[4], all: all)
    }

    static func memoryPercent() -> Double? {
        ProcessFigures.contents(of: "/proc/meminfo").flatMap { memoryPercent(meminfo: $0) }
    }

    package static func memoryPercent(meminfo: String) -> Double? {
        func kibibytes(_ name: String) -> Double? {
            let line = meminfo.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return line?.split(separator: " ").dropFirst().first.flatMap { Double($0) }
        }
        guard let all = kibibytes("MemTotal"), let available = kibibytes("MemAvailable"), all > 0 else { return nil }
        return (all - available) / all * 100
    }

    static func diskPercent() -> Double? {
        var figures = statvfs()
        guard statvfs("/", &figures) == 0 else { return nil }
        let used = Double(figures.f_blocks) - Double(figures.f_bfree)
        let whole = used + Double(figures.f_bavail)
        return whole > 0 ? used / whole * 100 : nil
    }
}
