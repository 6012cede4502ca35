package import Instruments

/// The spans of the semantic router: upstream's names and attributes where it has them.
package enum SemanticSpans {
    package static let definitions =
        [request, routing, signals, decision, selection, plugins, upstream] + kinds.values.sorted { $0.name < $1.name }

    /// The root in `sextant semantic`, which has no other.
    package static let request = SpanDefinition(
        "semantic_router.request.received",
        .server,
        "A request on its way through the semantic router, from its headers to what became of it.",
        attributes: [requestID, path, outcome, status]
    )
    static let routing = SpanDefinition(
        "semantic_router.routing.decision",
        "All that leads to the model, the edits or the answer.",
        attributes: [originalModel, selectedModel, reason]
    )
    static let signals = SpanDefinition(
        "semantic_router.signal.evaluation",
        "All signals of the profile.",
        attributes: [tokens, matchedRules]
    )
    static let decision = SpanDefinition(
        "semantic_router.decision.evaluation",
        "Projections, scores and the rules of all decisions.",
        attributes: [decisionName, decisionConfidence, strategy]
    )
    static let selection = SpanDefinition(
        "semantic_router.backend.selection",
        "The choice among the decision's models.",
        attributes: [selectedModel, algorithm, reasoning]
    )
    static let plugins = SpanDefinition(
        "semantic_router.plugin.execution",
        "What the decision's plugins change of the request, or answer in a model's place.",
        attributes: [pluginTypes, systemPrompt]
    )
    /// In `sextant semantic` alone; where both routers are one process, the inference router's attempts say more.
    package static let upstream = SpanDefinition(
        "semantic_router.upstream.request",
        .client,
        "The request on its way behind Envoy, until the head of the answer.",
        attributes: [status]
    )
    /// One for each kind of signal.
    static let kinds: [SignalType: SpanDefinition] = Dictionary(
        uniqueKeysWithValues: SignalCatalog.active.map { kind in
            (
                kind.type,
                SpanDefinition(
                    "semantic_router.signal.\(kind.type.rawValue)",
                    "Signals of the kind `\(kind.type.rawValue)`."
                )
            )
        }
    )

    package static let requestID = SpanAttribute("request.id", "The request's id.")
    package static let path = SpanAttribute("http.path", "The path, as the API names it.")
    package static let originalModel = SpanAttribute(
        "routing.original_model",
        "The model asked for, if the policy knows it."
    )
    package static let selectedModel = SpanAttribute(
        "routing.selected_model",
        "The chosen model, by its name in the policy."
    )
    package static let reason = SpanAttribute(
        "routing.reason",
        "`auto_routing`, `model_specified`, or why nothing was chosen."
    )
    package static let status = SpanAttribute("http.status_code", "The status of the model's answer.")
    package static let outcome = SpanAttribute("sextant.outcome", "`forward`, `respond`, `bypass`, `refuse` or `pass`.")
    static let tokens = SpanAttribute("token.count.prompt", "How many tokens the request was taken to have.")
    static let decisionName = SpanAttribute("decision.name", "The decision that matched.")
    static let decisionConfidence = SpanAttribute("decision.confidence", "Its confidence, 0 to 1.")
    static let strategy = SpanAttribute("decision.strategy", "How one is chosen among several that match.")
    static let algorithm = SpanAttribute("routing.strategy", "How the model was chosen among candidates.")
    static let reasoning = SpanAttribute("reasoning.enabled", "Whether the model is told to reason.")
    static let pluginTypes = SpanAttribute("plugin.type", "The plugins of the decision.")
    static let systemPrompt = SpanAttribute("system_prompt.injected", "Whether instructions were put into the request.")
    static let matchedRules = SpanAttribute("signal.matched_rules", "The rules that were found, by name.")
}
