import Synchronization

/// What models were asked and how they answered, under the names, labels and buckets of vLLM Semantic Router.
///
/// Labels name models of the configuration (`know`); whatever else is named counts as `other`.
package final class ModelMetrics: Sendable {
    package static let definitions =
        [
            requests, errors, latency, firstToken, timePerToken, interToken, tokens, promptTokens, completionTokens,
            promptLength, completionLength, inFlight, queued, cost,
        ] + WindowedModelMetrics.definitions

    static let requests = MetricDefinition.counter(
        "llm_model_requests_total",
        "Requests sent to a model.",
        labels: ["model"]
    )
    static let errors = MetricDefinition.counter(
        "llm_request_errors_total",
        "Requests that failed, by model and reason: "
            + RequestFailure.allCases.map(\.rawValue).joined(separator: ", ") + ".",
        labels: ["model", "reason"]
    )
    static let latency = MetricDefinition.histogram(
        "llm_model_completion_latency_seconds",
        "Seconds from a request's arrival to the end of the model's answer.",
        labels: ["model"],
        buckets: MetricDefinition.latencyBuckets
    )
    static let firstToken = MetricDefinition.histogram(
        "llm_model_ttft_seconds",
        "Seconds from a request's arrival to the first of the model's answer.",
        labels: ["model"],
        buckets: MetricDefinition.latencyBuckets
    )
    static let timePerToken = MetricDefinition.histogram(
        "llm_model_tpot_seconds",
        "Mean seconds between the tokens of a streamed answer after the first; of a whole answer, seconds by tokens.",
        labels: ["model"],
        buckets: MetricDefinition.latencyBuckets
    )
    static let interToken = MetricDefinition.histogram(
        "sextant_model_inter_token_seconds",
        "Seconds between two events of a streamed answer, each a token as a rule.",
        labels: ["model"],
        // vLLM's own for its inter-token latency, with finer ones below 10 ms.
        buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10]
    )
    static let tokens = MetricDefinition.counter(
        "llm_model_tokens_total",
        "Tokens of prompts and completions, as the model counts them.",
        labels: ["model"]
    )
    static let promptTokens = MetricDefinition.counter(
        "llm_model_prompt_tokens_total",
        "Tokens of prompts, as the model counts them.",
        labels: ["model"]
    )
    static let completionTokens = MetricDefinition.counter(
        "llm_model_completion_tokens_total",
        "Tokens of completions, as the model counts them.",
        labels: ["model"]
    )
    static let promptLength = MetricDefinition.histogram(
        "llm_prompt_tokens_per_request",
        "Tokens of one prompt.",
        labels: ["model"],
        buckets: lengths
    )
    static let completionLength = MetricDefinition.histogram(
        "llm_completion_tokens_per_request",
        "Tokens of one completion.",
        labels: ["model"],
        buckets: lengths
    )
    static let inFlight = MetricDefinition.gauge(
        "llm_model_inflight_requests",
        "Requests that a model has not answered whole.",
        labels: ["model"]
    )
    static let queued = MetricDefinition.gauge(
        "llm_model_queue_depth_estimated",
        "Requests of which a model has not answered anything yet.",
        labels: ["model"]
    )
    static let cost = MetricDefinition.counter(
        "llm_model_cost_total",
        "What requests cost by the prices of the policy.",
        labels: ["model", "currency"]
    )

    /// Upstream's bounds for tokens of one request.
    private static let lengths: [Double] = [0, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384]

    /// The recorders of one model.
    final class Model: Sendable {
        let name: String
        let requests: Counter
        let latency: Histogram
        let firstToken: Histogram
        let timePerToken: Histogram
        let interToken: Histogram
        let tokens: Counter
        let promptTokens: Counter
        let completionTokens: Counter
        let promptLength: Histogram
        let completionLength: Histogram
        let inFlight = Level()
        let queued = Level()
        let windowed: WindowedModelMetrics.Model?

        fileprivate init(_ name: String, _ families: Families, _ windowed: WindowedModelMetrics.Model?) {
            self.name = name
            self.windowed = windowed
            requests = families.requests.with(name)
            latency = families.latency.with(name)
            firstToken = families.firstToken.with(name)
            timePerToken = families.timePerToken.with(name)
            interToken = families.interToken.with(name)
            tokens = families.tokens.with(name)
            promptTokens = families.promptTokens.with(name)
            completionTokens = families.completionTokens.with(name)
            promptLength = families.promptLength.with(name)
            completionLength = families.completionLength.with(name)
        }
    }

    /// Rather than the registry, which holds on to this object for its scrapes.
    fileprivate struct Families: Sendable {
        let requests: CounterFamily
        let latency: HistogramFamily
        let firstToken: HistogramFamily
        let timePerToken: HistogramFamily
        let interToken: HistogramFamily
        let tokens: CounterFamily
        let promptTokens: CounterFamily
        let completionTokens: CounterFamily
        let promptLength: HistogramFamily
        let completionLength: HistogramFamily

        init(_ registry: MetricRegistry) {
            requests = registry.counters(ModelMetrics.requests)
            latency = registry.histograms(ModelMetrics.latency)
            firstToken = registry.histograms(ModelMetrics.firstToken)
            timePerToken = registry.histograms(ModelMetrics.timePerToken)
            interToken = registry.histograms(ModelMetrics.interToken)
            tokens = registry.counters(ModelMetrics.tokens)
            promptTokens = registry.counters(ModelMetrics.promptTokens)
            completionTokens = registry.counters(ModelMetrics.completionTokens)
            promptLength = registry.histograms(ModelMetrics.promptLength)
            completionLength = registry.histograms(ModelMetrics.completionLength)
        }
    }

    private struct Entry: Sendable {
        let model: Model
        /// As the configuration in force has it.
        var price: TokenPrice?
    }

    private let families: Families
    private let windows: WindowedModelMetrics
    private let failed: CounterFamily
    private let costs: CounterFamily
    private let models: Striped<[String: Entry]>
    private let other: Model

    /// - Parameter now: the monotonic clock of the windows, in nanoseconds.
    package init(registry: MetricRegistry, now: @escaping @Sendable () -> UInt64 = { TraceClock.monotonic }) {
        families = Families(registry)
        windows = WindowedModelMetrics(registry: registry, now: now)
        failed = registry.counters(Self.errors)
        costs = registry.counters(Self.cost)
        other = Model(MetricDefinition.overflowLabel, families, windows.model(MetricDefinition.overflowLabel))
        models = Striped([:])
        registry.collect(Self.inFlight) { [self] in levels(\.inFlight) }
        registry.collect(Self.queued) { [self] in levels(\.queued) }
    }

    /// Takes up models of a configuration. Their figures stay when a later configuration does without them, so that
    /// counters never fall; past the families' limits new names count as `other`.
    package func know(_ names: some Sequence<String>) {
        models.change { models in
            for name in names where models[name] == nil && models.count < MetricDefinition.defaultSeriesLimit {
                models[name] = Entry(model: Model(name, families, windows.model(name)))
            }
        }
    }

    /// Sets what the tokens of models cost, of those that are known; of all others nothing is said.
    package func setPrices(_ prices: [String: TokenPrice]) {
        models.change { models in
            for name in models.keys { models[name]?.price = prices[name] }
        }
    }

    /// Begins to measure a request that is sent to a model.
    package func begin(_ model: String) -> ModelCall {
        let entry = models.read { $0[model] }
        return ModelCall(entry?.model ?? other, price: entry?.price, metrics: self)
    }

    /// Counts a request that failed, sent or not.
    ///
    /// - Parameter model: as the client or the decision named it; nil when none was chosen.
    package func countFailure(_ reason: RequestFailure, model: String?, trace: TraceID? = nil) {
        failed.with(model.map { label($0) } ?? "unknown", reason.rawValue).increment(exemplar: trace)
    }

    fileprivate func recordCost(_ amount: Double, _ price: TokenPrice, _ model: String) {
        guard amount > 0, amount.isFinite else { return }
        costs.with(model, price.currency).add(amount)
    }

    /// Remembers how far the windows' figures are. Call it every `WindowedModelMetrics.tickInterval`.
    package func tick() { windows.tick() }

    /// Does so until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: WindowedModelMetrics.tickInterval)
            tick()
        }
    }

    /// The name as a label: itself if a configuration has it, `other` if not.
    package func label(_ model: String) -> String { self.model(model).name }

    private func model(_ name: String) -> Model { models.read { $0[name]?.model ?? other } }

    private func levels(_ level: (Model) -> Level) -> [MetricRegistry.Sample] {
        let all = models.read { $0.values.map(\.model) } + [other]
        // A model may be called as the overflow is.
        return Dictionary(all.map { ($0.name, level($0).value) }, uniquingKeysWith: +).map {
            MetricRegistry.Sample(labels: [$0.key], value: Double($0.value))
        }
    }
}

