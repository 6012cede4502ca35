/// Layers that every encoder is made of.
extension OnnxGraph {
    /// x · Wᵀ + b, with W as checkpoints keep it: [outputs, inputs].
    ///
    /// MatMul and not Gemm, which takes no batches; its weights are packed for the processor when the model is loaded.
    ///
    /// - Parameter isExact: not to be quantized: a head's layers, which cost next to nothing and decide everything.
    mutating func linear(
        _ x: Value,
        _ weight: [Float],
        bias: [Float]?,
        inputs: Int,
        outputs: Int,
        isExact: Bool = false
    ) -> Value {
        guard let quantization, !isExact else {
            let product = node("MatMul", x, constant(transposed(weight, outputs, inputs), [inputs, outputs]))
            guard let bias else { return product }
            return node("Add", product, constant(bias, [outputs]))
        }
        let matrix = QuantizedMatrix(weight, rows: outputs, columns: inputs, quantization)
        return node(
            "DynamicQuantizeMatMul",
            x,
            constant(transposed(matrix.values, outputs, inputs), [inputs, outputs]),
            constant(matrix.scales, [outputs]),
            .none,
            bias.map { constant($0, [outputs]) } ?? .none,
            domain: .microsoft
        )
    }

    /// A linear layer and the function after it, in one operator where there is one.
    mutating func linear(
        _ x: Value,
        _ weight: [Float],
        bias: [Float],
        inputs: Int,
        outputs: Int,
        then function: Activation
    ) -> Value {
        guard quantization == nil, function == .gelu else {
            return activation(function, linear(x, weight, bias: bias, inputs: inputs, outputs: outputs))
        }
        let product = linear(x, weight, bias: nil, inputs: inputs, outputs: outputs)
        return node("BiasGelu", product, constant(bias, [outputs]), domain: .microsoft)
    }

    /// Self-attention with its three projections, for encoders that add positions to the embeddings.
    ///
    /// - Parameters:
    ///   - weight: queries', keys' and values' matrices one below the other: [3 · hidden, hidden].
    ///   - mask: 1 for tokens, 0 for padding: [batch, length], int32.
    mutating func attention(
        _ x: Value,
        _ weight: [Float],
        bias: [Float],
        mask: Value,
        hidden: Int,
        heads: Int
    ) -> Value {
        let attributes: [(String, Attribute)] = [("num_heads", .int(heads))]
        let biasValue = constant(bias, [3 * hidden])
        guard let quantization else {
            let matrix = constant(transposed(weight, 3 * hidden, hidden), [hidden, 3 * hidden])
            return node("Attention", x, matrix, biasValue, mask, domain: .microsoft, attributes: attributes)
        }
        let matrix = QuantizedMatrix(weight, rows: 3 * hidden, columns: hidden, quantization)
        let names = (0..<3).map { _ in nextName("v") }
        add("DynamicQuantizeLinear", [x], outputs: names)
        let quantized = names.map(Value.init)
        return node(
            "QAttention",
            quantized[0],
            constant(transposed(matrix.values, 3 * hidden, hidden), [hidden, 3 * hidden]),
            biasValue,
            quantized[1],
            constant(matrix.scales, [3 * hidden]),
            mask,
            quantized[2],
            domain: .microsoft,
            attributes: attributes
        )
    }

    /// Rows of a table by number. Quantized, each row has a scale of its own, and all 8 bits: look-ups multiply nothing.
    mutating func embedding(_ ids: Value, _ table: [Float], rows: Int, columns: Int) -> Value {
        guard quantization != nil else { return node("Gather", constant(table, [rows, columns]), ids) }
        let matrix = QuantizedMatrix(table, rows: rows, columns: columns, .fullRange)
        let row = node("Gather", constant(matrix.values, [rows, columns]), ids)
        let scale = node("Gather", constant(matrix.scales, [rows, 1]), ids)
        return node("Mul", node("Cast", row, attributes: [("to", .int(ElementType.float.rawValue))]), scale)
    }

    /// ONNX Runtime's SkipLayerNormalization would take a sum too, but in several times the time of an addition and a
    /// normalisation (1.32, 384 numbers a token).
    mutating func normalization(_ x: Value, _ weight: [Float], bias: [Float]?, epsilon: Double) -> Value {
        let attributes: [(String, Attribute)] = [("axis", .int(-1)), ("epsilon", .float(Float(epsilon)))]
        let scale = constant(weight, [weight.count])
        guard let bias else { return node("LayerNormalization", x, scale, attributes: attributes) }
        return node("LayerNormalization", x, scale, constant(bias, [bias.count]), attributes: attributes)
    }

    mutating func activation(_ function: Activation, _ x: Value) -> Value {
        switch function {
        case .gelu: node("Gelu", x, domain: .microsoft)
        case .geluTanh: node("FastGelu", x, domain: .microsoft)
        case .relu: node("Relu", x)
        case .silu: node("Mul", x, node("Sigmoid", x))
        case .tanh: node("Tanh", x)
        }
    }

    /// The first token's vectors: [batch, length, hidden] → [batch, 1, hidden].
    mutating func firstToken(_ x: Value) -> Value {
        node("Slice", x, constant([Int64(0)], [1]), constant([Int64(1)], [1]), constant([Int64(1)], [1]))
    }

    /// The mean over tokens that are not padding: [batch, length, hidden] → [batch, hidden].
    mutating func mean(_ x: Value, mask: Value) -> Value {
        let weights = node("Cast", mask, attributes: [("to", .int(ElementType.float.rawValue))])
        let column = node("Unsqueeze", weights, constant([Int64(-1)], [1]))
        let axis = constant([Int64(1)], [1])
        let flat: [(String, Attribute)] = [("keepdims", .int(0))]
        let sum = node("ReduceSum", node("Mul", x, column), axis, attributes: flat)
        return node("Div", sum, node("ReduceSum", column, axis, attributes: flat))
    }
}

/// What stands between two matrices.
enum Activation: String, CaseIterable {
    case gelu
    /// Gelu by its approximation with tanh.
    case geluTanh = "gelu_new"
    case relu
    case silu
    case tanh

    /// By the name in config.json (transformers' ACT2FN).
    init?(configured name: String) {
        switch name {
        case "gelu_pytorch_tanh", "gelu_fast": self = .geluTanh
        case "swish": self = .silu
        default: self.init(rawValue: name)
        }
    }
}
