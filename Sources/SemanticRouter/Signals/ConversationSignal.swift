package import ConfigKit

/// Looks at the shape of the conversation: roles, tools, images.
package struct ConversationSignals: SignalKind {
    package enum Feature: String, CaseIterable, ConfigValue {
        case count, exists
    }

    package enum Role: String, CaseIterable, ConfigValue {
        case user, assistant, system, tool, developer
        case nonUser = "non_user"
    }

    package enum SourceType: String, CaseIterable, ConfigValue {
        case message
        case toolDefinition = "tool_definition"
        case toolChoiceRequired = "tool_choice_required"
        case toolChoiceNone = "tool_choice_none"
        case assistantToolCall = "assistant_tool_call"
        case assistantToolCycle = "assistant_tool_cycle"
        case activeToolLoop = "active_tool_loop"
        case imageContent = "image_content"
    }

    package struct Source: Configurable, Equatable {
        package var type = SourceType.message
        package var role: Role?

        package init() {}

        package static let schema = Schema<Self>("conversation source", "What is counted.") {
            Field("type", \.type, "What is counted.").required()
            Field("role", \.role, "For `message`: whose. Default: everybody's.")
        }
    }

    package struct FeatureConfig: Configurable, Equatable {
        package var type = Feature.count
        package var source = Source()

        package init() {}

        package static let schema = Schema<Self>("conversation feature", "What is looked at.") {
            Field("type", \.type, "Whether the number counts, or only that there is one.").required()
            Field("source", \.source, "What is counted.")
        }
    }

    package struct Settings: SignalSettings {
        package var name = ""
        package var description = ""
        package var feature = FeatureConfig()
        package var predicate: NumberPredicate?

        package init() {}

        package var signalName: String { name }

        package static let schema = Schema<Self>("conversation signal", "The shape of the conversation.") {
            Field("name", \.name, "The name that rules use.", example: "has_tools").required().notEmpty().headerSafe()
            Field("description", \.description, "For people.")
            Field("feature", \.feature, "What is looked at.")
            Field("predicate", \.predicate, "Bounds for a `count`. Without any the signal is always present.")
        }
    }

    package static let type = SignalType.conversation
    package static let summary = "The shape of the conversation: roles, tools, images."

    package let names: [String]
    private let rules: [Settings]

    package init(_ rules: [Settings]) {
        self.rules = rules
        names = rules.map(\.name)
    }

    package func evaluate(_ prompt: Prompt) -> [SignalReading] {
        rules.map { rule in
            let count = rule.feature.source.count(in: prompt.conversation)
            switch rule.feature.type {
            case .exists:
                return Self.reading(count > 0, value: count > 0 ? 1 : 0)
            case .count:
                return Self.reading(rule.predicate?.holds(Double(count)) ?? true, value: Double(count))
            }
        }
    }

    private static func reading(_ isPresent: Bool, value: Double) -> SignalReading {
        SignalReading(state: isPresent ? .present : .absent, confidence: isPresent ? 1 : 0, value: value)
    }
}

extension ConversationSignals.Source {
    fileprivate func count(in facts: ConversationFacts) -> Int {
        switch type {
        case .message:
            // Upstream counts developers' messages as one.
            let developer = min(facts.developer, 1)
            return switch role {
            case .user: facts.user
            case .assistant: facts.assistant
            case .system: facts.system
            case .tool: facts.tool
            case .developer: developer
            case .nonUser: facts.assistant + facts.system + facts.tool + developer
            case nil: facts.user + facts.assistant + facts.system + facts.tool + developer
            }
        case .toolDefinition: return facts.tools
        case .toolChoiceRequired: return facts.requiresTool ? 1 : 0
        case .toolChoiceNone: return facts.forbidsTools ? 1 : 0
        case .assistantToolCall: return facts.toolCalls
        case .assistantToolCycle: return facts.toolResults
        case .activeToolLoop: return facts.isInToolLoop ? 1 : 0
        case .imageContent: return facts.images
        }
    }
}
