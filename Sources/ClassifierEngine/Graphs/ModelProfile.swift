import OpenAIWire

/// What a model answers with.
package enum ModelTask: String, Hashable, Sendable, CaseIterable {
    /// A vector for every token, to be pooled into one of the text.
    case embedding
    /// Scores of classes for the whole text.
    case sequenceClassification
    /// Scores of classes for every token.
    case tokenClassification
}

/// What every `config.json` tells, of whatever encoder: how tokens go in and what comes out.
package struct ModelProfile: Hashable, Sendable {
    package let task: ModelTask
    /// Size of a token's vector.
    package let hidden: Int
    package let vocabulary: Int
    /// The longest sequence that the model takes, in tokens.
    package let longestSequence: Int
    /// Kinds of token that are told apart, of a pair's first and second text; at least 1, also where a model has no table.
    package let types: Int
    package let paddingID: Int32
    package let positions: PositionRule
    /// By class; empty where config.json says nothing of classes.
    package let labels: [String]
    /// Whether classes do not exclude each other: each has a probability of its own.
    package let isMultiLabel: Bool
    /// Shorter lengths that vectors may be cut to, ascending: what a model was trained for (Matryoshka representation
    /// learning).
    package let shorterVectors: [Int]
    /// The file that it was read from.
    package let path: String

    /// Lengths for a model that may be cut anywhere: those that upstream's clients ask for.
    package static let usualLengths = [64, 128, 256, 512, 768, 1024]

    /// - Parameter task: what an adapter makes of the model, instead of what config.json says.
    init(_ file: JSONFile, task adapted: ModelTask?) throws(EngineError) {
        path = file.path
        task = if let adapted { adapted } else { try Self.readTask(file) }
        // DistilBERT's and T5's names for it, as far as such a model has an ONNX file.
        let size = ["dim", "d_model"].first { file["hidden_size"] == nil && file[$0] != nil }
        hidden = try file.size(size ?? "hidden_size")
        vocabulary = try file.size("vocab_size")
        // DeBERTa's 0 says that there is no table.
        types = max(try file.size("type_vocab_size", default: 1, from: 0), 1)
        let padding = try file.int("pad_token_id", default: 0)
        guard (0..<vocabulary).contains(padding) else { throw file.wrong("pad_token_id", "from 0 to vocab_size - 1") }
        paddingID = Int32(padding)
        // Tables of positions are made before any weight confirms their size. T5, whose positions are relative, has none,
        // and says what it was trained for.
        let limit = file["max_position_embeddings"] == nil && file["n_positions"] != nil ? "n_positions" : nil
        let rows = try file.size(limit ?? "max_position_embeddings", upTo: 1 << 17)
        if ["roberta", "xlm-roberta", "camembert", "mpnet"].contains(try file.string("model_type")) {
            guard rows > padding + 1 else { throw file.wrong("max_position_embeddings", "more than pad_token_id + 1") }
            positions = .afterPadding(Int32(padding))
            longestSequence = rows - padding - 1
        } else {
            positions = .fromZero
            longestSequence = rows
        }
        let problem = try file.string("problem_type", default: "")
        guard task != .sequenceClassification || problem != "regression" else {
            throw EngineError(.unsupported, file.path, "\"problem_type\" is \"regression\": the model has no classes")
        }
        labels = try Self.readLabels(file)
        isMultiLabel = problem == "multi_label_classification"
        shorterVectors = try Self.readLengths(file, below: hidden)
    }

    /// As vLLM reads them: `matryoshka_dimensions`, or `is_matryoshka` for any.
    private static func readLengths(_ file: JSONFile, below hidden: Int) throws(EngineError) -> [Int] {
        guard let list = file["matryoshka_dimensions"] else {
            return try file.bool("is_matryoshka", default: false) ? usualLengths.filter { $0 < hidden } : []
        }
        let lengths = list.isArray ? list.elements.map { $0.int } : [nil]
        let sound = lengths.compactMap { $0 }.filter { (1...hidden).contains($0) }
        guard sound.count == lengths.count else {
            throw file.wrong("matryoshka_dimensions", "a list of numbers from 1 to \(hidden)")
        }
        return Set(sound).subtracting([hidden]).sorted()
    }

    /// From the class of transformers that the model was saved from: "BertForSequenceClassification".
    private static func readTask(_ file: JSONFile) throws(EngineError) -> ModelTask {
        let names = file["architectures"].map { $0.isArray ? $0.elements.compactMap(\.string) : [] } ?? []
        guard let name = names.first else {
            throw EngineError(.malformed, file.path, "\"architectures\" is missing: it tells what the model answers")
        }
        let suffixes: [(String, ModelTask)] = [
            ("ForSequenceClassification", .sequenceClassification), ("ForTokenClassification", .tokenClassification),
            // Its encoder is what is used.
            ("ForMaskedLM", .embedding), ("Model", .embedding),
        ]
        guard let task = suffixes.first(where: { name.hasSuffix($0.0) })?.1 else {
            throw EngineError(
                .unsupported,
                file.path,
                "\"architectures\" is \"\(name)\"; supported: …Model, …ForSequenceClassification, …ForTokenClassification"
            )
        }
        return task
    }

    /// transformers' names for classes without any.
    static func unnamed(_ classes: Int) -> [String] { (0..<classes).map { "LABEL_\($0)" } }

    /// `id2label`: names by the class's number, which must be 0, 1, 2, …; or as many as `num_labels` says.
    private static func readLabels(_ file: JSONFile) throws(EngineError) -> [String] {
        guard let table = file["id2label"] else {
            return file["num_labels"] == nil ? [] : unnamed(try file.size("num_labels", upTo: 1 << 16))
        }
        guard table.isObject else { throw file.wrong("id2label", "an object") }
        var names: [Int: String] = [:]
        for member in table.members {
            guard let number = member.key.string.flatMap({ Int($0) }), let name = member.value.string else {
                throw file.wrong("id2label", "an object of names by number")
            }
            names[number] = name
        }
        var labels: [String] = []
        for number in 0..<names.count {
            guard let name = names[number] else { throw file.wrong("id2label", "numbered 0, 1, 2, …") }
            labels.append(name)
        }
        return labels
    }
}
