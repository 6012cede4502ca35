import Instruments
import TestRandom
import Testing

@Suite struct FamilyTests {
    private let registry = MetricRegistry()

    @Test("The same label values give the same recorder, other values another one")
    func handles() {
        let family = registry.counters(.counter("hits", "Hits.", labels: ["a", "b"]))
        #expect(family.with("x", "y") === family.with("x", "y"))
        #expect(family.with("x", "y") !== family.with("y", "x"))
        #expect(registry.counters(family.definition) === family)
    }

    @Test("Label sets beyond the limit are counted together as other")
    func cardinalityIsBounded() {
        let family = registry.counters(.counter("hits", "Hits.", labels: ["user"], seriesLimit: 3))
        for user in 0..<1_000 { family.with("user-\(user)").increment() }
        #expect(family.snapshot.map(\.labels) == [["other"], ["user-0"], ["user-1"], ["user-2"]])
        #expect(registry.value(of: "hits_total", labels: ["user": "other"]) == 997)
        #expect(registry.value(of: "hits_total", labels: ["user": "user-1"]) == 1)
    }

    @Test("A removed series leaves room for another, and starts from zero when it comes back")
    func removal() {
        let family = registry.counters(.counter("hits", "Hits.", labels: ["worker"], seriesLimit: 2))
        let gone = family.with("w1")
        gone.increment()
        family.with("w2").increment()
        family.with("w3").increment()
        family.remove("w1")
        gone.increment()
        #expect(registry.value(of: "hits_total", labels: ["worker": "w1"]) == nil)
        family.with("w4").increment()
        #expect(registry.value(of: "hits_total", labels: ["worker": "w4"]) == 1)
        family.remove("w2")
        family.with("w1").increment()
        #expect(registry.value(of: "hits_total", labels: ["worker": "w1"]) == 1)
        #expect(registry.value(of: "hits_total", labels: ["worker": "other"]) == 1)
    }

    @Test("The values of a series are found by label name, in whatever order, and only completely")
    func values() {
        let family = registry.gauges(.gauge("load", "Load.", labels: ["a", "b"]))
        family.with("1", "2").set(7)
        #expect(registry.value(of: "load", labels: ["b": "2", "a": "1"]) == 7)
        #expect(registry.value(of: "load", labels: ["a": "1"]) == nil)
        #expect(registry.value(of: "load", labels: ["a": "1", "b": "2", "c": "3"]) == nil)
        #expect(registry.value(of: "absent") == nil)
    }

    @Test("Two parts that register at once share one family", .timeLimit(.minutes(1)))
    func concurrentRegistration() async {
        let registry = MetricRegistry()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for index in 0..<500 {
                        registry.counters(.counter("hits", "Hits.", labels: ["i"])).with("\(index % 10)").increment()
                    }
                }
            }
        }
        let values = (0..<10).map { registry.value(of: "hits_total", labels: ["i": "\($0)"]) }
        #expect(values == Array(repeating: 400, count: 10))
    }

    @Test("Any number of labels, of any length, in any script, tells series apart by their bytes", arguments: 0...5)
    func manyLabels(count: Int) {
        let names = (0..<count).map { "label\($0)" }
        let family = registry.counters(.counter("hits", "Hits.", labels: names, seriesLimit: 10_000))
        // Long and short, one the start of another, and two spellings of one letter.
        let texts = ["", "a", "ab", "abcdefgh", "abcdefghi", "meta-llama/Llama-3.1-8B", "\u{E9}", "e\u{301}", "模型"]
        var random = SeededRandom.fromEnvironment()
        var sets: [[String]] = [[]]
        for _ in 0..<count {
            sets = sets.flatMap { set in texts.shuffled(using: &random).prefix(4).map { set + [$0] } }
        }
        for set in sets { family.with(set).increment() }
        for set in sets { family.with(set).increment() }
        #expect(family.snapshot.count == sets.count)
        #expect(family.snapshot.allSatisfy { $0.recorder.value == 2 })
        #expect(
            Set(family.snapshot.map(\.labels).map { $0.map { Array($0.utf8) } })
                == Set(sets.map { $0.map { Array($0.utf8) } })
        )
    }

    @Test("A series that is removed while others look it up is found by nobody afterwards", .timeLimit(.minutes(1)))
    func concurrentRemoval() async {
        let family = registry.counters(.counter("hits", "Hits.", labels: ["worker"]))
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<8 {
                group.addTask {
                    for _ in 0..<2_000 {
                        if index == 0 { family.remove("w") } else { family.with("w").increment() }
                    }
                }
            }
        }
        let last = family.with("w")
        family.remove("w")
        let counters = await withTaskGroup(of: Counter.self) { group in
            for _ in 0..<8 { group.addTask { family.with("w") } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counters.allSatisfy { $0 !== last && $0 === counters.first })
    }
}
