/// Which scalars are one letter when case does not count: the orbits of Unicode's simple case folding.
///
/// An orbit holds what single-scalar case mappings connect, such as K, k and the Kelvin sign, or S, s and ſ. Mappings
/// to several scalars (ß to SS) take no part, and neither do İ and ı, which fold only in Turkish
/// (CaseFolding.txt, status T).
enum CaseOrbits {
    /// The orbit of `scalar` with itself, in order; nil if it stands alone.
    static func orbit(of scalar: UInt32) -> [UInt32]? {
        if scalar < 0x80 { return asciiOrbit(of: scalar) }
        let place = firstIndex(atOrAfter: scalar)
        guard place < members.count, members[place].scalar == scalar else { return nil }
        return orbits[members[place].orbit]
    }

    private static func asciiOrbit(of scalar: UInt32) -> [UInt32]? {
        let lower = scalar | 0x20
        guard lower >= 0x61, lower <= 0x7A else { return nil }
        switch lower {
        case 0x6B: return [0x4B, 0x6B, 0x212A]
        case 0x73: return [0x53, 0x73, 0x17F]
        default: return [lower - 0x20, lower]
        }
    }

    private struct Member {
        var scalar: UInt32
        var orbit: Int
    }

    private static func firstIndex(atOrAfter scalar: UInt32) -> Int {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].scalar < scalar { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// All orbits of two and more. Made from the runtime's tables by the first pattern that needs it.
    static let orbits: [[UInt32]] = {
        var leaders: [UInt32: UInt32] = [:]
        func leader(_ scalar: UInt32) -> UInt32 {
            var current = scalar
            while let next = leaders[current] { current = next }
            return current
        }
        var seen: Set<UInt32> = []
        // Scripts with case end at Adlam, U+1E943.
        for value in UInt32(0)..<0x20000 where value != 0x130 && value != 0x131 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let properties = scalar.properties
            guard properties.changesWhenCaseMapped else { continue }
            for mapping in [properties.lowercaseMapping, properties.uppercaseMapping, properties.titlecaseMapping] {
                let scalars = mapping.unicodeScalars
                guard let mapped = scalars.first?.value, scalars.count == 1, mapped != value else { continue }
                seen.formUnion([value, mapped])
                let (one, other) = (leader(value), leader(mapped))
                if one != other { leaders[max(one, other)] = min(one, other) }
            }
        }
        let groups = Dictionary(grouping: seen, by: leader)
        return groups.values.map { $0.sorted() }.sorted { $0[0] < $1[0] }
    }()

    private static let members: [Member] = orbits.enumerated()
        .flatMap { place, orbit in orbit.map { Member(scalar: $0, orbit: place) } }
        .sorted { $0.scalar < $1.scalar }

    /// The ranges, and one for each scalar that is a member's other case.
    static func fold(_ ranges: [ScalarSet.Range]) -> [ScalarSet.Range] {
        var folded = ranges
        func add(_ orbit: [UInt32]) { folded += orbit.map { ScalarSet.Range(low: $0, high: $0) } }
        for range in ranges {
            for scalar in range.low..<max(range.low, min(range.high + 1, 0x80)) {
                if let orbit = asciiOrbit(of: scalar) { add(orbit) }
            }
            guard range.high >= 0x80 else { continue }
            var place = firstIndex(atOrAfter: max(range.low, 0x80))
            while place < members.count, members[place].scalar <= range.high {
                add(orbits[members[place].orbit])
                place += 1
            }
        }
        return folded
    }
}
