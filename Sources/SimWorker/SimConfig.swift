/// Settings of a simulated worker. The flag names are vLLM's where vLLM has the flag, llm-d-inference-sim's else.
package struct SimConfig: Sendable, Hashable {
    package enum Mode: String, CaseIterable, Sendable {
        /// Answers with the last user message.
        case echo
        /// Answers with words drawn from the seed and the prompt: the same prompt gets the same answer.
        case random
    }

    /// `--host`.
    package var host = "127.0.0.1"
    /// `--port`; 0 takes a free one. 8000 is vLLM's default.
    package var port = 8000
    /// `--worker-id`: what `x-sim-worker` says; the port if empty.
    package var workerID = ""
    /// `--model`.
    package var model = "sim-model"
    /// `--served-model-name`: the names to answer to instead of `model`; the first one labels the metrics.
    package var servedModelNames: [String] = []
    /// `--api-key`: if set, paths under `/v1` ask for it as a bearer token.
    package var apiKey: String?
    /// `--max-model-len`: the most tokens of a prompt and its answer.
    package var maxModelTokens = 8192
    /// `--max-num-seqs`: the most requests running at once. 256, vLLM's default.
    package var maxRunning = 256
    /// `--max-waiting-queue-length`: the most requests waiting; further ones get a 429. 1,000, the default of
    /// llm-d-inference-sim.
    package var maxWaiting = 1_000
    /// `--block-size`, in tokens. 16, vLLM's default.
    package var blockTokens = 16
    /// `--num-gpu-blocks`: the blocks of the KV cache. 8,192 blocks of 16 tokens are 16 full contexts.
    package var blockCount = 8_192
    /// `--prefill-overhead`: the part of the time to first token that does not depend on the prompt.
    package var prefillOverhead = Duration.milliseconds(5)
    /// `--prefill-time-per-token`, for tokens that are not in the KV cache. 125 µs are 8,000 tokens a second.
    package var prefillTimePerToken = Duration.microseconds(125)
    /// `--inter-token-latency`, between two tokens of one answer.
    package var interTokenLatency = Duration.milliseconds(6)
    /// `--time-factor-under-load`: how much longer everything takes with `maxRunning` requests running; at least 1.
    package var timeFactorUnderLoad = 1.0
    /// `--zero-latency`: answers at once, without timers; the three times above do not count then.
    package var zeroLatency = false
    /// `--seed`.
    package var seed: UInt64 = 0
    /// `--mode`.
    package var mode = Mode.random
    /// `--output-tokens`: the length of an answer when the request sets no `max_tokens`.
    package var outputTokens = 16
    /// `--embedding-dimensions`.
    package var embeddingDimensions = 64
    /// `--legacy-metrics`: shows the names of vLLM before 0.10 too (`vllm:gpu_cache_usage_perc`, …).
    package var legacyMetrics = false
    /// `--enable-sleep-mode`: answers `/sleep`, `/wake_up` and `/is_sleeping`.
    package var sleepMode = false
    /// `--enable-request-id-headers`: answers carry the request's `x-request-id`.
    package var requestIDHeaders = false
    /// `--fault`: faults injected from the start.
    package var faults: [Fault] = []
    /// `--request-log-size`: how many requests `/sim/requests` remembers.
    package var requestLogSize = 128
    /// `--max-body-bytes`: larger request bodies are refused.
    package var maxBodyBytes = 64 << 20

    package init() {}

    /// The names that requests may ask for.
    package var modelNames: [String] {
        servedModelNames.isEmpty ? [model] : servedModelNames
    }
}
