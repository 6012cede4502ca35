import ClassifierEngine
import Foundation
import TestRandom
import Testing

/// Folders that cannot be run: what the operator reads.
@Suite(.temporaryFiles) struct BrokenModelTests {
    private func failure(_ folder: String, adapter: String? = nil) -> EngineError {
        do throws(EngineError) {
            _ = try TextModel.build(folder: folder, settings: TextModel.Settings(adapter: adapter))
            return EngineError(.input, folder, "no error")
        } catch {
            return error
        }
    }

    private let replace = Fixture.replace

    @Test(
        "A configuration that the engine cannot follow is told by file, key and what is supported",
        arguments: [
            (
                "bert-base", #""model_type": "bert""#, #""model_type": "deberta-v2""#,
                "\"model_type\" is \"deberta-v2\"; supported: bert, roberta, xlm-roberta, modernbert, or any model with an "
                    + "ONNX file in its folder onnx/"
            ),
            (
                "bert-base", "BertModel", "BertForQuestionAnswering",
                "\"architectures\" is \"BertForQuestionAnswering\"; supported: …Model, …ForSequenceClassification, "
                    + "…ForTokenClassification"
            ),
            (
                "bert-base", #""hidden_act": "gelu""#, #""hidden_act": "mish""#,
                "\"hidden_act\" is \"mish\"; supported: gelu, gelu_new, relu, silu, tanh"
            ),
            (
                "bert-base", #""num_attention_heads": 4"#, #""num_attention_heads": 5"#,
                "hidden_size 32 is no multiple of num_attention_heads 5"
            ),
            ("bert-base", #""hidden_size": 32"#, #""hidden_size": "32""#, "\"hidden_size\" must be an integer"),
            ("bert-base", #""hidden_size": 32"#, #""hidden_size": 0"#, "\"hidden_size\" must be from 1 to 1073741824"),
            (
                "modernbert-base", #""max_position_embeddings": 64"#, #""max_position_embeddings": 1000000000"#,
                "\"max_position_embeddings\" must be from 1 to 131072"
            ),
            ("bert-base", #""hidden_size": 32,"#, "", "\"hidden_size\" is missing"),
            ("bert-base", "{", "[", "not JSON"),
            (
                "bert-token", #""2": "I-NAME""#, #""7": "I-NAME""#,
                "\"id2label\" must be numbered 0, 1, 2, …"
            ),
            (
                "bert-base", #""hidden_size": 32,"#, #""hidden_size": 32, "matryoshka_dimensions": [16, 64],"#,
                "\"matryoshka_dimensions\" must be a list of numbers from 1 to 32"
            ),
            (
                "modernbert-cls", #""classifier_pooling": "cls""#, #""classifier_pooling": "max""#,
                "\"classifier_pooling\" is \"max\"; supported: cls, mean"
            ),
            (
                "modernbert-cls", "\"sliding_attention\"\n", "\"other\"\n",
                "\"layer_types\" must be 2 times full_attention or sliding_attention"
            ),
            (
                "bert-sequence", #""dtype": "float16""#, #""problem_type": "regression""#,
                "\"problem_type\" is \"regression\": the model has no classes"
            ),
        ]
    )
    func configurations(name: String, old: String, new: String, message: String) throws {
        let folder = try Fixture(name).changed("config.json", replace(old, new))
        let error = failure(folder)
        #expect(error.file == folder + "/config.json")
        #expect(error.message.hasPrefix(message), "\(error)")
    }

    @Test(
        "Weights that do not fit the configuration are told by tensor",
        arguments: [
            (
                "bert-base", #""vocab_size": 96"#, #""vocab_size": 97"#,
                "tensor \"embeddings.word_embeddings.weight\" is [96, 32], but config.json asks for [97, 32]"
            ),
            (
                "bert-base", #""num_hidden_layers": 2"#, #""num_hidden_layers": 3"#,
                "tensor \"encoder.layer.2.attention.self.query.weight\" is missing"
            ),
            ("bert-base", "BertModel", "BertForTokenClassification", "tensor \"classifier.weight\" is missing"),
            (
                "modernbert-token", #""intermediate_size": 48"#, #""intermediate_size": 40"#,
                "tensor \"model.layers.0.mlp.Wi.weight\" is [96, 32], but config.json asks for [80, 32]"
            ),
            (
                "roberta-sequence", #""model_type": "roberta""#, #""model_type": "modernbert""#,
                "it has no tensor \"embeddings.tok_embeddings.weight\"; tried before it: \"model.\", \"\""
            ),
        ]
    )
    func weights(name: String, old: String, new: String, message: String) throws {
        let folder = try Fixture(name).changed("config.json", replace(old, new))
        let error = failure(folder)
        #expect(error.file == folder + "/model.safetensors")
        #expect(error.message.contains(message.replacing("tensor \"classifier", with: "classifier")), "\(error)")
    }

    @Test("Labels that are more than the classifier's classes are a contradiction")
    func labels() throws {
        let folder = try Fixture("bert-token").changed(
            "config.json",
            replace(#""4": "I-CITY""#, #""4": "I-CITY", "5": "B-DATE""#)
        )
        #expect(failure(folder).message.contains("has 5 rows, but \(folder)/config.json tells of 6 labels"))
    }

    @Test("What only the configuration claims is not made before weights confirm it")
    func claims() throws {
        let wide = #""hidden_size": 1048576"#
        let modern = try Fixture("modernbert-base").changed("config.json") { bytes in
            try replace(#""hidden_size": 32"#, wide)(&bytes)
            try replace(#""num_attention_heads": 2"#, #""num_attention_heads": 1"#)(&bytes)
            try replace(#""max_position_embeddings": 64"#, #""max_position_embeddings": 131072"#)(&bytes)
            try replace(#""vocab_size": 96"#, #""vocab_size": 1"#)(&bytes)
        }
        var file = TensorFile()
        file.add("embeddings.tok_embeddings.weight", "F16", [1, 1 << 20], Data(count: 2 << 20))
        try file.write(to: modern + "/model.safetensors")
        #expect(failure(modern).message.hasPrefix("heads of 1048576 numbers at 131072 positions: at most"))

        let bert = try Fixture("bert-base").changed("config.json") { bytes in
            try replace(#""hidden_size": 32"#, wide)(&bytes)
            try replace(#""max_position_embeddings": 48"#, #""max_position_embeddings": 1"#)(&bytes)
            try replace(#""vocab_size": 96"#, #""vocab_size": 1"#)(&bytes)
            try replace(#""type_vocab_size": 2"#, #""type_vocab_size": 1"#)(&bytes)
        }
        file = TensorFile()
        for name in ["word", "position", "token_type"] {
            file.add("embeddings.\(name)_embeddings.weight", "F16", [1, 1 << 20], Data(count: 2 << 20))
        }
        for name in ["weight", "bias"] {
            file.add("embeddings.LayerNorm.\(name)", "F16", [1 << 20], Data(count: 2 << 20))
        }
        try file.write(to: bert + "/model.safetensors")
        #expect(failure(bert).message == "tensor \"encoder.layer.0.attention.self.query.weight\" is missing")
    }

    @Test("A configuration of many megabytes is refused before it is read")
    func largeConfiguration() throws {
        let folder = try Fixture("bert-base").changed("config.json") { _ in }
        #expect(truncate(folder + "/config.json", 5 << 30) == 0)
        #expect(failure(folder).message == "5368709120 bytes; a model's JSON file has at most 67108864")
    }

    @Test("Weights for which an ONNX model has no room are refused before one is built")
    func largeWeights() throws {
        let folder = try Fixture("bert-base").changed("model.safetensors") { bytes in
            let old = Int(bytes[0..<8].withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
            var header = String(decoding: bytes[8..<8 + old], as: UTF8.self)
            let end = bytes.count - 8 - old
            header.replace(
                "{",
                with:
                    #"{"other": {"dtype": "F16", "shape": [536870912], "data_offsets": [\#(end), \#(end + 1 << 30)]}, "#,
                maxReplacements: 1
            )
            bytes =
                withUnsafeBytes(of: UInt64(header.utf8.count)) { Data($0) } + Data(header.utf8) + bytes[(8 + old)...]
        }
        let path = folder + "/model.safetensors"
        // A hole, which takes no room on the disk.
        let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
        #expect(truncate(path, size + 1 << 30) == 0)
        #expect(failure(folder).message == "its weights take more than the 2 GiB that an ONNX model can hold")
    }

    @Test("A weight that is no number is told by tensor", arguments: [Float.nan, .infinity, -.infinity])
    func weightsThatAreNone(value: Float) throws {
        let name = "encoder.layer.1.output.dense.weight"
        let folder = try Fixture("bert-base").changed("model.safetensors") { bytes in
            try bytes.fill(tensor: name, with: withUnsafeBytes(of: value) { Array($0) })
        }
        let error = failure(folder)
        #expect(error.reason == .malformed)
        #expect(error.message == "tensor \"\(name)\" has weights that are infinite or no numbers")
    }

    @Test("A damaged file of weights is told, not run")
    func damaged() throws {
        let folder = try Fixture("bert-base").changed("model.safetensors") { $0 = $0.dropLast(100) }
        let error = failure(folder)
        #expect(error.reason == .malformed)
        #expect(error.message.hasPrefix("cut short"))
    }

    @Test(
        "Bytes changed at random are refused or read, and never end the process",
        arguments: ["config.json", "model.safetensors"]
    )
    func randomDamage(file: String) throws {
        var random = SeededRandom.fromEnvironment()
        let fixture = try Fixture("modernbert-cls")
        let original = try Data(contentsOf: URL(filePath: fixture.folder + "/" + file))
        let folder = try fixture.changed(file) { _ in }
        // Of weights, the header is what can be wrong.
        let reach = min(original.count, 3000)
        var refused = 0
        for _ in 0..<400 {
            var bytes = original
            for _ in 0...random.below(3) {
                let place = random.below(reach)
                // Digits and quotes, mostly: other bytes are seldom JSON.
                bytes[place] =
                    random.once(in: 4) ? UInt8(random.below(256)) : Array("0123456789\"{}[],-e".utf8)[random.below(18)]
            }
            try bytes.write(to: URL(filePath: folder + "/" + file))
            if failure(folder).message != "no error" { refused += 1 }
        }
        #expect(refused > 100)
    }

    @Test("A folder without weights says what it looked for")
    func empty() throws {
        let folder = try Fixture("bert-base").changed("config.json") { _ in }
        try FileManager.default.removeItem(atPath: folder + "/model.safetensors")
        #expect(failure(folder).message == "neither model.safetensors nor onnx/model*.onnx can be read")
    }

    @Test(
        "An adapter that cannot be merged is told by key",
        arguments: [
            (#""peft_type": "LORA""#, #""peft_type": "IA3""#, "\"peft_type\" is IA3; what can be merged: LORA"),
            (#""use_dora": false"#, #""use_dora": true"#, "\"use_dora\" is true; what can be merged: false"),
            (#""bias": "none""#, #""bias": "all""#, "\"bias\" is all; what can be merged: none"),
            (
                #""alpha_pattern": {}"#, #""alpha_pattern": {"query": 3}"#,
                "\"alpha_pattern\" is an object with members; what can be merged: an empty one"
            ),
            (
                #""task_type": "SEQ_CLS""#, #""task_type": "CAUSAL_LM""#,
                "\"task_type\" is \"CAUSAL_LM\"; supported: SEQ_CLS, TOKEN_CLS, FEATURE_EXTRACTION"
            ),
        ]
    )
    func adapters(old: String, new: String, message: String) throws {
        let adapter = try Fixture("bert-lora").changed("adapter_config.json", replace(old, new))
        let error = failure(try Fixture("bert-base").folder, adapter: adapter)
        #expect(error.file == adapter + "/adapter_config.json")
        #expect(error.message == message)
    }

    @Test("An adapter for another model is an error and not silence")
    func foreignAdapter() throws {
        let adapter = try Fixture("bert-lora").folder
        let base = try Fixture("bert-base").changed(
            "config.json",
            replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1")
        )
        let error = failure(base, adapter: adapter)
        #expect(error.file == adapter + "/adapter_model.safetensors")
        #expect(
            error.message.hasPrefix("it adapts \"encoder.layer.1.attention.self.query.weight\", which the model in")
        )
    }
}

@Suite(.temporaryFiles) struct BrokenLibraryTests {
    @Test("What is not the library says so, and where it was looked for")
    func notALibrary() throws {
        let garbage = try TemporaryFiles.write(Data("#!/bin/sh\n".utf8))
        for path in [garbage, "/nonexistent/libonnxruntime.so"] {
            do throws(EngineError) {
                _ = try OnnxRuntime(path: path)
                Issue.record("no error")
            } catch {
                #expect(error.reason == .library)
                #expect(error.file == path)
                // Named once.
                #expect("\(error)".split(separator: path).count == 1, "\(error)")
            }
        }
    }

    @Test("A library that is another one is told apart")
    func anotherLibrary() {
        let expected = EngineError(
            .library,
            "libc.so.6",
            "it is a library, but not ONNX Runtime: it has no OrtGetApiBase"
        )
        #expect(throws: expected) { try OnnxRuntime(path: "libc.so.6") }
    }

    @Test("An empty path is not taken for a library")
    func noLibrary() {
        #expect(throws: EngineError(.library, "", "no path to libonnxruntime is given")) { try OnnxRuntime(path: "") }
    }

    @Test("The library tells its version", .enabled(if: Library.path != nil, Library.why))
    func version() throws {
        let parts = try Library.load().version.split(separator: ".").compactMap { Int($0) }
        #expect(parts.count == 3)
        #expect(parts[0] == 1 && parts[1] >= 17)
    }

    @Test("Bytes that are no model are refused with the file's name", .enabled(if: Library.path != nil, Library.why))
    func garbageModel() throws {
        let fixture = try Fixture("bert-base")
        let folder = try fixture.changed("config.json") { _ in }
        try FileManager.default.createDirectory(atPath: folder + "/onnx", withIntermediateDirectories: true)
        let runtime = try Library.load()
        for bytes in [Data("no model".utf8), Data(), Data((0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 37) })] {
            try bytes.write(to: URL(filePath: folder + "/onnx/model.onnx"))
            do throws(EngineError) {
                _ = try TextModel(folder: folder, runtime: runtime)
                Issue.record("no error")
            } catch {
                #expect(error.reason == .malformed)
                #expect(error.file == folder + "/onnx/model.onnx")
            }
        }
    }

    @Test("A model that answers in another type is told so", .enabled(if: Library.path != nil, Library.why))
    func foreignOutput() throws {
        // Fields of onnx.proto3, by number.
        func text(_ field: UInt8, _ text: String) -> Data { message(field, Data(text.utf8)) }
        func message(_ field: UInt8, _ bytes: Data) -> Data { Data([field << 3 | 2, UInt8(bytes.count)]) + bytes }
        func number(_ field: UInt8, _ number: UInt8) -> Data { Data([field << 3, number]) }
        func value(_ name: String, type: UInt8) -> Data {
            text(1, name) + message(2, message(1, number(1, type) + message(2, message(1, number(1, 1)))))
        }
        let (int64, float16) = (UInt8(7), UInt8(10))
        let cast =
            text(1, "input_ids") + text(2, "logits") + text(4, "Cast")
            + message(5, text(1, "to") + number(3, float16) + Data([0xA0, 0x01, 2]))
        let graph =
            message(1, cast) + text(2, "g") + message(11, value("input_ids", type: int64))
            + message(12, value("logits", type: float16))
        let model = number(1, 8) + message(7, graph) + message(8, text(1, "") + number(2, 17))
        let runtime = try Library.load()
        let error = EngineError(
            .unsupported,
            "half.onnx",
            "the model has no output of Float32; export it with float32 outputs"
        )
        #expect(throws: error) {
            try model.withUnsafeBytes { _ = try InferenceSession(model: $0, file: "half.onnx", runtime: runtime) }
        }
    }

    @Test("A model cut short at any of many places is refused", .enabled(if: Library.path != nil, Library.why))
    func cutModel() throws {
        let runtime = try Library.load()
        let model = try TextModel.build(folder: Fixture("bert-token").folder, settings: TextModel.Settings())
        for length in stride(from: 0, to: model.bytes.count - 1, by: 1021) {
            #expect(throws: EngineError.self) {
                try model.bytes.prefix(length).withUnsafeBytes { bytes in
                    _ = try InferenceSession(model: bytes, file: "cut", runtime: runtime)
                }
            }
        }
    }
}
