import ConfigKit
import Synchronization
import Testing

@Suite struct LiveTests {
    @Test("A swap is seen by everyone who asks afterwards, and by nobody who asked before")
    func swap() {
        let live = Live("old")
        let before = live.generation
        #expect(live.swap("new") == 2)
        #expect(live.current == "new")
        #expect(live.generation.number == 2)
        #expect(before.value == "old")
        #expect(before.number == 1)
    }

    @Test("Readers beside a writer see whole values, each at least as new as the one before", .timeLimit(.minutes(1)))
    func concurrentReaders() async {
        struct Pair: Sendable {
            let left: Int
            let right: Int
        }
        final class Flag: Sendable {
            let isSet = Atomic(false)
        }
        let live = Live(Pair(left: 0, right: 0))
        let done = Flag()
        await withTaskGroup(of: Int.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    var mistakes = 0
                    var newest = 0
                    repeat {
                        let value = live.current
                        mistakes += value.left == value.right && value.left >= newest ? 0 : 1
                        newest = value.left
                    } while !done.isSet.load(ordering: .acquiring)
                    return mistakes + (live.current.left == 10_000 ? 0 : 1)
                }
            }
            for number in 1...10_000 {
                live.swap(Pair(left: number, right: number))
            }
            done.isSet.store(true, ordering: .releasing)
            for await mistakes in group {
                #expect(mistakes == 0)
            }
        }
        #expect(live.generation.number == 10_001)
    }

    @Test("A value is freed when nobody holds it any more")
    func oldValuesAreFreed() {
        final class Token: Sendable {}
        weak var old: Token?
        let live: Live<Token>
        do {
            let token = Token()
            old = token
            live = Live(token)
        }
        #expect(old != nil)
        live.swap(Token())
        #expect(old == nil)
    }
}
