package import Instruments

/// The spans of the inference router: upstream `vllm-router`'s names and attributes, and OpenTelemetry's for generative
/// AI where it has none.
package enum InferenceSpans {
    package static let definitions = [request, routing, attempt]

    /// The root in `sextant router` and `sextant gateway`; the endpoint follows its name, as upstream's does.
    package static let request = SpanDefinition(
        "router",
        .server,
        "A request from its arrival to the end of its answer.",
        attributes: [
            method, target, requestID, model, backend, routingLogic, status, firstByte, inputTokens,
            outputTokens,
        ]
    )
    static let routing = SpanDefinition(
        "router.routing",
        "The workers of the model, filtered by health and put in order.",
        attributes: [routingLogic, candidates]
    )
    /// A failed attempt is followed by another, beside it.
    static let attempt = SpanDefinition(
        "process_request",
        .client,
        "One worker asked, until its answer ends or it fails.",
        attributes: [method, backend, requestID, isStreaming, status]
    )

    package static let method = SpanAttribute("http.method", "The request's method.")
    package static let target = SpanAttribute("http.target", "The path, as the API names it.")
    package static let requestID = SpanAttribute("vllm.request_id", "The request's id.")
    static let model = SpanAttribute("vllm.model", "The model, by the name that workers serve it by.")
    static let backend = SpanAttribute("vllm.backend_url", "The worker's address.")
    static let routingLogic = SpanAttribute("vllm.routing_logic", "The policy by which workers are put in order.")
    static let candidates = SpanAttribute("sextant.candidates", "How many workers may be asked.")
    static let isStreaming = SpanAttribute("vllm.is_streaming", "Whether the answer is a stream of events.")
    package static let status = SpanAttribute("http.status_code", "The answer's status.")
    static let inputTokens = SpanAttribute("gen_ai.usage.input_tokens", "Tokens of the prompt, as the worker counts.")
    static let outputTokens = SpanAttribute("gen_ai.usage.output_tokens", "Tokens of the answer, likewise.")
    static let firstByte = SpanAttribute(
        "sextant.first_byte_seconds",
        "Seconds from the request's arrival to the answer's head."
    )
}
