package import ConfigKit

/// The kinds of signals that rules may name, by upstream's words under `type`.
package enum SignalType: String, CaseIterable, Hashable, ConfigValue {
    case keyword, embedding, domain
    case factCheck = "fact_check"
    case userFeedback = "user_feedback"
    case reask, preference, language, context, structure, complexity, modality, authz, jailbreak, pii, kb
    case conversation, event, metadata, classifier, projection

    /// Upstream takes either case.
    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> SignalType? {
        guard let type = node.text.flatMap({ SignalType(rawValue: $0.lowercased()) }) else {
            decoder.unknown(node, among: allCases.map(\.rawValue))
            return nil
        }
        return type
    }

    /// The key under `routing.signals`; nil for what is computed from other signals.
    package var settingsKey: String? {
        switch self {
        case .keyword: "keywords"
        case .embedding: "embeddings"
        case .domain: "domains"
        case .userFeedback: "user_feedbacks"
        case .reask: "reasks"
        case .preference: "preferences"
        case .authz: "role_bindings"
        case .event: "events"
        case .classifier: "classifiers"
        case .projection: nil
        case .factCheck, .language, .context, .structure, .complexity, .modality, .jailbreak, .pii, .kb, .conversation,
            .metadata:
            rawValue
        }
    }

    /// The word in the evaluation API's objects and in probes.
    package var reportKey: String {
        switch self {
        case .keyword: "keywords"
        case .embedding: "embeddings"
        case .domain: "domains"
        default: rawValue
        }
    }
}

/// One signal: its kind, and its name among those of the kind (`needs_reasoning:hard` where a signal has levels).
package struct SignalID: Hashable, Sendable, CustomStringConvertible {
    package let type: SignalType
    package let name: String

    package init(_ type: SignalType, _ name: String) {
        self.type = type
        self.name = name
    }

    /// `keyword:code`, upstream's spelling.
    package var description: String { "\(type.rawValue):\(name)" }
}
