/// One text's tokens (or a pair's) as a model takes them.
package struct TokenSequence: Hashable, Sendable {
    /// The tokens' numbers, special tokens included.
    package var ids: [Int32]
    /// Which text of a pair each token belongs to; empty: all to the first.
    package var types: [Int32]

    package init(ids: [Int32], types: [Int32] = []) {
        precondition(types.isEmpty || types.count == ids.count, "a type for every token, or none")
        self.ids = ids
        self.types = types
    }
}

/// Sequences that a model runs at once, each padded at its end to the longest. Shape: [count, width], row-major.
package struct TokenBatch: Sendable {
    package let count: Int
    package let width: Int
    /// Tokens of each sequence without its padding.
    package let lengths: [Int]
    let ids: [Int32]
    let types: [Int32]
    let mask: [Int32]

    /// - Parameter padding: the number that fills up: `ModelProfile.paddingID`. It is masked; its value matters to
    ///   models alone that count positions by it.
    package init(_ sequences: [TokenSequence], padding: Int32 = 0) {
        let width = sequences.map(\.ids.count).max() ?? 0
        var ids = [Int32](repeating: padding, count: sequences.count * width)
        var types = [Int32](repeating: 0, count: ids.count)
        var mask = types
        for (row, sequence) in sequences.enumerated() {
            let start = row * width
            ids.replaceSubrange(start..<start + sequence.ids.count, with: sequence.ids)
            types.replaceSubrange(start..<start + sequence.types.count, with: sequence.types)
            for index in start..<start + sequence.ids.count { mask[index] = 1 }
        }
        count = sequences.count
        self.width = width
        lengths = sequences.map(\.ids.count)
        self.ids = ids
        self.types = types
        self.mask = mask
    }

    /// The numbers of the tokens' places, by the model's rule.
    func positions(_ rule: PositionRule) -> [Int32] {
        switch rule {
        case .fromZero:
            return (0..<count).flatMap { _ in (0..<Int32(width)) }
        case .afterPadding(let padding):
            var positions = [Int32](repeating: padding, count: ids.count)
            for row in 0..<count {
                var next = padding
                for index in row * width..<(row + 1) * width where ids[index] != padding {
                    next += 1
                    positions[index] = next
                }
            }
            return positions
        }
    }
}

/// How a model numbers the places of tokens.
package enum PositionRule: Hashable, Sendable {
    /// 0, 1, 2, …: BERT and ModernBERT.
    case fromZero
    /// Tokens count from the padding's number + 1, and padding has its own number: RoBERTa and XLM-RoBERTa
    /// (`create_position_ids_from_input_ids` in transformers' modeling_roberta.py).
    case afterPadding(Int32)
}
