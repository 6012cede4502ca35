package import ConfigKit

/// `projections`: signals that are computed from signals.
package struct ProjectionsConfig: Configurable {
    package var partitions: [PartitionConfig] = []
    package var scores: [ScoreConfig] = []
    package var mappings: [MappingConfig] = []

    package init() {}

    package static let schema = Schema<Self>("projections", "Signals that are computed from signals.") {
        Field("partitions", \.partitions, "Groups of signals of which only the strongest stays.")
        Field("scores", \.scores, "Weighted sums of signals.")
        Field("mappings", \.mappings, "Bands of a score, each a signal of type `projection`.")
    }
}

/// One of `projections.partitions`.
package struct PartitionConfig: Configurable {
    package enum Semantics: String, CaseIterable, ConfigValue {
        case exclusive
        case softmaxExclusive = "softmax_exclusive"
    }

    package var name = ""
    package var semantics = Semantics.exclusive
    package var temperature: Double?
    package var members: [String] = []
    package var fallback: String?

    package init() {}

    package static let schema = Schema<Self>("partition", "Domain or embedding signals of which one stays.") {
        Field("name", \.name, "For people.").required().notEmpty()
        Field("semantics", \.semantics, "Whether the strongest keeps its confidence or gets its share of a softmax.")
            .required()
        Field("temperature", \.temperature, "The softmax's temperature.")
            .check("must be above 0") { $0.map { $0 > 0 } ?? true }
        Field("members", \.members, "Names of domain or of embedding signals.").required().count(1...)
        Field("default", \.fallback, "The member that is taken where none is present.").required()
    }

    package func validate(_ report: inout ValidationReport) {
        if let fallback, !members.isEmpty, !members.contains(fallback) {
            report.unknown(fallback, among: members, at: "default")
        }
        for (index, member) in members.enumerated() where members[..<index].contains(member) {
            report.error("\"\(member)\" is named twice", at: "members", .index(index))
        }
        if semantics == .softmaxExclusive, temperature == nil, report.isSound("temperature") {
            report.error("softmax_exclusive needs a `temperature`", at: "semantics")
        }
    }
}

/// One of `projections.scores`.
package struct ScoreConfig: Configurable {
    package enum Method: String, CaseIterable, ConfigValue {
        case weightedSum = "weighted_sum"
    }

    package var name = ""
    package var method = Method.weightedSum
    package var inputs: [ScoreInputConfig] = []

    package init() {}

    package static let schema = Schema<Self>("score", "A weighted sum of signals.") {
        Field("name", \.name, "The name that mappings use.").required().notEmpty()
        Field("method", \.method, "How inputs combine.").required()
        Field("inputs", \.inputs, "What is summed.").required().count(1...)
    }
}

/// One of `projections.scores[].inputs`.
package struct ScoreInputConfig: Configurable {
    /// Upstream's words of signal types, and two more.
    package enum Source: Hashable, Sendable, ConfigValue {
        case signal(SignalType)
        case kbMetric

        private static let words = SignalType.allCases.map(\.rawValue) + ["kb_metric"]

        package static var configType: ConfigType { .choice(words) }

        package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Source? {
            guard let word = node.text?.lowercased(), words.contains(word) else {
                decoder.unknown(node, among: words)
                return nil
            }
            return SignalType(rawValue: word).map { .signal($0) } ?? .kbMetric
        }

        package var configNode: ConfigNode {
            switch self {
            case .signal(let type): .scalar(type.rawValue)
            case .kbMetric: .scalar("kb_metric")
            }
        }
    }

    package enum ValueSource: String, CaseIterable, ConfigValue {
        /// `match` where the signal is present, `miss` where not.
        case binary
        /// Its confidence; 0 where it is absent.
        case confidence
        /// Its value, present or not.
        case raw
        /// For projections and metrics: the score itself.
        case score
    }

    package var type = Source.signal(.keyword)
    package var name = ""
    package var weight = 0.0
    package var valueSource: ValueSource?
    package var match = 1.0
    package var miss = 0.0
    package var kb = ""
    package var metric = ""

    package init() {}

    /// Sums of such weights stay far from what a `Double` cannot hold.
    private static let largest = 1e6

    package static let schema = Schema<Self>("score input", "A signal and its weight.") {
        Field("type", \.type, "The kind of signal; `kb_metric` for a knowledge base's metric.").required()
        Field("name", \.name, "The signal's name; for `projection` a score's, or with `confidence` an output's.")
        Field("weight", \.weight, "What its value is multiplied by.").range(-largest...largest).required()
        Field("value_source", \.valueSource, "What counts as its value. Default: `binary`; for `projection` `score`.")
        Field("match", \.match, "With `binary`: the value where the signal is present.").range(-largest...largest)
        Field("miss", \.miss, "With `binary`: the value where it is absent.").range(-largest...largest)
        Field("kb", \.kb, "For `kb_metric`: the knowledge base.")
        Field("metric", \.metric, "For `kb_metric`: its metric.")
    }
}

/// One of `projections.mappings`.
package struct MappingConfig: Configurable {
    package enum Method: String, CaseIterable, ConfigValue {
        /// The first band that holds the score.
        case thresholdBands = "threshold_bands"
        /// Every band that holds it.
        case multiEmit = "multi_emit"
    }

    package var name = ""
    package var source = ""
    package var method = Method.thresholdBands
    package var calibration = CalibrationConfig()
    package var outputs: [BandConfig] = []

    package init() {}

    package static let schema = Schema<Self>("mapping", "Bands of a score.") {
        Field("name", \.name, "For people.").required().notEmpty()
        Field("source", \.source, "One of `projections.scores`.").required()
        Field("method", \.method, "Whether the first band that holds the score counts, or every one.")
        Field("calibration", \.calibration, "How confidence grows with the distance from a band's bounds.")
        Field("outputs", \.outputs, "The bands, tried in this order.").required().count(1...)
    }

    package func validate(_ report: inout ValidationReport) {
        if method == .multiEmit, outputs.count == 1 {
            report.error("multi_emit needs at least two outputs", at: "outputs")
        }
    }
}

package struct CalibrationConfig: Configurable {
    package enum Method: String, CaseIterable, ConfigValue {
        case sigmoidDistance = "sigmoid_distance"
    }

    package var method = Method.sigmoidDistance
    /// Upstream's default.
    package var slope = 12.0

    package init() {}

    package static let schema = Schema<Self>("calibration", "How confidence grows with the distance from a bound.") {
        Field("method", \.method, "The curve: 1 / (1 + e^(-slope · distance)).")
        Field("slope", \.slope, "How steep it is.").check("must be above 0") { $0 > 0 }.range(...10_000)
    }
}

/// One of `projections.mappings[].outputs`.
package struct BandConfig: Configurable {
    package var name = ""
    package var gt: Double?
    package var gte: Double?
    package var lt: Double?
    package var lte: Double?

    package init() {}

    package static let schema = Schema<Self>("band", "A range of a score, by the name that rules use.") {
        Field("name", \.name, "The name that rules use with `type: projection`.").required().notEmpty().headerSafe()
        Field("gt", \.gt, "Above this.")
        Field("gte", \.gte, "This or above.")
        Field("lt", \.lt, "Below this.")
        Field("lte", \.lte, "This or below.")
    }

    package var bounds: NumberPredicate { NumberPredicate(gt: gt, gte: gte, lt: lt, lte: lte) }

    package func validate(_ report: inout ValidationReport) { bounds.validate(&report) }
}
