import NIOHTTP1
import SimWorker
import TestSupport
import Testing

@Suite struct FaultTests {
    @Test(
        "A fault's written form reads back as itself",
        arguments: [
            Fault(.hang), Fault(.status(503)), Fault(.reset), Fault(.resetMidStream(chunks: 3)), Fault(.slow(2.5)),
            Fault(.kvFull), Fault(.refuse(.seconds(2.5))), Fault(.status(500), rate: 0.25, times: 2, path: "/v1/chat"),
        ]
    )
    func writtenForm(fault: Fault) throws {
        #expect(try Fault(fault.description) == fault)
    }

    @Test("Spaces around the parts do not matter")
    func spaces() throws {
        #expect(try Fault(" status = 429 ; times = 2 ") == Fault(.status(429), times: 2))
    }

    @Test(
        "What cannot be is refused with the part at fault",
        arguments: [
            ("", "no kind"), ("explode", "explode"), ("status", "status="), ("status=99", "status=99"),
            ("slow=0.5", "slow=0.5"), ("slow=inf", "slow=inf"), ("hang;rate=2", "rate=2"), ("hang;times=0", "times=0"),
            ("hang;path=v1", "path=v1"), ("hang;color=red", "color"), ("reset-mid-stream=x", "reset-mid-stream=x"),
            ("refuse", "refuse="), ("refuse=0", "refuse=0"),
        ]
    )
    func refused(text: String, part: String) {
        #expect { try Fault(text) } throws: { "\($0)".contains(part) }
    }

    @Test("A fault hits as often as it says, only its paths, and never probes unless told")
    func hits() {
        var plan = FaultPlan([Fault(.hang, times: 2, path: "/v1/chat"), Fault(.status(500))], seed: 0)
        let paths = ["/health", "/metrics", "/sim/faults", "/v1/chat/completions", "/v1/completions"]
        #expect(paths.map { plan.hit(path: $0) } == [nil, nil, nil, .hang, .status(500)])
        let chat = (0..<3).map { _ in plan.hit(path: "/v1/chat/completions") }
        #expect(chat == [.hang, .status(500), .status(500)])
        #expect(plan.current == [Fault(.status(500))])
    }

    @Test("A probe's path can be named")
    func probes() {
        var plan = FaultPlan([Fault(.status(503), path: "/health")], seed: 0)
        let hits = [plan.hit(path: "/health"), plan.hit(path: "/v1/models")]
        #expect(hits == [.status(503), nil])
    }

    @Test("A rate hits about its share, the same requests for the same seed")
    func rate() {
        func hits(seed: UInt64) -> [Bool] {
            var plan = FaultPlan([Fault(.reset, rate: 0.3)], seed: seed)
            return (0..<2_000).map { _ in plan.hit(path: "/v1/models") != nil }
        }
        #expect(hits(seed: 1) == hits(seed: 1))
        #expect(hits(seed: 1) != hits(seed: 2))
        #expect((500...700).contains(hits(seed: 1).count { $0 }))
    }

    @Test("A refusing worker's port is closed for a while, and open again afterwards")
    func refusal() async throws {
        try await Stand.with { stand in
            func answers() async -> Bool {
                do {
                    return try await stand.send(.GET, "/health").status == 200
                } catch {
                    return false
                }
            }
            _ = try await stand.post("/sim/faults", #"{"faults":["refuse=0.3"]}"#)
            #expect(await eventually { await !answers() })
            #expect(await eventually { await answers() })
        }
    }
}
