package import HTTPTransport
import OpenAIWire
package import Resilience
package import Transport

/// An embedder that a worker serves, asked as `POST /v1/embeddings` (OpenAI's and vLLM's).
///
/// One request per text: vLLM batches the requests that it has itself, and a request of several texts would end with the
/// slowest of them.
package struct RemoteEmbedder: TextEmbedder {
    /// The length of its vectors.
    package let dimensions: Int
    private let model: RemoteModel
    private let members: [(String, JSONFragment)]

    /// - Parameters:
    ///   - dimensions: the length of the model's vectors; others are refused.
    ///   - asksForDimensions: asks the worker for vectors of that length. Only models that were trained for shorter vectors
    ///     (Matryoshka) can be asked; vLLM refuses it for others.
    ///   - clients: the HTTP clients; their settings hold for TLS and connections.
    ///   - clock: of the breaker. Deadlines are always those of the system's clock.
    package init(
        _ settings: RemoteModelSettings,
        dimensions: Int,
        asksForDimensions: Bool = false,
        clients: LoopLocal<UpstreamClient>,
        metrics: RemoteModelMetrics,
        clock: @escaping @Sendable () -> MonotonicTime = { .now() }
    ) {
        precondition(dimensions >= 1, "a vector has at least one number")
        self.dimensions = dimensions
        model = RemoteModel(settings, clients: clients, metrics: metrics, clock: clock)
        // A quarter of the bytes that the numbers written out take, and no decimals to read.
        members =
            [("encoding_format", "base64")] + (asksForDimensions ? [("dimensions", JSONFragment(dimensions))] : [])
    }

    package var breakerState: CircuitBreaker.State { model.breakerState }

    package func embed(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> [Float] {
        try await model.ask(text, members, by: deadline) { answer throws(RemoteFailure) in
            try RemoteAnswer.embedding(answer, dimensions: dimensions)
        }
    }
}
