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

    /// What there is to load, and lines for the log about what is not; nil where no folder is named.
    func settings() -> (settings: ClassifierModels.Settings, notes: [String])? {
        guard let folder else { return nil }
        let found = ModelFolder(folder, prefersUnpacked: precision == .int8)
        var notes = found.notes
        var settings = ClassifierModels.Settings()
        settings.threads = threads
        let library = library ?? folder + "/onnxruntime/libonnxruntime.so"
        if FileManager.default.isReadableFile(atPath: library) {
            settings.library = library
        } else if !found.encoders.isEmpty {
            notes.append(
                """
                \(library) is missing, and so \(found.encoders.map(\.name).joined(separator: ", ")) cannot run: `make \
                models` fetches it, --onnxruntime names another
                """
            )
        }
        settings.staticModels = found.statics.map { ($0.name, $0.path) }
        settings.encoders = found.encoders.map { model in
            var entry = ClassifierModels.Entry(name: model.name, folder: model.path)
            if canaryShare.value > 0 { entry.settings.canary = Canary.Settings(share: canaryShare.value) }
            entry.settings.encoder.model.precision = precision == .int8 ? .int8 : .float32
            return entry
        }
        return (settings, notes)
    }
}
