import NIOHTTP1
import OpenAIWire

/// What a request says of the model that should make its vectors.
struct EmbeddingDemand {
    /// Nil where any will do.
    let model: String?
    /// Nil for the model's own.
    let dimension: Int?
    /// From 0 to 1.
    let qualityPriority: Double
    /// From 0 to 1.
    let latencyPriority: Double
}

extension EmbeddingDemand {
    /// The model and the dimension that satisfy the demand.
    ///
    /// Where several models do, a priority that is greater than the other decides: for quality the one of the highest tier,
    /// and of those the one that takes most memory; for latency the other way round. Else the first one does.
    ///
    /// - Throws: upstream's errors of what cannot be had.
    func choose(among models: [LoadedModel]) throws(ManagementError) -> (model: LoadedModel, dimension: Int) {
        let all = models.compactMap { model in model.embedding.map { (model: model, offer: $0) } }
        guard !all.isEmpty else { throw .noEmbeddingModel }
        let named = model.map { name in all.filter { $0.model.name == name } } ?? all
        guard !named.isEmpty else {
            let names = ["auto"] + all.map(\.model.name)
            throw ManagementError(
                "INVALID_MODEL",
                .badRequest,
                "model must be one of: \(names.joined(separator: ", "))."
            )
        }
        let fitting = named.filter { candidate in dimension.map(candidate.offer.dimensions.contains) ?? true }
        guard !fitting.isEmpty else {
            let dimensions = Set(named.flatMap(\.offer.dimensions)).sorted().map(String.init)
            throw ManagementError(
                "INVALID_DIMENSION",
                .badRequest,
                "dimension must be one of: \(dimensions.joined(separator: ", "))."
            )
        }
        guard let chosen = preferred(among: fitting) else { throw .noEmbeddingModel }
        return (chosen.model, dimension ?? chosen.offer.defaultDimension)
    }

    private func preferred(among models: [(model: LoadedModel, offer: EmbeddingOffer)]) -> (
        model: LoadedModel, offer: EmbeddingOffer
    )? {
        func effort(_ one: (model: LoadedModel, offer: EmbeddingOffer)) -> (Int, Int) {
            (one.offer.tier, one.model.memoryBytes ?? 0)
        }
        guard qualityPriority != latencyPriority else { return models.first }
        let isBetter: ((Int, Int), (Int, Int)) -> Bool = qualityPriority > latencyPriority ? { $0 > $1 } : { $0 < $1 }
        return models.dropFirst().reduce(models.first) { best, one in
            guard let best, !isBetter(effort(one), effort(best)) else { return one }
            return best
        }
    }
}

extension ManagementError {
    static let noEmbeddingModel = ManagementError(
        "EMBEDDING_UNAVAILABLE",
        .serviceUnavailable,
        "No embedding model runs in this process."
    )
}
