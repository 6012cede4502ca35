/// The only spelling of every header by which Sextant and its peers tell each other about routing.
///
/// Names and meaning are vLLM Semantic Router's: its v0.1 contract, and v0.4's where the policy asks for that.
package enum RoutingHeaders {
    package static let requestID = "x-request-id"
    package static let traceID = "x-trace-id"

    /// Whether a client's id of its request can stand in logs, headers and traces: printable ASCII, at most 128 bytes.
    package static func isUsable(requestID: String) -> Bool {
        !requestID.isEmpty && requestID.utf8.count <= 128 && requestID.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    // MARK: Answers

    package static let selectedCategory = "x-vsr-selected-category"
    package static let selectedDecision = "x-vsr-selected-decision"
    package static let selectedReasoning = "x-vsr-selected-reasoning"
    package static let selectedModel = "x-vsr-selected-model"
    package static let injectedSystemPrompt = "x-vsr-injected-system-prompt"
    package static let contextTokenCount = "x-vsr-context-token-count"
    package static let fastResponse = "x-vsr-fast-response"

    /// What all `x-vsr-matched-*` headers begin with.
    package static let matchedPrefix = "x-vsr-matched-"

    // Of the v0.4 contract.
    package static let schemaVersion = "x-vsr-schema-version"
    package static let responsePath = "x-vsr-response-path"
    package static let selectedRecipe = "x-vsr-selected-recipe"
    package static let selectedConfidence = "x-vsr-selected-confidence"
    package static let selectedAlgorithm = "x-vsr-selected-algorithm"

    // MARK: Requests

    /// Tells the inference router (or Envoy's routes) which model was chosen.
    package static let upstreamSelectedModel = "x-selected-model"

    /// `host:port` of the backend that the policy prefers, for an Envoy that routes by it.
    package static let destinationEndpoint = "x-vsr-destination-endpoint"

    package static let debug = "x-vsr-debug"
    package static let authorizedUser = "x-authz-user-id"
    package static let authorizedGroups = "x-authz-user-groups"
    package static let authorizedTenant = "x-authz-tenant-id"

    /// Every header that we set or act on, for documentation.
    package static let catalogue: [(name: String, place: String, meaning: String)] = [
        (requestID, "request, answer", "The client's id for the request, or one that we made."),
        (
            traceID, "answer of our own, errors too",
            "The request's trace, where a collector gets it."
        ),
        (
            "traceparent, tracestate", "request, request to the worker",
            "The trace that the request belongs to (W3C Trace Context). Where this process traces, the worker is told of "
                + "the span that asks it; else they pass as they came."
        ),
        (selectedCategory, "answer (2xx)", "The domain that the decision's rule names first."),
        (selectedDecision, "answer (2xx)", "The decision that chose the model; absent when none matched."),
        (selectedReasoning, "answer (2xx)", "`on` where the model was told to reason, else `off`."),
        (selectedModel, "answer (2xx)", "The chosen model, by its name in the policy."),
        (injectedSystemPrompt, "answer (2xx)", "`true` where the decision's instructions were put into the request."),
        (
            matchedPrefix + "{keywords,structure,…}", "answer (2xx)",
            "The signals of a kind that were found, by name: keywords, structure, context, conversation, language, "
                + "metadata, event, authz, projections."
        ),
        (contextTokenCount, "answer (2xx)", "How many tokens the request was taken to have."),
        (fastResponse, "answer", "`true` where a decision answered without a model."),
        (schemaVersion, "answer (`header_contract: v0.4`)", "`2`."),
        (responsePath, "answer (`header_contract: v0.4`)", "Who answered: `upstream` or `fast_response`."),
        (selectedRecipe, "answer (2xx, `header_contract: v0.4`)", "The recipe that decided."),
        (selectedConfidence, "answer (2xx, `header_contract: v0.4`)", "The decision's confidence."),
        (selectedAlgorithm, "answer (2xx, `header_contract: v0.4`)", "How the model was chosen among candidates."),
        (
            aliases.map(\.alias).joined(separator: ", "), "answer (2xx, `header_aliases: true`)",
            "Other names of `" + aliases.map(\.name).joined(separator: "`, `") + "`."
        ),
        (debug, "request", "`true`: the answer also has the headers that `header_contract: v0.4` leaves out."),
        (upstreamSelectedModel, "request to the worker", "The name that workers serve the chosen model by."),
        (
            destinationEndpoint, "request to the worker, through Envoy",
            "`host:port` of the chosen model's heaviest backend, where the policy names backends."
        ),
        (authorizedUser, "request from a trusted hop", "Whose request it is."),
        (authorizedGroups, "request from a trusted hop", "The user's groups, separated by commas."),
        (authorizedTenant, "request from a trusted hop", "The tenant whose request it is."),
    ]

    /// Whether a value of `x-vsr-debug` asks for the headers that `header_contract: v0.4` leaves out.
    package static func asksForDebug(_ value: String?) -> Bool {
        value.map { $0.filter { !$0.isWhitespace }.lowercased() == "true" } ?? false
    }

    /// Names of earlier designs that stand for headers of ours.
    package static let aliases: [(alias: String, name: String)] = [
        ("x-vsr-category", selectedCategory), ("x-vsr-model", selectedModel), ("x-vsr-reasoning", selectedReasoning),
        ("x-vsr-model-used", selectedModel),
    ]

    /// Whether only we, or a trusted hop before us, may set the header: everything that carries identity or a routing
    /// decision. A client's own are removed. Takes the lower-cased name.
    package static func isReserved(_ name: String) -> Bool {
        guard name.utf8.first == UInt8(ascii: "x") else { return false }
        return name.hasPrefix("x-authz-") || (name.hasPrefix("x-vsr-") && !clientMaySet.contains(name))
            || name == upstreamSelectedModel
    }

    /// The `x-vsr-*` headers that are a client's to send: wishes about its own request, not claims.
    private static let clientMaySet: Set<String> = [debug, "x-vsr-cache-control", "x-vsr-compression-control"]
}
