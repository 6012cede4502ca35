import ClassifierEngine
import Testing

/// Published models against what their own implementations answered for the same tokens.
@Suite(.enabled(if: Library.path != nil, Library.why), .enabled(if: Models.folder != nil, Models.why))
struct PublishedModelTests {
    @Test("MiniLM's sentence vectors are those of sentence-transformers")
    func miniLM() throws {
        let fixture = try Fixture("published-minilm")
        let model = try TextModel(folder: Models.path("all-MiniLM-L6-v2"), runtime: Library.load())
        for (index, vector) in try model.embed(fixture.inputs).enumerated() {
            #expect(cosine(vector, try fixture.answer(index)) >= 0.9999)
            #expect(distance(vector, try fixture.answer(index)) < 1e-4)
        }
    }

    @Test("MiniLM's vector of a long text is that of sentence-transformers, which cuts it at 256 tokens")
    func longText() throws {
        let fixture = try Fixture("published-minilm-long")
        let model = try EncoderModel(folder: Models.path("all-MiniLM-L6-v2"), runtime: Library.load())
        let text = try #require(fixture.texts.first)
        let input = TextInput(text, maxTokens: model.maxTokens)
        guard case .vector(let vector) = try model.run([input])[0].get() else {
            Issue.record("no vector")
            return
        }
        #expect(model.maxTokens == 256)
        #expect(distance(vector, try fixture.answer(0)) < 1e-4)
    }

    @Test("MiniLM's sentence vectors in 8 bits point the same way, by a cosine of at least 0.98")
    func miniLMInt8() throws {
        let fixture = try Fixture("published-minilm")
        let settings = TextModel.Settings(precision: .int8)
        let model = try TextModel(folder: Models.path("all-MiniLM-L6-v2"), runtime: Library.load(), settings: settings)
        for (index, vector) in try model.embed(fixture.inputs).enumerated() {
            #expect(cosine(vector, try fixture.answer(index)) >= 0.98)
        }
    }

    @Test("Rampart's 4-bit ONNX file answers as in its own runtime")
    func rampart() throws {
        let fixture = try Fixture("published-rampart")
        let model = try TextModel(folder: Models.path("rampart"), runtime: Library.load())
        #expect(model.session.file.hasSuffix("onnx/model_q4.onnx"))
        #expect(model.labels.count == 35)
        for (index, input) in fixture.inputs.enumerated() {
            let logits = try model.run([input]) { _, output in Array(output.values) }
            // Weights of 4 bits are multiplied in blocks whose order of additions depends on the processor.
            #expect(distance(logits, try fixture.answer(index)) < 0.01)
        }
        let tags = try model.tag([fixture.inputs[2]])[0]
        let found = Set((0..<tags.count).map { model.labels[tags.best($0)] })
        #expect(found.isSuperset(of: ["B-GIVEN_NAME", "B-SURNAME", "B-PHONE", "B-EMAIL"]))
    }

    @Test("Rampart's unpacked weights answer as its 4-bit file, and in 8 bits they find nearly the same")
    func rampartWeights() throws {
        let fixture = try Fixture("published-rampart")
        let runtime = try Library.load()
        let folder = try Models.path("rampart-weights")
        let exact = try TextModel(folder: folder, runtime: runtime)
        let quantized = try TextModel(folder: folder, runtime: runtime, settings: TextModel.Settings(precision: .int8))
        var tokens = 0
        var same = 0
        for (index, input) in fixture.inputs.enumerated() {
            let expected = try fixture.answer(index)
            let logits = try exact.run([input]) { _, output in Array(output.values) }
            #expect(distance(logits, expected) < 0.05)
            let tags = try quantized.tag([input])[0]
            tokens += tags.count
            for token in 0..<tags.count {
                let row = expected[token * 35..<(token + 1) * 35]
                if row.max() == row[row.startIndex + tags.best(token)] { same += 1 }
            }
        }
        #expect(Double(same) >= 0.9 * Double(tokens), "\(same) of \(tokens) tokens")
    }

}

@Suite(.enabled(if: Models.folder != nil, Models.why))
struct PublishedStaticModelTests {
    @Test("potion's static vectors are those of model2vec")
    func potion() throws {
        let fixture = try Fixture("published-potion")
        let model = try StaticEmbedding(folder: Models.path("potion-base-8M"))
        for (index, input) in fixture.inputs.enumerated() {
            let vector = try model.embed(input.ids, unknown: 1)
            #expect(distance(vector, try fixture.answer(index)) < 1e-5)
        }
    }
}
