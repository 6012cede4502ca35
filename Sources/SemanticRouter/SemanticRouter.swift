import ConfigKit
package import OpenAIWire

/// Reads what is asked and chooses the model. Immutable: one value per configuration.
package struct SemanticRouter: Sendable {
    private let config: SemanticConfig
    private let keywords: [KeywordSignal]
    private let engine: DecisionEngine
    private let automaticNames: Set<String>
    private let servedNames: [String: String]
    private let metrics: SemanticMetrics

    /// - Parameter config: validated by its schema.
    package init(_ config: SemanticConfig, metrics: SemanticMetrics) {
        self.config = config
        self.metrics = metrics
        keywords = config.routing.signals.keywords.map(KeywordSignal.init)
        engine = DecisionEngine(config.routing.decisions)
        automaticNames = ["auto", config.global.router.autoModelName]
        servedNames = Dictionary(
            config.providers.models.map { ($0.name, $0.providerModelID ?? $0.name) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// The outcome for a request, on the event loop, without waiting.
    ///
    /// Never fails: what cannot be decided goes to the default model, or on as it is.
    /// - Parameter isServed: whether a worker serves a model of that name. What nobody serves is not chosen while there is
    ///   something else to choose.
    package func routeNow(_ request: TextRequest, isServed: (String) -> Bool) -> RoutingOutcome {
        guard let asked = request.model, automaticNames.contains(asked) else { return bypass(.explicitModel) }
        var signals = SignalSet()
        var match: DecisionMatch?
        do {
            let prompt = try Prompt(request)
            signals = SignalSet(keywords.compactMap { $0.evaluate(prompt) })
            match = engine.decide(signals)
        } catch {
            metrics.countBypass(.unreadable)
        }
        let candidates = (match?.decision.models ?? []) + [config.providers.defaults.defaultModel].compactMap { $0 }
        let served = candidates.map { (name: $0, served: servedNames[$0] ?? $0) }
        guard let chosen = served.first(where: { isServed($0.served) }) ?? served.first else {
            return bypass(.nothingToChoose)
        }
        metrics.countDecision(match?.decision.name)
        return .forward(enrich(chosen.name, chosen.served, match, signals))
    }

    private func enrich(
        _ chosen: String,
        _ served: String,
        _ match: DecisionMatch?,
        _ signals: SignalSet
    ) -> RoutedRequest {
        var headers: [(name: String, value: String)] = [(RoutingHeaders.selectedModel, chosen)]
        if let match {
            headers.append((RoutingHeaders.selectedDecision, match.decision.name))
        }
        let found = signals.all.map(\.name)
        if !found.isEmpty {
            headers.append((RoutingHeaders.matchedKeywords, found.joined(separator: ",")))
        }
        return RoutedRequest(
            model: served,
            edits: RequestEdits(headers: [.set(name: RoutingHeaders.upstreamSelectedModel, value: served)]),
            responseHeaders: headers
        )
    }

    /// The names by which workers must serve what this policy may choose.
    package var servedModelNames: [String] {
        config.providers.models.map { $0.providerModelID ?? $0.name }
    }

    private func bypass(_ reason: BypassReason) -> RoutingOutcome {
        metrics.countBypass(reason)
        return .bypass(reason)
    }

    /// The names that ask for a choice, as `/v1/models` lists them.
    package var modelCards: [ModelList.Entry] {
        automaticNames.sorted().map {
            ModelList.Entry(id: $0, ownedBy: "vllm-semantic-router")
        }
    }
}
