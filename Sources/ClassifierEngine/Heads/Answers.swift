/// A text's classes and how probable each is.
package struct Classification: Sendable {
    package let labels: [String]
    /// By class. They add up to 1, unless the model's classes do not exclude each other.
    package let probabilities: [Float]

    /// The most probable class.
    package var best: Int { probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0 }
}

/// The classes of every token of a text.
package struct TokenClassification: Sendable {
    package let labels: [String]
    /// [tokens, classes], row-major.
    package let probabilities: [Float]

    package init(labels: [String], probabilities: [Float]) {
        self.labels = labels
        self.probabilities = probabilities
    }

    package var count: Int { probabilities.count / max(labels.count, 1) }

    /// A token's probabilities, by class.
    package subscript(token: Int) -> ArraySlice<Float> {
        probabilities[token * labels.count..<(token + 1) * labels.count]
    }

    /// A token's most probable class.
    package func best(_ token: Int) -> Int {
        let row = self[token]
        return (row.indices.max { row[$0] < row[$1] } ?? row.startIndex) - row.startIndex
    }
}
