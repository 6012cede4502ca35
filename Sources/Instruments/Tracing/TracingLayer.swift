/// What one source (flags, environment, policy) says about tracing; nil where it says nothing.
package struct TracingLayer: Hashable, Sendable {
    /// How traces are sent.
    package enum Transport: String, Hashable, Sendable, CaseIterable {
        case grpc
        case http
    }

    /// How traces are chosen at their beginning; see `Sampler`.
    package enum Sampling: Hashable, Sendable {
        case always
        case never
        case ratio(Double)
        case perSecond(Double)

        package var choice: Sampler.Choice {
            switch self {
            case .always: .always
            case .never: .never
            case .ratio(let share): .ratio(share)
            case .perSecond(let rate): .perSecond(rate)
            }
        }
    }

    package var isEnabled: Bool?
    package var endpoint: TraceEndpoint?
    package var transport: Transport?
    /// A PEM file of the authority that the collector's certificate is checked against.
    package var authorityFile: String?
    /// Sent with every request; they may hold keys, so they are never printed. Names in lower case.
    package var headers: [String: String]?
    /// How long one export may take.
    package var timeout: Duration?

    package var sampling: Sampling?
    /// Whether the sender's choice holds where there is one.
    package var followsParent: Bool?
    package var keepsErrors: Bool?
    /// Traces that took longer are kept.
    package var slowerThan: Duration?

    /// OpenTelemetry's names of what is said of the process, such as `service.name`. Each name is decided for itself.
    package var resource: [String: String] = [:]

    package var maxQueuedSpans: Int?
    package var maxBatchSpans: Int?
    /// How long spans wait for a batch to fill up.
    package var batchDelay: Duration?

    /// - Parameter endpoint: whoever names a collector wants traces.
    package init(endpoint: TraceEndpoint? = nil) {
        self.endpoint = endpoint
        isEnabled = endpoint.map { _ in true }
    }

    /// This, and what `lower` says where this says nothing.
    package func over(_ lower: TracingLayer) -> TracingLayer {
        var merged = self
        merged.isEnabled = isEnabled ?? lower.isEnabled
        merged.endpoint = endpoint ?? lower.endpoint
        merged.transport = transport ?? lower.transport
        merged.authorityFile = authorityFile ?? lower.authorityFile
        merged.headers = headers ?? lower.headers
        merged.timeout = timeout ?? lower.timeout
        merged.sampling = sampling ?? lower.sampling
        merged.followsParent = followsParent ?? lower.followsParent
        merged.keepsErrors = keepsErrors ?? lower.keepsErrors
        merged.slowerThan = slowerThan ?? lower.slowerThan
        merged.resource = lower.resource.merging(resource) { $1 }
        merged.maxQueuedSpans = maxQueuedSpans ?? lower.maxQueuedSpans
        merged.maxBatchSpans = maxBatchSpans ?? lower.maxBatchSpans
        merged.batchDelay = batchDelay ?? lower.batchDelay
        return merged
    }
}
