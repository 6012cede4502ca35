package import Instruments
package import OpenAIWire

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Reads what is asked and chooses the model. Immutable: one value per configuration.
package struct SemanticRouter: Sendable {
    package let config: SemanticConfig
    /// `routing` first, then the recipes.
    package let profiles: [RoutingProfile]
    package let models: ModelTable
    /// Model names that ask for a choice, with the place of the profile that makes it.
    private let virtualNames: [String: Int]
    private let contract: HeaderContract
    /// Whether a request that names its model can be changed or answered by a decision of `routing`.
    private let judgesExplicitModels: Bool
    private let patternSteps: Int
    private let metrics: SemanticMetrics
    private let unixTime: @Sendable () -> Int

    /// - Parameters:
    ///   - config: validated by its schema.
    ///   - unixTime: seconds since 1970, for answers of our own.
    package init(
        _ config: SemanticConfig,
        metrics: SemanticMetrics,
        unixTime: @escaping @Sendable () -> Int = { time(nil) }
    ) {
        self.config = config
        self.metrics = metrics
        self.unixTime = unixTime
        let models = ModelTable(config)
        self.models = models
        var routing = config.routing.profile
        routing.strategy = routing.strategy ?? config.global.router.strategy
        profiles =
            [RoutingProfile(name: RecipeConfig.defaultName, routing, config, models, metrics)]
            + config.recipes.map { RoutingProfile(name: $0.name, $0.profile, config, models, metrics) }
        var names: [String: Int] = [:]
        for name in config.global.router.automaticNames { names[name] = 0 }
        for entrypoint in config.entrypoints {
            let place = profiles.firstIndex { $0.name == entrypoint.recipe }
            for name in entrypoint.modelNames { names[name] = place }
        }
        virtualNames = names
        metrics.models.know(names.keys.sorted() + config.providers.models.map(\.name))
        metrics.models.setPrices(models.prices)
        metrics.models.know(profiles.flatMap(\.decisions).flatMap(\.candidates).map(\.name))
        contract = HeaderContract(
            version: config.global.router.headerContract,
            hasAliases: config.global.router.headerAliases
        )
        let budget = config.global.router.latencyBudget.components
        let steps =
            Double(Prompt.standardPatternSteps) * (Double(budget.seconds) + Double(budget.attoseconds) / 1e18) / 0.01
        patternSteps = Int(steps)
        let plugins = Set(config.global.router.explicitModelPlugins.map(\.rawValue))
        judgesExplicitModels = routing.decisions.contains { decision in
            decision.plugins.contains { plugins.contains($0.type) }
        }
    }

    // MARK: Routing

    /// The outcome for a request, on the event loop, without waiting.
    ///
    /// Never fails: what cannot be decided goes to the default model, or on as it is.
    /// - Parameters:
    ///   - isServed: whether a worker serves a model of that name. What nobody serves is not chosen while there is
    ///     something else to choose.
    ///   - trace: where the stages are recorded, if the request is traced.
    package func routeNow(
        _ request: InboundRequest,
        isServed: (String) -> Bool,
        trace: TracePoint? = nil
    ) -> RoutingOutcome {
        var watch = Stopwatch()
        let point = trace?.begin(SemanticSpans.routing)
        let judgement = judge(request, point)
        let observer = Observer(metrics: metrics, trace: point)
        let outcome = outcome(of: request, judgement, isServed: isServed, observer)
        _ = watch.lap()
        count(outcome, request, judgement, seconds: watch.total, trace: point?.exemplar)
        if let point { tell(point, request, outcome, judgement) }
        return outcome
    }

    /// Where the stages after the judgement are recorded: as figures, and as spans if the request is traced.
    struct Observer {
        let metrics: SemanticMetrics
        let trace: TracePoint?
    }

    /// What follows from what was found. Without an observer nothing is counted: that is how an explanation asks.
    func outcome(
        of request: InboundRequest,
        _ judgement: Judgement,
        isServed: (String) -> Bool,
        _ observer: Observer? = nil
    ) -> RoutingOutcome {
        judgement.isAutomatic
            ? choose(request, judgement, isServed: isServed, observer)
            : keep(request, judgement, isServed: isServed, observer)
    }

    private func tell(
        _ point: TracePoint,
        _ request: InboundRequest,
        _ outcome: RoutingOutcome,
        _ judgement: Judgement
    ) {
        // A name that the policy does not know is the client's own text.
        if let model = request.text.model, judgement.isAutomatic || models[model] != nil {
            point.set(SemanticSpans.originalModel, .text(model))
        }
        let reason = judgement.isAutomatic ? SemanticMetrics.Reason.automatic : .named
        point.set(SemanticSpans.reason, .text(reason.rawValue))
        switch outcome {
        case .forward(let routed):
            point.set(SemanticSpans.selectedModel, .text(metrics.models.label(routed.modelName)))
        case .bypass(let reason): point.set(SemanticSpans.reason, .text(reason.rawValue))
        case .respond: break
        }
        point.end()
    }

    private func count(
        _ outcome: RoutingOutcome,
        _ request: InboundRequest,
        _ judgement: Judgement,
        seconds: Double,
        trace: TraceID?
    ) {
        if judgement.isAutomatic, judgement.evaluation == nil { metrics.countBypass(.unreadable) }
        let asked = request.text.model
        switch outcome {
        case .bypass(let reason):
            metrics.countBypass(reason)
            guard reason == .explicitModel, let asked else { return }
            metrics.recordRoute(from: asked, to: asked, .named, seconds: seconds, trace: trace)
        case .forward(let routed):
            let reason = judgement.isAutomatic ? SemanticMetrics.Reason.automatic : .named
            if !judgement.isAutomatic { metrics.countBypass(.explicitModel) }
            metrics.recordRoute(from: asked, to: routed.modelName, reason, seconds: seconds, trace: trace)
        case .respond: break
        }
    }

    /// The profile that a model's name asks to choose; nil for the name of a model.
    package func profile(for model: String?) -> RoutingProfile? {
        guard let model else { return nil }
        if let place = virtualNames[model] { return profiles[place] }
        // Upstream reads names without the white space around them.
        guard model.first?.isWhitespace == true || model.last?.isWhitespace == true else { return nil }
        let trimmed = model.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        return virtualNames[String(trimmed)].map { profiles[$0] }
    }

    /// What was found in a request, and for whom.
    struct Judgement {
        let profile: RoutingProfile
        /// Whether the request leaves the choice to the profile.
        let isAutomatic: Bool
        /// Nil where the text cannot be read, or no decision could act on the request.
        var evaluation: RoutingProfile.Evaluation?
        var tokens = 0

        var decision: Decision? { evaluation?.match.map { profile.decisions[$0.index] } }
    }

    /// The profile that a request falls to, without a look at its text.
    func unjudged(_ request: InboundRequest) -> Judgement {
        let automatic = profile(for: request.text.model)
        return Judgement(profile: automatic ?? profiles[0], isAutomatic: automatic != nil)
    }

    /// Whether a decision can act on the request at all.
    func canAct(on request: InboundRequest, _ judgement: Judgement) -> Bool {
        judgement.isAutomatic || judgesExplicitModels && request.text.model != nil
    }

    private func judge(_ request: InboundRequest, _ trace: TracePoint?) -> Judgement {
        var judgement = unjudged(request)
        guard canAct(on: request, judgement) else { return judgement }
        var watch = Stopwatch()
        guard let prompt = try? prompt(of: request) else { return judgement }
        metrics.stages.record(.parse, watch.lap())
        judgement.evaluation = judgement.profile.evaluate(prompt, trace)
        judgement.tokens = prompt.tokens
        return judgement
    }

    /// What signals read of the request.
    func prompt(of request: InboundRequest) throws(RouterError) -> Prompt {
        try Prompt(request.text, identity: request.identity, patternSteps: patternSteps)
    }

    /// A request that leaves the choice to us.
    private func choose(
        _ request: InboundRequest,
        _ judgement: Judgement,
        isServed: (String) -> Bool,
        _ observer: Observer?
    ) -> RoutingOutcome {
        let decision = judgement.decision
        if let decision, let answer = answer(to: request, of: decision, judgement, observer) { return answer }
        guard let selection = select(judgement, isServed: isServed, observer) else { return .bypass(.nothingToChoose) }
        let enriched = decision.map { decision in
            observer.enriching(by: decision) { observe in
                decision.enrichment.edits(for: request.text, reasoning: selection.reasoning, observing: observe)
            }
        }
        var edits = enriched?.edits ?? RequestEdits()
        edits.headers.insert(
            .set(name: RoutingHeaders.upstreamSelectedModel, value: selection.servedName),
            at: 0
        )
        let facts = HeaderContract.Facts(
            judgement: judgement,
            model: selection.name,
            algorithm: selection.algorithm,
            usesReasoning: selection.usesReasoning,
            injectedSystemPrompt: enriched?.injectedSystemPrompt ?? false
        )
        return .forward(
            RoutedRequest(
                model: selection.servedName,
                modelName: selection.name,
                edits: edits,
                destination: selection.destination,
                headers: contract.headers(facts, path: .upstream, debug: request.wantsDebugHeaders)
            )
        )
    }

    /// A request that names its model: it keeps it, under the name that workers serve it by, and only those plugins act
    /// that the policy lets act on such requests.
    private func keep(
        _ request: InboundRequest,
        _ judgement: Judgement,
        isServed: (String) -> Bool,
        _ observer: Observer?
    ) -> RoutingOutcome {
        guard let asked = request.text.model else { return .bypass(.explicitModel) }
        let plugins = config.global.router.explicitModelPlugins
        var edits = RequestEdits()
        var injectedSystemPrompt = false
        if let decision = judgement.decision {
            if plugins.contains(.fastResponse), let answer = answer(to: request, of: decision, judgement, observer) {
                return answer
            }
            let enriched = observer.enriching(by: decision) { observe in
                decision.enrichment.policyEdits(for: request.text, only: plugins, observing: observe)
            }
            edits = enriched.edits
            injectedSystemPrompt = enriched.injectedSystemPrompt
        }
        let model = models[asked]
        let served = model.map { isServed(asked) && !isServed($0.servedName) ? asked : $0.servedName } ?? asked
        guard served != asked || edits != RequestEdits() else { return .bypass(.explicitModel) }
        edits.headers.insert(.set(name: RoutingHeaders.upstreamSelectedModel, value: served), at: 0)
        let facts = HeaderContract.Facts(
            judgement: judgement,
            model: asked,
            algorithm: "",
            injectedSystemPrompt: injectedSystemPrompt,
            isAutomatic: false
        )
        return .forward(
            RoutedRequest(
                model: served,
                modelName: asked,
                edits: edits,
                destination: model?.destination,
                headers: contract.headers(facts, path: .upstream, debug: request.wantsDebugHeaders)
            )
        )
    }

    /// What a decision answers itself; nil where a model shall answer.
    private func answer(
        to request: InboundRequest,
        of decision: Decision,
        _ judgement: Judgement,
        _ observer: Observer?
    ) -> RoutingOutcome? {
        guard let settings = decision.enrichment.fastResponse else { return nil }
        var watch = Stopwatch()
        let plugins = observer?.trace?.begin(SemanticSpans.plugins)
        plugins?.set(SemanticSpans.pluginTypes, .texts([PluginType.fastResponse.rawValue]))
        defer {
            plugins?.end()
            observer?.metrics.recordPlugin(.fastResponse, decision: decision.name, seconds: watch.lap())
        }
        var response = FastResponse(settings).response(to: request.text, unixSeconds: unixTime())
        let facts = HeaderContract.Facts(
            judgement: judgement,
            model: nil,
            algorithm: "fast_response"
        )
        let headers = contract.headers(facts, path: .fastResponse, debug: request.wantsDebugHeaders)
        response.add(headers.always + (response.statusCode < 300 ? headers.onSuccess : []))
        response.add([(RoutingHeaders.fastResponse, "true")])
        return .respond(response)
    }

    // MARK: Selection

    /// The chosen model.
    package struct Selection: Sendable {
        /// Its name in the policy.
        package let name: String
        /// The name that workers serve it by.
        package let servedName: String
        package let destination: String?
        package let usesReasoning: Bool
        /// How it was chosen, in upstream's words: `static` among several, `single`, `default`.
        package let algorithm: String
        let reasoning: ReasoningChoice?
    }

    /// As `select(from:isServed:)`, recorded.
    private func select(_ judgement: Judgement, isServed: (String) -> Bool, _ observer: Observer?) -> Selection? {
        let decision = judgement.decision
        guard let observer else { return select(from: decision, isServed: isServed) }
        var watch = Stopwatch()
        let span = observer.trace?.begin(SemanticSpans.selection)
        defer { span?.end() }
        guard let selection = select(from: decision, isServed: isServed) else { return nil }
        let tier = judgement.evaluation?.match.map { judgement.profile.engine.entries[$0.index].tier } ?? 0
        observer.metrics.recordSelection(
            selection,
            decision: decision,
            tier: tier > 0 ? "\(tier)" : "",
            seconds: watch.lap()
        )
        if let span {
            span.set(SemanticSpans.selectedModel, .text(selection.name))
            span.set(SemanticSpans.algorithm, .text(selection.algorithm))
            span.set(SemanticSpans.reasoning, .flag(selection.usesReasoning))
        }
        return selection
    }

    /// The decision's first model that is served, else the default model if that is, else the first of them all; nil
    /// where there is none.
    package func select(from decision: Decision?, isServed: (String) -> Bool) -> Selection? {
        let candidates = decision?.candidates ?? []
        let fallback = config.providers.defaults.defaultModel.map { name in
            (name: name, servedName: models[name]?.servedName ?? name)
        }
        let served = candidates.first { isServed($0.servedName) }
        let first = fallback.map { isServed($0.servedName) } == true ? nil : candidates.first
        if let chosen = served ?? first {
            return Selection(
                name: chosen.name,
                servedName: chosen.servedName,
                destination: chosen.destination,
                usesReasoning: chosen.usesReasoning,
                algorithm: candidates.count == 1 ? "single" : "static",
                reasoning: chosen.reasoning
            )
        }
        return fallback.map {
            Selection(
                name: $0.name,
                servedName: $0.servedName,
                destination: models[$0.name]?.destination,
                usesReasoning: false,
                algorithm: "default",
                reasoning: nil
            )
        }
    }

    /// What the answer to a request says that was sent on as it is.
    package var bypassHeaders: AnswerHeaders { contract.bypassHeaders }

    // MARK: Models

    /// The names by which workers must serve what this policy may choose.
    package var servedModelNames: [String] { config.providers.models.map(\.servedName) }

    /// The names that ask for a choice, and where the policy says so the models, as `/v1/models` lists them.
    package var modelCards: [ModelList.Entry] {
        let owner = "vllm-semantic-router"
        let automatic = config.global.router.automaticNames + config.entrypoints.flatMap(\.modelNames)
        let models = config.global.router.listsModels ? config.providers.models.map(\.name) : []
        return (automatic + models).map { ModelList.Entry(id: $0, ownedBy: owner) }
    }
}

extension Optional<SemanticRouter.Observer> {
    /// Runs what a decision's plugins do, with what they do measured.
    fileprivate func enriching(
        by decision: Decision,
        _ enrich: (Enrichment.Observer) -> EnrichedRequest
    ) -> EnrichedRequest {
        guard let observer = self else { return enrich { _, act in act() } }
        var watch = Stopwatch()
        let span = decision.pluginTypes.isEmpty ? nil : observer.trace?.begin(SemanticSpans.plugins)
        var types: [String] = []
        let enriched = enrich { type, act in
            var watch = Stopwatch()
            act()
            observer.metrics.recordPlugin(type, decision: decision.name, seconds: watch.lap())
            if span != nil { types.append(type.rawValue) }
        }
        observer.metrics.stages.record(.enrichment, watch.lap())
        span?.set(SemanticSpans.pluginTypes, .texts(types))
        span?.set(SemanticSpans.systemPrompt, .flag(enriched.injectedSystemPrompt))
        span?.end()
        return enriched
    }
}
