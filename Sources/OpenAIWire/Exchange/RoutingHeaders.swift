/// The only spelling of every header by which Sextant and its peers tell each other about routing.
///
/// Names and meaning are vLLM Semantic Router's v0.1 contract, where it has them.
package enum RoutingHeaders {
    package static let requestID = "x-request-id"

    package static let selectedDecision = "x-vsr-selected-decision"
    package static let selectedModel = "x-vsr-selected-model"
    package static let matchedKeywords = "x-vsr-matched-keywords"

    /// Tells the inference router (or Envoy's routes) which model was chosen.
    package static let upstreamSelectedModel = "x-selected-model"

    package static let authorizedUser = "x-authz-user-id"
    package static let authorizedGroups = "x-authz-user-groups"
    package static let authorizedTenant = "x-authz-tenant-id"

    /// Every header that we set or act on, for documentation.
    package static let catalogue: [(name: String, place: String, meaning: String)] = [
        (requestID, "request, answer", "The client's id for the request, or one that we made."),
        (selectedDecision, "answer (2xx)", "The decision that chose the model; absent when none matched."),
        (selectedModel, "answer (2xx)", "The chosen model, by its name in the policy."),
        (matchedKeywords, "answer (2xx)", "The keyword signals that were found, by name."),
        (upstreamSelectedModel, "request to the worker", "The name that workers serve the chosen model by."),
        (authorizedUser, "request from a trusted hop", "Whose request it is."),
        (authorizedGroups, "request from a trusted hop", "The user's groups, separated by commas."),
        (authorizedTenant, "request from a trusted hop", "The tenant whose request it is."),
    ]

    /// Whether only we, or a trusted hop before us, may set the header: everything that carries identity or a routing
    /// decision. A client's own are removed. Takes the lower-cased name.
    package static func isReserved(_ name: String) -> Bool {
        guard name.utf8.first == UInt8(ascii: "x") else { return false }
        return name.hasPrefix("x-authz-") || (name.hasPrefix("x-vsr-") && !clientMaySet.contains(name))
            || name == upstreamSelectedModel
    }

    /// The `x-vsr-*` headers that are a client's to send: wishes about its own request, not claims.
    private static let clientMaySet: Set<String> = ["x-vsr-debug", "x-vsr-cache-control", "x-vsr-compression-control"]
}
