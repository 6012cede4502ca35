package import ConfigKit

/// One of `decisions`: a choice and the rule under which it is made.
package struct DecisionConfig: Configurable {
    package var name = ""
    package var description = ""
    package var priority = 0
    package var tier = 0
    package var rules = RuleConfig()
    package var modelRefs: [ModelReference] = []
    package var algorithm = AlgorithmConfig()
    package var plugins: [PluginConfig] = []
    package var annotations: [String: String] = [:]

    package init() {}

    package static let schema = Schema<Self>("decision", "A choice and the rule under which it is made.") {
        Field("name", \.name, "Shown in `x-vsr-selected-decision`.", example: "code").required().notEmpty().headerSafe()
        Field("description", \.description, "For people.")
        Field("priority", \.priority, "Of several decisions that match, the highest priority wins.")
        Field("tier", \.tier, "Lower tiers win whatever their priority. Where one is given, confidence comes next.")
            .range(0...)
        Field("rules", \.rules, "When the decision matches. Without rules it always does.")
        Field("modelRefs", \.modelRefs, "The models to choose from; the first one that is served wins.")
        Field("algorithm", \.algorithm, "How a model is chosen among `modelRefs`.")
        Field("plugins", \.plugins, "What else happens to the request.")
        Field("annotations", \.annotations, "For people.")
        NotSupported("output_contract", "the answer is the model's")
        NotSupported("output_contract_spec", "the answer is the model's")
        NotSupported("adaptations", "the choice is not adapted to feedback")
        NotSupported("candidateIterations", "`modelRefs` names the candidates")
        NotSupported("emits", "no retention is asked of workers")
        Removed("modelSelectionAlgorithm", "write `algorithm`")
        Removed("tool_scope", "write a `tools` plugin")
        Removed("allow_tools", "write a `tools` plugin")
        Removed("block_tools", "write a `tools` plugin")
    }

    package func validate(_ report: inout ValidationReport) {
        var seen: Set<String> = []
        for (index, plugin) in plugins.enumerated() where !seen.insert(plugin.type).inserted {
            report.error("the decision has this plugin already", at: "plugins", .index(index), "type")
        }
        let answersItself = plugins.contains { if case .fastResponse = $0 { true } else { false } }
        if modelRefs.isEmpty, !answersItself, report.isSound("modelRefs"), report.isSound("plugins") {
            report.error("needs a model, or a `fast_response` plugin", at: "modelRefs")
        }
    }
}

/// One of `decisions[].modelRefs`.
package struct ModelReference: Configurable {
    package var model = ""
    package var loraName: String?
    package var weight: Double?
    package var usesReasoning = false
    package var reasoningDescription = ""
    package var reasoningEffort: ReasoningEffort?

    package init() {}

    package static let schema = Schema<Self>("model reference", "A model that a decision may choose.") {
        Field("model", \.model, "A name from `providers.models`.", example: "qwen3-8b").required()
        Field("lora_name", \.loraName, "One of the adapters on the model's card: its name is asked for instead.")
            .headerSafe()
        Field("weight", \.weight, "Its share where requests are spread; the `static` algorithm does not.").range(0...)
        Field("use_reasoning", \.usesReasoning, "Whether the model is told to reason.")
        Field("reasoning_description", \.reasoningDescription, "For people.")
        Field("reasoning_effort", \.reasoningEffort, "How much. Default: `providers.defaults`'.")
    }

    /// The name that is shown and asked for: the adapter's, where there is one.
    package var selectedName: String { loraName ?? model }
}

/// `decisions[].algorithm`.
package struct AlgorithmConfig: ConfigValue {
    /// Upstream's word; `static` where none is written.
    package var type = "static"

    package init() {}

    private static let types = [
        "static", "router_dc", "automix", "hybrid", "latency_aware", "multi_factor", "prompt", "knn", "kmeans", "svm",
        "mlp", "confidence", "ratings", "remom", "fusion", "workflows",
    ]

    package static var configType: ConfigType { .anything }

    package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> AlgorithmConfig? {
        guard let (word, _) = decoder.tag(of: node, key: "type", among: types) else { return nil }
        var algorithm = AlgorithmConfig()
        algorithm.type = word
        if word != "static" {
            decoder.notSupported("\(word): the first of `modelRefs` that is served is chosen", at: node["type"] ?? node)
        }
        return algorithm
    }

    package var configNode: ConfigNode {
        .mapping([("type", .scalar(type))])
    }
}

/// A rule: one condition (`type`, `name`), or conditions under an operator.
package struct RuleConfig: Configurable {
    /// Upstream takes either case.
    package enum Operator: String, CaseIterable, ConfigValue {
        case and = "AND"
        case or = "OR"
        case not = "NOT"

        package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> Operator? {
            guard let word = node.text.flatMap({ Operator(rawValue: $0.uppercased()) }) else {
                decoder.unknown(node, among: allCases.map(\.rawValue))
                return nil
            }
            return word
        }
    }

    package enum OnError: String, CaseIterable, ConfigValue {
        case match
        case noMatch = "no_match"
    }

    package var `operator`: Operator?
    package var conditions: [RuleConfig] = []
    package var type: SignalType?
    package var name: String?
    package var label: String?
    package var predicate: NumberPredicate?
    package var onError = OnError.noMatch

    package init() {}

    package static let schema = Schema<Self>("rule", "One condition, or conditions under an operator.") {
        Field("operator", \.operator, "How `conditions` combine. Default: AND.")
        Field("conditions", \.conditions, "Rules to combine.")
        Field("type", \.type, "The kind of signal that a single condition asks for.")
        Field("name", \.name, "The signal's name.").headerSafe()
        Field("label", \.label, "For `type: classifier`: the label whose score is compared.")
        Field("predicate", \.predicate, "Bounds for the signal's value, in place of whether it is present.")
        Field("on_error", \.onError, "For a predicate: what a signal counts as that could not be evaluated.")
    }

    /// The signal of a single condition.
    var signal: SignalID? {
        guard let type, let name else { return nil }
        return SignalID(type, label.map { "\(name):\($0)" } ?? name)
    }
}
