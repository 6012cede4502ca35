package import Resilience

/// Turns texts into vectors, wherever the model runs.
package protocol TextEmbedder: Sendable {
    /// The text's vector. All vectors of one embedder have one length, and finite numbers only.
    ///
    /// Ends at `deadline` at the latest, and at once when the task is cancelled.
    func embed(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> [Float]
}

/// Tells which class a text is of, wherever the model runs.
package protocol TextClassifier: Sendable {
    /// How probable each class is. All answers of one classifier have the same labels in the same order.
    ///
    /// Ends at `deadline` at the latest, and at once when the task is cancelled.
    func classify(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> Classification
}
