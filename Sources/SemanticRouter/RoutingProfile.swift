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
    private let metrics: SemanticMetrics
    /// By the table's kinds.
    private let recorders: [SemanticMetrics.SignalRecorders]

    /// - Parameter config: validated.
    init(
        name: String,
        _ config: ProfileConfig,
        _ policy: SemanticConfig,
        _ models: ModelTable,
        _ metrics: SemanticMetrics
    ) {
        self.name = name
        self.config = config
        self.metrics = metrics
        let table = SignalTable(config)
        self.table = table
        recorders = table.kinds.map { kind, _ in
            metrics.recorders(of: type(of: kind).type, names: kind.names)
        }
        projections = Projections(config, table)
        engine = DecisionEngine(config, table)
        decisions = config.decisions.map { Decision($0, policy, models, table) }
    }

    /// Reads the request's signals and decides. Bounded, and pure but for what is recorded of it.
    package func evaluate(_ prompt: Prompt, _ trace: TracePoint? = nil) -> Evaluation {
        var watch = Stopwatch()
        let readings = read(prompt, trace, &watch)
        metrics.stages.record(.signals, watch.total)
        let deciding = trace?.begin(SemanticSpans.decision)
        let evaluation = conclude(readings)
        let match = evaluation.match.map { (name: decisions[$0.index].name, confidence: $0.confidence) }
        metrics.recordDecision(match, seconds: watch.lap())
        if let deciding {
            if let match {
                deciding.set(SemanticSpans.decisionName, .text(match.name))
                deciding.set(SemanticSpans.decisionConfidence, .decimal(match.confidence))
            }
            deciding.set(SemanticSpans.strategy, .text((config.strategy ?? .priority).rawValue))
            deciding.end()
        }
        return evaluation
    }

    private func read(_ prompt: Prompt, _ trace: TracePoint?, _ watch: inout Stopwatch) -> SignalSet {
        let signals = trace?.begin(SemanticSpans.signals)
        var place = 0
        let readings = table.evaluate(prompt) { kind, evaluate in
            let span = signals.flatMap { signals in
                SemanticSpans.kinds[type(of: kind).type].map { signals.begin($0) }
            }
            evaluate()
            span?.end()
            recorders[place].seconds.record(watch.lap())
            place += 1
        }
        for (recorders, (_, positions)) in zip(recorders, table.kinds) {
            recorders.count(readings.readings[positions])
        }
        if let signals {
            signals.set(SemanticSpans.tokens, .number(prompt.tokens))
            signals.set(SemanticSpans.matchedRules, .texts(table.names(of: readings)))
            signals.end()
        }
        return readings
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
