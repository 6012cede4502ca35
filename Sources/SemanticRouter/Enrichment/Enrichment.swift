package import OpenAIWire

/// What a decision's plugins, and the reasoning of the model that it chose, make of a request.
package struct EnrichedRequest: Sendable, Equatable {
    /// Edits of the headers and of the body; no two of them overlap.
    package var edits = RequestEdits()
    /// For `x-vsr-injected-system-prompt`.
    package var injectedSystemPrompt = false
    /// How many tools the model does not get to see.
    package var removedTools = 0

    /// A request that nothing happens to.
    package init() {}
}

/// The plugins of one decision, made once and applied to each of its requests.
///
/// Plugins act in vLLM Semantic Router's order, each on what those before it left, so that the later one decides where
/// two mean the same parameter:
///
/// 1. `tools` that removes all of them
/// 2. reasoning, for the responses API
/// 3. `system_prompt`
/// 4. `request_params`
/// 5. `tools` that filters
/// 6. reasoning, for chat completions: it may set what `request_params` blocks
///
/// `header_mutation` acts on headers alone. `fast_response` answers in the model's place, before everything else; see
/// `fastResponse`.
///
/// - Complexity: O(members + messages + tools) per request; nothing is decoded but what is read.
package struct Enrichment: Sendable {
    /// What the client is told instead of being sent on.
    package private(set) var fastResponse: FastResponseSettings?

    private var systemPrompt: SystemPromptEdit?
    private var requestParams: RequestParamsEdit?
    private var tools: ToolsEdit?
    /// In the order in which they act: fields added, then set, then taken away.
    private var headers: [HeaderEdit] = []

    /// Whether a plugin changes requests.
    private var acts: Bool { systemPrompt != nil || requestParams != nil || tools != nil || !headers.isEmpty }

    private static let allTypes = Set(PluginType.allCases)

    /// Of several plugins of one type, which a file cannot have, the last one counts.
    package init(plugins: [PluginConfig]) {
        for plugin in plugins {
            switch plugin {
            case .systemPrompt(let settings): systemPrompt = SystemPromptEdit(settings)
            case .headerMutation(let settings): headers = Self.edits(settings)
            case .requestParams(let settings): requestParams = RequestParamsEdit(settings)
            case .tools(let settings): tools = ToolsEdit(settings)
            case .fastResponse(let settings): fastResponse = settings
            case .inactive: break
            }
        }
    }

    private static func edits(_ settings: HeaderMutationSettings) -> [HeaderEdit] {
        settings.add.map { .add(name: $0.name, value: $0.value) }
            + settings.update.map { .set(name: $0.name, value: $0.value) }
            + settings.delete.map { .remove(name: $0) }
    }

    /// Called around what a plugin does, which it must run; for measuring.
    package typealias Observer = (PluginType, () -> Void) -> Void

    /// What becomes of a request that the decision matched. Without `reasoning`, that is left to the client.
    package func edits(
        for request: TextRequest,
        reasoning: ReasoningChoice?,
        observing observe: Observer = { _, act in act() }
    ) -> EnrichedRequest {
        guard reasoning != nil || acts else { return EnrichedRequest() }
        return enriched(request, reasoning: reasoning.map { ReasoningEdit($0) }, types: Self.allTypes, observe)
    }

    /// As `edits(for:reasoning:)`, by plugins of some types only: for a request that names its model itself.
    package func policyEdits(
        for request: TextRequest,
        only types: Set<PluginType>,
        observing observe: Observer = { _, act in act() }
    ) -> EnrichedRequest {
        enriched(request, reasoning: nil, types: types, observe)
    }

    private func enriched(
        _ request: TextRequest,
        reasoning: ReasoningEdit?,
        types: Set<PluginType>,
        _ observe: Observer
    ) -> EnrichedRequest {
        let tools = types.contains(.tools) ? self.tools : nil
        var draft = RequestDraft(request)
        var result = EnrichedRequest()
        if let tools, tools.removesAll { observe(.tools) { result.removedTools = tools.apply(to: &draft) } }
        if request.endpoint == .responses { reasoning?.apply(to: &draft) }
        var promptMember: String?
        if types.contains(.systemPrompt), let systemPrompt {
            observe(.systemPrompt) { promptMember = systemPrompt.apply(to: &draft) }
        }
        if types.contains(.requestParams), let requestParams {
            observe(.requestParams) { requestParams.apply(to: &draft) }
        }
        if let tools, !tools.removesAll { observe(.tools) { result.removedTools = tools.apply(to: &draft) } }
        if request.endpoint != .responses { reasoning?.apply(to: &draft) }
        // `request_params` may have taken the prompt away again.
        result.injectedSystemPrompt = promptMember.map { draft.has($0) } ?? false
        result.edits.body = draft.edits
        if types.contains(.headerMutation), !headers.isEmpty {
            observe(.headerMutation) { result.edits.headers = headers }
        }
        return result
    }
}
