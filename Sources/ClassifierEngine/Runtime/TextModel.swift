import COnnxRuntime
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
        package var session: InferenceSession.Options
        /// A folder with a low-rank adapter to merge into the weights.
        package var adapter: String?
        /// Instead of what the folder says.
        package var pooling: SentencePooling?
        /// How weights are quantized when the engine does it itself.
        package var quantization: Quantization

        package init(
            precision: Precision = .float32,
            session: InferenceSession.Options = InferenceSession.Options(),
            adapter: String? = nil,
            pooling: SentencePooling? = nil,
            quantization: Quantization = .reducedRange
        ) {
            self.precision = precision
            self.session = session
            self.adapter = adapter
            self.pooling = pooling
            self.quantization = quantization
        }
    }

    package let folder: String
    package let profile: ModelProfile
    package let pooling: SentencePooling
    /// By class; empty if the model has no classes.
    package let labels: [String]
    package let session: InferenceSession

    /// Loads a folder as published models have it. What runs is the first of these that is there:
    ///
    /// 1. an ONNX file in `onnx/` of the precision that is asked for;
    /// 2. `model.safetensors`, built and, if asked for, quantized in memory: the only one that takes an adapter;
    /// 3. an ONNX file of another precision.
    package init(
        folder: String,
        runtime: OnnxRuntime,
        settings: Settings = Settings()
    ) throws(EngineError) {
        let file = try JSONFile(path: folder + "/config.json")
        let adapted = try settings.adapter.map { folder throws(EngineError) in try LoRAAdapter.task(folder: folder) }
        profile = try ModelProfile(file, task: adapted ?? nil)
        self.folder = folder
        pooling =
            if let given = settings.pooling { given } else {
                try SentencePooling(folder: folder) ?? SentencePooling()
            }
        var classes = profile.labels.count
        if let path = Self.modelFile(folder, settings, canBuild: Self.canBuild(folder, file)) {
            session = try InferenceSession(file: path, runtime: runtime, options: settings.session)
        } else {
            let built = try Self.build(folder, file, profile, settings)
            classes = built.classes
            let opened: Result<InferenceSession, EngineError> = built.bytes.withUnsafeBytes { bytes in
                Result { () throws(EngineError) in
                    try InferenceSession(
                        model: bytes,
                        file: folder + "/model.safetensors",
                        runtime: runtime,
                        options: settings.session
                    )
                }
            }
            session = try opened.get()
        }
        // Building leaves tens of megabytes of holes in the heap, for good otherwise: nothing as large comes again.
        onnx_trim_memory()
        labels =
            switch profile.task {
            case .embedding: []
            // transformers' names for classes without any.
            case .sequenceClassification, .tokenClassification:
                profile.labels.isEmpty ? (0..<classes).map { "LABEL_\($0)" } : profile.labels
            }
    }

    // MARK: Choosing and building

    /// Names that exporters give (Optimum, Transformers.js, sentence-transformers), best first.
    private static let int8Files = ["model_int8", "model_quantized", "model_uint8", "model_quint8_avx2"]
    private static let float32Files = ["model", "model_fp32"]
    /// Neither exact nor, without a GPU, fast.
    private static let otherFiles = ["model_q4", "model_bnb4", "model_q4f16", "model_fp16"]

    /// The ONNX file to run, or nil if the model is to be built.
    private static func modelFile(_ folder: String, _ settings: Settings, canBuild: Bool) -> String? {
        guard settings.adapter == nil else { return nil }
        func first(_ names: [String]) -> String? {
            names.lazy.map { "\(folder)/onnx/\($0).onnx" }.first(where: isReadable)
        }
        let (wanted, others) =
            switch settings.precision {
            case .int8: (int8Files, float32Files + otherFiles)
            case .float32: (float32Files, int8Files + otherFiles)
            }
        return first(wanted) ?? (canBuild ? nil : first(others))
    }

    private static func canBuild(_ folder: String, _ file: JSONFile) -> Bool {
        isReadable(folder + "/model.safetensors") && (try? EncoderConfiguration.readFamily(file)) != nil
    }

    /// The ONNX model of a folder's weights, with the adapter merged in and quantized if so asked.
    package static func build(folder: String, settings: Settings) throws(EngineError) -> BuiltModel {
        let file = try JSONFile(path: folder + "/config.json")
        let adapted = try settings.adapter.map { folder throws(EngineError) in try LoRAAdapter.task(folder: folder) }
        return try build(folder, file, try ModelProfile(file, task: adapted ?? nil), settings)
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
        let quantization = settings.precision == .int8 ? settings.quantization : nil
        let built =
            if let modern = configuration.modern {
                try ModernBERTGraph.build(configuration, modern, weights, quantization)
            } else {
                try BERTGraph.build(configuration, weights, quantization)
            }
        try weights.checkAdapterIsMerged()
        // Protocol Buffers' own limit, and so ONNX's for a model in one piece.
        guard built.bytes.count < 1 << 31 else {
            throw EngineError(.unsupported, path, "its weights take more than the 2 GiB that an ONNX model can hold")
        }
        return built
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
            return (0..<batch.count).map { row in
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
            return (0..<batch.count).map { row in
                let logits = output.values[row * labels.count..<(row + 1) * labels.count]
                let probabilities = profile.isMultiLabel ? Vectors.sigmoid(logits) : Vectors.softmax(logits)
                return Classification(labels: labels, probabilities: probabilities)
            }
        }
    }

    /// The classes of each sequence's tokens.
    package func tag(_ sequences: [TokenSequence]) throws(EngineError) -> [TokenClassification] {
        guard profile.task == .tokenClassification else { throw wrongTask("tag") }
        return try run(sequences) { batch, output throws(EngineError) in
            try expect(output, [batch.count, batch.width, labels.count])
            return (0..<batch.count).map { row in
                var probabilities: [Float] = []
                probabilities.reserveCapacity(batch.lengths[row] * labels.count)
                for token in 0..<batch.lengths[row] {
                    let start = (row * batch.width + token) * labels.count
                    probabilities += Vectors.softmax(output.values[start..<start + labels.count])
                }
                return TokenClassification(labels: labels, probabilities: probabilities)
            }
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
