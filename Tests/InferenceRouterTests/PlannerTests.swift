import HTTPTransport
import InferenceRouter
import Instruments
import OpenAIWire
import Resilience
import Testing

@Suite("Planning")
struct PlannerTests {
    private let planner = Planner(policy: PolicyCatalog.roundrobin.policy)
    private let pool = WorkerPool(
        breaker: CircuitBreaker.Settings(),
        metrics: InferenceMetrics(registry: MetricRegistry(), models: ModelMetrics(registry: MetricRegistry()))
    )

    private func endpoint(_ host: String, _ models: String...) -> Endpoint {
        Endpoint(origin: Origin(host: host, port: 8000), models: models)
    }

    private func hosts(_ model: String, at time: UInt64 = 0) throws -> [String] {
        try planner.plan(model: model, in: pool.snapshot, at: MonotonicTime(nanoseconds: time))
            .map(\.endpoint.origin.host)
    }

    @Test("Workers take turns in the order of their URLs, and each turn names the others to fall back on")
    func turns() throws {
        pool.apply([endpoint("c", "m"), endpoint("a", "m"), endpoint("b", "m")])
        #expect(try hosts("m") == ["a", "b", "c"])
        #expect(try hosts("m") == ["b", "c", "a"])
        #expect(try hosts("m") == ["c", "a", "b"])
        #expect(try hosts("m") == ["a", "b", "c"])
    }

    @Test("Only workers that serve the model are asked, and each set has its own turn")
    func models() throws {
        pool.apply([endpoint("a", "m"), endpoint("b", "m", "n"), endpoint("c", "n", "o")])
        #expect(try hosts("m") == ["a", "b"])
        #expect(try hosts("n") == ["b", "c"])
        #expect(try hosts("m") == ["b", "a"])
        #expect(try hosts("n") == ["c", "b"])
        #expect(try hosts("o") == ["c"])
    }

    @Test("An unknown model is not found; one that was served before is unavailable for now")
    func missing() throws {
        pool.apply([endpoint("a", "m")])
        let unknown = #expect(throws: RouterError.self) { _ = try hosts("x") }
        #expect(unknown?.code == .modelNotFound)
        #expect(unknown?.message == "Model 'x' not found. Available models can be listed at /v1/models.")
        pool.apply([endpoint("a", "n")])
        let gone = #expect(throws: RouterError.self) { _ = try hosts("m") }
        #expect(gone?.code == .noWorker && gone?.isRetryable == true)
    }

    @Test("A worker that stays keeps its state when the set changes")
    func workersAreKept() throws {
        pool.apply([endpoint("a", "m"), endpoint("b", "m")])
        let before = pool.snapshot.workers
        pool.apply([endpoint("b", "m"), endpoint("c", "m")])
        let after = pool.snapshot.workers
        #expect(after.map(\.endpoint.origin.host) == ["b", "c"])
        #expect(before[1] === after[0])
    }

    /// Enough failures to eject a worker, all at second 0.
    private func eject(_ worker: Worker) {
        for _ in 0..<CircuitBreaker.Settings().failureThreshold {
            worker.failedToAnswer(at: MonotonicTime(nanoseconds: 0))
        }
    }

    @Test("An ejected worker stands behind the others, and comes back for a probe")
    func ejected() throws {
        pool.apply([endpoint("a", "m"), endpoint("b", "m"), endpoint("c", "m")])
        eject(pool.snapshot.workers[0])
        #expect(try hosts("m") == ["b", "c", "a"])
        #expect(try hosts("m") == ["c", "b", "a"])
        let later = try (0..<3).map { _ in try hosts("m", at: 2_000_000_000).first }
        #expect(Set(later) == ["a", "b", "c"], "after its time out it takes its turn again")
    }

    @Test("When all are ejected all are tried, and an answer brings a worker back at once")
    func panic() throws {
        pool.apply([endpoint("a", "m"), endpoint("b", "m")])
        for worker in pool.snapshot.workers { eject(worker) }
        #expect(try hosts("m").sorted() == ["a", "b"])
        pool.snapshot.workers[1].answered()
        #expect(pool.snapshot.workers[1].isHealthy(at: MonotonicTime(nanoseconds: 0)))
        #expect(try hosts("m") == ["b", "a"])
        // One more failure is the first of five, not the continuation of the old ejection.
        pool.snapshot.workers[1].failedToAnswer(at: MonotonicTime(nanoseconds: 0))
        #expect(pool.snapshot.workers[1].isHealthy(at: MonotonicTime(nanoseconds: 0)))
    }

    @Test("Ids follow the address, so that they outlive a restart")
    func ids() {
        #expect(endpoint("a", "m").id == endpoint("a", "n").id)
        #expect(endpoint("a", "m").id != endpoint("b", "m").id)
        #expect(endpoint("a", "m").id.utf8.count == 16)
    }
}
