package import Instruments

/// The metrics of vLLM 0.32 that routers, autoscalers and dashboards read, under vLLM's names and labels.
package struct SimMetrics: Sendable {
    package enum FinishReason: String, CaseIterable, Sendable {
        case stop
        case length
        /// The client went away.
        case abort
    }

    package static let definitions =
        [
            promptTokensDefinition, generationTokensDefinition, successDefinition, timeToFirstTokenDefinition,
            interTokenLatencyDefinition, timePerOutputTokenDefinition, endToEndDefinition, queueTimeDefinition,
            prefillTimeDefinition, decodeTimeDefinition, inferenceTimeDefinition, requestPromptTokensDefinition,
            requestGenerationTokensDefinition, runningDefinition, waitingDefinition, usageDefinition,
            queriesDefinition, hitsDefinition, cacheDefinition, adaptersDefinition,
        ] + legacyDefinitions

    let registry: MetricRegistry
    let promptTokens: Counter
    let generationTokens: Counter
    private let finished: [FinishReason: Counter]
    let timeToFirstToken: Histogram
    let interTokenLatency: Histogram
    let timePerOutputToken: Histogram
    let endToEnd: Histogram
    let queueTime: Histogram
    let prefillTime: Histogram
    let decodeTime: Histogram
    let inferenceTime: Histogram
    let requestPromptTokens: Histogram
    let requestGenerationTokens: Histogram

    func finished(_ reason: FinishReason) {
        // Made for every case in `init`.
        finished[reason]?.increment()
    }

    /// - Parameter load: Read at every scrape.
    init(_ config: SimConfig, registry: MetricRegistry, load: @escaping @Sendable () -> Load) {
        self.registry = registry
        // One engine, number 0: data parallel ranks are not simulated.
        let own = [config.modelNames.first ?? config.model, "0"]
        func counter(_ definition: MetricDefinition) -> Counter { registry.counters(definition).with(own) }
        func histogram(_ definition: MetricDefinition) -> Histogram { registry.histograms(definition).with(own) }
        promptTokens = counter(Self.promptTokensDefinition)
        generationTokens = counter(Self.generationTokensDefinition)
        let successes = registry.counters(Self.successDefinition)
        finished = Dictionary(
            uniqueKeysWithValues: FinishReason.allCases.map { ($0, successes.with(own + [$0.rawValue])) }
        )
        timeToFirstToken = histogram(Self.timeToFirstTokenDefinition)
        interTokenLatency = histogram(Self.interTokenLatencyDefinition)
        timePerOutputToken = histogram(Self.timePerOutputTokenDefinition)
        endToEnd = histogram(Self.endToEndDefinition)
        queueTime = histogram(Self.queueTimeDefinition)
        prefillTime = histogram(Self.prefillTimeDefinition)
        decodeTime = histogram(Self.decodeTimeDefinition)
        inferenceTime = histogram(Self.inferenceTimeDefinition)
        requestPromptTokens = histogram(Self.requestPromptTokensDefinition)
        requestGenerationTokens = histogram(Self.requestGenerationTokensDefinition)
        exposeConfiguration(config, own)
        exposeLoad(config, own, load)
    }

    /// What the load model says at the moment of a scrape.
    struct Load {
        var running: Int
        var waiting: Int
        var cacheUsage: Double
        var queriedTokens: Int
        var hitTokens: Int
    }

    private func exposeLoad(_ config: SimConfig, _ own: [String], _ load: @escaping @Sendable () -> Load) {
        func gauge(_ definition: MetricDefinition) -> Gauge { registry.gauges(definition).with(own) }
        let running = gauge(Self.runningDefinition)
        let waiting = gauge(Self.waitingDefinition)
        let usage = gauge(Self.usageDefinition)
        let queries = registry.counters(Self.queriesDefinition).with(own)
        let hits = registry.counters(Self.hitsDefinition).with(own)
        let legacy = config.legacyMetrics ? Self.legacyDefinitions.map { gauge($0) } : []
        registry.onScrape {
            let load = load()
            running.set(load.running)
            waiting.set(load.waiting)
            usage.set(load.cacheUsage)
            // Counters follow the load model's totals; scrapes may race, so what is missing is added, never set.
            queries.increment(by: max(0, load.queriedTokens - Int(queries.value)))
            hits.increment(by: max(0, load.hitTokens - Int(hits.value)))
            let values = [
                load.cacheUsage, load.queriedTokens == 0 ? 0 : Double(load.hitTokens) / Double(load.queriedTokens),
                Double(load.queriedTokens), Double(load.hitTokens),
            ]
            for (gauge, value) in zip(legacy, values) { gauge.set(value) }
        }
    }

    /// The gauges of value 1 whose labels are the message.
    private func exposeConfiguration(_ config: SimConfig, _ own: [String]) {
        registry.gauges(Self.cacheDefinition)
            .with([String(config.blockTokens), "auto", "True", "0", String(config.blockCount)]).set(1)
        registry.gauges(Self.adaptersDefinition).with("0", "", "").set(1)
    }

    private static let labels = ["model_name", "engine"]
    private static let promptTokensDefinition = MetricDefinition.counter(
        "vllm:prompt_tokens_total",
        "Prompt tokens processed.",
        labels: labels
    )
    private static let generationTokensDefinition = MetricDefinition.counter(
        "vllm:generation_tokens_total",
        "Tokens generated.",
        labels: labels
    )
    private static let successDefinition = MetricDefinition.counter(
        "vllm:request_success_total",
        "Requests that ended, by reason.",
        labels: labels + ["finished_reason"]
    )

    private static let timeToFirstTokenDefinition = MetricDefinition.histogram(
        "vllm:time_to_first_token_seconds",
        "Time to first token, in seconds.",
        labels: labels,
        buckets: firstToken
    )
    private static let interTokenLatencyDefinition = MetricDefinition.histogram(
        "vllm:inter_token_latency_seconds",
        "Time between two tokens of one request, in seconds.",
        labels: labels,
        buckets: perToken
    )
    private static let timePerOutputTokenDefinition = MetricDefinition.histogram(
        "vllm:request_time_per_output_token_seconds",
        "Mean time between the tokens of a request, in seconds.",
        labels: labels,
        buckets: perToken
    )
    private static let endToEndDefinition = MetricDefinition.histogram(
        "vllm:e2e_request_latency_seconds",
        "Time from a request's arrival to its end, in seconds.",
        labels: labels,
        buckets: perRequest
    )
    private static let queueTimeDefinition = MetricDefinition.histogram(
        "vllm:request_queue_time_seconds",
        "Time spent waiting, in seconds.",
        labels: labels,
        buckets: perRequest
    )
    private static let prefillTimeDefinition = MetricDefinition.histogram(
        "vllm:request_prefill_time_seconds",
        "Time from admission to the first token, in seconds.",
        labels: labels,
        buckets: perRequest
    )
    private static let decodeTimeDefinition = MetricDefinition.histogram(
        "vllm:request_decode_time_seconds",
        "Time from the first token to the last, in seconds.",
        labels: labels,
        buckets: perRequest
    )
    private static let inferenceTimeDefinition = MetricDefinition.histogram(
        "vllm:request_inference_time_seconds",
        "Time from admission to the end, in seconds.",
        labels: labels,
        buckets: perRequest
    )
    private static let requestPromptTokensDefinition = MetricDefinition.histogram(
        "vllm:request_prompt_tokens",
        "Prompt tokens of a request.",
        labels: labels,
        buckets: lengths
    )
    private static let requestGenerationTokensDefinition = MetricDefinition.histogram(
        "vllm:request_generation_tokens",
        "Generated tokens of a request.",
        labels: labels,
        buckets: lengths
    )
    private static let runningDefinition = MetricDefinition.gauge(
        "vllm:num_requests_running",
        "Requests in the running batch.",
        labels: labels
    )
    private static let waitingDefinition = MetricDefinition.gauge(
        "vllm:num_requests_waiting",
        "Requests that wait to run.",
        labels: labels
    )
    private static let usageDefinition = MetricDefinition.gauge(
        "vllm:kv_cache_usage_perc",
        "Share of the KV cache blocks in use, 0 to 1.",
        labels: labels
    )
    private static let queriesDefinition = MetricDefinition.counter(
        "vllm:prefix_cache_queries_total",
        "Prompt tokens looked up in the prefix cache.",
        labels: labels
    )
    private static let hitsDefinition = MetricDefinition.counter(
        "vllm:prefix_cache_hits_total",
        "Prompt tokens found in the prefix cache.",
        labels: labels
    )
    /// What earlier versions of vLLM called them.
    private static let legacyDefinitions: [MetricDefinition] = [
        .gauge("vllm:gpu_cache_usage_perc", "Former name of vllm:kv_cache_usage_perc.", labels: labels),
        .gauge(
            "vllm:gpu_prefix_cache_hit_rate",
            "Share of the looked-up prompt tokens that were found, 0 to 1.",
            labels: labels
        ),
        .gauge(
            "vllm:gpu_prefix_cache_queries_total",
            "Former name of vllm:prefix_cache_queries_total.",
            labels: labels
        ),
        .gauge("vllm:gpu_prefix_cache_hits_total", "Former name of vllm:prefix_cache_hits_total.", labels: labels),
    ]
    private static let cacheDefinition = MetricDefinition.gauge(
        "vllm:cache_config_info",
        "The KV cache's configuration, in the labels.",
        labels: ["block_size", "cache_dtype", "enable_prefix_caching", "engine", "num_gpu_blocks"]
    )
    private static let adaptersDefinition = MetricDefinition.gauge(
        "vllm:lora_requests_info",
        "The LoRA adapters in use, in the labels.",
        labels: ["max_lora", "running_lora_adapters", "waiting_lora_adapters"]
    )

    // The bounds of vLLM's own histograms, so that dashboards' quantiles compare.
    private static let firstToken: [Double] = [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
        2_560,
    ]
    private static let perToken: [Double] = [
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
    ]
    private static let perRequest: [Double] = [
        0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1_920, 7_680,
    ]
    private static let lengths: [Double] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000,
    ]
}
