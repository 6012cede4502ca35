package import Resilience
import Tokenizers

/// Static embeddings with their tokenizer, from one folder: the tier that needs no library and no thread of its own.
package struct StaticModel: TextEmbedder {
    package let name: String
    package let folder: String
    package let secondsToLoad: Double
    /// 1 for the first of its name, more for those that have replaced it.
    package let generation: UInt64
    /// How the folder looked when it was loaded.
    let folderState: FolderState?
    private let tokenizer: Tokenizer
    private let embedding: StaticEmbedding
    /// Of a text; what is longer is cut.
    package let maxTokens: Int

    /// Whether a folder holds static embeddings (model2vec's).
    package static func isStatic(folder: String) -> Bool {
        (try? JSONFile(path: folder + "/config.json").string("model_type", default: "")) == "model2vec"
    }

    /// - Parameter maxTokens: of a text; what is longer is cut. 4,096 take about two milliseconds.
    package init(
        _ name: String,
        folder: String,
        maxTokens: Int = 4_096,
        generation: UInt64 = 1
    ) throws(EngineError) {
        let start = ContinuousClock().now
        self.name = name
        self.folder = folder
        self.maxTokens = maxTokens
        self.generation = generation
        folderState = FolderState.of(folder)
        do {
            tokenizer = try Tokenizer(path: folder + "/tokenizer.json")
        } catch {
            throw EngineError(.malformed, error.file, error.problem)
        }
        embedding = try StaticEmbedding(folder: folder)
        guard tokenizer.vocabularySize <= embedding.vocabulary else {
            throw EngineError(
                .contradiction,
                folder + "/tokenizer.json",
                "it has \(tokenizer.vocabularySize) tokens, the model \(embedding.vocabulary): it is another model's"
            )
        }
        secondsToLoad = (ContinuousClock().now - start) / .seconds(1)
    }

    package var dimensions: Int { embedding.dimensions }
    /// What its weights take in memory.
    package var sizeBytes: Int { embedding.sizeBytes }

    /// The texts' vectors, on the calling thread: in microseconds each.
    package func embed(
        _ texts: [String],
        dimensions: Int?,
        by deadline: MonotonicTime
    ) async throws(ComputeError) -> Embeddings {
        var vectors: [[Float]] = []
        vectors.reserveCapacity(texts.count)
        for text in texts {
            guard !Task.isCancelled else { throw .cancelled }
            guard MonotonicTime.now() < deadline else { throw .deadline }
            vectors.append(try embed(text, dimensions: dimensions))
        }
        return Embeddings(vectors: vectors, generation: generation)
    }

    /// The text's vector, on the calling thread.
    ///
    /// - Throws: `unknownText` where more of the text is unknown than a model may judge; `unsupported` where the model has
    ///   no vectors of that length.
    package func embed(_ text: String, dimensions: Int? = nil) throws(ComputeError) -> [Float] {
        if let dimensions, !(1...self.dimensions).contains(dimensions) {
            throw .wrongDimensions(dimensions, of: name, "1 to \(self.dimensions)")
        }
        let encoding = try tokenizer.judge(
            TextInput(text, maxTokens: maxTokens),
            maxTokens: maxTokens,
            addsSpecialTokens: false
        )
        do {
            return try embedding.embed(encoding.ids, unknown: tokenizer.unknownID, dimensions: dimensions)
        } catch {
            throw .failed("\(error)")
        }
    }
}
