#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// ModernBERT as an ONNX model: rotary positions, layers that see all tokens and layers that see only near ones, gated
/// linear units, normalisation before each step (transformers' modeling_modernbert.py).
struct ModernBERTGraph {
    private let configuration: EncoderConfiguration
    private let modern: ModernBERTConfiguration
    private let weights: ModelWeights
    private var graph: OnnxGraph

    private init(
        _ configuration: EncoderConfiguration,
        _ modern: ModernBERTConfiguration,
        _ weights: ModelWeights,
        _ graph: OnnxGraph
    ) {
        self.configuration = configuration
        self.modern = modern
        self.weights = weights
        self.graph = graph
    }

    /// What layers share.
    private struct Surroundings {
        let mask: OnnxGraph.Value
        let positions: OnnxGraph.Value
        /// 0 within the window and a large negative number outside: [1, 1, length, length].
        let localBias: OnnxGraph.Value
        let globalRotation: (cosines: OnnxGraph.Value, sines: OnnxGraph.Value)
        let localRotation: (cosines: OnnxGraph.Value, sines: OnnxGraph.Value)
    }

    static func build(
        _ configuration: EncoderConfiguration,
        _ modern: ModernBERTConfiguration,
        _ weights: ModelWeights,
        _ quantization: Quantization?
    ) throws(EngineError) -> BuiltModel {
        let capacity = weights.builtSize(isQuantized: quantization != nil)
        let empty = OnnxGraph(quantization: quantization, capacity: capacity)
        var graph = ModernBERTGraph(configuration, modern, weights, empty)
        let classes = try graph.addAll()
        return BuiltModel(bytes: graph.graph.model(), classes: classes)
    }

    private mutating func addAll() throws(EngineError) -> Int {
        let hidden = configuration.hidden
        let ids = graph.input("input_ids", .int32)
        let mask = graph.input("attention_mask", .int32)
        let positions = graph.input("position_ids", .int64)
        let words = try weights.matrix(configuration.family.embeddings, configuration.vocabulary, hidden)
        var x = graph.embedding(ids, words, rows: configuration.vocabulary, columns: hidden)
        let surroundings = Surroundings(
            mask: mask,
            positions: positions,
            localBias: addLocalBias(positions),
            globalRotation: addRotation(modern.globalTheta),
            localRotation: addRotation(modern.localTheta)
        )
        x = try addNormalization(x, "embeddings.norm")
        for layer in 0..<configuration.layers { x = try addLayer(x, layer, surroundings) }
        x = try addNormalization(x, "final_norm")
        switch configuration.task {
        case .embedding:
            graph.output(x, as: "last_hidden_state")
            return 0
        case .tokenClassification:
            return try addHead(x)
        case .sequenceClassification:
            switch modern.pooling {
            case .cls: x = graph.node("Squeeze", graph.firstToken(x), graph.constant([Int64(1)], [1]))
            case .mean: x = graph.mean(x, mask: mask)
            }
            return try addHead(x)
        }
    }

    private mutating func addLayer(
        _ input: OnnxGraph.Value,
        _ layer: Int,
        _ surroundings: Surroundings
    ) throws(EngineError) -> OnnxGraph.Value {
        let name = "layers.\(layer)"
        let hidden = configuration.hidden
        let intermediate = configuration.intermediate
        // The first layer's input is normalised already.
        let normalized = layer == 0 ? input : try addNormalization(input, "\(name).attn_norm")
        let projected = try addLinear(
            normalized,
            "\(name).attn.Wqkv",
            hasBias: modern.hasAttentionBias,
            outputs: 3 * hidden
        )
        let attended = addAttention(projected, isLocal: modern.isLocal[layer], surroundings)
        let mixed = try addLinear(attended, "\(name).attn.Wo", hasBias: modern.hasAttentionBias)
        let x = graph.node("Add", input, mixed)
        let wide = try addLinear(
            try addNormalization(x, "\(name).mlp_norm"),
            "\(name).mlp.Wi",
            hasBias: modern.hasMLPBias,
            outputs: 2 * intermediate
        )
        let halves = graph.split(wide, into: [intermediate, intermediate])
        let gated = graph.node("Mul", graph.activation(configuration.activation, halves[0]), halves[1])
        let narrow = try addLinear(gated, "\(name).mlp.Wo", hasBias: modern.hasMLPBias, inputs: intermediate)
        return graph.node("Add", x, narrow)
    }

