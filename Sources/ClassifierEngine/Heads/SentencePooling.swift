import OpenAIWire

/// How vectors of tokens become one of the text.
package enum Pooling: String, Hashable, Sendable, CaseIterable {
    /// The first token's.
    case cls
    /// The mean over all tokens that are not padding.
    case mean
}

/// What follows the encoder in a model for sentence embeddings.
package struct SentencePooling: Hashable, Sendable {
    package var pooling: Pooling
    /// Whether vectors are brought to length 1.
    package var isNormalized: Bool

    package init(pooling: Pooling = .mean, isNormalized: Bool = true) {
        self.pooling = pooling
        self.isNormalized = isNormalized
    }

    /// From `modules.json` and the folder that it names for pooling, as sentence-transformers writes them; nil without.
    init?(folder: String) throws(EngineError) {
        let path = folder + "/modules.json"
        guard isReadable(path) else { return nil }
        let modules = try JSONFile(path: path)
        self.init(isNormalized: false)
        for module in modules.elements {
            guard let type = module["type"]?.string else { throw modules.wrong("type", "a string in every module") }
            switch type.split(separator: ".").last {
            case "Transformer": continue
            case "Pooling":
                pooling = try Self.readPooling(folder + "/" + (module["path"]?.string ?? "") + "/config.json")
            case "Normalize": isNormalized = true
            default:
                throw EngineError(
                    .unsupported,
                    path,
                    "module \"\(type)\"; supported: Transformer, Pooling, Normalize"
                )
            }
        }
    }

    private static func readPooling(_ path: String) throws(EngineError) -> Pooling {
        let file = try JSONFile(path: path)
        var modes: [String] = []
        if let mode = file["pooling_mode"]?.string {
            modes = [mode]
        } else {
            for mode in [
                "cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken",
            ]
            where try file.bool("pooling_mode_\(mode)", default: false) {
                modes.append(mode)
            }
        }
        switch modes {
        case ["cls_token"], ["cls"]: return .cls
        case ["mean_tokens"], ["mean"]: return .mean
        default:
            let found = modes.joined(separator: " + ")
            throw EngineError(.unsupported, path, "pooling by \"\(found)\"; supported: cls, mean")
        }
    }
}
