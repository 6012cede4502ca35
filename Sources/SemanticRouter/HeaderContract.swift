import OpenAIWire

/// Which headers tell how a request was routed, by contract: vLLM Semantic Router's of v0.1 and of v0.4.
struct HeaderContract: Sendable {
    let version: RouterConfig.HeaderContract
    let hasAliases: Bool

    /// What is told.
    struct Facts {
        let judgement: SemanticRouter.Judgement
        /// The chosen model's name in the policy; nil where no model answers.
        let model: String?
        var algorithm: String
        var usesReasoning = false
        var injectedSystemPrompt = false
        /// Whether the request left the choice to a profile.
        var isAutomatic = true
    }

    /// `upstream` for what a model answers.
    enum ResponsePath: String {
        case upstream
        case fastResponse = "fast_response"
    }

    /// What is told of a request that was sent on as it is.
    var bypassHeaders: AnswerHeaders {
        var headers = AnswerHeaders()
        if version == .keystones { headers.always = markers(.upstream) }
        return headers
    }

    private func markers(_ path: ResponsePath) -> [AnswerHeaders.Field] {
        [(RoutingHeaders.schemaVersion, "2"), (RoutingHeaders.responsePath, path.rawValue)]
    }

    func headers(_ facts: Facts, path: ResponsePath, debug: Bool) -> AnswerHeaders {
        var headers = AnswerHeaders()
        let details = version == .full || debug || hasAliases ? details(facts) : []
        switch version {
        case .full:
            headers.onSuccess = details
        case .keystones:
            headers.always = markers(path)
            headers.onSuccess = keystones(facts)
            if debug {
                let told = Set(headers.onSuccess.map(\.name))
                headers.onSuccess += details.filter { !told.contains($0.name) }
            }
        }
        if hasAliases {
            for (alias, name) in RoutingHeaders.aliases {
                guard let field = details.first(where: { $0.name == name }) else { continue }
                headers.onSuccess.append((alias, field.value))
            }
        }
        return headers
    }

    /// Bytes of a list of signals; names beyond are left out.
    private static let longestList = 4096

    private func keystones(_ facts: Facts) -> [AnswerHeaders.Field] {
        var fields: [AnswerHeaders.Field] = []
        if facts.isAutomatic { fields.append((RoutingHeaders.selectedRecipe, facts.judgement.profile.name)) }
        if let match = facts.judgement.evaluation?.match {
            fields.append((RoutingHeaders.selectedDecision, facts.judgement.profile.decisions[match.index].name))
            fields.append((RoutingHeaders.selectedConfidence, Self.fourDigits(match.confidence)))
        }
        if facts.isAutomatic { fields.append((RoutingHeaders.selectedAlgorithm, facts.algorithm)) }
        if let model = facts.model { fields.append((RoutingHeaders.selectedModel, model)) }
        return fields
    }

    private func details(_ facts: Facts) -> [AnswerHeaders.Field] {
        var fields: [AnswerHeaders.Field] = []
        let decision = facts.judgement.decision
        if let category = decision?.category { fields.append((RoutingHeaders.selectedCategory, category)) }
        if let decision { fields.append((RoutingHeaders.selectedDecision, decision.name)) }
        fields.append((RoutingHeaders.selectedReasoning, facts.usesReasoning ? "on" : "off"))
        if let model = facts.model { fields.append((RoutingHeaders.selectedModel, model)) }
        fields.append((RoutingHeaders.injectedSystemPrompt, facts.injectedSystemPrompt ? "true" : "false"))
        guard let evaluation = facts.judgement.evaluation else { return fields }
        var found: [(SignalType, String)] = []
        for (position, reading) in evaluation.signals.readings.enumerated() where reading.isPresent {
            let id = facts.judgement.profile.table.ids[position]
            if let last = found.last, last.0 == id.type {
                // What many proxies take for a header at most is 8 KiB.
                guard last.1.utf8.count + id.name.utf8.count < Self.longestList else { continue }
                found[found.count - 1].1 += ",\(id.name)"
            } else {
                found.append((id.type, id.name))
            }
        }
        for (type, names) in found { fields.append((RoutingHeaders.matchedPrefix + type.headerWord, names)) }
        if facts.judgement.tokens > 0 {
            fields.append((RoutingHeaders.contextTokenCount, String(facts.judgement.tokens)))
        }
        return fields
    }

    /// `0.7312`, whatever the locale.
    private static func fourDigits(_ ratio: Double) -> String {
        let scaled = Int((ratio * 10_000).rounded())
        let digits = String(scaled % 10_000)
        return "\(scaled / 10_000).\(String(repeating: "0", count: 4 - digits.count))\(digits)"
    }
}

extension SignalType {
    /// The end of the header that lists the kind's signals.
    var headerWord: String {
        switch self {
        case .keyword: "keywords"
        case .embedding: "embeddings"
        case .domain: "domains"
        case .factCheck: "fact-check"
        case .userFeedback: "user-feedback"
        case .projection: "projections"
        case .reask, .preference, .language, .context, .structure, .complexity, .modality, .authz, .jailbreak, .pii,
            .kb, .conversation, .event, .metadata, .classifier:
            rawValue
        }
    }
}
