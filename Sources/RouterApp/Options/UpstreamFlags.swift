import ConfigKit

extension ServeOptions {
    /// Flags of upstream's `vllm-router` that have no effect here, so that its users' start scripts keep working: each is
    /// read, checked for its type, and answered with a warning that says what happens instead.
    @SchemaBuilder<ServeOptions>
    static var upstreamFlags: [AnyField<ServeOptions>] {
        ignored("root-path", "", "paths are served from the root")
        ignored("session-key", "", "sessions are not pinned to workers")
        ignored("callbacks", "", "there are no Python callbacks")
        ignored("request-rewriter", "noop", "requests are not rewritten")
        ignored("static-model-labels", [String](), "workers are not told apart by labels")
        ignored("prefill-model-labels", [String](), "workers are not told apart by labels")
        ignored("decode-model-labels", [String](), "workers are not told apart by labels")
        ignored("dynamic-config-yaml", "", "workers are those of the command line")
        ignored("dynamic-config-json", "", "workers are those of the command line")
        ignored("external-providers-config", "", "requests go to the workers of the command line only")
        ignored("enable-batch-api", false, "there is no batch API")
        ignored("batch-processor", "local", "there is no batch API")
        ignored("file-storage-class", "local_file", "there is no files API")
        ignored("file-storage-path", "", "there is no files API")
        ignored("sentry-dsn", "", "errors are logged only")
        ignored("sentry-traces-sample-rate", 0.1, "errors are logged only")
        ignored("sentry-profile-session-sample-rate", 1.0, "errors are logged only")
        ignored("lmcache-controller-port", 9000, "workers' caches are not asked")
        ignored("lmcache-controller-reply-port", 0, "workers' caches are not asked")
        ignored("lmcache-controller-heartbeat-port", 0, "workers' caches are not asked")
        ignored("lmcache-health-check-interval", 5, "workers' caches are not asked")
        ignored("lmcache-worker-timeout", 30, "workers' caches are not asked")
        ignored("semantic-cache-model", "", "answers are not cached")
        ignored("semantic-cache-dir", "", "answers are not cached")
        ignored("semantic-cache-threshold", 0.95, "answers are not cached")
        ignored("static-model-types", [String](), "a worker's health is judged by its answers")
        ignored("static-backend-health-checks", false, "a worker's health is judged by its answers")
        ignored("static-backend-health-check-interval", 60, "a worker's health is judged by its answers")
        ignored("static-backend-health-check-timeout-seconds", 10, "a worker's health is judged by its answers")
        ignored("backend-health-check-timeout-seconds", 10, "a worker's health is judged by its answers")
        ignored("engine-stats-interval", 30, "workers' metrics are not scraped")
        ignored("request-stats-window", 60, "Prometheus computes windows from the counters at /metrics")
        ignored("log-stats", false, "figures are at /metrics")
        ignored("log-stats-interval", 10, "figures are at /metrics")
        ignored("prefix-min-match-length", 0, "prompts' prefixes are not compared")
        ignored("kv-aware-threshold", 2000, "workers' caches are not asked")
        ignored("feature-gates", [String](), "there are no feature gates")
    }

    private static func ignored<Value: ConfigValue>(
        _ key: String,
        _ value: Value,
        _ instead: String
    ) -> Field<ServeOptions, Value> {
        Field(key, "A flag of upstream's router.", get: { _ in value }, set: { _, _ in }).notSupported(instead)
    }
}
