/// Sentence vectors without a network: the mean of the tokens' vectors, as model2vec makes it (`StaticModel.encode`).
///
/// Needs no inference library and microseconds a text. Unknown tokens count for nothing; a text of none but those is the
/// zero vector. A token's vector may have a weight of its own and may be shared with other tokens.
package struct StaticEmbedding: Sendable {
    package let dimensions: Int
    /// Token numbers that the model knows: 0..<vocabulary.
    package let vocabulary: Int
    /// Whether vectors have length 1 (`normalize` in config.json, off by default).
    package let isNormalized: Bool
    /// The folder.
    package let path: String
    /// [rows, dimensions], row-major.
    private let vectors: [Float]
    /// What its numbers take in memory.
    package var sizeBytes: Int { (vectors.count + rows.count + factors.count) * 4 }
    /// By token: its row; empty where rows are tokens.
    private let rows: [Int32]
    /// By token: its factor; empty where all are 1.
    private let factors: [Float]

    /// From a folder with `config.json` and `model.safetensors`, which may be replaced afterwards.
    package init(folder: String) throws(EngineError) {
        let settings = try JSONFile(path: folder + "/config.json")
        let kind = try settings.string("model_type", default: "model2vec")
        guard kind == "model2vec" else {
            throw EngineError(
                .unsupported,
                settings.path,
                "\"model_type\" is \"\(kind)\"; static embeddings are model2vec's"
            )
        }
        isNormalized = try settings.bool("normalize", default: false)
        let file = try SafeTensors(path: folder + "/model.safetensors")
        guard let table = file["embeddings"], table.shape.count == 2, table.count > 0 else {
            throw EngineError(.contradiction, file.path, "a table \"embeddings\" of [tokens, dimensions] is needed")
        }
        vectors = try file.floats(table)
        guard Vectors.areFinite(vectors) else {
            throw EngineError(.malformed, file.path, "tensor \"embeddings\" has numbers that are infinite or none")
        }
        dimensions = table.shape[1]
        path = folder
        rows = try Self.readRows(file, table.shape[0])
        vocabulary = rows.isEmpty ? table.shape[0] : rows.count
        if let weights = file["weights"] {
            guard weights.shape == [vocabulary] else {
                throw EngineError(
                    .contradiction,
                    file.path,
                    "tensor \"weights\" is \(weights.shape), not [\(vocabulary)]"
                )
            }
            factors = try file.floats(weights)
        } else {
            factors = []
        }
    }

    /// `mapping`: by token, the row of the table.
    private static func readRows(_ file: SafeTensors, _ count: Int) throws(EngineError) -> [Int32] {
        guard let mapping = file["mapping"] else { return [] }
        let rows = try file.integers(mapping)
        guard mapping.shape.count == 1, rows.allSatisfy({ (0..<count).contains($0) }) else {
            throw EngineError(.contradiction, file.path, "tensor \"mapping\" points outside the \(count) embeddings")
        }
        return rows.map { Int32($0) }
    }

    /// - Parameters:
    ///   - ids: the text's tokens without special ones.
    ///   - unknown: the tokenizer's number for unknown tokens, which are left out.
    ///   - dimensions: how many of the first numbers to keep (the vector is normalised after that).
    /// - Complexity: O(tokens · dimensions).
    package func embed(_ ids: [Int32], unknown: Int32?, dimensions kept: Int? = nil) throws(EngineError) -> [Float] {
        let kept = kept ?? dimensions
        guard (1...dimensions).contains(kept) else {
            throw EngineError(.input, path, "\(kept) dimensions were asked for; the model has \(dimensions)")
        }
        if let wrong = ids.first(where: { !(0..<vocabulary).contains(Int($0)) }) {
            throw EngineError(.input, path, "token \(wrong) is not among the model's \(vocabulary)")
        }
        var sum = [Float](repeating: 0, count: kept)
        var count = 0
        sum.withUnsafeMutableBufferPointer { sum in
            vectors.withUnsafeBufferPointer { vectors in
                for id in ids where id != unknown {
                    let row = rows.isEmpty ? Int(id) : Int(rows[Int(id)])
                    let start = row * dimensions
                    let factor = factors.isEmpty ? 1 : factors[Int(id)]
                    Vectors.add(UnsafeBufferPointer(rebasing: vectors[start..<start + kept]), times: factor, to: sum)
                    count += 1
                }
            }
        }
        if count > 0 {
            for index in sum.indices { sum[index] /= Float(count) }
        }
        if isNormalized { Vectors.normalize(&sum) }
        return sum
    }
}
