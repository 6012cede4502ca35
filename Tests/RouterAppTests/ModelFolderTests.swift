import Foundation
import RouterApp
import Testing

@Suite struct ModelFolderTests {
    /// Reads a folder with these files, in an order of no meaning; `{}` of a note is the folder.
    private func read(_ files: [String: String], prefersUnpacked: Bool = true) throws -> ModelFolder {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sextant-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            let file = folder.appending(path: name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        return ModelFolder(folder.path, prefersUnpacked: prefersUnpacked)
    }

    private func names(_ models: [ModelFolder.Model]) -> [String] {
        models.map { "\($0.name) of \(URL(filePath: $0.path).lastPathComponent)" }
    }

    @Test("Every folder with a configuration and a tokenizer is a model by its name")
    func models() throws {
        let found = try read([
            "b/config.json": "{}", "b/tokenizer.json": "{}", "a/config.json": #"{"model_type": "bert"}"#,
            "a/tokenizer.json": "{}", "words/config.json": #"{"model_type": "model2vec"}"#,
            "words/tokenizer.json": "{}",
            "onnxruntime/libonnxruntime.so": "", ".fetching-x/m/config.json": "{}", "NOTICE": "",
        ])
        #expect(names(found.encoders) == ["a of a", "b of b"])
        #expect(names(found.statics) == ["words of words"])
        #expect(found.notes.isEmpty)
    }

    @Test("Unpacked weights are taken for 8 bits, and are no model of their own", arguments: [true, false])
    func unpacked(prefers: Bool) throws {
        let found = try read(
            [
                "m/config.json": "{}", "m/tokenizer.json": "{}", "m-weights/config.json": "{}",
                "m-weights/tokenizer.json": "{}", "m-weights/model.safetensors": "", "x-weights/config.json": "{}",
                "x-weights/tokenizer.json": "{}",
            ],
            prefersUnpacked: prefers
        )
        #expect(names(found.encoders) == ["m of \(prefers ? "m-weights" : "m")", "x-weights of x-weights"])
    }

    @Test("What is missing is said, with what to do")
    func notes() throws {
        let missing = ModelFolder("/nonexistent/models", prefersUnpacked: true)
        #expect(missing.notes == ["the folder of models, /nonexistent/models, cannot be read; is --models-dir right?"])
        let empty = try read(["readme": ""])
        #expect(empty.notes.count == 1 && empty.notes[0].hasPrefix("no model in "))
        let itself = try read(["config.json": "{}", "tokenizer.json": "{}"])
        #expect(itself.notes.count == 1 && itself.notes[0].contains(" is a model itself; --models-dir names "))
        let half = try read(["m/config.json": "{}", "n/config.json": "{}", "n/tokenizer.json": "{}"])
        #expect(
            half.notes.count == 1 && half.notes[0].hasSuffix("/m has config.json but no tokenizer.json: it is left out")
        )
        #expect(names(half.encoders) == ["n of n"])
        for found in [missing, empty, itself] { #expect(found.encoders.isEmpty && found.statics.isEmpty) }
    }
}
