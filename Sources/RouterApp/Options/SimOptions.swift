package import ConfigKit
package import Instruments
package import SimWorker

/// The flags of `sextant sim`: vLLM's names where vLLM has the flag, llm-d-inference-sim's else.
package struct SimOptions: Configurable {
    package var config = SimConfig()
    package var port = Port(8000)
    package var apiKey: Secret?
    package var faults: [FaultText] = []
    package var threads = 1
    package var tracesEndpoint: String?

    package init() {}

    package static let schema = Schema<Self>("sim", "A simulated vLLM worker.") {
        FieldGroup("Server") {
            Field("host", \.config.host, "The address to listen on.").notEmpty()
            Field("port", \.port, "The port to listen on; 0 takes a free one.")
            Field("threads", \.threads, "Event loops.").range(1...64)
            Field("api-key", \.apiKey, "Paths under /v1 ask for it as a bearer token.")
            Field("worker-id", \.config.workerID, "What the header `x-sim-worker` says. Default: the port.")
            Field("max-body-bytes", \.config.maxBodyBytes, "Larger request bodies are refused.").range(1024...)
            Field("request-log-size", \.config.requestLogSize, "How many requests /sim/requests remembers.")
                .range(0...100_000)
            Field(
                "enable-request-id-headers",
                \.config.requestIDHeaders,
                "Answers carry the request's `x-request-id`."
            )
        }
        FieldGroup("Model") {
            Field("model", \.config.model, "The model to stand in for.").notEmpty()
            Field("served-model-name", \.config.servedModelNames, "The names to answer to instead of `--model`.")
            Field("max-model-len", \.config.maxModelTokens, "The most tokens of a prompt and its answer.").range(1...)
            Field("mode", \.config.mode, "Answer with the last user message, or with words drawn from the seed.")
            Field("seed", \.seed, "What random answers are drawn from.").range(0...)
            Field("output-tokens", \.config.outputTokens, "An answer's length when the request sets none.").range(1...)
            Field("embedding-dimensions", \.config.embeddingDimensions, "The length of embeddings.").range(1...65_536)
        }
        FieldGroup("Load") {
            Field("max-num-seqs", \.config.maxRunning, "The most requests running at once.").range(1...)
            Field("max-waiting-queue-length", \.config.maxWaiting, "The most requests waiting; more get a 429.")
                .range(0...)
            Field("prefill-overhead", \.config.prefillOverhead, "Time to first token of an empty prompt.")
                .unit(.milliseconds)
            Field(
                "prefill-time-per-token",
                \.config.prefillTimePerToken,
                "Further time for each prompt token that the KV cache does not hold."
            )
            .unit(.milliseconds)
            Field("inter-token-latency", \.config.interTokenLatency, "Time between two tokens of an answer.")
                .unit(.milliseconds)
            Field(
                "time-factor-under-load",
                \.config.timeFactorUnderLoad,
                "How much longer everything takes with `--max-num-seqs` requests running."
            )
            .range(1.0...)
            Field("zero-latency", \.config.zeroLatency, "Answer at once; the times above do not count.")
        }
        FieldGroup("KV cache") {
            Field("block-size", \.config.blockTokens, "Tokens of a block.").range(1...1024)
            Field("num-gpu-blocks", \.config.blockCount, "Blocks of the cache.").range(1...)
        }
        FieldGroup("Tracing") {
            Field(
                "otlp-traces-endpoint",
                \.tracesEndpoint,
                """
                Traces requests as vLLM does, and sends the traces to this OpenTelemetry collector: a URL of grpc, grpcs, \
                http or https, or `host:port` without TLS. OpenTelemetry's variables (OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, \
                OTEL_SERVICE_NAME and others) say more.
                """,
                example: "grpc://otel-collector:4317"
            )
            .check("must be host:port or a URL of http(s) or grpc(s)") {
                $0.map { TraceEndpoint($0, isTLS: false) != nil } ?? true
            }
        }
        FieldGroup("Behaviour") {
            Field("legacy-metrics", \.config.legacyMetrics, "Show the metric names of vLLM before 0.10 too.")
            Field("enable-sleep-mode", \.config.sleepMode, "Answer /sleep, /wake_up and /is_sleeping.")
            Field(
                "fault",
                \.faults,
                """
                What goes wrong: refuse=5, hang, status=503, reset, reset-mid-stream=3, slow=5, kv-full; each may end in \
                ;rate=0.2 ;times=3 ;path=/v1/chat
                """,
                example: "status=503;rate=0.1"
            )
        }
    }

    private var seed: Int {
        get { Int(clamping: config.seed) }
        set { config.seed = UInt64(max(0, newValue)) }
    }

    /// What the flags say about tracing.
    package var tracing: TracingLayer {
        TracingLayer(endpoint: tracesEndpoint.flatMap { TraceEndpoint($0, isTLS: false) })
    }

    /// The settings as the worker takes them.
    package var simConfig: SimConfig {
        var config = config
        config.port = Int(port.number)
        config.apiKey = apiKey?.reveal()
        config.faults = faults.map(\.fault)
        return config
    }
}

extension SimConfig.Mode: ConfigValue {}

/// A fault in its written form.
package struct FaultText: ScalarConfigValue, Hashable {
    package let fault: Fault
    package let configText: String

    package static let kind = ConfigType.ScalarKind("fault", expected: "a fault such as status=503;rate=0.1")

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> FaultText {
        do {
            return FaultText(fault: try Fault(text), configText: text)
        } catch {
            throw ScalarMistake(error.description)
        }
    }
}
