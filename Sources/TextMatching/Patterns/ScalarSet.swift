/// A set of Unicode scalars: ranges in order that neither overlap nor touch.
struct ScalarSet: Hashable, Sendable {
    struct Range: Hashable, Sendable {
        var low: UInt32
        var high: UInt32
    }

    private(set) var ranges: [Range]

    /// The set of what `ranges` cover, in any order.
    init(_ ranges: [Range]) {
        self.ranges = ranges
        normalize()
    }

    init(_ low: UInt32, _ high: UInt32) { ranges = [Range(low: low, high: high)] }

    /// The set of ranges that a flat list of first and last scalars gives.
    init(pairs: [UInt32]) {
        self.init(stride(from: 0, to: pairs.count - 1, by: 2).map { Range(low: pairs[$0], high: pairs[$0 + 1]) })
    }

    static let last: UInt32 = 0x10FFFF
    static let all = ScalarSet(0, last)
    static let allButNewline = ScalarSet(pairs: [0, 0x09, 0x0B, last])

    var inverted: ScalarSet {
        var gaps: [Range] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.low > next { gaps.append(Range(low: next, high: range.low - 1)) }
            next = range.high + 1
        }
        if next <= Self.last { gaps.append(Range(low: next, high: Self.last)) }
        return ScalarSet(gaps)
    }

    func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.low <= scalar && scalar <= $0.high } }

    private mutating func normalize() {
        guard ranges.count > 1 else { return }
        ranges.sort { $0.low < $1.low }
        var merged: [Range] = []
        for range in ranges {
            if let end = merged.last?.high, range.low <= end + 1 {
                merged[merged.count - 1].high = max(end, range.high)
            } else {
                merged.append(range)
            }
        }
        ranges = merged
    }
}
