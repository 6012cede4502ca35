import ConfigKit
package import OpenAIWire

/// How a backend is told to reason.
package enum ReasoningTransport: String, Sendable, CaseIterable {
    /// Through the chat template: vLLM and everything that we do not know.
    case chatTemplate
    /// By `reasoning_effort` in the body: OpenAI, OpenRouter, Azure.
    case topLevel
    /// By a `thinking` object: DeepSeek's own API.
    case thinkingObject

    /// What the backend's `provider` says, or else the host it is reached at.
    ///
    /// `provider: openai` also names APIs that are merely like OpenAI's, so that DeepSeek's host outweighs it.
    package static func of(_ backend: BackendReference) -> ReasoningTransport {
        let byHost = backend.url.flatMap { hosted($0.host) }
        switch backend.provider?.lowercased() {
        case "deepseek": return .thinkingObject
        case "openai": return byHost ?? .topLevel
        case "openrouter", "azure", "azure-openai": return .topLevel
        case nil: return byHost ?? .chatTemplate
        default: return .chatTemplate
        }
    }

    /// The transport of a provider's public API; the hosts are those that vLLM Semantic Router knows.
    private static func hosted(_ host: String) -> ReasoningTransport? {
        var host = host.lowercased()
        // A name may end in the root's dot.
        if host.hasSuffix(".") { host.removeLast() }
        switch host {
        case "api.deepseek.com": return .thinkingObject
        case "api.openai.com", "openrouter.ai": return .topLevel
        default: return azureDomains.contains { host.hasSuffix($0) } ? .topLevel : nil
        }
    }

    private static let azureDomains = [
        ".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com",
    ]
}

/// Which release of vLLM Semantic Router the spelling follows.
package enum ReasoningGeneration: String, Sendable, CaseIterable, ConfigValue {
    // Without the underscore, versions would read as v1 and v3 of something.
    // swift-format-ignore: AlwaysUseLowerCamelCase
    /// A family of type `reasoning_effort` is told at the top level, whatever the backend.
    case v0_1 = "v0.1"
    // swift-format-ignore: AlwaysUseLowerCamelCase
    /// By the backend's `ReasoningTransport`.
    case v0_3 = "v0.3"
}

/// Whether and how much the chosen model shall reason.
package struct ReasoningChoice: Sendable, Equatable {
    /// How the model's kind is told; nil when nothing is known of it.
    package var family: ReasoningFamily?
    package var isOn: Bool
    /// How much, when on.
    package var effort: ReasoningEffort
    package var transport: ReasoningTransport
    package var generation: ReasoningGeneration

    package init(
        family: ReasoningFamily?,
        isOn: Bool,
        effort: ReasoningEffort = .medium,
        transport: ReasoningTransport = .chatTemplate,
        generation: ReasoningGeneration = .v0_3
    ) {
        self.family = family
        self.isOn = isOn
        self.effort = effort
        self.transport = transport
        self.generation = generation
    }
}