    private mutating func addAttention(
        _ projected: OnnxGraph.Value,
        isLocal: Bool,
        _ surroundings: Surroundings
    ) -> OnnxGraph.Value {
        let parts = graph.split(projected, into: [Int](repeating: configuration.hidden, count: 3))
        let rotation = isLocal ? surroundings.localRotation : surroundings.globalRotation
        var rotated: [OnnxGraph.Value] = []
        for part in parts.prefix(2) {
            rotated.append(
                graph.node(
                    "RotaryEmbedding",
                    part,
                    surroundings.positions,
                    rotation.cosines,
                    rotation.sines,
                    domain: .microsoft
                )
            )
        }
        return graph.node(
            "MultiHeadAttention",
            rotated[0],
            rotated[1],
            parts[2],
            .none,
            surroundings.mask,
            isLocal ? surroundings.localBias : .none,
            domain: .microsoft,
            attributes: [("num_heads", .int(configuration.heads))]
        )
    }

    /// Cosines and sines of every position's angles: [positions, head / 2].
    private mutating func addRotation(_ theta: Double) -> (cosines: OnnxGraph.Value, sines: OnnxGraph.Value) {
        let size = configuration.hidden / configuration.heads
        let frequencies = stride(from: 0, to: size, by: 2).map { pow(theta, -Double($0) / Double(size)) }
        let shape = [configuration.profile.longestSequence, frequencies.count]
        let count = shape[0] * shape[1]
        let angles = (0..<count).lazy.map { Double($0 / frequencies.count) * frequencies[$0 % frequencies.count] }
        return (
            graph.constant(angles.map { Float(cos($0)) }, shape), graph.constant(angles.map { Float(sin($0)) }, shape)
        )
    }

    /// Tokens that are further apart than the window do not see each other.
    private mutating func addLocalBias(_ positions: OnnxGraph.Value) -> OnnxGraph.Value {
        // All rows count alike: the first stands for all.
        let row = graph.node("Gather", positions, graph.constant([Int64(0)], []))
        let places = graph.node("Cast", row, attributes: [("to", .int(OnnxGraph.ElementType.float.rawValue))])
        let down = graph.node("Unsqueeze", places, graph.constant([Int64(0), 1, 3], [3]))
        let across = graph.node("Unsqueeze", places, graph.constant([Int64(0), 1, 2], [3]))
        let distance = graph.node("Abs", graph.node("Sub", down, across))
        let isFar = graph.node("Greater", distance, graph.constant([Float(modern.window)], []))
        // What ONNX Runtime's attention adds for padding: far below any score, and no infinity that could turn into NaN.
        return graph.node("Where", isFar, graph.constant([Float(-10_000)], []), graph.constant([Float(0)], []))
    }

    private mutating func addHead(_ x: OnnxGraph.Value) throws(EngineError) -> Int {
        let dense = try addLinear(x, "head.dense", hasBias: modern.hasClassifierBias, isExact: true)
        let normalized = try addNormalization(graph.activation(modern.classifierActivation, dense), "head.norm")
        let classes = try configuration.classes(weights, "classifier.weight")
        let logits = try addLinear(normalized, "classifier", hasBias: true, outputs: classes, isExact: true)
        graph.output(logits, as: "logits")
        return classes
    }

    private mutating func addLinear(
        _ x: OnnxGraph.Value,
        _ name: String,
        hasBias: Bool,
        inputs: Int? = nil,
        outputs: Int? = nil,
        isExact: Bool = false
    ) throws(EngineError) -> OnnxGraph.Value {
        let inputs = inputs ?? configuration.hidden
        let outputs = outputs ?? configuration.hidden
        return graph.linear(
            x,
            try weights.matrix("\(name).weight", outputs, inputs),
            bias: hasBias ? try weights.vector("\(name).bias", outputs) : nil,
            inputs: inputs,
            outputs: outputs,
            isExact: isExact
        )
    }

    private mutating func addNormalization(_ x: OnnxGraph.Value, _ name: String) throws(EngineError) -> OnnxGraph.Value
    {
        graph.normalization(
            x,
            try weights.vector("\(name).weight", configuration.hidden),
            bias: modern.hasNormBias ? try weights.vector("\(name).bias", configuration.hidden) : nil,
            epsilon: configuration.epsilon
        )
    }
}