/// What a model's tokens cost.
package struct TokenPrice: Hashable, Sendable {
    package var currency: String
    /// Of a million tokens each.
    package var prompt: Double
    /// Nil where it is the prompt's.
    package var cachedPrompt: Double?
    package var completion: Double

    package init(currency: String, prompt: Double, cachedPrompt: Double? = nil, completion: Double) {
        self.currency = currency
        self.prompt = prompt
        self.cachedPrompt = cachedPrompt
        self.completion = completion
    }

    /// - Parameter cached: of the prompt's tokens.
    func cost(prompt: Int, cached: Int, completion: Int) -> Double {
        let cached = min(max(0, cached), prompt)
        let input = Double(prompt - cached) * self.prompt + Double(cached) * (cachedPrompt ?? self.prompt)
        return (input + Double(completion) * self.completion) / 1_000_000
    }
}

/// Why a request failed, in upstream's words.
package enum RequestFailure: String, Sendable, CaseIterable {
    case parse = "parse_error"
    case timeout
    case cancellation
    case refusedByModel = "upstream_4xx"
    case failedByModel = "upstream_5xx"
    case noModel = "no_model_selected"

    /// What an answer's status says of its request; nil where it did not fail.
    package init?(status: Int) {
        switch status {
        case 500...: self = .failedByModel
        case 400...: self = .refusedByModel
        default: return nil
        }
    }
}

