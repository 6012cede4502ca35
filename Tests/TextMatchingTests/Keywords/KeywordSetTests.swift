import Testing
import TextMatching

@Suite struct KeywordSetTests {
    @Test("A set holds what was inserted, counts it once, and forgets it on removal")
    func insertAndRemove() {
        var set = KeywordSet(capacity: 10)
        #expect(set.isEmpty)
        for keyword in [3, 64, 3, 200, 0] { set.insert(keyword) }
        #expect(set.count == 4)
        #expect(set.indices == [0, 3, 64, 200])
        #expect(set.contains(64) && !set.contains(65) && !set.contains(100_000))
        let isNew = set.insert(200)
        #expect(!isNew)
        set.removeAll()
        #expect(set.isEmpty && set.indices == [] && !set.contains(3))
    }

    @Test("A range is disjoint from a set that holds none of its numbers")
    func disjoint() {
        for member in [0, 1, 62, 63, 64, 65, 127, 128, 190] {
            var set = KeywordSet(capacity: 130)
            set.insert(member)
            for low in 0..<200 {
                for length in [0, 1, 2, 63, 64, 65, 130] {
                    let range = low..<(low + length)
                    #expect(set.isDisjoint(with: range) == !range.contains(member), "\(member) \(range)")
                }
            }
        }
    }
}
