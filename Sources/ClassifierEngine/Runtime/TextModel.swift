import OpenAIWire

/// A model loaded from a folder, which answers about token sequences: one run for each call, on the calling thread.
package struct TextModel: Sendable {
    package struct Settings: Hashable, Sendable {
        package enum Precision: String, Hashable, Sendable, CaseIterable {
            case float32
            /// Weights and activations of 8 bits: faster, a little less exact.
            case int8
        }

        package var precision: Precision
        /// A folder with a low-rank adapter to merge into the weights.
        package var adapter: String?
        /// How weights are quantized when the engine does it itself.
        package var quantization: Quantization

        package init(
            precision: Precision = .float32,
            adapter: String? = nil,
            quantization: Quantization = .reducedRange
        ) {
            self.precision = precision
            self.adapter = adapter
            self.quantization = quantization
        }

        fileprivate var chosenQuantization: Quantization? { precision == .int8 ? quantization : nil }
    }

    package let folder: String
    package let profile: ModelProfile
    package let pooling: SentencePooling
    /// By class; empty if the model has no classes.
    package let labels: [String]
    package let session: InferenceSession
    /// What its weights take in memory, about.
    package let sizeBytes: Int

    /// Loads a folder as published models have it. What runs is the first of these that is there:
    ///
    /// 1. an ONNX file in `onnx/` of the precision that is asked for, unless the engine made it of other weights;
    /// 2. `model.safetensors`, built and, if asked for, quantized in memory: the only one that takes an adapter;
    /// 3. an ONNX file of another precision.
    package init(
        folder: String,
        runtime: OnnxRuntime,
        settings: Settings = Settings()
    ) throws(EngineError) {
        let (file, profile) = try Self.read(folder, settings)
        self.folder = folder
        self.profile = profile
        pooling = try SentencePooling(folder: folder) ?? SentencePooling()
        let classes: Int
        if let path = try Self.modelFile(folder, settings, canBuild: Self.canBuild(folder, file)) {
            session = try InferenceSession(file: path, runtime: runtime)
            sizeBytes = try ModelFile(path: path).size
            // transformers leaves two classes without names out.
            classes = session.outputWidth ?? 2
        } else {
            let built = try Self.build(folder, file, profile, settings)
            classes = built.classes
            let opened: Result<InferenceSession, EngineError> = built.bytes.withUnsafeBytes { bytes in
                Result { () throws(EngineError) in
                    try InferenceSession(model: bytes, file: folder + "/model.safetensors", runtime: runtime)
                }
            }
            session = try opened.get()
            sizeBytes = built.bytes.count
        }
        labels =
            switch profile.task {
            case .embedding: []
            case .sequenceClassification, .tokenClassification:
                profile.labels.isEmpty ? ModelProfile.unnamed(classes) : profile.labels
            }
    }

    /// What a folder says of its model, with the task that an adapter makes of it.
    private static func read(_ folder: String, _ settings: Settings) throws(EngineError) -> (JSONFile, ModelProfile) {
        let file = try JSONFile(path: folder + "/config.json")
        let adapted = try settings.adapter.map { folder throws(EngineError) in try LoRAAdapter.task(folder: folder) }
        return (file, try ModelProfile(file, task: adapted ?? nil))
    }

    // MARK: Choosing and building

    /// Names that exporters give (Optimum, Transformers.js, sentence-transformers), best first.
    private static let int8Files = ["model_int8", "model_quantized", "model_uint8", "model_quint8_avx2"]
    private static let float32Files = ["model", "model_fp32"]
    /// Neither exact nor, without a GPU, fast.
    private static let otherFiles = ["model_q4", "model_bnb4", "model_q4f16", "model_fp16"]

    /// The ONNX file to run, or nil if the model is to be built.
    private static func modelFile(
        _ folder: String,
        _ settings: Settings,
        canBuild: Bool
    ) throws(EngineError) -> String? {
        guard settings.adapter == nil else { return nil }
        let (wanted, others) =
            switch settings.precision {
            case .int8: (int8Files, float32Files + otherFiles)
            case .float32: (float32Files, int8Files + otherFiles)
            }
        for name in canBuild ? wanted : wanted + others {
            let path = "\(folder)/onnx/\(name).onnx"
            guard isReadable(path) else { continue }
            if canBuild, try isOutdated(path, folder: folder, settings: settings) { continue }
            return path
        }
        return nil
    }

    private static func canBuild(_ folder: String, _ file: JSONFile) -> Bool {
        isReadable(folder + "/model.safetensors") && (try? EncoderConfiguration.readFamily(file)) != nil
    }

    /// Whether the engine wrote an ONNX file, but from other weights than the folder's, or otherwise than it would now.
    package static func isOutdated(
        _ path: String,
        folder: String,
        settings: Settings
    ) throws(EngineError) -> Bool {
        guard let stamp = try ModelStamp(file: path) else { return false }
        return stamp != (try ModelStamp(folder: folder, settings.chosenQuantization))
    }

    /// The ONNX file of a folder's weights, quantized if so asked, which `isOutdated` knows again.
    package static func export(folder: String, settings: Settings) throws(EngineError) -> [UInt8] {
        let stamp = try ModelStamp(folder: folder, settings.chosenQuantization)
        // One after the other, the bytes of two Protocol Buffers' messages are one message with the fields of both.
        return try stamp.bytes + build(folder: folder, settings: settings).bytes
    }

    /// The ONNX model of a folder's weights, with the adapter merged in and quantized if so asked.
    package static func build(folder: String, settings: Settings) throws(EngineError) -> BuiltModel {
        let (file, profile) = try read(folder, settings)
        return try build(folder, file, profile, settings)
    }

    private static func build(
        _ folder: String,
        _ file: JSONFile,
        _ profile: ModelProfile,
        _ settings: Settings
    ) throws(EngineError) -> BuiltModel {
        let configuration = try EncoderConfiguration(file, profile)
        let family = configuration.family
        let path = folder + "/model.safetensors"
        guard isReadable(path) else {
            throw EngineError(.unreadable, folder, "neither model.safetensors nor onnx/model*.onnx can be read")
        }
        let weights = try ModelWeights(
            try SafeTensors(path: path),
            adapter: try settings.adapter.map { folder throws(EngineError) in
                try LoRAAdapter(folder: folder, prefixes: family.prefixes)
            },
            anchor: family.embeddings,
            prefixes: family.prefixes
        )
        let quantization = settings.chosenQuantization
        try checkSize(weights.builtSize(isQuantized: quantization != nil), path)
        let built =
            if let modern = configuration.modern {
                try ModernBERTGraph.build(configuration, modern, weights, quantization)
            } else {
                try BERTGraph.build(configuration, weights, quantization)
            }
        try weights.checkAdapterIsMerged()
        try checkSize(built.bytes.count, path)
        return built
    }

    /// Protocol Buffers' own limit, and so ONNX's for a model in one piece.
    private static func checkSize(_ bytes: Int, _ path: String) throws(EngineError) {
        guard bytes < 1 << 31 else {
            throw EngineError(.unsupported, path, "its weights take more than the 2 GiB that an ONNX model can hold")
        }
    }

    // MARK: Asking

    /// One vector for each sequence: pooled, cut to the first `dimensions` numbers, brought to length 1.
    ///
    /// Cutting is for models that were trained for it (Matryoshka representation learning).
    package func embed(_ sequences: [TokenSequence], dimensions: Int? = nil) throws(EngineError) -> [[Float]] {
        guard profile.task == .embedding else { throw wrongTask("embed") }
        let kept = dimensions ?? profile.hidden
        guard (1...profile.hidden).contains(kept) else {
            throw EngineError(.input, folder, "\(kept) dimensions were asked for; the model has \(profile.hidden)")
        }
        return try run(sequences) { batch, output throws(EngineError) in
            // An exported model may pool by itself.
            let isPooled = output.shape.count == 2
            try expect(output, isPooled ? [batch.count, profile.hidden] : [batch.count, batch.width, profile.hidden])
            return try (0..<batch.count).map { row throws(EngineError) in
                let start = row * (isPooled ? profile.hidden : batch.width * profile.hidden)
                let tokens = isPooled || pooling.pooling == .cls ? 1 : batch.lengths[row]
                var sum = [Float](repeating: 0, count: kept)
                sum.withUnsafeMutableBufferPointer { sum in
                    for token in 0..<tokens {
                        let first = start + token * profile.hidden
                        let vector = UnsafeBufferPointer(rebasing: output.values[first..<first + kept])
                        Vectors.add(vector, times: 1 / Float(tokens), to: sum)
                    }
                }
                try checkNumbers(sum)
                if pooling.isNormalized { Vectors.normalize(&sum) }
                return sum
            }
        }
    }

    /// The classes of each sequence.
    package func classify(_ sequences: [TokenSequence]) throws(EngineError) -> [Classification] {
        guard profile.task == .sequenceClassification else { throw wrongTask("classify") }
        return try run(sequences) { batch, output throws(EngineError) in
            try expect(output, [batch.count, labels.count])
            return try (0..<batch.count).map { row throws(EngineError) in
                let logits = output.values[row * labels.count..<(row + 1) * labels.count]
                try checkNumbers(logits)
                return Classification(labels: labels, probabilities: probabilities(logits))
            }
        }
    }

    /// The classes of each sequence's tokens.
    package func tag(_ sequences: [TokenSequence]) throws(EngineError) -> [TokenClassification] {
        guard profile.task == .tokenClassification else { throw wrongTask("tag") }
        return try run(sequences) { batch, output throws(EngineError) in
            try expect(output, [batch.count, batch.width, labels.count])
            return try (0..<batch.count).map { row throws(EngineError) in
                let first = row * batch.width * labels.count
                let logits = output.values[first..<first + batch.lengths[row] * labels.count]
                try checkNumbers(logits)
                var found: [Float] = []
                found.reserveCapacity(logits.count)
                for start in stride(from: logits.startIndex, to: logits.endIndex, by: labels.count) {
                    found += probabilities(logits[start..<start + labels.count])
                }
                return TokenClassification(labels: labels, probabilities: found)
            }
        }
    }

    /// Classes that do not exclude each other have a probability each, and so has a class alone
    /// (transformers' TextClassificationPipeline).
    private func probabilities(_ logits: Slice<UnsafeBufferPointer<Float>>) -> [Float] {
        let isAlone = labels.count == 1
        let isMultiLabel = profile.task == .sequenceClassification && profile.isMultiLabel
        return isAlone || isMultiLabel ? Vectors.sigmoid(logits) : Vectors.softmax(logits)
    }

    /// NaN would pass for an answer: that the first class is the most probable, that a text resembles nothing.
    private func checkNumbers(_ values: some Sequence<Float>) throws(EngineError) {
        guard Vectors.areFinite(values) else {
            throw EngineError(
                .inference,
                session.file,
                "the model's answer is not finite: it has overflowed, or is damaged"
            )
        }
    }

    /// Runs the sequences as one batch and hands over what the model answered, as it is: an encoder's vectors of tokens,
    /// a head's logits.
    package func run<Result>(
        _ sequences: [TokenSequence],
        _ body: (TokenBatch, InferenceOutput) throws(EngineError) -> Result
    ) throws(EngineError) -> Result {
        for sequence in sequences { try check(sequence) }
        let batch = TokenBatch(sequences, padding: profile.paddingID)
        return try session.run(batch, positions: profile.positions) { output throws(EngineError) in
            try body(batch, output)
        }
    }

    private func check(_ sequence: TokenSequence) throws(EngineError) {
        guard sequence.ids.count <= profile.longestSequence else {
            throw EngineError(
                .input,
                folder,
                "\(sequence.ids.count) tokens; the model takes at most \(profile.longestSequence)"
            )
        }
        if let wrong = sequence.ids.first(where: { !(0..<profile.vocabulary).contains(Int($0)) }) {
            throw EngineError(.input, folder, "token \(wrong) is not among the model's \(profile.vocabulary)")
        }
        if let wrong = sequence.types.first(where: { !(0..<profile.types).contains(Int($0)) }) {
            throw EngineError(.input, folder, "type \(wrong); the model tells \(profile.types) apart")
        }
    }

    private func expect(_ output: InferenceOutput, _ shape: [Int]) throws(EngineError) {
        guard output.shape == shape else {
            throw EngineError(
                .contradiction,
                session.file,
                "its output \"\(session.outputName)\" is \(output.shape); config.json and the input make it \(shape)"
            )
        }
    }

    private func wrongTask(_ call: String) -> EngineError {
        EngineError(.input, folder, "the model is made for \(profile.task.rawValue), not to \(call)")
    }
}

/// An ONNX model in memory.
package struct BuiltModel: Sendable {
    package let bytes: [UInt8]
    /// Of its head; 0 without one.
    package let classes: Int
}

extension LoRAAdapter {
    /// What an adapter makes of its base model; nil if it does not say.
    static func task(folder: String) throws(EngineError) -> ModelTask? {
        let file = try JSONFile(path: folder + "/adapter_config.json")
        switch file["task_type"]?.string {
        case nil: return nil
        case "SEQ_CLS": return .sequenceClassification
        case "TOKEN_CLS": return .tokenClassification
        case "FEATURE_EXTRACTION": return .embedding
        case let other?:
            throw EngineError(
                .unsupported,
                file.path,
                "\"task_type\" is \"\(other)\"; supported: SEQ_CLS, TOKEN_CLS, FEATURE_EXTRACTION"
            )
        }
    }
}
