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
    private let asksForDimensions: Bool

    /// - Parameters:
    ///   - dimensions: the length of the model's vectors; others are refused.
    ///   - asksForDimensions: asks the worker for vectors of that length, and of others where callers want them. Only models
    ///     that were trained for shorter vectors (Matryoshka) can be asked; vLLM refuses it for others.
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
        self.asksForDimensions = asksForDimensions
    }

    package var breakerState: CircuitBreaker.State { model.breakerState }

    /// The generation is always 1: what a worker serves under a name is not told apart.
    package func embed(
        _ texts: [String],
        dimensions: Int?,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> Embeddings {
        let length = dimensions ?? self.dimensions
        guard length == self.dimensions || asksForDimensions && (1...self.dimensions).contains(length) else {
            let possible = asksForDimensions ? "1 to \(self.dimensions)" : "\(self.dimensions)"
            throw .wrongDimensions(length, of: model.settings.name, possible)
        }
        // Of numbers in base64: a quarter of the bytes that they take written out, and no decimals to read.
        let members: [(String, JSONFragment)] =
            [("encoding_format", "base64")] + (asksForDimensions ? [("dimensions", JSONFragment(length))] : [])
        // Half of the places at most: more than all would be refused, and others ask too.
        let limit = max(1, model.settings.maxConcurrentRequests / 2)
        let vectors = try await askAll(texts, limit: limit) { [model] text throws(ComputeError) in
            try await model.ask(text, members, by: deadline) { answer throws(RemoteFailure) in
                try RemoteAnswer.embedding(answer, dimensions: length)
            }
        }
        return Embeddings(vectors: vectors, generation: 1)
    }
}
