package import ConfigKit

/// `routing`.
package struct RoutingConfig: Configurable {
    package var profile = ProfileConfig()
    package var modelCards: [ModelCard] = []

    package init() {}

    package static let schema = Schema<Self>("routing", "Signals and the decisions made from them.") {
        ProfileConfig.fields(of: \RoutingConfig.profile)
        Field("modelCards", \.modelCards, "What is known of the models, for choosing among them.")
        Removed("models", "write `routing.modelCards`")
    }
}

/// One of `recipes`.
package struct RecipeConfig: Configurable {
    package var name = ""
    package var description = ""
    package var profile = ProfileConfig()

    package init() {}

    package static let schema = Schema<Self>("recipe", "A routing profile of its own.") {
        Field("name", \.name, "The name that entrypoints use.").required().notEmpty().headerSafe()
        Field("description", \.description, "For people.")
        Field("routing", \.profile, "Signals and the decisions made from them.")
    }
}

/// One of `entrypoints`.
package struct EntrypointConfig: Configurable {
    package var modelNames: [String] = []
    package var recipe = RecipeConfig.defaultName

    package init() {}

    package static let schema = Schema<Self>("entrypoint", "Model names that ask for a recipe's choice.") {
        Field("model_names", \.modelNames, "The names that clients write.", example: "[acme/private]")
            .required().count(1...)
            .check("must not hold an empty name") { !$0.contains(where: \.isEmpty) }
        Field("recipe", \.recipe, "The recipe's name; `default` is `routing`.").notEmpty()
    }
}

extension RecipeConfig {
    /// The name under which entrypoints mean `routing` itself.
    package static let defaultName = "default"
}

/// What `routing` and each recipe have: signals, what is computed from them, and decisions.
package struct ProfileConfig: Configurable {
    package enum Strategy: String, CaseIterable, ConfigValue {
        case priority, confidence
    }

    /// Nil: `global.router.strategy`, else priority.
    package var strategy: Strategy?
    package var signals = SignalsConfig()
    package var projections = ProjectionsConfig()
    package var decisions: [DecisionConfig] = []

    package init() {}

    package static let schema = Schema<Self>("routing profile", "Signals and the decisions made from them.") {
        fields(of: \ProfileConfig.self)
    }

    /// The settings of a profile that is stored in another type.
    static func fields<Root: Configurable>(
        of profile: any WritableKeyPath<Root, ProfileConfig> & Sendable
    ) -> [AnyField<Root>] {
        func field<Value: ConfigValue>(
            _ key: String,
            _ part: any WritableKeyPath<ProfileConfig, Value> & Sendable,
            _ summary: String
        ) -> [AnyField<Root>] {
            SchemaBuilder.buildExpression(
                Field<Root, Value>(
                    key,
                    summary,
                    get: { $0[keyPath: profile][keyPath: part] },
                    set: { $0[keyPath: profile][keyPath: part] = $1 }
                )
            )
        }
        return field(
            "strategy",
            \.strategy,
            "Whether the highest priority or the highest confidence wins among decisions that match. Default: priority."
        )
            + field("signals", \.signals, "What is looked for in a request.")
            + field("projections", \.projections, "Signals that are computed from signals.")
            + field("decisions", \.decisions, "What is chosen when signals match.")
    }
}

/// One of `routing.modelCards`.
package struct ModelCard: Configurable {
    package var name = ""
    package var paramSize: String?
    package var contextWindow: Int?
    package var description = ""
    package var capabilities: [String] = []
    package var loras: [LoRAConfig] = []
    package var qualityScore: Double?
    package var modality: String?
    package var tags: [String] = []

    package init() {}

    package static let schema = Schema<Self>("model card", "What is known of a model.") {
        Field("name", \.name, "One of `providers.models`.").required().notEmpty()
        Field("param_size", \.paramSize, "Its number of parameters.", example: "8B")
        Field("context_window_size", \.contextWindow, "The most tokens of a conversation.").range(1...)
        Field("description", \.description, "What it is good at.")
        Field("capabilities", \.capabilities, "What it can do.", example: "[chat, tools]")
        Field("loras", \.loras, "Adapters that are served with it.")
        Field("quality_score", \.qualityScore, "How good it is.").range(0...1)
        Field("modality", \.modality, "What it makes.", example: "ar")
        Field("tags", \.tags, "For people and for choosing.")
    }
}

package struct LoRAConfig: Configurable {
    package var name = ""
    package var description = ""

    package init() {}

    package static let schema = Schema<Self>("LoRA", "An adapter served with a model.") {
        Field("name", \.name, "The name that workers serve it by.").required().notEmpty().headerSafe()
        Field("description", \.description, "What it is good at.")
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
