import ClassifierEngine
import Foundation
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

    @Test("A table with numbers that are none is refused")
    func refusesNumbers() throws {
        let folder = try Fixture("static").changed("model.safetensors") { bytes in
            try bytes.fill(tensor: "embeddings", with: withUnsafeBytes(of: Float.nan) { Array($0) })
        }
        #expect(throws: EngineError.self) { try StaticEmbedding(folder: folder) }
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
