package import Instruments
import OpenAIWire

/// The span of a simulated worker: vLLM's, by its names (`SpanAttributes` in vllm/tracing; `do_tracing` in
/// vllm/v1/engine/output_processor.py).
///
/// As in vLLM, a request that never reaches the engine leaves no span, and what is zero or not known is left out of the
/// request's settings. Unlike vLLM, which leaves a span for each answer, a request with several prompts or answers has
/// one; and one that is broken off has one too, that failed.
package enum SimSpans {
    package static let definitions = [request]

    package static let request = SpanDefinition(
        "llm_request",
        .server,
        "A request from its arrival at the engine to the end of its answer.",
        attributes: [
            model, requestID, maxTokens, temperature, topP, choices, promptTokens, completionTokens, timeToFirstToken,
            endToEnd, timeInQueue, prefillTime, decodeTime, inferenceTime,
        ]
    )

    /// Among vLLM's names, though its V1 engine does not say it.
    static let model = SpanAttribute("gen_ai.response.model", "The model, by the name that the request used.")
    static let requestID = SpanAttribute("gen_ai.request.id", "The answer's id.")
    static let maxTokens = SpanAttribute("gen_ai.request.max_tokens", "The most tokens that the answer may have.")
    static let temperature = SpanAttribute("gen_ai.request.temperature", "The temperature of sampling.")
    static let topP = SpanAttribute("gen_ai.request.top_p", "The share of likely tokens that are sampled from.")
    static let choices = SpanAttribute("gen_ai.request.n", "Answers for each prompt.")
    static let promptTokens = SpanAttribute("gen_ai.usage.prompt_tokens", "Tokens of the prompt.")
    static let completionTokens = SpanAttribute("gen_ai.usage.completion_tokens", "Tokens of the answer.")
    static let timeToFirstToken = SpanAttribute(
        "gen_ai.latency.time_to_first_token",
        "Seconds from the request's arrival to its first token."
    )
    static let endToEnd = SpanAttribute("gen_ai.latency.e2e", "Seconds from the request's arrival to its last token.")
    static let timeInQueue = SpanAttribute("gen_ai.latency.time_in_queue", "Seconds until the request ran.")
    static let prefillTime = SpanAttribute(
        "gen_ai.latency.time_in_model_prefill",
        "Seconds from then to the first token."
    )
    static let decodeTime = SpanAttribute(
        "gen_ai.latency.time_in_model_decode",
        "Seconds from the first token to the last."
    )
    static let inferenceTime = SpanAttribute(
        "gen_ai.latency.time_in_model_inference",
        "Seconds in which the request ran."
    )
}

/// What a request's span says of the request. Nothing of what it says to the model.
struct RequestFacts: Sendable {
    let model: String
    /// Nil for answers that have none.
    var id: String?
    var sampling: Sampling?

    /// How text is asked for.
    struct Sampling: Sendable {
        let maxTokens: Int
        let temperature: Double
        let topP: Double
        let choices: Int
    }
}

extension RequestFacts.Sampling {
    /// Where a request says nothing: 1 for temperature and share (vllm/sampling_params.py), and what the model's context
    /// has room for.
    init(_ request: GenerationRequest, _ root: JSONValue, config: SimConfig) {
        maxTokens = request.maxTokens ?? max(0, config.maxModelTokens - (request.prompts.first?.count ?? 0))
        temperature = root["temperature"]?.double ?? 1
        topP = root["top_p"]?.double ?? 1
        choices = request.choicesPerPrompt
    }
}

/// How long the parts of a request took, in seconds.
struct RequestTimes {
    let toFirstToken: Double
    let endToEnd: Double
    let inQueue: Double
    let prefill: Double
    let decode: Double
    let inference: Double
}

extension Trace {
    /// States what is known when the request arrives.
    func state(_ facts: RequestFacts, promptTokens: Int) {
        set(SimSpans.model, .text(facts.model))
        if let id = facts.id { set(SimSpans.requestID, .text(id)) }
        if let sampling = facts.sampling {
            if sampling.maxTokens != 0 { set(SimSpans.maxTokens, .number(sampling.maxTokens)) }
            if sampling.temperature != 0 { set(SimSpans.temperature, .decimal(sampling.temperature)) }
            if sampling.topP != 0 { set(SimSpans.topP, .decimal(sampling.topP)) }
            set(SimSpans.choices, .number(sampling.choices))
        }
        set(SimSpans.promptTokens, .number(promptTokens))
    }

    /// States what is known when the answer is complete.
    func state(_ times: RequestTimes, completionTokens: Int) {
        set(SimSpans.completionTokens, .number(completionTokens))
        set(SimSpans.timeToFirstToken, .decimal(times.toFirstToken))
        set(SimSpans.endToEnd, .decimal(times.endToEnd))
        set(SimSpans.timeInQueue, .decimal(times.inQueue))
        set(SimSpans.prefillTime, .decimal(times.prefill))
        set(SimSpans.decodeTime, .decimal(times.decode))
        set(SimSpans.inferenceTime, .decimal(times.inference))
    }
}
