#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The clock by which windows are measured.
package enum Monotonic {
    /// Nanoseconds since some moment before the process began.
    package static var nanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
