import Instruments

/// The metrics of vLLM 0.32 that routers, autoscalers and dashboards read, under vLLM's names and labels.
package struct SimMetrics: Sendable {
    package enum FinishReason: String, CaseIterable, Sendable {
        case stop
        case length
        /// The client went away.
        case abort
    }

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
        timeToFirstToken = histogram(
            Self.seconds("time_to_first_token_seconds", "Time to first token.", Self.firstToken)
        )
        interTokenLatency = histogram(
            Self.seconds("inter_token_latency_seconds", "Time between two tokens of one request.", Self.perToken)
        )
        timePerOutputToken = histogram(
            Self.seconds(
                "request_time_per_output_token_seconds",
                "Mean time between the tokens of a request.",
                Self.perToken
            )
        )
        endToEnd = histogram(
            Self.seconds("e2e_request_latency_seconds", "Time from a request's arrival to its end.", Self.perRequest)
        )
        queueTime = histogram(Self.seconds("request_queue_time_seconds", "Time spent waiting.", Self.perRequest))
        prefillTime = histogram(
            Self.seconds("request_prefill_time_seconds", "Time from admission to the first token.", Self.perRequest)
        )
        decodeTime = histogram(
            Self.seconds("request_decode_time_seconds", "Time from the first token to the last.", Self.perRequest)
        )
        inferenceTime = histogram(
            Self.seconds("request_inference_time_seconds", "Time from admission to the end.", Self.perRequest)
        )
        requestPromptTokens = histogram(
            .histogram(
                "vllm:request_prompt_tokens",
                "Prompt tokens of a request.",
                labels: Self.labels,
                buckets: Self.lengths
            )
        )
        requestGenerationTokens = histogram(
            .histogram(
                "vllm:request_generation_tokens",
                "Generated tokens of a request.",
                labels: Self.labels,
                buckets: Self.lengths
            )
        )
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
        func gauge(_ name: String, _ help: String) -> Gauge {
            registry.gauges(.gauge("vllm:" + name, help, labels: Self.labels)).with(own)
        }
        let running = gauge("num_requests_running", "Requests in the running batch.")
        let waiting = gauge("num_requests_waiting", "Requests that wait to run.")
        let usage = gauge("kv_cache_usage_perc", "Share of the KV cache blocks in use, 0 to 1.")
        let queries = registry.counters(
            .counter(
                "vllm:prefix_cache_queries_total",
                "Prompt tokens looked up in the prefix cache.",
                labels: Self.labels
            )
        ).with(own)
        let hits = registry.counters(
            .counter("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.", labels: Self.labels)
        ).with(own)
        var legacy: [Gauge] = []
        if config.legacyMetrics {
            legacy = [
                gauge("gpu_cache_usage_perc", "Former name of vllm:kv_cache_usage_perc."),
                gauge("gpu_prefix_cache_hit_rate", "Share of the looked-up prompt tokens that were found, 0 to 1."),
                gauge("gpu_prefix_cache_queries_total", "Former name of vllm:prefix_cache_queries_total."),
                gauge("gpu_prefix_cache_hits_total", "Former name of vllm:prefix_cache_hits_total."),
            ]
        }
        let legacyGauges = legacy
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
            for (gauge, value) in zip(legacyGauges, values) { gauge.set(value) }
        }
    }

    /// The gauges of value 1 whose labels are the message.
    private func exposeConfiguration(_ config: SimConfig, _ own: [String]) {
        registry.gauges(
            .gauge(
                "vllm:cache_config_info",
                "The KV cache's configuration, in the labels.",
                labels: ["block_size", "cache_dtype", "enable_prefix_caching", "engine", "num_gpu_blocks"]
            )
        ).with("\(config.blockTokens)", "auto", "True", "0", "\(config.blockCount)").set(1)
        registry.gauges(
            .gauge(
                "vllm:lora_requests_info",
                "The LoRA adapters in use, in the labels.",
                labels: ["max_lora", "running_lora_adapters", "waiting_lora_adapters"]
            )
        ).with("0", "", "").set(1)
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

    private static func seconds(_ name: String, _ help: String, _ buckets: [Double]) -> MetricDefinition {
        .histogram("vllm:" + name, "\(help.dropLast()), in seconds.", labels: labels, buckets: buckets)
    }

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
