package import Resilience

/// Turns texts into vectors, wherever the model runs.
package protocol TextEmbedder: Sendable {
    /// The texts' vectors, all by one model.
    ///
    /// Ends at `deadline` at the latest, and at once when the task is cancelled. When one text fails, all do.
    /// - Parameter dimensions: how many numbers a vector is cut to, for models that were trained for it (Matryoshka
    ///   representation learning); nil for all.
    /// - Throws: besides, `unsupported` when the model has no vectors of that length.
    func embed(
        _ texts: [String],
        dimensions: Int?,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> Embeddings
}

/// Vectors of texts.
package struct Embeddings: Sendable {
    /// In the texts' order. All have one length, and finite numbers only.
    package let vectors: [[Float]]
    /// The number of the model that has made them, unlike any other's of the embedder in this process: vectors of two
    /// models must not be compared.
    package let generation: UInt64

    package init(vectors: [[Float]], generation: UInt64) {
        self.vectors = vectors
        self.generation = generation
    }
}

extension TextEmbedder {
    /// One text's vector.
    package func embed(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> [Float] {
        let vectors = try await embed([text], dimensions: nil, by: deadline).vectors
        guard let vector = vectors.first else { throw .failed("the embedder gave no vector") }
        return vector
    }
}

extension ComputeError {
    static func wrongDimensions(_ asked: Int, of model: String, _ possible: String) -> ComputeError {
        .unsupported("the model '\(model)' has vectors of \(possible) numbers, not of \(asked)")
    }
}

/// Tells which class a text is of, wherever the model runs.
package protocol TextClassifier: Sendable {
    /// How probable each class is. All answers of one classifier have the same labels in the same order.
    ///
    /// Ends at `deadline` at the latest, and at once when the task is cancelled.
    func classify(_ text: String, by deadline: MonotonicTime) async throws(ComputeError) -> Classification
}

/// Asks about all texts, `limit` at a time; when one fails, the others are cancelled.
///
/// - Returns: the answers in the texts' order.
func askAll<Answer: Sendable>(
    _ texts: [String],
    limit: Int,
    _ ask: @escaping @Sendable (String) async throws(ComputeError) -> Answer
) async throws(ComputeError) -> [Answer] {
    // One needs no task of its own.
    if texts.count == 1 { return [try await ask(texts[0])] }
    let answers = await withTaskGroup(of: Result<(Int, Answer), ComputeError>.self) {
        group -> Result<[Answer], ComputeError> in
        func add(_ index: Int) {
            group.addTask {
                do throws(ComputeError) {
                    return .success((index, try await ask(texts[index])))
                } catch {
                    return .failure(error)
                }
            }
        }
        for index in texts.indices.prefix(limit) { add(index) }
        var next = min(limit, texts.count)
        var answers = [Answer?](repeating: nil, count: texts.count)
        for await result in group {
            switch result {
            case .failure(let error):
                group.cancelAll()
                return .failure(error)
            case .success(let (index, answer)):
                answers[index] = answer
                if next < texts.count {
                    add(next)
                    next += 1
                }
            }
        }
        return .success(answers.compactMap { $0 })
    }
    return try answers.get()
}
