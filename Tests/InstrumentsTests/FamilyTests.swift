import Instruments
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
}
