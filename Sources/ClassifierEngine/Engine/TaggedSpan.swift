/// A part of a text that a model has given a name.
package struct TaggedSpan: Hashable, Sendable {
    /// The class without the scheme's prefix: `EMAIL` for `B-EMAIL`.
    package let label: String
    /// Bytes of the text's UTF-8.
    package let range: Range<Int>
    /// The mean probability of its tokens' classes.
    package let probability: Float

    package init(label: String, range: Range<Int>, probability: Float) {
        self.label = label
        self.range = range
        self.probability = probability
    }
}

extension TokenClassification {
    /// The parts of the text that its tokens name, in order, none of them within another.
    ///
    /// Classes are those of the schemes BIO, IOB, BILOU and IOBES (`B-`, `I-`, `L-`/`E-`, `U-`/`S-`; `O` is outside), or
    /// names without a prefix. Neighbours of the same name are one part. What begins anew, begins a part, unless it goes on
    /// with the word before: models often say `B-` for each piece of a word.
    ///
    /// - Parameters:
    ///   - offsets: of each token, bytes of the text.
    ///   - isSpecial: tokens that stand for no text.
    package func spans(offsets: [Range<Int>], isSpecial: [Bool]) -> [TaggedSpan] {
        var spans: [TaggedSpan] = []
        var open: OpenSpan?
        func close() {
            if let open { spans.append(open.span) }
            open = nil
        }
        for token in 0..<min(count, offsets.count) where !isSpecial[token] && !offsets[token].isEmpty {
            let best = best(token)
            let tag = Tag(labels[best])
            guard let label = tag.label else {
                close()
                continue
            }
            let row = self[token]
            let probability = row[row.startIndex + best]
            let range = offsets[token]
            if var current = open, current.label == label, !tag.begins || current.end == range.lowerBound {
                current.extend(to: range.upperBound, probability)
                open = current
            } else {
                close()
                open = OpenSpan(label: label, range, probability)
            }
        }
        close()
        return spans
    }

    private struct OpenSpan {
        let label: String
        private let start: Int
        private(set) var end: Int
        private var sum: Float
        private var tokens: Float = 1

        init(label: String, _ range: Range<Int>, _ probability: Float) {
            self.label = label
            start = range.lowerBound
            end = range.upperBound
            sum = probability
        }

        mutating func extend(to end: Int, _ probability: Float) {
            self.end = max(self.end, end)
            sum += probability
            tokens += 1
        }

        var span: TaggedSpan { TaggedSpan(label: label, range: start..<end, probability: sum / tokens) }
    }

    /// A class's name, taken apart.
    private struct Tag {
        /// Nil outside.
        let label: String?
        let begins: Bool

        init(_ name: String) {
            let bytes = name.utf8
            if name == "O" {
                label = nil
                begins = false
            } else if bytes.count > 2, bytes.dropFirst().first == UInt8(ascii: "-"),
                let prefix = name.first, "BILUES".contains(prefix)
            {
                label = String(name.dropFirst(2))
                begins = "BUS".contains(prefix)
            } else {
                label = name
                begins = false
            }
        }
    }
}
