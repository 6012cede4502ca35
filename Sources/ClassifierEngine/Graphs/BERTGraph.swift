/// BERT, RoBERTa and XLM-RoBERTa as an ONNX model: embeddings with learned positions, layers that normalise after each sum
/// (transformers' modeling_bert.py, modeling_roberta.py).
struct BERTGraph {
    private let configuration: EncoderConfiguration
    private let weights: ModelWeights
    private var graph: OnnxGraph

    static func build(
        _ configuration: EncoderConfiguration,
        _ weights: ModelWeights,
        _ quantization: Quantization?
    ) throws(EngineError) -> BuiltModel {
        let capacity = weights.builtSize(isQuantized: quantization != nil)
        var graph = BERTGraph(
            configuration: configuration,
            weights: weights,
            graph: OnnxGraph(quantization: quantization, capacity: capacity)
        )
        let classes = try graph.addAll()
        return BuiltModel(bytes: graph.graph.model(), classes: classes)
    }

    private mutating func addAll() throws(EngineError) -> Int {
        let ids = graph.input("input_ids", .int32)
        let mask = graph.input("attention_mask", .int32)
        var x = try addEmbeddings(ids)
        // Only the first token's vectors reach a classifier of the whole text.
        let keepsFirst = configuration.task == .sequenceClassification
        for layer in 0..<configuration.layers {
            x = try addLayer(x, layer, mask, keepsFirst: keepsFirst && layer == configuration.layers - 1)
        }
        switch configuration.task {
        case .embedding:
            graph.output(x, as: "last_hidden_state")
            return 0
        case .tokenClassification:
            return try addClassifier(x, "classifier")
        case .sequenceClassification:
            let first = graph.node("Squeeze", x, graph.constant([Int64(1)], [1]))
            switch configuration.family {
            case .roberta, .xlmRoberta:
                let dense = graph.activation(.tanh, try addLinear(first, "classifier.dense", isExact: true))
                return try addClassifier(dense, "classifier.out_proj")
            case .bert, .modernBERT:
                let pooled = graph.activation(.tanh, try addLinear(first, "pooler.dense", isExact: true))
                return try addClassifier(pooled, "classifier")
            }
        }
    }

    private mutating func addEmbeddings(_ ids: OnnxGraph.Value) throws(EngineError) -> OnnxGraph.Value {
        let hidden = configuration.hidden
        let positions = graph.input("position_ids", .int32)
        let words = try weights.matrix(configuration.family.embeddings, configuration.vocabulary, hidden)
        var sum = graph.embedding(ids, words, rows: configuration.vocabulary, columns: hidden)
        var places = try weights.matrix("embeddings.position_embeddings.weight", configuration.positionRows, hidden)
        let types = try weights.matrix("embeddings.token_type_embeddings.weight", configuration.types, hidden)
        if configuration.types == 1 {
            // All tokens are of one type: its vector goes with every position's.
            for index in places.indices { places[index] += types[index % hidden] }
        } else {
            let kinds = graph.input("token_type_ids", .int32)
            sum = graph.node(
                "Add",
                sum,
                graph.node("Gather", graph.constant(types, [configuration.types, hidden]), kinds)
            )
        }
        let table = graph.constant(places, [configuration.positionRows, hidden])
        sum = graph.node("Add", sum, graph.node("Gather", table, positions))
        return graph.normalization(
            sum,
            try weights.vector("embeddings.LayerNorm.weight", hidden),
            bias: try weights.vector("embeddings.LayerNorm.bias", hidden),
            epsilon: configuration.epsilon
        )
    }

    private mutating func addLayer(
        _ input: OnnxGraph.Value,
        _ layer: Int,
        _ mask: OnnxGraph.Value,
        keepsFirst: Bool
    ) throws(EngineError) -> OnnxGraph.Value {
        let name = "encoder.layer.\(layer)"
        let hidden = configuration.hidden
        var matrix: [Float] = []
        var bias: [Float] = []
        for part in ["query", "key", "value"] {
            matrix += try weights.matrix("\(name).attention.self.\(part).weight", hidden, hidden)
            bias += try weights.vector("\(name).attention.self.\(part).bias", hidden)
        }
        var attended = graph.attention(
            input,
            matrix,
            bias: bias,
            mask: mask,
            hidden: hidden,
            heads: configuration.heads
        )
        var residual = input
        if keepsFirst {
            attended = graph.firstToken(attended)
            residual = graph.firstToken(input)
        }
        let projected = try addLinear(attended, "\(name).attention.output.dense")
        let x = try addNormalizedSum(projected, residual, "\(name).attention.output.LayerNorm")
        let inner = graph.linear(
            x,
            try weights.matrix("\(name).intermediate.dense.weight", configuration.intermediate, hidden),
            bias: try weights.vector("\(name).intermediate.dense.bias", configuration.intermediate),
            inputs: hidden,
            outputs: configuration.intermediate,
            then: configuration.activation
        )
        let outer = try addLinear(inner, "\(name).output.dense", inputs: configuration.intermediate)
        return try addNormalizedSum(outer, x, "\(name).output.LayerNorm")
    }

    private mutating func addLinear(
        _ x: OnnxGraph.Value,
        _ name: String,
        inputs: Int? = nil,
        outputs: Int? = nil,
        isExact: Bool = false
    ) throws(EngineError) -> OnnxGraph.Value {
        let inputs = inputs ?? configuration.hidden
        let outputs = outputs ?? configuration.hidden
        return graph.linear(
            x,
            try weights.matrix("\(name).weight", outputs, inputs),
            bias: try weights.vector("\(name).bias", outputs),
            inputs: inputs,
            outputs: outputs,
            isExact: isExact
        )
    }

    private mutating func addNormalizedSum(
        _ x: OnnxGraph.Value,
        _ residual: OnnxGraph.Value,
        _ name: String
    ) throws(EngineError) -> OnnxGraph.Value {
        graph.normalization(
            graph.node("Add", x, residual),
            try weights.vector("\(name).weight", configuration.hidden),
            bias: try weights.vector("\(name).bias", configuration.hidden),
            epsilon: configuration.epsilon
        )
    }

    private mutating func addClassifier(_ x: OnnxGraph.Value, _ name: String) throws(EngineError) -> Int {
        let classes = try configuration.classes(weights, "\(name).weight")
        graph.output(try addLinear(x, name, outputs: classes, isExact: true), as: "logits")
        return classes
    }
}

extension EncoderConfiguration {
    /// How many classes a head has: as many as its matrix has rows, which must be as many as there are labels.
    func classes(_ weights: ModelWeights, _ name: String) throws(EngineError) -> Int {
        let rows = try weights.rows(of: name)
        guard rows > 0, profile.labels.isEmpty || profile.labels.count == rows else {
            throw EngineError(
                .contradiction,
                weights.path,
                "tensor \"\(name)\" has \(rows) rows, but \(path) tells of \(profile.labels.count) labels"
            )
        }
        return rows
    }
}
