import HTTPTransport
package import Instruments
import NIOCore
import Resilience

/// What the inference router measures. Names, labels and buckets are upstream `vllm-router`'s where it has them.
package final class InferenceMetrics: Sendable {
    package static let definitions = [
        incoming, latency, errors, running, healthy, firstByte, failovers, rate, meanLatency, prefilling, decoding,
        inputTokens, outputTokens,
    ]

    static let incoming = MetricDefinition.counter(
        "vllm:num_incoming_requests",
        "Requests for a model that came in. Models that nobody serves are counted as `unknown`.",
        labels: ["model"]
    )
    static let latency = MetricDefinition.histogram(
        "vllm:request_latency_seconds",
        "Seconds from a request's arrival to the end of its answer, by outcome: success, error, cancelled.",
        labels: ["server", "model", "status"],
        buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
    )
    static let errors = MetricDefinition.counter(
        "vllm:request_errors",
        "Requests that a worker did not answer whole, by kind of failure.",
        labels: ["server", "model", "error_type"]
    )
    static let running = MetricDefinition.gauge(
        "vllm:num_requests_running",
        "Requests that this router has under way to a worker.",
        labels: ["server"]
    )
    static let healthy = MetricDefinition.gauge(
        "vllm:healthy_pods_total",
        "1 while a worker is given requests, 0 while passive health has ejected it.",
        labels: ["server"]
    )
    static let firstByte = MetricDefinition.histogram(
        "sextant_worker_first_byte_seconds",
        "Seconds from a request's arrival to the head of the worker's answer.",
        labels: ["server"],
        buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    )
    static let failovers = MetricDefinition.counter(
        "sextant_worker_failovers",
        "Requests that went on to another worker because this one gave no answer.",
        labels: ["server"]
    )

    static let rate = MetricDefinition.gauge(
        "vllm:current_qps",
        "Requests a second that this router sent to a worker within the last minute, or since the scrape before that.",
        labels: ["server"]
    )
    static let meanLatency = MetricDefinition.gauge(
        "vllm:avg_latency",
        "Mean seconds to the end of a worker's answer within the last minute, or since the scrape before that.",
        labels: ["server"]
    )
    static let prefilling = MetricDefinition.gauge(
        "vllm:num_prefill_requests",
        "Requests under way of which a worker has not answered anything yet.",
        labels: ["server"]
    )
    static let decoding = MetricDefinition.gauge(
        "vllm:num_decoding_requests",
        "Requests under way whose answer has begun.",
        labels: ["server"]
    )
    static let inputTokens = MetricDefinition.counter(
        "vllm:input_tokens",
        "Tokens of prompts, as workers count them.",
        labels: ["server", "model"]
    )
    static let outputTokens = MetricDefinition.counter(
        "vllm:output_tokens",
        "Tokens of answers, as workers count them.",
        labels: ["server", "model"]
    )

    /// 60 s, the default of upstream's `--request-stats-window`. Windows begin at a scrape: where scrapes are further
    /// apart, at the last one.
    private static let statisticsWindow = Duration.seconds(60)

    private let incomingRequests: CounterFamily
    private let latencies: HistogramFamily
    private let requestErrors: CounterFamily
    private let runningRequests: GaugeFamily
    private let healthyWorkers: GaugeFamily
    private let firstBytes: HistogramFamily
    private let failedOver: CounterFamily
    private let inputs: CounterFamily
    private let outputs: CounterFamily
    private let unknownModel: Counter
    /// By model, whoever serves it.
    let models: ModelMetrics
    let stages: StageMetrics

    package init(registry: MetricRegistry, models: ModelMetrics) {
        self.models = models
        stages = StageMetrics(registry: registry)
        incomingRequests = registry.counters(Self.incoming)
        latencies = registry.histograms(Self.latency)
        requestErrors = registry.counters(Self.errors)
        runningRequests = registry.gauges(Self.running)
        healthyWorkers = registry.gauges(Self.healthy)
        firstBytes = registry.histograms(Self.firstByte)
        failedOver = registry.counters(Self.failovers)
        inputs = registry.counters(Self.inputTokens)
        outputs = registry.counters(Self.outputTokens)
        unknownModel = incomingRequests.with("unknown")
    }

    /// Reads the workers' state at each scrape rather than at each request.
    package func observe(_ pool: WorkerPool, in registry: MetricRegistry) {
        registry.onScrape { [runningRequests, healthyWorkers] in
            let now = MonotonicTime.now()
            for worker in pool.snapshot.workers {
                runningRequests.with(worker.endpoint.url).set(worker.inFlight)
                healthyWorkers.with(worker.endpoint.url).set(worker.isHealthy(at: now) ? 1 : 0)
            }
        }
        func collect(_ definition: MetricDefinition, _ value: @escaping @Sendable (Worker) -> Double?) {
            registry.collect(definition) {
                pool.snapshot.workers.compactMap { worker in
                    value(worker).map { MetricRegistry.Sample(labels: [worker.endpoint.url], value: $0) }
                }
            }
        }
        collect(Self.rate) { $0.metrics.sent.within(Self.statisticsWindow).rate }
        collect(Self.meanLatency) { $0.metrics.latencies.within(Self.statisticsWindow).mean }
        collect(Self.decoding) { Double($0.metrics.answering.value) }
        collect(Self.prefilling) { Double(max(0, $0.inFlight - $0.metrics.answering.value)) }
    }

    /// A request for a name that no worker serves. It is not a label: clients could make up names without bound.
    func countUnknownModel() {
        unknownModel.increment()
    }

    /// The recorders of a worker that serves other models from now on: what is told of it as a whole goes on.
    func worker(_ endpoint: Endpoint, formerly: WorkerMetrics, serving former: [String]) -> WorkerMetrics {
        for model in former where !endpoint.models.contains(model) { remove(model, of: endpoint.url) }
        var metrics = worker(endpoint)
        metrics.sent = formerly.sent
        metrics.latencies = formerly.latencies
        metrics.answering = formerly.answering
        return metrics
    }

    /// The recorders of a worker, kept with it.
    func worker(_ endpoint: Endpoint) -> WorkerMetrics {
        let url = endpoint.url
        models.know(endpoint.models)
        var recorders: [String: WorkerMetrics.OfModel] = [:]
        for model in endpoint.models + [""] {
            recorders[model] = WorkerMetrics.OfModel(
                incoming: incomingRequests.with(model.isEmpty ? "unknown" : model),
                success: latencies.with(url, model, Outcome.success.rawValue),
                error: latencies.with(url, model, Outcome.error.rawValue),
                cancelled: latencies.with(url, model, Outcome.cancelled.rawValue),
                inputTokens: inputs.with(url, model),
                outputTokens: outputs.with(url, model)
            )
        }
        return WorkerMetrics(
            firstByte: firstBytes.with(url),
            failovers: failedOver.with(url),
            models: recorders
        )
    }

    /// Failures are rare enough to look their series up.
    func countError(worker: Worker, model: String, kind: String) {
        requestErrors.with(worker.endpoint.url, model, kind).increment()
    }

    func remove(_ endpoint: Endpoint) {
        let url = endpoint.url
        runningRequests.remove(url)
        healthyWorkers.remove(url)
        firstBytes.remove(url)
        failedOver.remove(url)
        for model in endpoint.models + [""] { remove(model, of: url) }
    }

    private func remove(_ model: String, of url: String) {
        for outcome in Outcome.allCases { latencies.remove(url, model, outcome.rawValue) }
        inputs.remove(url, model)
        outputs.remove(url, model)
        for kind in UpstreamError.Kind.allCases { requestErrors.remove(url, model, kind.rawValue) }
    }
}

