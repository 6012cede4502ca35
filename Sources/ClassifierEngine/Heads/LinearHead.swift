/// A linear classifier over a vector: logits = W · x + b.
package struct LinearHead: Sendable {
    package let inputs: Int
    package let classes: Int
    /// [classes, inputs], row-major.
    private let weights: [Float]
    private let bias: [Float]

    package init(weights: [Float], bias: [Float], inputs: Int) {
        precondition(
            inputs > 0 && !bias.isEmpty && weights.count == bias.count * inputs,
            "a matrix of [classes, inputs]"
        )
        self.weights = weights
        self.bias = bias
        self.inputs = inputs
        classes = bias.count
    }

    /// From a safetensors file with `weight` [classes, inputs] and `bias` [classes].
    package init(path: String) throws(EngineError) {
        let file = try SafeTensors(path: path)
        guard let weight = file["weight"], let bias = file["bias"] else {
            throw EngineError(.contradiction, path, "a head has the tensors \"weight\" and \"bias\"")
        }
        guard weight.shape.count == 2, weight.count > 0, bias.shape == [weight.shape[0]] else {
            throw EngineError(
                .contradiction,
                path,
                "tensor \"weight\" is \(weight.shape) and \"bias\" \(bias.shape); needed: [classes, inputs] and [classes]"
            )
        }
        self.init(weights: try file.floats(weight), bias: try file.floats(bias), inputs: weight.shape[1])
    }

    /// Complexity: O(classes · inputs).
    package func logits(_ vector: [Float]) -> [Float] {
        precondition(vector.count == inputs, "a vector of \(inputs) numbers")
        return vector.withUnsafeBufferPointer { vector in
            weights.withUnsafeBufferPointer { weights in
                (0..<classes).map { row in
                    bias[row]
                        + Vectors.dot(
                            UnsafeBufferPointer(rebasing: weights[row * inputs..<(row + 1) * inputs]),
                            vector
                        )
                }
            }
        }
    }

    package func probabilities(_ vector: [Float]) -> [Float] { Vectors.softmax(logits(vector)) }
}
