/// Latencies in buckets that are each an eighth of a power of two wide: 1 ms to 35 minutes with an error of at most an
/// eighth, in a fixed number of counts (as HdrHistogram does it, http://hdrhistogram.org).
enum LatencyBuckets {
    /// 21 powers of two above 1 ms, eight buckets each; one below them and one above.
    static let count = octaves * 8 + 2
    private static let octaves = 21

    /// The exponent and the three highest bits of the fraction of a double, as one number: they ascend with the value.
    private static let shift: UInt64 = 49
    /// Of 1.0.
    private static let origin = Int(1.0.bitPattern >> 49)

    /// The bucket of a latency in seconds. What is negative or no number counts as 0.
    @inline(__always)
    static func index(_ seconds: Double) -> Int {
        let milliseconds = seconds * 1_000
        guard milliseconds >= 1 else { return 0 }
        return min(Int(milliseconds.bitPattern >> shift) - origin + 1, count - 1)
    }

    /// The value below which a share of the counted latencies lies, in seconds: halfway into the bucket of the value with
    /// rank ⌈share · n⌉. Nil when nothing was counted.
    ///
    /// - Complexity: O(buckets).
    static func quantile(_ share: Double, of counts: [UInt32]) -> Double? {
        let total = counts.reduce(0) { $0 + Int($1) }
        guard total > 0 else { return nil }
        let rank = max(1, Int((share * Double(total)).rounded(.up)))
        var below = 0
        for (index, count) in counts.enumerated() {
            below += Int(count)
            if below >= rank { return middle(of: index) }
        }
        return middle(of: counts.count - 1)
    }

    private static func middle(of index: Int) -> Double {
        (lowerBound(of: index) + lowerBound(of: index + 1)) / 2
    }

    /// In seconds.
    private static func lowerBound(of index: Int) -> Double {
        index == 0 ? 0 : Double(bitPattern: UInt64(index - 1 + origin) << shift) / 1_000
    }
}
