import NIOCore
import NIOHTTP1
import OpenAIWire

// What embedding models are asked for, in upstream's shapes.

extension ManagedProcess {
    /// One vector for each text.
    func embeddingsPage(_ request: ManagementRequest) async -> LocalResponse {
        await embeddingPage(request, "EMBEDDING_GENERATION_FAILED") {
            fields,
            failure async throws(ManagementError) -> JSONFragment in
            let demand = try fields.demand()
            let texts = try fields.texts("texts")
            let answer = try await embed(texts, demand, failure: failure)
            var embeddings: [JSONFragment] = []
            for (text, vector) in zip(texts, answer.vectors) {
                guard let numbers = JSONFragment(numbers: vector) else { throw failure }
                embeddings.append([
                    "text": JSONFragment(text), "embedding": numbers, "dimension": JSONFragment(vector.count),
                    "model_used": JSONFragment(answer.modelUsed),
                    // The texts are computed together: this is what each had of it.
                    "processing_time_ms": JSONFragment(Int(answer.milliseconds / Double(texts.count))),
                ])
            }
            return [
                "embeddings": .array(embeddings), "total_count": JSONFragment(texts.count),
                "total_processing_time_ms": JSONFragment(Int(answer.milliseconds)),
                "avg_processing_time_ms": JSONFragment(answer.milliseconds / Double(texts.count)),
            ]
        }
    }

    /// How alike two texts are.
    func similarityPage(_ request: ManagementRequest) async -> LocalResponse {
        await embeddingPage(request, "SIMILARITY_CALCULATION_FAILED") {
            fields,
            failure async throws(ManagementError) -> JSONFragment in
            let demand = try fields.demand()
            let texts = [try fields.text("text1"), try fields.text("text2")]
            let answer = try await embed(texts, demand, failure: failure)
            guard let similarity = cosine(answer.vectors[0], answer.vectors[1]) else { throw failure }
            return [
                "model_used": JSONFragment(answer.modelUsed), "similarity": JSONFragment(similarity),
                "processing_time_ms": JSONFragment(answer.milliseconds),
            ]
        }
    }

    /// The texts most like one text.
    func batchSimilarityPage(_ request: ManagementRequest) async -> LocalResponse {
        await embeddingPage(request, "BATCH_SIMILARITY_FAILED") {
            fields,
            failure async throws(ManagementError) -> JSONFragment in
            let demand = try fields.demand()
            let query = try fields.text("query")
            let candidates = try fields.texts("candidates")
            let limit = try fields.limit("top_k") ?? candidates.count
            let answer = try await embed([query] + candidates, demand, failure: failure)
            let similarities = answer.vectors.dropFirst().compactMap { cosine(answer.vectors[0], $0) }
            guard similarities.count == candidates.count else { throw failure }
            let ranking = similarities.indices.sorted { (similarities[$0], $1) > (similarities[$1], $0) }
            let matches: [JSONFragment] = ranking.prefix(limit).map { index in
                [
                    "index": JSONFragment(index), "similarity": JSONFragment(similarities[index]),
                    "text": JSONFragment(candidates[index]),
                ]
            }
            return [
                "matches": .array(matches), "total_candidates": JSONFragment(candidates.count),
                "model_used": JSONFragment(answer.modelUsed),
                "processing_time_ms": JSONFragment(answer.milliseconds),
            ]
        }
    }

    /// - Parameters:
    ///   - code: upstream's for what goes wrong in the model.
    ///   - answer: is handed the error with that code.
    private func embeddingPage(
        _ request: ManagementRequest,
        _ code: String,
        _ answer: (EmbeddingFields, ManagementError) async throws(ManagementError) -> JSONFragment
    ) async -> LocalResponse {
        let failure = ManagementError(code, .internalServerError, "The embedding model failed.")
        do throws(ManagementError) {
            return .json(try await answer(EmbeddingFields(request.body), failure).bytes)
        } catch {
            return error.response(at: timestamp())
        }
    }

    /// As many vectors as texts, each of the length that was demanded, and how long they took.
    private func embed(
        _ texts: [String],
        _ demand: EmbeddingDemand,
        failure: ManagementError
    ) async throws(ManagementError) -> (vectors: [[Float]], modelUsed: String, milliseconds: Double) {
        guard let models else { throw .noEmbeddingModel }
        let (model, dimension) = try demand.choose(among: models.all)
        let start = now()
        let vectors: [[Float]]
        do throws(RouterError) {
            vectors = try await models.embed(texts, model: model.name, dimension: dimension)
        } catch {
            throw ManagementError(embedding: error) ?? failure
        }
        guard vectors.count == texts.count, vectors.allSatisfy({ $0.count == dimension }) else { throw failure }
        // In microseconds, so that what is written is short.
        let microseconds = (now() - start).nanoseconds / 1000
        return (vectors, model.name, Double(microseconds) / 1000)
    }
}

extension ManagementError {
    /// What the client may learn of an error of a model; nil for what is none of its business.
    fileprivate init?(embedding error: RouterError) {
        switch error.code {
        case .overloaded: self.init("EMBEDDING_OVERLOADED", .serviceUnavailable, error.message, retryable: true)
        case _ where error.origin == .client: self = .invalidInput(error.message)
        default: return nil
        }
    }
}

extension JSONFragment {
    /// A list of numbers, each in the shortest spelling that reads back as the same `Float`; nil where one is infinite or
    /// not a number, which JSON cannot say.
    fileprivate init?(numbers: [Float]) {
        var bytes = ByteBuffer()
        bytes.writeStaticString("[")
        for (index, number) in numbers.enumerated() {
            if index > 0 { bytes.writeStaticString(",") }
            bytes.writeString("\(number)")
        }
        bytes.writeStaticString("]")
        do throws(JSONError) {
            try self.init(json: bytes)
        } catch {
            return nil
        }
    }
}

/// The cosine of the angle between two vectors of one length, from -1 to 1; nil where one has no direction.
private func cosine(_ left: [Float], _ right: [Float]) -> Double? {
    var product = 0.0
    var leftSquares = 0.0
    var rightSquares = 0.0
    for (left, right) in zip(left, right) {
        product += Double(left) * Double(right)
        leftSquares += Double(left) * Double(left)
        rightSquares += Double(right) * Double(right)
    }
    // Fourth powers of a `Float` neither overflow nor vanish as a `Double`.
    let cosine = product / (leftSquares * rightSquares).squareRoot()
    // Rounding can carry it past the ends.
    return cosine.isFinite ? min(max(cosine, -1), 1) : nil
}
