/// A model's weights by their names within the encoder, with an adapter merged in if there is one.
///
/// It remembers what was read, so that an adapter's tensor that no layer asked for is an error and not silence.
final class ModelWeights {
    private let base: SafeTensors
    private let prefix: String
    private let adapter: LoRAAdapter?
    private var merged: Set<String> = []

    /// - Parameters:
    ///   - anchor: a weight that every model of this family has, by which the prefix is told: "embeddings.word_…".
    ///   - prefixes: what its name may begin with.
    init(_ base: SafeTensors, adapter: LoRAAdapter?, anchor: String, prefixes: [String]) throws(EngineError) {
        guard let prefix = prefixes.first(where: { base[$0 + anchor] != nil }) else {
            throw EngineError(
                .contradiction,
                base.path,
                "it has no tensor \"\(anchor)\"; tried before it: \(prefixes.map { "\"\($0)\"" }.joined(separator: ", "))"
            )
        }
        self.base = base
        self.prefix = prefix
        self.adapter = adapter
    }

    var path: String { base.path }
    /// About how many bytes they take in an ONNX model. Of 8 bits, besides the weights: scales, and tables that stay exact.
    func builtSize(isQuantized: Bool) -> Int { isQuantized ? base.count + base.count / 8 : base.count * 4 }

    func has(_ name: String) -> Bool { find(name) != nil }

    /// The first dimension of a weight whose size no configuration tells.
    func rows(of name: String) throws(EngineError) -> Int {
        guard let found = find(name) else { throw missing(name) }
        return found.tensor.shape.first ?? 0
    }

    /// A weight of [rows, columns], row-major.
    func matrix(_ name: String, _ rows: Int, _ columns: Int) throws(EngineError) -> [Float] {
        var values = try read(name, [rows, columns])
        if let adapter, let update = adapter.updates[name] {
            try adapter.merge(update, into: &values, rows: rows, columns: columns)
            merged.insert(name)
            try check(values, name, adapter.weights)
        }
        return values
    }

    func vector(_ name: String, _ count: Int) throws(EngineError) -> [Float] { try read(name, [count]) }

    private func read(_ name: String, _ shape: [Int]) throws(EngineError) -> [Float] {
        guard let (file, tensor) = find(name) else { throw missing(name) }
        guard tensor.shape == shape else {
            throw EngineError(
                .contradiction,
                file.path,
                "tensor \"\(tensor.name)\" is \(tensor.shape), but config.json asks for \(shape)"
            )
        }
        if adapter?.replacements[name] != nil { merged.insert(name) }
        let values = try file.floats(tensor)
        try check(values, tensor.name, file)
        return values
    }

    /// Integers of 8 bits can say neither infinity nor NaN: what is none would become a weight like any other.
    private func check(_ values: [Float], _ name: String, _ file: SafeTensors) throws(EngineError) {
        guard Vectors.areFinite(values) else {
            throw EngineError(.malformed, file.path, "tensor \"\(name)\" has weights that are infinite or no numbers")
        }
    }

    private func find(_ name: String) -> (file: SafeTensors, tensor: SafeTensors.Tensor)? {
        if let adapter, let tensor = adapter.replacements[name] { return (adapter.weights, tensor) }
        for candidate in [prefix + name, name, (prefix + name).oldLayerNormName] {
            if let tensor = base[candidate] { return (base, tensor) }
        }
        return nil
    }

    private func missing(_ name: String) -> EngineError {
        EngineError(.contradiction, base.path, "tensor \"\(prefix + name)\" is missing")
    }

    /// Throws if the adapter has tensors that the model has no use for.
    func checkAdapterIsMerged() throws(EngineError) {
        guard let adapter else { return }
        let left = Set(adapter.updates.keys).union(adapter.replacements.keys).subtracting(merged)
        guard let name = left.min() else { return }
        throw EngineError(
            .contradiction,
            adapter.weights.path,
            "it adapts \"\(name)\", which the model in \(base.path) does not use"
        )
    }
}

extension String {
    /// Checkpoints from TensorFlow's BERT name a normalisation's weight gamma and its bias beta.
    fileprivate var oldLayerNormName: String {
        if hasSuffix("LayerNorm.weight") { return dropLast("weight".count) + "gamma" }
        if hasSuffix("LayerNorm.bias") { return dropLast("bias".count) + "beta" }
        return self
    }
}
