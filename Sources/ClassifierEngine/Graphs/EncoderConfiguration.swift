import OpenAIWire

/// The encoder that a `config.json` describes, so that it can be built from weights.
package struct EncoderConfiguration: Hashable, Sendable {
    package enum Family: String, Hashable, Sendable, CaseIterable {
        case bert
        case roberta
        case xlmRoberta = "xlm-roberta"
        case modernBERT = "modernbert"

        /// What names of the encoder's weights begin with, beside a head and without one.
        var prefixes: [String] {
            switch self {
            case .bert: ["bert.", ""]
            case .roberta, .xlmRoberta: ["roberta.", ""]
            case .modernBERT: ["model.", ""]
            }
        }

        var embeddings: String {
            switch self {
            case .bert, .roberta, .xlmRoberta: "embeddings.word_embeddings.weight"
            case .modernBERT: "embeddings.tok_embeddings.weight"
            }
        }
    }

    package let profile: ModelProfile
    package let family: Family
    package let layers: Int
    package let heads: Int
    package let intermediate: Int
    let epsilon: Double
    let activation: Activation
    let modern: ModernBERTConfiguration?

    var path: String { profile.path }
    var task: ModelTask { profile.task }
    var hidden: Int { profile.hidden }
    var vocabulary: Int { profile.vocabulary }
    var types: Int { profile.types }

    /// Rows of the table of positions.
    var positionRows: Int {
        switch profile.positions {
        case .fromZero: profile.longestSequence
        case .afterPadding(let padding): profile.longestSequence + Int(padding) + 1
        }
    }

    /// Heads of 128 numbers, which are large, at the most positions: 64 MiB for a table.
    private static let mostAngles = 1 << 24

    init(_ file: JSONFile, _ profile: ModelProfile) throws(EngineError) {
        self.profile = profile
        family = try Self.readFamily(file)
        layers = try file.size("num_hidden_layers", upTo: 1 << 10)
        heads = try file.size("num_attention_heads")
        guard profile.hidden % heads == 0 else {
            throw EngineError(
                .contradiction,
                file.path,
                "hidden_size \(profile.hidden) is no multiple of num_attention_heads \(heads)"
            )
        }
        intermediate = try file.size("intermediate_size")
        switch family {
        case .modernBERT:
            modern = try ModernBERTConfiguration(file, layers: layers)
            // Tables of angles are made before any layer confirms the size of heads.
            guard profile.longestSequence * (profile.hidden / heads) <= Self.mostAngles else {
                throw EngineError(
                    .malformed,
                    file.path,
                    "heads of \(profile.hidden / heads) numbers at \(profile.longestSequence) positions: at most "
                        + "\(Self.mostAngles) together"
                )
            }
            epsilon = try file.double("norm_eps", default: 1e-5)
            activation = try Self.readActivation(file, "hidden_activation")
        case .bert, .roberta, .xlmRoberta:
            modern = nil
            epsilon = try file.double("layer_norm_eps", default: 1e-12)
            activation = try Self.readActivation(file, "hidden_act")
            let kind = try file.string("position_embedding_type", default: "absolute")
            guard kind == "absolute" else {
                throw EngineError(
                    .unsupported,
                    file.path,
                    "\"position_embedding_type\" is \"\(kind)\"; supported: absolute"
                )
            }
        }
    }

    static func readActivation(_ file: JSONFile, _ key: String) throws(EngineError) -> Activation {
        let name = try file.string(key, default: "gelu")
        guard let activation = Activation(configured: name) else {
            let known = Activation.allCases.map(\.rawValue).joined(separator: ", ")
            throw EngineError(.unsupported, file.path, "\"\(key)\" is \"\(name)\"; supported: \(known)")
        }
        return activation
    }

    static func readFamily(_ file: JSONFile) throws(EngineError) -> Family {
        let name = try file.string("model_type")
        guard let family = Family(rawValue: name) else {
            let known = Family.allCases.map(\.rawValue).joined(separator: ", ")
            throw EngineError(
                .unsupported,
                file.path,
                "\"model_type\" is \"\(name)\"; supported: \(known), or any model with an ONNX file in its folder onnx/"
            )
        }
        return family
    }
}

/// What only ModernBERT's config.json has.
struct ModernBERTConfiguration: Hashable, Sendable {
    /// By layer: whether its tokens see only those near them.
    let isLocal: [Bool]
    /// How many tokens to either side a local layer sees: half of `local_attention`
    /// (`sliding_window` in transformers' configuration_modernbert.py).
    let window: Int
    let globalTheta: Double
    let localTheta: Double
    let hasAttentionBias: Bool
    let hasMLPBias: Bool
    let hasNormBias: Bool
    let hasClassifierBias: Bool
    let classifierActivation: Activation
    let pooling: Pooling

    init(_ file: JSONFile, layers: Int) throws(EngineError) {
        isLocal = try Self.readLayers(file, layers)
        window = try file.size("local_attention", default: 128) / 2
        globalTheta = try Self.readTheta(file, "full_attention", "global_rope_theta", 160_000)
        localTheta = try Self.readTheta(file, "sliding_attention", "local_rope_theta", 10_000)
        hasAttentionBias = try file.bool("attention_bias", default: false)
        hasMLPBias = try file.bool("mlp_bias", default: false)
        hasNormBias = try file.bool("norm_bias", default: false)
        hasClassifierBias = try file.bool("classifier_bias", default: false)
        classifierActivation = try EncoderConfiguration.readActivation(file, "classifier_activation")
        let name = try file.string("classifier_pooling", default: "cls")
        guard let pooling = Pooling(rawValue: name) else {
            throw EngineError(.unsupported, file.path, "\"classifier_pooling\" is \"\(name)\"; supported: cls, mean")
        }
        self.pooling = pooling
    }

    /// `layer_types`, or every n-th layer from the first on global.
    private static func readLayers(_ file: JSONFile, _ layers: Int) throws(EngineError) -> [Bool] {
        guard let kinds = file["layer_types"] else {
            let interval = try file.size("global_attn_every_n_layers", default: 3)
            return (0..<layers).map { $0 % interval != 0 }
        }
        let isLocal = kinds.isArray ? kinds.elements.compactMap { Self.isLocal($0.string) } : []
        guard isLocal.count == layers else {
            throw file.wrong("layer_types", "\(layers) times full_attention or sliding_attention")
        }
        return isLocal
    }

    private static func isLocal(_ kind: String?) -> Bool? {
        switch kind {
        case "full_attention": false
        case "sliding_attention": true
        default: nil
        }
    }

    /// transformers 5 keeps a rope's base by the layer's kind; 4 under two keys of its own.
    private static func readTheta(
        _ file: JSONFile,
        _ kind: String,
        _ key: String,
        _ fallback: Double
    ) throws(EngineError) -> Double {
        if let type = file["rope_parameters", kind, "rope_type"]?.string, type != "default" {
            throw EngineError(.unsupported, file.path, "\"rope_type\" of \(kind) is \"\(type)\"; supported: default")
        }
        if file["rope_scaling"] != nil {
            throw EngineError(
                .unsupported,
                file.path,
                "\"rope_scaling\" is set; only plain rotary positions are supported"
            )
        }
        let theta: Double
        if let value = file["rope_parameters", kind, "rope_theta"] {
            guard let number = value.double else { throw file.wrong("rope_theta", "a number") }
            theta = number
        } else {
            theta = try file.double(key, default: fallback)
        }
        guard theta > 0 else { throw file.wrong(key, "more than 0") }
        return theta
    }
}