/// How a request ended.
enum Outcome: String, CaseIterable {
    case success
    case error
    case cancelled
}

/// The recorders of one worker.
struct WorkerMetrics: Sendable {
    struct OfModel: Sendable {
        let incoming: Counter
        let success: Histogram
        let error: Histogram
        let cancelled: Histogram
        let inputTokens: Counter
        let outputTokens: Counter
    }

    let firstByte: Histogram
    let failovers: Counter
    /// Requests as they were sent.
    fileprivate(set) var sent = WindowedTotal()
    /// Seconds to the end of answers.
    fileprivate(set) var latencies = WindowedTotal()
    /// Requests whose answer has begun and not ended.
    fileprivate(set) var answering = Level()
    /// By model name; requests that name a worker instead of a model stand under the empty name.
    let models: [String: OfModel]

    /// A request has been sent to the worker.
    func observeStart() {
        sent.record()
    }

    /// The answer's head has come. `observeEnd` follows.
    func observeFirstByte(since arrival: NIODeadline, at now: NIODeadline) {
        answering.raise()
        firstByte.record(.nanoseconds((now - arrival).nanoseconds))
    }

    /// - Parameter hasBegun: whether `observeFirstByte` was called.
    func observeEnd(model: String, _ outcome: Outcome, since arrival: NIODeadline, hasBegun: Bool) {
        if hasBegun { answering.lower() }
        guard let recorders = models[model] ?? models[""] else { return }
        let duration = Duration.nanoseconds((NIODeadline.now() - arrival).nanoseconds)
        if outcome != .cancelled { latencies.record(duration / .seconds(1)) }
        switch outcome {
        case .success: recorders.success.record(duration)
        case .error: recorders.error.record(duration)
        case .cancelled: recorders.cancelled.record(duration)
        }
    }

    /// What the worker said that it counted. Only names that it serves are labels.
    func recordTokens(model: String, prompt: Int, completion: Int) {
        guard ModelCall.isPlausible(prompt), ModelCall.isPlausible(completion),
            let recorders = models[model] ?? models[""]
        else { return }
        recorders.inputTokens.increment(by: prompt)
        recorders.outputTokens.increment(by: completion)
    }
}
