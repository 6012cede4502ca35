package import Instruments

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The process's own figures, read from /proc at scrape, under the names that every Prometheus client uses
/// (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics).
package enum ProcessMetrics {
    package static let definitions: [MetricDefinition] = [
        cpuSeconds, residentMemory, virtualMemory, openDescriptors, mostDescriptors, startTime,
    ]

    private static let cpuSeconds = MetricDefinition.counter(
        "process_cpu_seconds_total",
        "User and system CPU time of the process, in seconds."
    )
    private static let residentMemory = MetricDefinition.gauge(
        "process_resident_memory_bytes",
        "Resident memory of the process, in bytes."
    )
    private static let virtualMemory = MetricDefinition.gauge(
        "process_virtual_memory_bytes",
        "Virtual memory of the process, in bytes."
    )
    private static let mostDescriptors = MetricDefinition.gauge(
        "process_max_fds",
        "How many file descriptors the process may have open."
    )
    private static let openDescriptors = MetricDefinition.gauge(
        "process_open_fds",
        "Open file descriptors of the process."
    )
    private static let startTime = MetricDefinition.gauge(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970."
    )

    /// Adds the metrics to `registry`. A figure that the system does not tell reads as NaN.
    package static func register(in registry: MetricRegistry) {
        registry.sample(cpuSeconds) { ProcessFigures.cpuSeconds() ?? .nan }
        registry.sample(residentMemory) { ProcessFigures.residentBytes() ?? .nan }
        registry.sample(virtualMemory) { ProcessFigures.virtualBytes() ?? .nan }
        registry.sample(mostDescriptors) { ProcessFigures.mostDescriptors() ?? .nan }
        registry.sample(openDescriptors) { ProcessFigures.openDescriptors() ?? .nan }
        registry.sample(startTime) { ProcessFigures.startTime() ?? .nan }
    }
}

/// Readings of /proc (proc(5)).
package enum ProcessFigures {
    package static func cpuSeconds() -> Double? {
        // Fields 14 and 15, user and system time in clock ticks.
        guard let fields = statFields(), fields.count > 12 else { return nil }
        guard let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / ticksPerSecond
    }

    package static func residentBytes() -> Double? {
        // Field 24, pages.
        guard let fields = statFields(), fields.count > 21, let pages = Double(fields[21]) else { return nil }
        return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
    }

    package static func virtualBytes() -> Double? {
        // Field 23, bytes.
        guard let fields = statFields(), fields.count > 20 else { return nil }
        return Double(fields[20])
    }

    package static func mostDescriptors() -> Double? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return limit.rlim_cur == rlim_t.max ? .infinity : Double(limit.rlim_cur)
    }

    package static func openDescriptors() -> Double? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Without `.`, `..` and the descriptor that reads the folder.
        return Double(count - 3)
    }

    package static func startTime() -> Double? {
        // Field 22, clock ticks after boot.
        guard let fields = statFields(), fields.count > 19, let ticks = Double(fields[19]) else { return nil }
        guard let lines = contents(of: "/proc/stat")?.split(separator: "\n") else { return nil }
        guard let boot = lines.first(where: { $0.hasPrefix("btime ") }) else { return nil }
        return Double(boot.dropFirst("btime ".count)).map { $0 + ticks / ticksPerSecond }
    }

    private static var ticksPerSecond: Double {
        Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The fields of /proc/self/stat from the third on: the second, the command's name, may hold anything, but ends at
    /// the last parenthesis.
    private static func statFields() -> [Substring]? {
        guard let text = contents(of: "/proc/self/stat"), let end = text.lastIndex(of: ")") else { return nil }
        return text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
    }

    static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(contentsOf: chunk[..<count])
        }
    }
}
