#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Bytes to be searched, ready for texts: Knuth, Morris and Pratt, "Fast Pattern Matching in Strings" (1977).
package struct BytePattern: Sendable {
    private let bytes: [UInt8]
    /// For each prefix, the length of the longest shorter one that it ends with.
    private let borders: [Int]

    /// - Parameter text: not empty, in the case in which texts are given.
    package init(_ text: String) {
        bytes = Array(text.utf8)
        var borders = [Int](repeating: 0, count: bytes.count)
        var length = 0
        for index in bytes.indices.dropFirst() {
            while length > 0, bytes[index] != bytes[length] { length = borders[length - 1] }
            if bytes[index] == bytes[length] { length += 1 }
            borders[index] = length
        }
        self.borders = borders
    }

    /// The end of the first occurrence that begins at `start` or later.
    ///
    /// - Complexity: O(bytes of the text), whatever the pattern; `memchr` steps between places that begin alike.
    package func firstEnd(in text: UnsafeRawBufferPointer, from start: Int = 0) -> Int? {
        guard let base = text.baseAddress, let first = bytes.first else { return nil }
        var place = start
        var matched = 0
        while place < text.count {
            if matched == 0 {
                guard let hit = memchr(base + place, Int32(first), text.count - place) else { return nil }
                place = UnsafeRawPointer(hit) - base
            }
            let byte = text[place]
            while matched > 0, bytes[matched] != byte { matched = borders[matched - 1] }
            if bytes[matched] == byte { matched += 1 }
            place += 1
            if matched == bytes.count { return place }
        }
        return nil
    }
}
