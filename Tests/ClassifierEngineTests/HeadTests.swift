import ClassifierEngine
import Foundation
import TestRandom
import Testing

@Suite(.temporaryFiles) struct StaticEmbeddingTests {
    /// `[UNK]` in the tokenizer that the fixture was made with.
    let unknown: Int32 = 1

    @Test("A text's vector is the mean of its known tokens, as in model2vec", arguments: ["static", "static-plain"])
    func matchesModel2Vec(name: String) throws {
        let fixture = try Fixture(name)
        let model = try StaticEmbedding(folder: fixture.folder)
        #expect(model.isNormalized == (name == "static"))
        for (index, input) in fixture.inputs.enumerated() {
            let vector = try model.embed(input.ids, unknown: unknown)
            #expect(distance(vector, try fixture.answer(index)) < 1e-5, "text \(index)")
        }
    }

    @Test("Vectors can be cut to their first numbers")
    func cuts() throws {
        let fixture = try Fixture("static-plain")
        let model = try StaticEmbedding(folder: fixture.folder)
        let vector = try model.embed(fixture.inputs[1].ids, unknown: unknown, dimensions: 5)
        #expect(distance(vector, Array(try fixture.answer(1).prefix(5))) < 1e-5)
        #expect(throws: EngineError.self) { try model.embed([2], unknown: nil, dimensions: 25) }
        #expect(throws: EngineError.self) { try model.embed([64], unknown: nil) }
    }

    @Test("Tokens may share rows and have weights")
    func mapsTokens() throws {
        let folder = URL(filePath: try TemporaryFiles.path())
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(#"{"model_type": "model2vec"}"#.utf8).write(to: folder.appendingPathComponent("config.json"))
        var file = TensorFile()
        file.add("embeddings", [2, 2], floats: [1, 2, 10, 20])
        file.add("mapping", [3], integers: [1, 0, 1])
        file.add("weights", [3], floats: [1, 0.5, 2])
        try file.write(to: folder.path + "/model.safetensors")
        let model = try StaticEmbedding(folder: folder.path)
        #expect(model.vocabulary == 3)
        // Token 0 is row 1, token 1 half of row 0.
        #expect(try model.embed([0, 1], unknown: nil) == [5.25, 10.5])
        #expect(try model.embed([2], unknown: nil) == [20, 40])
    }
}

@Suite(.temporaryFiles) struct LinearHeadTests {
    @Test("Logits are the matrix times the vector plus the bias, at every length", arguments: [1, 7, 8, 16, 17, 384])
    func multiplies(inputs: Int) {
        var random = SeededRandom.fromEnvironment()
        let classes = 5
        let weights = (0..<classes * inputs).map { _ in Float.random(in: -1...1, using: &random) }
        let bias = (0..<classes).map { _ in Float.random(in: -1...1, using: &random) }
        let vector = (0..<inputs).map { _ in Float.random(in: -1...1, using: &random) }
        var expected = bias.map { Double($0) }
        for index in weights.indices {
            expected[index / inputs] += Double(weights[index]) * Double(vector[index % inputs])
        }
        let head = LinearHead(weights: weights, bias: bias, inputs: inputs)
        #expect(distance(head.logits(vector), expected.map { Float($0) }) < 1e-4)
    }

    @Test("Large logits do not overflow into probabilities that are none")
    func isStable() {
        let head = LinearHead(weights: [1000, -1000], bias: [0, 0], inputs: 1)
        #expect(head.probabilities([1]) == [1, 0])
        #expect(head.probabilities([0]) == [0.5, 0.5])
    }

    @Test("A head is read from a file, which must have both of its tensors in matching sizes")
    func reads() throws {
        var file = TensorFile()
        file.add("weight", [2, 3], floats: [1, 0, 0, 0, 1, 0])
        file.add("bias", [2], floats: [10, 20])
        let path = try file.write()
        #expect(try LinearHead(path: path).logits([1, 2, 3]) == [11, 22])
        var short = TensorFile()
        short.add("weight", [2, 3], floats: [1, 0, 0, 0, 1, 0])
        short.add("bias", [1], floats: [10])
        let wrong = try short.write()
        #expect(
            throws: EngineError(
                .contradiction,
                wrong,
                "tensor \"weight\" is [2, 3] and \"bias\" [1]; needed: [classes, inputs] and [classes]"
            )
        ) { try LinearHead(path: wrong) }
    }
}
