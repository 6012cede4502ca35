#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

extension UnsafeRawBufferPointer {
    /// Where `pattern`, which is not empty, occurs first at `start` or later.
    ///
    /// - Complexity: O(bytes · pattern) at worst; `memchr` steps between places that begin alike.
    package func firstOccurrence(of pattern: [UInt8], from start: Int = 0) -> Int? {
        guard let base = baseAddress, let first = pattern.first else { return nil }
        var place = start
        while place + pattern.count <= count {
            guard let hit = memchr(base + place, Int32(first), count - place - pattern.count + 1) else { return nil }
            place = UnsafeRawPointer(hit) - base
            if memcmp(hit, pattern, pattern.count) == 0 { return place }
            place += 1
        }
        return nil
    }
}
