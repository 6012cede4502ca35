package import ConfigKit
package import HTTPTransport
package import Resilience

/// Where a model is served, and what a call of it may take.
package struct RemoteModelSettings: Sendable {
    /// The label in metrics, from the configuration.
    package var name: String
    package var origin: Origin
    /// What the worker calls the model.
    package var model: String
    /// Begins with a slash.
    package var path: String
    /// Sent as a bearer token.
    package var apiKey: Secret?
    /// Asks the worker to cut longer texts to so many tokens (vLLM's `truncate_prompt_tokens`); -1 for what its model
    /// takes. Nil asks for nothing: vLLM then refuses texts that are too long.
    package var truncateToTokens: Int?
    /// The longest text that is sent. 1 MiB: more than the longest contexts that embedders have.
    package var maxTextBytes = 1 << 20
    /// The largest answer that is read. 1 MiB: 4,096 numbers written out are 90 KB.
    package var maxAnswerBytes = 1 << 20
    /// The most requests at a time; further calls are refused at once. 64: a quarter of what vLLM runs at once by
    /// default (256), as several routers may share a worker.
    package var maxConcurrentRequests = 64
    /// A worker that has not answered by a call's deadline is taken to be unwell only if it had this long, from the
    /// request's sending. 100 ms: several times what a small model takes on a GPU, and callers with less time know that
    /// they may get nothing.
    package var enoughPatience = Duration.milliseconds(100)
    /// When to leave the worker alone after failures.
    package var breaker: CircuitBreaker.Settings

    /// - Parameters:
    ///   - name: the label in metrics; the model's name if nil.
    ///   - breaker: is tried again every 30 s at the latest: a probe is a single call, and decisions are worse without.
    package init(
        name: String? = nil,
        origin: Origin,
        model: String,
        path: String,
        apiKey: Secret? = nil,
        breaker: CircuitBreaker.Settings = CircuitBreaker.Settings(longestOpen: .seconds(30))
    ) {
        self.name = name ?? model
        self.origin = origin
        self.model = model
        self.path = path
        self.apiKey = apiKey
        self.breaker = breaker
    }

    /// Of vLLM's server.
    package static let embeddingsPath = "/v1/embeddings"
    /// Of vLLM's server.
    package static let classifyPath = "/classify"
}
