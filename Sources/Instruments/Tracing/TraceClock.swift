#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Clocks in nanoseconds. Both are read without a system call.
package enum TraceClock {
    /// Since an arbitrary origin; never goes back.
    package static var monotonic: UInt64 { read(CLOCK_MONOTONIC) }

    /// Since 1970.
    package static var wall: UInt64 { read(CLOCK_REALTIME) }

    /// Since 1970, by a clock that advances every few milliseconds and takes a few nanoseconds to read.
    static var coarseWall: UInt64 {
        #if canImport(Glibc)
        read(CLOCK_REALTIME_COARSE)
        #else
        read(CLOCK_REALTIME)
        #endif
    }

    /// What is added to the monotonic clock for the wall clock.
    static var wallOffset: UInt64 { wall &- monotonic }

    private static func read(_ id: clockid_t) -> UInt64 {
        var time = timespec()
        // A known clock and a valid pointer: it cannot fail (clock_gettime(2)).
        clock_gettime(id, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
