import ClassifierEngine
import Foundation

/// What a folder of models holds, by its files: nothing of it is loaded.
package struct ModelFolder: Hashable, Sendable {
    package struct Model: Hashable, Sendable {
        /// The folder's name.
        package let name: String
        /// Where its files are: for 8 bits in `NAME-weights` where scripts/models/unpack-weights has left the same weights
        /// unpacked.
        package let path: String
    }

    /// Models for the inference library, by name.
    package private(set) var encoders: [Model] = []
    /// Static embeddings, by name.
    package private(set) var statics: [Model] = []
    /// Lines for the log: what is there and is no model, and what is missing.
    package private(set) var notes: [String] = []

    /// - Parameter prefersUnpacked: whether weights that can be quantized are better than packed ones.
    package init(_ folder: String, prefersUnpacked: Bool) {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            notes = ["the folder of models, \(folder), cannot be read; is --models-dir right?"]
            return
        }
        if Self.isThere(folder + "/config.json") {
            notes = ["\(folder) is a model itself; --models-dir names the folder that holds models"]
            return
        }
        for name in names.sorted() where !name.hasPrefix(".") && Self.isThere("\(folder)/\(name)/config.json") {
            add(name, in: folder, prefersUnpacked: prefersUnpacked)
        }
        if encoders.isEmpty, statics.isEmpty {
            notes.append(
                "no model in \(folder): each is a folder with config.json and tokenizer.json; `make models` fetches some"
            )
        }
    }

    private mutating func add(_ name: String, in folder: String, prefersUnpacked: Bool) {
        let path = "\(folder)/\(name)"
        if name.hasSuffix(Self.unpacked), Self.isThere(path.dropLast(Self.unpacked.count) + "/config.json") { return }
        guard Self.isThere(path + "/tokenizer.json") else {
            notes.append("\(path) has config.json but no tokenizer.json: it is left out")
            return
        }
        if StaticModel.isStatic(folder: path) {
            statics.append(Model(name: name, path: path))
        } else {
            let isUnpacked = prefersUnpacked && Self.isThere(path + Self.unpacked + "/model.safetensors")
            encoders.append(Model(name: name, path: isUnpacked ? path + Self.unpacked : path))
        }
    }

    private static let unpacked = "-weights"

    private static func isThere(_ path: some StringProtocol) -> Bool {
        FileManager.default.isReadableFile(atPath: String(path))
    }
}
