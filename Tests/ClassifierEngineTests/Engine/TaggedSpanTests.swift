import ClassifierEngine
import Testing

@Suite("Parts of a text that a model names")
struct TaggedSpanTests {
    private static let labels = ["O", "B-NAME", "I-NAME", "B-CITY", "I-CITY"]

    /// - Parameters:
    ///   - tokens: the class of each, and its bytes.
    private func spans(_ tokens: [(String, Range<Int>)], labels: [String] = labels) -> [String] {
        var probabilities: [Float] = []
        for (index, token) in tokens.enumerated() {
            probabilities += labels.map { $0 == token.0 ? 0.8 + Float(index % 2) * 0.1 : 0.01 }
        }
        let classes = TokenClassification(labels: labels, probabilities: probabilities)
        return classes.spans(offsets: tokens.map(\.1), isSpecial: tokens.map { $0.1.isEmpty })
            .map { "\($0.label) \($0.range.lowerBound)-\($0.range.upperBound)" }
    }

    @Test("Neighbours of a name are one part, with what lies between them")
    func neighbours() {
        #expect(
            spans([("O", 0..<0), ("B-NAME", 0..<4), ("I-NAME", 5..<8), ("O", 9..<11), ("O", 0..<0)]) == ["NAME 0-8"]
        )
        #expect(spans([("B-NAME", 0..<4), ("B-CITY", 5..<8), ("I-CITY", 9..<11)]) == ["NAME 0-4", "CITY 5-11"])
        #expect(spans([("O", 0..<4)]) == [])
        #expect(spans([]) == [])
    }

    @Test("What begins anew is a part of its own, unless it goes on with the same word")
    func beginnings() {
        #expect(spans([("B-NAME", 0..<4), ("B-NAME", 5..<8)]) == ["NAME 0-4", "NAME 5-8"])
        #expect(spans([("B-NAME", 0..<4), ("B-NAME", 4..<8)]) == ["NAME 0-8"])
        // A model may leave the beginning out.
        #expect(spans([("I-NAME", 0..<4), ("I-NAME", 5..<8), ("I-CITY", 9..<12)]) == ["NAME 0-8", "CITY 9-12"])
    }

    @Test("Schemes with ends and single tokens, and names without any prefix")
    func schemes() {
        let bilou = ["O", "B-X", "I-X", "L-X", "U-X"]
        #expect(
            spans([("B-X", 0..<1), ("I-X", 2..<3), ("L-X", 4..<5), ("U-X", 6..<7)], labels: bilou) == [
                "X 0-5", "X 6-7",
            ]
        )
        #expect(
            spans([("X", 0..<1), ("X", 2..<3), ("Y-Z", 4..<5)], labels: ["O", "X", "Y-Z"]) == ["X 0-3", "Y-Z 4-5"]
        )
    }

    @Test("A part's probability is the mean of its tokens'")
    func probability() throws {
        let classes = TokenClassification(labels: ["O", "I-X"], probabilities: [0.2, 0.8, 0.4, 0.6])
        let spans = classes.spans(offsets: [0..<1, 2..<3], isSpecial: [false, false])
        #expect(spans.count == 1)
        #expect(abs(try #require(spans.first).probability - 0.7) < 1e-6)
    }
}
