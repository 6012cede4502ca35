import OpenAIWire

/// A low-rank adapter as PEFT saves it (`adapter_config.json`, `adapter_model.safetensors`), to be added to a model's
/// weights when they are loaded: W + scale · B · A.
struct LoRAAdapter {
    struct Update {
        /// [rank, columns]
        let a: SafeTensors.Tensor
        /// [rows, rank]
        let b: SafeTensors.Tensor
    }

    let settings: JSONFile
    let weights: SafeTensors
    /// By the adapted weight's name, without the model's prefix.
    let updates: [String: Update]
    /// Weights that replace the model's (PEFT's modules_to_save), by their names without the model's prefix.
    let replacements: [String: SafeTensors.Tensor]
    private let alpha: Double
    private let isScaledByRoot: Bool

    /// - Parameter prefixes: what the names of weights may begin with in the adapted model: "bert.".
    init(folder: String, prefixes: [String]) throws(EngineError) {
        let settings = try JSONFile(path: folder + "/adapter_config.json")
        self.settings = settings
        let kind = try settings.string("peft_type")
        guard kind == "LORA" else { throw Self.unsupported(settings, "peft_type", kind, "LORA") }
        // What would change the sum below or the model's structure.
        for key in ["use_dora", "fan_in_fan_out", "use_qalora", "use_bdlora", "lora_bias"]
        where try settings.bool(key, default: false) {
            throw Self.unsupported(settings, key, "true", "false")
        }
        let bias = try settings.string("bias", default: "none")
        guard bias == "none" else { throw Self.unsupported(settings, "bias", bias, "none") }
        if let pattern = settings["alpha_pattern"], pattern.isObject, pattern.members.contains(where: { _ in true }) {
            throw Self.unsupported(settings, "alpha_pattern", "an object with members", "an empty one")
        }
        alpha = try settings.double("lora_alpha")
        isScaledByRoot = try settings.bool("use_rslora", default: false)
        weights = try SafeTensors(path: folder + "/adapter_model.safetensors")
        (updates, replacements) = try Self.sort(weights, prefixes)
    }

    private static func unsupported(_ file: JSONFile, _ key: String, _ found: String, _ known: String) -> EngineError {
        EngineError(.unsupported, file.path, "\"\(key)\" is \(found); what can be merged: \(known)")
    }

    private static func sort(
        _ weights: SafeTensors,
        _ prefixes: [String]
    ) throws(EngineError) -> ([String: Update], [String: SafeTensors.Tensor]) {
        var lower: [String: SafeTensors.Tensor] = [:]
        var upper: [String: SafeTensors.Tensor] = [:]
        var replacements: [String: SafeTensors.Tensor] = [:]
        for full in weights.names.sorted() {
            guard let tensor = weights[full] else { continue }
            var name = Substring(full)
            if name.hasPrefix("base_model.model.") { name = name.dropFirst("base_model.model.".count) }
            if let prefix = prefixes.first(where: { !$0.isEmpty && name.hasPrefix($0) }) {
                name = name.dropFirst(prefix.count)
            }
            if name.hasSuffix(".lora_A.weight") {
                lower[name.dropLast(".lora_A.weight".count) + ".weight"] = tensor
            } else if name.hasSuffix(".lora_B.weight") {
                upper[name.dropLast(".lora_B.weight".count) + ".weight"] = tensor
            } else if name.contains(".lora_") {
                throw EngineError(
                    .unsupported,
                    weights.path,
                    "tensor \"\(full)\": only lora_A and lora_B can be merged"
                )
            } else {
                replacements[String(name)] = tensor
            }
        }
        var updates: [String: Update] = [:]
        for (name, a) in lower {
            guard let b = upper.removeValue(forKey: name) else {
                throw EngineError(.contradiction, weights.path, "\"\(a.name)\" has no lora_B beside it")
            }
            updates[name] = Update(a: a, b: b)
        }
        if let lone = upper.values.first {
            throw EngineError(.contradiction, weights.path, "\"\(lone.name)\" has no lora_A beside it")
        }
        return (updates, replacements)
    }

    /// alpha / r, or alpha / √r with `use_rslora` (PEFT's LoraLayer.update_layer); r is the update's own rank.
    private func scale(rank: Int) -> Float {
        Float(isScaledByRoot ? alpha / Double(rank).squareRoot() : alpha / Double(rank))
    }

    /// Adds scale · B · A to a matrix of [rows, columns]. Complexity: O(rows · columns · rank).
    func merge(_ update: Update, into matrix: inout [Float], rows: Int, columns: Int) throws(EngineError) {
        let rank = update.a.shape.first ?? 0
        guard rank > 0, update.a.shape == [rank, columns], update.b.shape == [rows, rank] else {
            throw EngineError(
                .contradiction,
                weights.path,
                "\"\(update.a.name)\" of \(update.a.shape) and lora_B of \(update.b.shape) do not fit [\(rows), \(columns)]"
            )
        }
        let a = try weights.floats(update.a)
        let b = try weights.floats(update.b)
        let scale = scale(rank: rank)
        matrix.withUnsafeMutableBufferPointer { matrix in
            a.withUnsafeBufferPointer { a in
                for row in 0..<rows {
                    let target = UnsafeMutableBufferPointer(rebasing: matrix[row * columns..<(row + 1) * columns])
                    for k in 0..<rank {
                        let factor = scale * b[row * rank + k]
                        for column in 0..<columns { target[column] += factor * a[k * columns + column] }
                    }
                }
            }
        }
    }
}
