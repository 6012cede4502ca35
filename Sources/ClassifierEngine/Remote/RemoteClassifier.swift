package import HTTPTransport
package import Resilience
package import Transport

/// A classifier that a worker serves, asked as `POST /classify` (vLLM's).
package struct RemoteClassifier: TextClassifier {
    /// The names of the model's classes, in its order.
    package let labels: [String]
    private let model: RemoteModel

    /// - Parameters:
    ///   - labels: the names of the model's classes, in its order (`id2label`): an answer names the best class only.
    ///   - clients: the HTTP clients; their settings hold for TLS and connections.
    ///   - clock: of the breaker. Deadlines are always those of the system's clock.
    package init(
        _ settings: RemoteModelSettings,
        labels: [String],
        clients: LoopLocal<UpstreamClient>,
        metrics: RemoteModelMetrics,
        clock: @escaping @Sendable () -> MonotonicTime = { .now() }
    ) {
        precondition(!labels.isEmpty, "a classifier has at least one class")
        self.labels = labels
        model = RemoteModel(settings, clients: clients, metrics: metrics, clock: clock)
    }

    package var breakerState: CircuitBreaker.State { model.breakerState }

    package func classify(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> Classification {
        try await model.ask(text, [], by: deadline) { answer throws(RemoteFailure) in
            try RemoteAnswer.classification(answer, labels: labels)
        }
    }
}
