import HTTPTransport
import InferenceRouter
import Instruments
import NIOHTTP1
import Resilience
import Testing
import Transport

@Suite("Figures of workers that change")
struct WorkerPoolTests {
    private let registry = MetricRegistry()
    private let pool: WorkerPool
    private let models: ModelMetrics

    init() {
        models = ModelMetrics(registry: registry)
        let metrics = InferenceMetrics(registry: registry, models: models)
        pool = WorkerPool(breaker: CircuitBreaker.Settings(), metrics: metrics)
        metrics.observe(pool, in: registry)
    }

    private func endpoint(_ models: String...) -> Endpoint {
        Endpoint(origin: Origin(host: "w", port: 1), models: models)
    }

    private func labels(_ name: String) -> [String] {
        registry.exposition().split(separator: "\n").filter { $0.hasPrefix(name + "{") }.compactMap { line in
            line.split(separator: "model=\"").last?.split(separator: "\"", omittingEmptySubsequences: false).first
                .map(String.init)
        }
    }

    @Test("A worker that serves other models than before has their series, and no longer those of the former")
    func change() {
        pool.apply([endpoint("a")])
        #expect(labels("vllm:input_tokens_total").sorted() == ["", "a"])
        pool.apply([endpoint("a", "b")])
        #expect(labels("vllm:input_tokens_total").sorted() == ["", "a", "b"])
        #expect(models.label("b") == "b")
        pool.apply([endpoint("b")])
        #expect(labels("vllm:input_tokens_total").sorted() == ["", "b"])
        pool.apply([])
        #expect(labels("vllm:input_tokens_total").isEmpty)
    }

    @Test("What the sender says of the trace is read from all fields that say it")
    func traceContext() throws {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        var headers: HTTPHeaders = ["traceparent": parent]
        headers.add(name: "tracestate", value: "a=1")
        headers.add(name: "tracestate", value: "b=2")
        let context = try #require(headers.traceContext)
        #expect(context.state == "a=1,b=2")
        headers.tell(context)
        #expect(headers["tracestate"] == ["a=1,b=2"])
        #expect(headers["traceparent"] == [parent])
        headers.replaceOrAdd(name: "traceparent", value: "nonsense")
        #expect(headers.traceContext == nil)
    }
}
