package import ConfigKit

/// The semantic policy: the part of vLLM Semantic Router's canonical v0.3 file that this router acts on.
///
/// Key names, nesting and defaults are upstream's.
package struct SemanticConfig: Configurable {
    package var version = "v0.3"
    package var providers = ProvidersConfig()
    package var routing = RoutingConfig()
    package var global = GlobalConfig()

    package init() {}

    package static let schema = Schema<Self>(
        "semantic policy",
        "What is routed where, and why: vLLM Semantic Router's canonical v0.3 layout."
    ) {
        Field("version", \.version, "The layout of this file.", example: "v0.3")
            .check("must be v0.3") { $0 == "v0.3" }
        Field("providers", \.providers, "The models that can be chosen, and where they are served.")
        Field("routing", \.routing, "Signals and the decisions made from them.")
        Field("global", \.global, "Settings of the router itself.")
    }

    package func validate(_ report: inout ValidationReport) {
        reportRepeats(providers.models.map(\.name), in: "providers", "models", &report)
        var models = providers.models.map(\.name).filter { !$0.isEmpty }
        models = models.enumerated().filter { !models[..<$0.offset].contains($0.element) }.map(\.element)
        if let name = providers.defaults.defaultModel, !models.isEmpty, !models.contains(name) {
            report.unknown(name, among: models, at: "providers", "defaults", "default_model")
        }
        let keywords = routing.signals.keywords.map(\.name)
        for (index, name) in keywords.enumerated() where keywords[..<index].contains(name) {
            report.error("\"\(name)\" is declared twice", at: "routing", "signals", "keywords", .index(index), "name")
        }
        let decisions = routing.decisions.map(\.name)
        reportRepeats(decisions, in: "routing", "decisions", &report)
        for (index, decision) in routing.decisions.enumerated() {
            for (position, reference) in decision.modelRefs.enumerated() where !models.contains(reference.model) {
                report.unknown(
                    reference.model,
                    among: models,
                    at: "routing",
                    "decisions",
                    .index(index),
                    "modelRefs",
                    .index(position),
                    "model"
                )
            }
            check(
                decision.rules,
                at: ["routing", "decisions", .index(index), "rules"],
                keywords: keywords,
                &report
            )
        }
    }

    private func reportRepeats(
        _ names: [String],
        in section: ConfigPath.Step,
        _ list: ConfigPath.Step,
        _ report: inout ValidationReport
    ) {
        for (index, name) in names.enumerated() where names[..<index].contains(name) {
            report.error("\"\(name)\" is declared twice", at: section, list, .index(index), "name")
        }
    }

    private func check(
        _ rule: RuleConfig,
        at path: [ConfigPath.Step],
        keywords: [String],
        _ report: inout ValidationReport
    ) {
        if rule.type != nil, rule.name == nil {
            report.error("names a kind of signal but no signal: add `name`", atPath: path)
        }
        if rule.name != nil, !rule.conditions.isEmpty {
            report.error("is either a condition or a combination, not both", atPath: path + ["conditions"])
        }
        if let name = rule.name {
            if !keywords.contains(name) { report.unknown(name, among: keywords, atPath: path + ["name"]) }
            if rule.operator != nil { report.error("is either a condition or a combination, not both", atPath: path) }
        } else if rule.operator == .not, rule.conditions.count != 1 {
            report.error("NOT takes exactly one condition", atPath: path + ["conditions"])
        }
        for (index, condition) in rule.conditions.enumerated() {
            check(condition, at: path + ["conditions", .index(index)], keywords: keywords, &report)
        }
    }
}

/// `providers`.
package struct ProvidersConfig: Configurable {
    package var defaults = ProviderDefaults()
    package var models: [ProviderModel] = []

    package init() {}

    package static let schema = Schema<Self>("providers", "The models that can be chosen.") {
        Field("defaults", \.defaults, "What holds when nothing else says otherwise.")
        Field("models", \.models, "The models by the names that decisions use.")
    }
}

package struct ProviderDefaults: Configurable {
    package var defaultModel: String?

    package init() {}

    package static let schema = Schema<Self>("provider defaults", "What holds when nothing else says otherwise.") {
        Field("default_model", \.defaultModel, "The model that answers when no decision matches.", example: "small")
    }
}

