import ClassifierEngine
import Testing

@Suite(.enabled(if: Library.path != nil, Library.why))
struct EncoderTests {
    static let models = [
        "bert-base", "bert-sequence", "bert-token", "roberta-sequence", "xlm-roberta-base", "modernbert-base",
        "modernbert-sequence", "modernbert-cls", "modernbert-token",
    ]

    /// What a model answers for each of its sequences, without the padding of a batch.
    private func answers(_ model: TextModel, _ inputs: [TokenSequence]) throws -> [[Float]] {
        try model.run(inputs) { batch, output in
            let size = output.shape.dropFirst().reduce(1, *)
            let perToken = output.shape.count == 3 ? output.shape[2] : 0
            return (0..<batch.count).map { row in
                let count = perToken == 0 ? size : batch.lengths[row] * perToken
                return Array(output.values[row * size..<row * size + count])
            }
        }
    }

    @Test("A model answers what transformers answers", arguments: models)
    func matchesTransformers(name: String) throws {
        let fixture = try Fixture(name)
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        for (index, input) in fixture.inputs.enumerated() {
            let answer = try answers(model, [input])
            #expect(distance(answer[0], try fixture.answer(index)) < 1e-4, "sequence \(index)")
        }
    }

    @Test("A batch of several lengths answers as each sequence alone", arguments: models)
    func batches(name: String) throws {
        let fixture = try Fixture(name)
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        let together = try answers(model, fixture.inputs)
        for (index, answer) in together.enumerated() {
            #expect(distance(answer, try fixture.answer(index)) < 1e-4, "sequence \(index)")
        }
    }
}
