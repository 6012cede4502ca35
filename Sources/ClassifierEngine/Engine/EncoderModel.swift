package import Tokenizers

/// A model with its tokenizer, from one folder: texts in, answers out, many texts in one run.
package final class EncoderModel: BatchModel {
    package struct Settings: Hashable, Sendable {
        package var model = TextModel.Settings()
        /// 512: what BERT's kin are trained for. Longer texts are cut there, or where the folder says.
        package var maxTokens = 512
        /// Of embeddings; nil: all of the model's.
        package var dimensions: Int?
        /// 32 texts and 2,048 tokens: more gain nothing on a CPU, hold up who waits, and take hundreds of MiB of memory.
        package var batchTexts = 32
        package var batchTokens = 2_048

        package init() {}
    }

    package let tokenizer: Tokenizer
    package let model: TextModel
    package let limits: BatchLimits
    /// How long a text may be, special tokens included.
    package let maxTokens: Int
    private let dimensions: Int?

    /// Loads a folder: `tokenizer.json`, `config.json`, and weights as `TextModel` finds them.
    package init(folder: String, runtime: OnnxRuntime, settings: Settings = Settings()) throws(EngineError) {
        do {
            tokenizer = try Tokenizer(path: folder + "/tokenizer.json")
        } catch {
            throw EngineError(.malformed, error.file, error.problem)
        }
        model = try TextModel(folder: folder, runtime: runtime, settings: settings.model)
        guard tokenizer.vocabularySize <= model.profile.vocabulary else {
            throw EngineError(
                .contradiction,
                folder + "/tokenizer.json",
                "it has \(tokenizer.vocabularySize) tokens, the model \(model.profile.vocabulary): it is another model's"
            )
        }
        if let dimensions = settings.dimensions, !(1...model.profile.hidden).contains(dimensions) {
            throw EngineError(
                .input,
                folder,
                "\(dimensions) dimensions were asked for; the model has \(model.profile.hidden)"
            )
        }
        dimensions = settings.dimensions
        let trained = try Self.readLength(folder) ?? settings.maxTokens
        maxTokens = max(8, min(settings.maxTokens, trained, model.profile.longestSequence))
        limits = BatchLimits(
            calls: max(1, settings.batchTexts),
            paddedTokens: max(maxTokens, settings.batchTokens)
        )
    }

    /// `max_seq_length`, where sentence-transformers cuts texts for this model; nil if the folder does not say.
    private static func readLength(_ folder: String) throws(EngineError) -> Int? {
        let path = folder + "/sentence_bert_config.json"
        guard isReadable(path) else { return nil }
        let file = try JSONFile(path: path)
        return file["max_seq_length"] == nil ? nil : try file.size("max_seq_length")
    }

    /// The length of its vectors.
    package var vectorLength: Int { dimensions ?? model.profile.hidden }

    package func run(_ batch: [TextInput]) throws -> [Result<TextAnswer, ComputeError>] {
        let encodings = batch.map { input in
            Result { () throws(ComputeError) in try tokenizer.judge(input, maxTokens: maxTokens) }
        }
        let judged = encodings.enumerated().compactMap { index, encoding in
            (try? encoding.get()).map { (index: index, encoding: $0) }
        }
        var answers: [Int: TextAnswer] = [:]
        for run in limits.runs(of: judged.map(\.encoding.count)) {
            let found = try self.answers(to: run.map { judged[$0].encoding })
            for (place, answer) in zip(run, found) { answers[judged[place].index] = answer }
        }
        return encodings.enumerated().map { index, encoding in
            encoding.flatMap { _ in answers[index].map { .success($0) } ?? .failure(.failed("the model gave no answer"))
            }
        }
    }

    private func answers(to texts: [Encoding]) throws(EngineError) -> [TextAnswer] {
        let sequences = texts.map { TokenSequence(ids: $0.ids, types: $0.typeIDs) }
        switch model.profile.task {
        case .embedding:
            return try model.embed(sequences, dimensions: dimensions).map { .vector($0) }
        case .sequenceClassification:
            return try model.classify(sequences).map { .classes($0) }
        case .tokenClassification:
            return try zip(model.tag(sequences), texts).map { tags, text in
                .spans(tags.spans(offsets: text.offsets, isSpecial: text.isSpecial))
            }
        }
    }

    /// Why `new` cannot take this model's place; nil if it can. Classes may have other names, and be more or fewer: that
    /// is what training anew does.
    func misfit(_ new: EncoderModel) -> String? {
        let (task, other) = (model.profile.task, new.model.profile.task)
        guard task == other else { return "it is made for \(other.rawValue), not for \(task.rawValue)" }
        guard task != .embedding || vectorLength == new.vectorLength else {
            return "its vectors have \(new.vectorLength) numbers, not \(vectorLength)"
        }
        return nil
    }
}