/// One request to a model, measured from its beginning to the end of this value: whatever happens, the model has one
/// request less under way then.
package struct ModelCall: ~Copyable {
    private let model: ModelMetrics.Model
    private let metrics: ModelMetrics
    private let price: TokenPrice?
    private var firstToken: Duration?
    private var lastEvent: Duration?

    init(_ model: ModelMetrics.Model, price: TokenPrice?, metrics: ModelMetrics) {
        self.model = model
        self.price = price
        self.metrics = metrics
        model.requests.increment()
        model.inFlight.raise()
        model.queued.raise()
    }

    /// The first of the answer's body has come, or an event of a stream. The first call counts as the first token, the
    /// others as the pauses between tokens.
    ///
    /// - Parameter elapsed: since the request's arrival.
    package mutating func receivedToken(after elapsed: Duration, trace: TraceID? = nil) {
        if let lastEvent {
            model.interToken.record(elapsed - lastEvent)
        } else {
            firstToken = elapsed
            model.queued.lower()
            model.firstToken.record(elapsed, exemplar: trace)
        }
        lastEvent = elapsed
    }

    /// Whether a worker's count of tokens can be one: not negative, and not so large that sums of it would run over.
    package static func isPlausible(_ tokens: Int) -> Bool { (0...mostTokens).contains(tokens) }
    /// 2³²: far above any context.
    private static let mostTokens = 1 << 32

    /// The model has said what it counted.
    ///
    /// - Parameter cached: of the prompt's tokens, those that it had in its cache.
    package func recordTokens(prompt: Int, cached: Int = 0, completion: Int) {
        guard Self.isPlausible(prompt), Self.isPlausible(completion) else { return }
        if let price {
            metrics.recordCost(price.cost(prompt: prompt, cached: cached, completion: completion), price, model.name)
        }
        model.promptTokens.increment(by: prompt)
        model.completionTokens.increment(by: completion)
        model.tokens.increment(by: prompt + completion)
        model.promptLength.record(Double(prompt))
        model.completionLength.record(Double(completion))
        model.windowed?.recordTokens(prompt: prompt, completion: completion)
    }

    /// The answer is whole. Called once at most, and not beside `failed`.
    ///
    /// - Parameters:
    ///   - elapsed: since the request's arrival.
    ///   - completionTokens: how many the model counted; nil when it has not said.
    ///   - isStream: whether the tokens came one after the other.
    package func succeeded(
        after elapsed: Duration,
        completionTokens: Int? = nil,
        isStream: Bool,
        trace: TraceID? = nil
    ) {
        model.latency.record(elapsed, exemplar: trace)
        model.windowed?.record(seconds: elapsed.inSeconds, isError: false)
        guard let completionTokens, let firstToken else { return }
        if !isStream, completionTokens > 0 {
            model.timePerToken.record(elapsed / completionTokens, exemplar: trace)
        } else if isStream, completionTokens > 1, elapsed > firstToken {
            model.timePerToken.record((elapsed - firstToken) / (completionTokens - 1), exemplar: trace)
        }
    }

    /// There is no answer, or none that is whole.
    ///
    /// - Parameter elapsed: since the request's arrival.
    package func failed(_ reason: RequestFailure, after elapsed: Duration, trace: TraceID? = nil) {
        metrics.countFailure(reason, model: model.name, trace: trace)
        // That a client went away says nothing about the model.
        if reason != .cancellation { model.windowed?.record(seconds: elapsed.inSeconds, isError: true) }
    }

    deinit {
        model.inFlight.lower()
        if firstToken == nil { model.queued.lower() }
    }
}
