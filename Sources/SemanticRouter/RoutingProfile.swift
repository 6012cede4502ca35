package import Instruments

/// `routing`, or a recipe, made ready: what is read of a request, and what is chosen then. Immutable; a class, as every
/// request's facts refer to it.
package final class RoutingProfile: Sendable {
    /// `default` for `routing`.
    package let name: String
    package let table: SignalTable
    package let projections: Projections
    package let engine: DecisionEngine
    /// In the order of the engine's entries.
    package let decisions: [Decision]
    let config: ProfileConfig

    /// - Parameter config: validated.
    init(name: String, _ config: ProfileConfig, _ policy: SemanticConfig, _ models: ModelTable) {
        self.name = name
        self.config = config
        let table = SignalTable(config)
        self.table = table
        projections = Projections(config, table)
        engine = DecisionEngine(config, table)
        decisions = config.decisions.map { Decision($0, policy, models, table) }
    }

    /// Reads the request's signals and decides. Bounded, and pure but for what is recorded of it.
    package func evaluate(_ prompt: Prompt, _ trace: TracePoint? = nil) -> Evaluation {
        guard let trace else { return conclude(table.evaluate(prompt)) }
        let signals = trace.begin(SemanticSpans.signals)
        signals.set(SemanticSpans.tokens, .number(prompt.tokens))
        let readings = table.evaluate(prompt) { kind, evaluate in
            let type = type(of: kind).type
            guard let definition = SemanticSpans.kinds[type] else { return evaluate() }
            let span = signals.begin(definition)
            span.set(SemanticSpans.signalType, .text(type.rawValue))
            evaluate()
            span.end()
        }
        signals.set(SemanticSpans.matchedRules, .texts(table.names(of: readings)))
        signals.end()
        let deciding = trace.begin(SemanticSpans.decision)
        let evaluation = conclude(readings)
        if let match = evaluation.match {
            deciding.set(SemanticSpans.decisionName, .text(decisions[match.index].name))
            deciding.set(SemanticSpans.decisionConfidence, .decimal(match.confidence))
        }
        deciding.set(SemanticSpans.strategy, .text((config.strategy ?? .priority).rawValue))
        deciding.end()
        return evaluation
    }

    /// What follows from the signals as they were evaluated.
    func conclude(_ evaluated: SignalSet) -> Evaluation {
        var signals = evaluated
        let scores = projections.apply(to: &signals)
        return Evaluation(signals: signals, scores: scores, match: engine.decide(signals))
    }

    /// What was found in a request, and which decision that makes.
    package struct Evaluation: Sendable {
        package let signals: SignalSet
        /// In the order of `projections.scores`.
        package let scores: [Double]
        package let match: DecisionEngine.Match?
    }
}

/// A decision made ready.
package struct Decision: Sendable {
    package let name: String
    /// The models to choose from, in the order of the file.
    package let candidates: [Candidate]
    /// The domain that its rule names first, which answers show as category.
    package let category: String?
    package let algorithm: String
    /// The words under `type` of its plugins, in the order of the file.
    package let pluginTypes: [String]
    /// The signals of its rule, in the order of the tree.
    package let signals: [Int]
    let enrichment: Enrichment

    /// A model that may be chosen, and how it is told to reason.
    package struct Candidate: Sendable {
        /// The model's name in the policy; its adapter's, where one is named.
        package let name: String
        /// The name that workers serve it by.
        package let servedName: String
        /// The model without its adapter.
        package let baseName: String
        package let destination: String?
        package let usesReasoning: Bool
        let reasoning: ReasoningChoice?
    }

    init(_ config: DecisionConfig, _ policy: SemanticConfig, _ models: ModelTable, _ table: SignalTable) {
        name = config.name
        algorithm = config.algorithm.type
        pluginTypes = config.plugins.map(\.type)
        category = config.rules.signals.first { $0.type == .domain }?.name
        var seen: Set<Int> = []
        signals = config.rules.signals.compactMap(table.position).filter { seen.insert($0).inserted }
        enrichment = Enrichment(plugins: config.plugins)
        candidates = config.modelRefs.map { reference in
            let model = models[reference.model]
            return Candidate(
                name: reference.selectedName,
                servedName: reference.loraName ?? model?.servedName ?? reference.model,
                baseName: reference.model,
                destination: model?.destination,
                usesReasoning: reference.usesReasoning,
                reasoning: model?.family.map { family in
                    ReasoningChoice(
                        family: family,
                        isOn: reference.usesReasoning,
                        effort: reference.reasoningEffort ?? policy.providers.defaults.defaultReasoningEffort,
                        transport: model?.transport ?? .chatTemplate,
                        generation: policy.global.router.reasoningSpelling
                    )
                }
            )
        }
    }
}
