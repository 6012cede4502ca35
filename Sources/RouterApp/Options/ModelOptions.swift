import ClassifierEngine
package import ConfigKit
import Foundation

/// The flags that say which models a process runs itself, for every command that reads requests.
package struct ModelOptions: Sendable, Hashable {
    package var folder: String?
    package var library: String?
    package var precision = Precision.int8
    package var threads = 1
    package var canaryShare: Ratio = 0.0

    package init() {}

    package enum Precision: String, CaseIterable, ConfigValue {
        case int8
        case float32
    }

    /// The flags, for the schema of options that hold a value of this type at `keyPath`.
    @SchemaBuilder<Root>
    package static func fields<Root: Configurable>(
        at keyPath: any WritableKeyPath<Root, ModelOptions> & Sendable
    ) -> [AnyField<Root>] {
        Field<Root, String?>(
            "models-dir",
            """
            A folder of models, each in a folder of its own with config.json and tokenizer.json, as \
            scripts/fetch-models fills it. Without it no model is loaded.
            """,
            example: ".models",
            get: { $0[keyPath: keyPath].folder },
            set: { $0[keyPath: keyPath].folder = $1 }
        )
        Field<Root, String?>(
            "onnxruntime",
            "The file libonnxruntime.so. Default: onnxruntime/libonnxruntime.so in --models-dir.",
            get: { $0[keyPath: keyPath].library },
            set: { $0[keyPath: keyPath].library = $1 }
        )
        Field<Root, Precision>(
            "model-precision",
            "How weights are multiplied where the folder leaves the choice: int8 is faster, float32 exact.",
            get: { $0[keyPath: keyPath].precision },
            set: { $0[keyPath: keyPath].precision = $1 }
        )
        Field<Root, Int>(
            "compute-threads",
            "Threads that run models, apart from the event loops.",
            get: { $0[keyPath: keyPath].threads },
            set: { $0[keyPath: keyPath].threads = $1 }
        )
        .range(1...256)
        Field<Root, Ratio>(
            "model-canary-share",
            """
            The share of texts by which a changed model is tried for a minute before it takes over, or is rolled back for \
            errors or slowness. 0: it takes over at once.
            """,
            get: { $0[keyPath: keyPath].canaryShare },
            set: { $0[keyPath: keyPath].canaryShare = $1 }
        )
    }

    /// What there is to load, by the folder's contents; nil where no folder is named.
    ///
    /// - Throws: where the folder cannot be read.
    func settings() throws(ModelFolderError) -> ClassifierModels.Settings? {
        guard let folder else { return nil }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        } catch {
            throw ModelFolderError(folder: folder)
        }
        var settings = ClassifierModels.Settings()
        settings.threads = threads
        let usual = folder + "/onnxruntime/libonnxruntime.so"
        settings.library = library ?? (FileManager.default.isReadableFile(atPath: usual) ? usual : nil)
        for name in names {
            let path = folder + "/" + name
            guard ["config.json", "tokenizer.json"].allSatisfy({ Self.isThere(path + "/" + $0) }) else { continue }
            // The same model in a form that 8 bits can be made of, as scripts/models/unpack-weights leaves it.
            let unpacked = precision == .int8 && Self.isThere(path + "-weights/model.safetensors")
            if name.hasSuffix("-weights"), Self.isThere(String(path.dropLast("-weights".count)) + "/config.json") {
                continue
            }
            if StaticModel.isStatic(folder: path) {
                settings.staticModels.append((name, path))
            } else {
                var entry = ClassifierModels.Entry(name: name, folder: unpacked ? path + "-weights" : path)
                if canaryShare.value > 0 { entry.settings.canary = Canary.Settings(share: canaryShare.value) }
                entry.settings.encoder.model.precision = precision == .int8 ? .int8 : .float32
                settings.encoders.append(entry)
            }
        }
        return settings
    }

    private static func isThere(_ path: String) -> Bool { FileManager.default.isReadableFile(atPath: path) }
}

/// A folder of models that is none.
struct ModelFolderError: Error, CustomStringConvertible {
    let folder: String
    var description: String { "--models-dir: the folder \(folder) cannot be read" }
}
