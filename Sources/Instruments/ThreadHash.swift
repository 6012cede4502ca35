#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A number that differs between most threads and stays the same within one.
///
/// The thread's control block address, mixed by Fibonacci hashing (Knuth, TAOCP 3, section 6.4): no thread-local storage
/// and no set-up, about two nanoseconds.
@inline(__always)
func threadHash() -> UInt64 {
    #if canImport(Glibc)
    let identity = UInt64(pthread_self())
    #else
    let identity = UInt64(UInt(bitPattern: pthread_self()))
    #endif
    return (identity &* 0x9E37_79B9_7F4A_7C15) >> 56
}
