import ClassifierEngine
import Foundation
import Resilience
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

@Suite(.temporaryFiles, .enabled(if: Library.path != nil, Library.why))
struct TextModelTests {
    @Test("Sentence vectors are pooled and normalised as the folder says")
    func pools() throws {
        let fixture = try Fixture("bert-base")
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        #expect(model.pooling == SentencePooling(pooling: .mean, isNormalized: true))
        let vectors = try model.embed(fixture.inputs)
        for (index, vector) in vectors.enumerated() {
            let tokens = try fixture.answer(index)
            #expect(distance(vector, mean(tokens, width: 32, normalized: true)) < 1e-5)
        }
    }

    @Test("A folder without modules that normalise, and with the first token's pooling, is followed")
    func poolsByTheFirstToken() throws {
        let fixture = try Fixture("bert-base")
        let folder = try fixture.changed("modules.json") { modules in
            modules = Data(#"[{"type": "m.Transformer", "path": ""}, {"type": "m.Pooling", "path": "first"}]"#.utf8)
        }
        try FileManager.default.createDirectory(atPath: folder + "/first", withIntermediateDirectories: true)
        try Data(#"{"pooling_mode_cls_token": true}"#.utf8).write(to: URL(filePath: folder + "/first/config.json"))
        let model = try TextModel(folder: folder, runtime: Library.load())
        let vectors = try model.embed(fixture.inputs)
        for (index, vector) in vectors.enumerated() {
            #expect(distance(vector, Array(try fixture.answer(index).prefix(32))) < 1e-5)
        }
    }

    @Test("Vectors can be cut to their first numbers, and have length 1 after that")
    func cutsVectors() throws {
        let fixture = try Fixture("xlm-roberta-base")
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        let whole = try model.embed(fixture.inputs)
        let cut = try model.embed(fixture.inputs, dimensions: 8)
        for (whole, cut) in zip(whole, cut) {
            let head = Array(whole.prefix(8))
            let length = head.map { $0 * $0 }.reduce(0, +).squareRoot()
            #expect(distance(cut, head.map { $0 / length }) < 1e-5)
        }
        #expect(throws: EngineError.self) { try model.embed(fixture.inputs, dimensions: 33) }
    }

    @Test("A folder says to which lengths vectors may be cut, as vLLM reads it")
    func shorterVectors() throws {
        let fixture = try Fixture("bert-base")
        #expect(try TextModel(folder: fixture.folder, runtime: Library.load()).profile.shorterVectors == [])
        let folder = try fixture.changed("config.json") { config in
            let text = String(decoding: config, as: UTF8.self)
            config = Data(
                text.replacing("{", with: #"{"matryoshka_dimensions": [32, 16, 8],"#, maxReplacements: 1).utf8
            )
        }
        #expect(try TextModel(folder: folder, runtime: Library.load()).profile.shorterVectors == [8, 16])
    }

    @Test("Classes have the folder's names and probabilities that add up to 1")
    func classifies() throws {
        let fixture = try Fixture("bert-sequence")
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        for (index, answer) in try model.classify(fixture.inputs).enumerated() {
            let logits = try fixture.answer(index).map(Double.init)
            let sum = logits.map(exp).reduce(0, +)
            #expect(answer.labels == ["law", "medicine", "other"])
            #expect(distance(answer.probabilities, logits.map { Float(exp($0) / sum) }) < 1e-5)
            #expect(logits[answer.best] == logits.max())
        }
    }

    @Test("Classes that do not exclude each other have a probability each")
    func classifiesWithSeveralLabels() throws {
        let fixture = try Fixture("modernbert-cls")
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        #expect(model.profile.isMultiLabel)
        for (index, answer) in try model.classify(fixture.inputs).enumerated() {
            let expected = try fixture.answer(index).map { Float(1 / (1 + exp(-Double($0)))) }
            #expect(distance(answer.probabilities, expected) < 1e-4)
        }
    }

    @Test("Every token has its own classes, and padding has none", arguments: ["bert-token", "modernbert-token"])
    func tags(name: String) throws {
        let fixture = try Fixture(name)
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        for (index, answer) in try model.tag(fixture.inputs).enumerated() {
            let logits = try fixture.answer(index)
            #expect(answer.count == fixture.inputs[index].ids.count)
            for token in 0..<answer.count {
                let row = logits[token * model.labels.count..<(token + 1) * model.labels.count]
                #expect(abs(answer[token].reduce(0, +) - 1) < 1e-5)
                #expect(row.max() == row[row.startIndex + answer.best(token)])
            }
        }
    }

    @Test("An adapter changes a base model into what PEFT makes of it", arguments: ["bert-lora", "bert-rslora"])
    func mergesAdapters(name: String) throws {
        let base = try Fixture("bert-base")
        let fixture = try Fixture(name)
        let settings = TextModel.Settings(adapter: fixture.folder)
        let model = try TextModel(folder: base.folder, runtime: Library.load(), settings: settings)
        #expect(model.profile.task == .sequenceClassification)
        #expect(model.labels == ["LABEL_0", "LABEL_1"])
        for (index, input) in fixture.inputs.enumerated() {
            let logits = try model.run([input]) { _, output in Array(output.values) }
            #expect(distance(logits, try fixture.answer(index)) < 1e-4)
        }
    }

    /// These models' random weights are wide: attention is sharp, and errors are larger than in trained models, of which
    /// `PublishedModelTests` tells.
    @Test(
        "In 8 bits the error is less than 15 % of the answers, by the mean of squares",
        arguments: [
            "bert-base", "bert-sequence", "bert-token", "roberta-sequence", "modernbert-sequence", "modernbert-token",
        ]
    )
    func quantizes(name: String) throws {
        let fixture = try Fixture(name)
        let settings = TextModel.Settings(precision: .int8)
        let model = try TextModel(folder: fixture.folder, runtime: Library.load(), settings: settings)
        var error = 0.0
        var energy = 0.0
        for (index, input) in fixture.inputs.enumerated() {
            let answer = try model.run([input]) { _, output in Array(output.values) }
            for (number, expected) in zip(answer, try fixture.answer(index)) {
                error += Double((number - expected) * (number - expected))
                energy += Double(expected * expected)
            }
        }
        let share = (error / energy).squareRoot()
        #expect(share < 0.15)
        #expect(share > 1e-4, "8 bits were asked for")
    }

    @Test("An ONNX file in the folder runs, and the precision decides whether it goes before the weights")
    func prefersFiles() throws {
        let fixture = try Fixture("bert-base")
        // The file in onnx/ has another model's weights, so that answers tell which one ran.
        let other = try Fixture("xlm-roberta-base")
        let model = try TextModel.build(folder: other.folder, settings: TextModel.Settings())
        let folder = try fixture.changed("config.json") { _ in }
        try FileManager.default.createDirectory(atPath: folder + "/onnx", withIntermediateDirectories: true)
        try Data(model.bytes).write(to: URL(filePath: folder + "/onnx/model.onnx"))
        let runtime = try Library.load()
        let exact = try TextModel(folder: folder, runtime: runtime)
        #expect(exact.session.file == folder + "/onnx/model.onnx")
        let quantized = try TextModel(folder: folder, runtime: runtime, settings: .init(precision: .int8))
        #expect(quantized.session.file == folder + "/model.safetensors")
        try FileManager.default.moveItem(
            atPath: folder + "/onnx/model.onnx",
            toPath: folder + "/onnx/model_quantized.onnx"
        )
        let file = try TextModel(folder: folder, runtime: runtime, settings: .init(precision: .int8))
        #expect(file.session.file == folder + "/onnx/model_quantized.onnx")
        let input = TokenSequence(ids: other.inputs[1].ids)
        let answer = try file.run([input]) { _, output in Array(output.values) }
        // The folder's config.json numbers positions as BERT does, the file's model was made for RoBERTa's: only the shape
        // is the same.
        #expect(answer.count == (try other.answer(1)).count)
    }

    /// A copy of a fixture's folder whose weights are in an ONNX file alone.
    private func exported(_ name: String, _ configuration: (inout Data) throws -> Void) throws -> String {
        let fixture = try Fixture(name)
        let folder = try fixture.changed("config.json", configuration)
        let bytes = try TextModel.build(folder: fixture.folder, settings: TextModel.Settings()).bytes
        try FileManager.default.createDirectory(atPath: folder + "/onnx", withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(filePath: folder + "/onnx/model.onnx"))
        try FileManager.default.removeItem(atPath: folder + "/model.safetensors")
        return folder
    }

    @Test(
        "An ONNX file needs no encoder that the engine can build, whatever its configuration calls things",
        arguments: [
            ("deberta-v2", #""type_vocab_size": 2"#, #""type_vocab_size": 0"#),
            ("distilbert", #""hidden_size": 32"#, #""dim": 32"#),
            ("t5", #""hidden_size": 32"#, #""d_model": 32"#),
        ]
    )
    func foreignFamilies(kind: String, old: String, new: String) throws {
        let folder = try exported("bert-base") { bytes in
            try Fixture.replace(#""model_type": "bert""#, #""model_type": "\#(kind)""#)(&bytes)
            try Fixture.replace(old, new)(&bytes)
            // Its positions are relative.
            if kind == "t5" { try Fixture.replace("max_position_embeddings", "n_positions")(&bytes) }
        }
        let model = try TextModel(folder: folder, runtime: Library.load())
        #expect(model.profile.hidden == 32)
        let vector = try model.embed([TokenSequence(ids: [1, 5, 9], types: [0, 0, 0])])[0]
        #expect(vector.count == 32)
    }

    @Test(
        "Classes without names are counted: by the configuration, else by the ONNX file's output",
        arguments: [#""num_labels": 3"#, #""other": 0"#]
    )
    func countsClasses(entry: String) throws {
        let names = try Regex(#""id2label": \{[^}]*\}"#)
        let folder = try exported("bert-sequence") { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            bytes = Data(text.replacing(names, with: entry, maxReplacements: 1).utf8)
        }
        let model = try TextModel(folder: folder, runtime: Library.load())
        #expect(model.labels == ["LABEL_0", "LABEL_1", "LABEL_2"])
        #expect(try model.classify([TokenSequence(ids: [1, 5, 9])])[0].probabilities.count == 3)
    }

    @Test("A class alone has a probability of its own")
    func classifiesWithOneLabel() throws {
        let fixture = try Fixture("bert-base")
        let folder = try fixture.changed("config.json") { bytes in
            try Fixture.replace("BertModel", "BertForTokenClassification")(&bytes)
        }
        let old = try SafeTensors(path: folder + "/model.safetensors")
        var file = TensorFile()
        for name in old.names {
            let tensor = try #require(old[name])
            file.add(name, tensor.shape, floats: try old.floats(tensor))
        }
        file.add("classifier.weight", [1, 32], floats: [Float](repeating: 0, count: 32))
        file.add("classifier.bias", [1], floats: [-2])
        try file.write(to: folder + "/model.safetensors")
        let model = try TextModel(folder: folder, runtime: Library.load())
        #expect(model.labels == ["LABEL_0"])
        let expected = Float(1 / (1 + exp(2.0)))
        #expect(distance(try model.tag([TokenSequence(ids: [1, 5])])[0].probabilities, [expected, expected]) < 1e-6)
    }

    @Test("A file that the engine wrote serves until the weights or the configuration are others")
    func knowsItsFiles() throws {
        let runtime = try Library.load()
        let settings = TextModel.Settings(precision: .int8)
        let fixture = try Fixture("bert-base")
        let files = FileManager.default
        func folder(_ file: String, _ change: (inout Data) throws -> Void) throws -> String {
            let folder = try fixture.changed(file, change)
            try files.createDirectory(atPath: folder + "/onnx", withIntermediateDirectories: true)
            let bytes = try TextModel.export(folder: fixture.folder, settings: settings)
            try Data(bytes).write(to: URL(filePath: folder + "/onnx/model_int8.onnx"))
            return folder
        }
        // A copy, whose files have new dates.
        let same = try folder("config.json") { _ in }
        let file = try TextModel(folder: same, runtime: runtime, settings: settings)
        #expect(file.session.file == same + "/onnx/model_int8.onnx")
        let built = try TextModel(folder: fixture.folder, runtime: runtime, settings: settings)
        #expect(try file.embed(fixture.inputs) == built.embed(fixture.inputs))

        let weights = try folder("model.safetensors") { $0[$0.count - 1] ^= 1 }
        let settled = try folder("config.json", Fixture.replace(#""hidden_act": "gelu""#, #""hidden_act": "relu""#))
        for changed in [weights, settled] {
            let model = try TextModel(folder: changed, runtime: runtime, settings: settings)
            #expect(model.session.file == changed + "/model.safetensors")
            #expect(try TextModel.isOutdated(changed + "/onnx/model_int8.onnx", folder: changed, settings: settings))
        }
        let other = TextModel.Settings(precision: .int8, quantization: .fullRange)
        #expect(
            try TextModel(folder: same, runtime: runtime, settings: other).session.file == same + "/model.safetensors"
        )
        // Without the weights there is nothing else to run.
        try files.removeItem(atPath: settled + "/model.safetensors")
        #expect(
            try TextModel(folder: settled, runtime: runtime, settings: settings).session.file
                == settled + "/onnx/model_int8.onnx"
        )
    }

    @Test("Answers that are no numbers are an error", arguments: ["bert-base", "bert-token", "modernbert-sequence"])
    func refusesAnswers(name: String) throws {
        let fixture = try Fixture(name)
        // The largest numbers: sums of them overflow.
        let (tensor, bytes): (String, [UInt8]) =
            switch name {
            case "bert-base": ("encoder.layer.1.output.LayerNorm.weight", [0xFF, 0xFF, 0x7F, 0x7F])
            case "bert-token": ("classifier.weight", [0x7F, 0x7F])
            default: ("classifier.weight", [0xFF, 0xFF, 0x7F, 0x7F])
            }
        let folder = try fixture.changed("model.safetensors") { try $0.fill(tensor: tensor, with: bytes) }
        let model = try TextModel(folder: folder, runtime: Library.load())
        let error = EngineError(
            .inference,
            folder + "/model.safetensors",
            "the model's answer is not finite: it has overflowed, or is damaged"
        )
        #expect(throws: error) {
            switch model.profile.task {
            case .embedding: _ = try model.embed(fixture.inputs)
            case .tokenClassification: _ = try model.tag(fixture.inputs)
            case .sequenceClassification: _ = try model.classify(fixture.inputs)
            }
        }
    }

    @Test("A session is run by several threads at once")
    func runsConcurrently() async throws {
        let fixture = try Fixture("bert-sequence")
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        let expected = try fixture.inputs.indices.map { try fixture.answer($0) }
        try await withThrowingTaskGroup(of: Float.self) { group in
            for round in 0..<64 {
                group.addTask {
                    let index = round % fixture.inputs.count
                    let logits = try model.run([fixture.inputs[index]]) { _, output in Array(output.values) }
                    return distance(logits, expected[index])
                }
            }
            for try await difference in group { #expect(difference < 1e-4) }
        }
    }

    @Test("Tokens that a model cannot take are refused by name")
    func refusesInput() throws {
        let fixture = try Fixture("bert-sequence")
        let model = try TextModel(folder: fixture.folder, runtime: Library.load())
        func message(_ sequences: [TokenSequence]) -> String {
            do throws(EngineError) {
                _ = try model.classify(sequences)
                return "no error"
            } catch {
                return error.message
            }
        }
        #expect(message([TokenSequence(ids: [1, 96])]) == "token 96 is not among the model's 96")
        #expect(message([TokenSequence(ids: [1, -1])]) == "token -1 is not among the model's 96")
        #expect(message([TokenSequence(ids: [1], types: [2])]) == "type 2; the model tells 2 apart")
        #expect(
            message([TokenSequence(ids: .init(repeating: 1, count: 49))]) == "49 tokens; the model takes at most 48"
        )
        #expect(message([]) == "a batch without tokens")
        #expect(message([TokenSequence(ids: [1]), TokenSequence(ids: [])]) == "a batch without tokens")
        #expect(throws: EngineError.self) { try model.embed(fixture.inputs) }
        #expect(throws: EngineError.self) { try model.tag(fixture.inputs) }
    }

    private func mean(_ tokens: [Float], width: Int, normalized: Bool) -> [Float] {
        var sum = [Float](repeating: 0, count: width)
        for (index, value) in tokens.enumerated() { sum[index % width] += value }
        let length = sum.map { $0 * $0 }.reduce(0, +).squareRoot()
        return sum.map { normalized ? $0 / length : $0 * Float(width) / Float(tokens.count) }
    }
}

@Suite struct BuiltModelTests {
    @Test(
        "Files are known for outdated when the engine builds something else: raise ModelStamp.version with these hashes",
        arguments: [
            ("bert-token", "c47bba2bf828b064"), ("roberta-sequence", "98c1960d25d238e5"),
            ("modernbert-sequence", "35d96cb57e67de7d"),
        ]
    )
    func buildsTheSame(name: String, expected: String) throws {
        let settings = TextModel.Settings(precision: .int8)
        let bytes = try TextModel.build(folder: Fixture(name).folder, settings: settings).bytes
        let hash = bytes.withUnsafeBytes { KeyedHash(first: 0, second: 0)($0) }
        #expect(String(hash.low, radix: 16) == expected)
    }
}

@Suite struct RunMemoryTests {
    private static func time(_ milliseconds: Int) -> MonotonicTime {
        MonotonicTime(nanoseconds: UInt64(milliseconds) * 1_000_000)
    }

    @Test("Long texts are large, and so are many of middling length; batches as models usually get them are not")
    func largeRuns() {
        #expect(RunMemory.isLarge(tokens: 513, width: 513) && RunMemory.isLarge(tokens: 2048, width: 256))
        #expect(!RunMemory.isLarge(tokens: 512, width: 512) && !RunMemory.isLarge(tokens: 2048, width: 64))
    }

    @Test("Memory is given back once, by the first small run some seconds after the last large one")
    func givingBack() {
        var memory = RunMemory()
        var given = [memory.takeGivingBack(at: Self.time(100_000))]
        memory.largeRunEnded(at: Self.time(100_000))
        given.append(memory.takeGivingBack(at: Self.time(104_999)))
        memory.largeRunEnded(at: Self.time(104_000))
        given += [108_999, 109_000, 120_000].map { memory.takeGivingBack(at: Self.time($0)) }
        #expect(given == [false, false, false, true, false])
    }
}