/// Tells the chosen model to reason or not, in the spelling that its family and its backend understand.
///
/// For chat completions, by the family's type (`kwargs` is `chat_template_kwargs`, "client's" the `reasoning_effort` that
/// the client sent):
///
/// | Type | On | Off |
/// |---|---|---|
/// | chat_template_kwargs | kwargs[parameter] = true | kwargs[parameter] = false |
/// | reasoning_effort, through the template | kwargs[parameter] = effort | kwargs[parameter] = client's, or "low" |
/// | reasoning_effort, top level | parameter = effort | client's is kept |
/// | reasoning_effort, v0.1 | reasoning_effort = effort | client's is kept, or "low" |
/// | top_level_reasoning_effort | parameter = effort | client's is kept |
/// | any, DeepSeek's API | `thinking` enabled, reasoning_effort = effort | `thinking` disabled, no effort |
///
/// The client's `reasoning_effort` is removed where the table does not name it, and so is kwargs[parameter]; DeepSeek's
/// API gets no kwargs at all. Other members of kwargs keep their bytes. Kwargs that are neither an object nor null stay
/// as they are: the worker says what is wrong with them.
///
/// The responses API has one spelling, `reasoning.effort`, which is set when on and left alone when off. Other endpoints
/// are left alone. So is a model without family, whatever the client wished for: newer releases of vLLM Semantic Router
/// do the same, older ones removed `reasoning_effort`.
package struct ReasoningEdit: Sendable {
    private let choice: ReasoningChoice

    package init(_ choice: ReasoningChoice) { self.choice = choice }

    package static func edits(_ choice: ReasoningChoice, for request: TextRequest) -> [JSONEdit] {
        var draft = RequestDraft(request)
        ReasoningEdit(choice).apply(to: &draft)
        return draft.edits
    }

    func apply(to draft: inout RequestDraft) {
        guard let family = choice.family else { return }
        switch draft.endpoint {
        case .chatCompletions: applyToChat(family, of: &draft)
        case .responses: applyToResponses(of: &draft)
        case .completions, .messages, .embeddings, .rerank, .score, .tokenize, .detokenize, .classify, .pooling: break
        }
    }

    // MARK: Chat

    private static let effortKey = "reasoning_effort"
    private static let kwargsKey = "chat_template_kwargs"
    private static let thinkingKey = "thinking"
    /// What a model that only knows efforts is told when reasoning is off.
    private static let leastEffort = JSONFragment("low")

    private var effort: JSONFragment { JSONFragment(choice.effort.rawValue) }

    private func applyToChat(_ family: ReasoningFamily, of draft: inout RequestDraft) {
        if choice.generation == .v0_3, choice.transport == .thinkingObject {
            return applyThinking(to: &draft)
        }
        switch (family.type, choice.generation, choice.transport) {
        case (.chatTemplateKwargs, _, _):
            draft.remove(Self.effortKey)
            setKwarg(family.parameter, JSONFragment(choice.isOn), of: &draft)
        case (.reasoningEffort, .v0_1, _):
            if choice.isOn {
                draft.set(Self.effortKey, effort)
            } else if clientEffort(of: draft) == nil {
                draft.set(Self.effortKey, Self.leastEffort)
            }
        case (.reasoningEffort, .v0_3, .chatTemplate):
            let value = choice.isOn ? effort : clientEffort(of: draft) ?? Self.leastEffort
            draft.remove(Self.effortKey)
            setKwarg(family.parameter, value, of: &draft)
        case (.reasoningEffort, .v0_3, _), (.topLevelReasoningEffort, _, _):
            if choice.isOn {
                if family.parameter != Self.effortKey { draft.remove(Self.effortKey) }
                draft.set(family.parameter, effort)
            }
            removeKwarg(family.parameter, of: &draft)
        }
    }

    private func applyThinking(to draft: inout RequestDraft) {
        draft.remove(Self.kwargsKey)
        if choice.isOn {
            draft.set(Self.effortKey, effort)
        } else {
            draft.remove(Self.effortKey)
        }
        draft.set(Self.thinkingKey, ["type": choice.isOn ? "enabled" : "disabled"])
    }

    /// The effort that the client asked for, if it is a word.
    private func clientEffort(of draft: RequestDraft) -> JSONFragment? {
        guard let effort = draft.client(Self.effortKey), effort.isString else { return nil }
        return JSONFragment(effort)
    }

    private func setKwarg(_ name: String, _ value: JSONFragment, of draft: inout RequestDraft) {
        guard let kwargs = draft.client(Self.kwargsKey), !kwargs.isNull else {
            return draft.set(Self.kwargsKey, .object([(name, value)]))
        }
        guard kwargs.isObject, !kwargs.says(name, value) else { return }
        draft.edit(inside: Self.kwargsKey, [.set([.key(Self.kwargsKey), .key(name)], value)])
    }

    /// Removes the argument, and the whole object where nothing else is in it.
    private func removeKwarg(_ name: String, of draft: inout RequestDraft) {
        guard let kwargs = draft.client(Self.kwargsKey), kwargs[name] != nil else { return }
        if kwargs.members.allSatisfy({ $0.key.isString(equalTo: name) }) {
            draft.remove(Self.kwargsKey)
        } else {
            draft.edit(inside: Self.kwargsKey, [.remove([.key(Self.kwargsKey), .key(name)])])
        }
    }

    // MARK: Responses

    private func applyToResponses(of draft: inout RequestDraft) {
        guard choice.isOn else { return }
        guard let reasoning = draft.client("reasoning"), !reasoning.isNull else {
            return draft.set("reasoning", ["effort": effort])
        }
        guard reasoning.isObject, !reasoning.says("effort", effort) else { return }
        draft.edit(inside: "reasoning", [.set(["reasoning", "effort"], effort)])
    }
}