package struct ProviderModel: Configurable {
    package var name = ""
    package var providerModelID: String?

    package init() {}

    package static let schema = Schema<Self>("provider model", "A model that can be chosen.") {
        Field("name", \.name, "The name that decisions use.", example: "qwen3-8b").required().notEmpty().headerSafe()
        Field("provider_model_id", \.providerModelID, "The name that workers serve it by. Default: `name`.")
            .headerSafe()
    }
}

/// `routing`.
package struct RoutingConfig: Configurable {
    package var signals = SignalsConfig()
    package var decisions: [DecisionConfig] = []

    package init() {}

    package static let schema = Schema<Self>("routing", "Signals and the decisions made from them.") {
        Field("signals", \.signals, "What is looked for in a request.")
        Field("decisions", \.decisions, "What is chosen when signals match.")
    }
}

package struct SignalsConfig: Configurable {
    package var keywords: [KeywordSignal.Settings] = []

    package init() {}

    package static let schema = Schema<Self>("signals", "What is looked for in a request, by kind.") {
        Field("keywords", \.keywords, "Words and phrases.")
    }
}

package struct DecisionConfig: Configurable {
    package var name = ""
    package var description = ""
    package var priority = 0
    package var rules = RuleConfig()
    package var modelRefs: [ModelReference] = []

    package init() {}

    package static let schema = Schema<Self>("decision", "A choice and the rule under which it is made.") {
        Field("name", \.name, "Shown in `x-vsr-selected-decision`.", example: "code").required().notEmpty().headerSafe()
        Field("description", \.description, "For people.")
        Field("priority", \.priority, "Of several decisions that match, the highest priority wins.")
        Field("rules", \.rules, "When the decision matches. Without rules it always does.")
        Field("modelRefs", \.modelRefs, "The models to choose from.").required().count(1...)
    }
}

package struct ModelReference: Configurable {
    package var model = ""

    package init() {}

    package static let schema = Schema<Self>("model reference", "A model that a decision may choose.") {
        Field("model", \.model, "A name from `providers.models`.", example: "qwen3-8b").required()
    }
}

/// A rule: one condition (`type`, `name`), or conditions under an operator.
package struct RuleConfig: Configurable {
    package enum Operator: String, CaseIterable, ConfigValue {
        case and = "AND"
        case or = "OR"
        case not = "NOT"
    }

    package enum SignalType: String, CaseIterable, ConfigValue {
        case keyword
    }

    package var `operator`: Operator?
    package var conditions: [RuleConfig] = []
    package var type: SignalType?
    package var name: String?

    package init() {}

    package static let schema = Schema<Self>("rule", "One condition, or conditions under an operator.") {
        Field("operator", \.operator, "How `conditions` combine.")
        Field("conditions", \.conditions, "Rules to combine.")
        Field("type", \.type, "The kind of signal that a single condition asks for.")
        Field("name", \.name, "The signal's name.")
    }
}

/// `global`.
package struct GlobalConfig: Configurable {
    package var router = RouterConfig()

    package init() {}

    package static let schema = Schema<Self>("global", "Settings of the router itself.") {
        Field("router", \.router, "How requests are taken.")
    }
}

package struct RouterConfig: Configurable {
    /// Upstream's default.
    package var autoModelName = "MoM"

    package init() {}

    package static let schema = Schema<Self>("router", "How requests are taken.") {
        Field("auto_model_name", \.autoModelName, "The model name, besides `auto`, that asks for a choice.").notEmpty()
    }
}

extension Field where Value == String {
    /// The text ends in a header: a line break in it would end the header.
    package func headerSafe() -> Self {
        check("must not hold control characters", Self.isHeaderSafe)
    }

    fileprivate static func isHeaderSafe(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    }
}

extension Field where Value == String? {
    /// The text, if there is one, ends in a header.
    package func headerSafe() -> Self {
        check("must not hold control characters") { $0.map(Field<Root, String>.isHeaderSafe) ?? true }
    }
}
