#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The calendar's time for log lines.
enum WallClock {
    /// Seconds since 1970 with six decimals.
    static func seconds() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let micros = String(time.tv_nsec / 1000)
        return "\(time.tv_sec)." + String(repeating: "0", count: 6 - micros.count) + micros
    }

    /// `value`, which is not negative, with four decimals.
    static func fourDecimals(_ value: Double) -> String {
        let scaled = Int((value * 10_000).rounded())
        let fraction = String(scaled % 10_000)
        return "\(scaled / 10_000)." + String(repeating: "0", count: 4 - fraction.count) + fraction
    }
}
