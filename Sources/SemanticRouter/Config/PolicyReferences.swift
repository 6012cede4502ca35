import ConfigKit

/// Checks that what a policy names exists: models, signals, recipes, reasoning families.
struct PolicyReferences {
    private typealias Path = [ConfigPath.Step]

    private let config: SemanticConfig
    private let models: [String]
    /// Names of adapters by the model whose card lists them.
    private let adapters: [String: [String]]

    init(_ config: SemanticConfig) {
        self.config = config
        models = Self.unique(config.providers.models.map(\.name).filter { !$0.isEmpty })
        adapters = Dictionary(config.routing.modelCards.map { ($0.name, $0.loras.map(\.name)) }) { $0 + $1 }
    }

    func check(_ report: inout ValidationReport) {
        checkProviders(&report)
        checkCards(&report)
        check(config.routing.profile, at: ["routing"], &report)
        for (index, recipe) in config.recipes.enumerated() {
            check(recipe.profile, at: ["recipes", .index(index), "routing"], &report)
        }
        checkEntrypoints(&report)
    }

    // MARK: Models

    private func checkProviders(_ report: inout ValidationReport) {
        reportRepeats(config.providers.models.map(\.name), at: ["providers", "models"], key: "name", &report)
        let defaults = config.providers.defaults
        let choices = models + adapters.values.flatMap { $0 }
        if let name = defaults.defaultModel, !models.isEmpty, !choices.contains(name) {
            report.unknown(name, among: models, at: "providers", "defaults", "default_model")
        }
        let families = defaults.reasoningFamilies.keys.sorted()
        let automatic = config.global.router.automaticNames
        for (index, model) in config.providers.models.enumerated() where automatic.contains(model.name) {
            report.error(
                "\"\(model.name)\" asks for a choice and can name no model; see global.router.auto_model_names",
                at: "providers",
                "models",
                .index(index),
                "name"
            )
        }
        for (index, model) in config.providers.models.enumerated() {
            if let family = model.reasoningFamily, !families.contains(family) {
                report.unknown(family, among: families, at: "providers", "models", .index(index), "reasoning_family")
            }
        }
    }

    private func checkCards(_ report: inout ValidationReport) {
        let cards = config.routing.modelCards
        reportRepeats(cards.map(\.name), at: ["routing", "modelCards"], key: "name", &report)
        for (index, card) in cards.enumerated() where !models.contains(card.name) && !card.name.isEmpty {
            report.unknown(card.name, among: models, at: "routing", "modelCards", .index(index), "name")
        }
        let automatic = config.global.router.automaticNames
        for (index, card) in cards.enumerated() {
            let place: Path = ["routing", "modelCards", .index(index), "loras"]
            reportRepeats(card.loras.map(\.name), at: place, key: "name", &report)
            for (position, adapter) in card.loras.enumerated()
            where models.contains(adapter.name) || automatic.contains(adapter.name) {
                let problem = "\"\(adapter.name)\" is a model's name, or asks for a choice"
                report.error(problem, atPath: place + [.index(position), "name"])
            }
        }
    }

    private func check(_ reference: ModelReference, at path: Path, _ report: inout ValidationReport) {
        guard models.contains(reference.model) else {
            report.unknown(reference.model, among: models, atPath: path + ["model"])
            return
        }
        if let adapter = reference.loraName {
            let known = adapters[reference.model] ?? []
            if !known.contains(adapter) { report.unknown(adapter, among: known, atPath: path + ["lora_name"]) }
        }
    }

    // MARK: Profiles

    private func check(_ profile: ProfileConfig, at path: Path, _ report: inout ValidationReport) {
        for type in SignalType.allCases {
            guard let key = type.settingsKey, type != .authz else { continue }
            reportRepeats(profile.signals.names(of: type), at: path + ["signals", .key(key)], key: "name", &report)
        }
        checkProjections(profile, at: path + ["projections"], &report)
        reportRepeats(profile.decisions.map(\.name), at: path + ["decisions"], key: "name", &report)
        let signals = KnownSignals(profile)
        for (index, decision) in profile.decisions.enumerated() {
            let place = path + ["decisions", .index(index)]
            for (position, reference) in decision.modelRefs.enumerated() {
                check(reference, at: place + ["modelRefs", .index(position)], &report)
            }
            check(decision.rules, at: place + ["rules"], isRoot: true, signals, &report)
        }
    }

    private func check(
        _ rule: RuleConfig,
        at path: Path,
        isRoot: Bool,
        _ signals: KnownSignals,
        _ report: inout ValidationReport
    ) {
        let isCondition = rule.type != nil || rule.name != nil
        let isCombination = rule.operator != nil || !rule.conditions.isEmpty
        if isCondition, isCombination {
            report.error("is either a condition or a combination, not both", atPath: path)
        } else if isCondition {
            checkCondition(rule, at: path, signals, &report)
        } else if rule.operator == .not, rule.conditions.count != 1 {
            report.error("NOT takes exactly one condition", atPath: path + ["conditions"])
        } else if rule.conditions.isEmpty, rule.operator == .or || !isRoot {
            report.error("needs at least one condition", atPath: path + ["conditions"])
        }
        for (index, condition) in rule.conditions.enumerated() {
            check(condition, at: path + ["conditions", .index(index)], isRoot: false, signals, &report)
        }
    }

    private func checkCondition(
        _ rule: RuleConfig,
        at path: Path,
        _ signals: KnownSignals,
        _ report: inout ValidationReport
    ) {
        guard let type = rule.type else {
            report.error("names a signal but not its kind: add `type`", atPath: path)
            return
        }
        guard let name = rule.name else {
            report.error("names a kind of signal but no signal: add `name`", atPath: path)
            return
        }
        signals.check(type, name, at: path + ["name"], &report)
        if type == .classifier {
            if rule.label == nil { report.error("a classifier's condition needs a `label`", atPath: path) }
            if rule.predicate == nil { report.error("a classifier's condition needs a `predicate`", atPath: path) }
        } else if rule.label != nil {
            report.error("is for `type: classifier` only", atPath: path + ["label"])
        }
    }

    // MARK: Projections

    private func checkProjections(_ profile: ProfileConfig, at path: Path, _ report: inout ValidationReport) {
        let projections = profile.projections
        let signals = KnownSignals(profile)
        let scores = projections.scores.map(\.name)
        reportRepeats(projections.partitions.map(\.name), at: path + ["partitions"], key: "name", &report)
        reportRepeats(scores, at: path + ["scores"], key: "name", &report)
        reportRepeats(projections.mappings.map(\.name), at: path + ["mappings"], key: "name", &report)
        for (index, partition) in projections.partitions.enumerated() {
            let place = path + ["partitions", .index(index), "members"]
            if signals.kind(of: partition) == nil {
                report.error("must all be domain signals, or all embedding signals, that are declared", atPath: place)
            }
        }
        for (index, score) in projections.scores.enumerated() {
            for (position, input) in score.inputs.enumerated() {
                let place = path + ["scores", .index(index), "inputs", .index(position)]
                check(input, at: place, signals, scores: scores, &report)
            }
        }
        if let cycle = ScoreOrder(projections).cycle {
            report.error("depend on each other: \(cycle.joined(separator: " → "))", atPath: path + ["scores"])
        }
        var outputs: Set<String> = []
        for (index, mapping) in projections.mappings.enumerated() {
            let place = path + ["mappings", .index(index)]
            if !scores.contains(mapping.source), !mapping.source.isEmpty {
                report.unknown(mapping.source, among: scores, atPath: place + ["source"])
            }
            for (position, output) in mapping.outputs.enumerated() where !outputs.insert(output.name).inserted {
                let name = place + ["outputs", .index(position), "name"]
                report.error("\"\(output.name)\" is declared twice", atPath: name)
            }
        }
    }

    private func check(
        _ input: ScoreInputConfig,
        at path: Path,
        _ signals: KnownSignals,
        scores: [String],
        _ report: inout ValidationReport
    ) {
        switch input.type {
        case .kbMetric:
            if input.kb.isEmpty { report.error("needs a `kb`", atPath: path) }
            if input.metric.isEmpty { report.error("needs a `metric`", atPath: path) }
        case .signal(.projection) where input.valueSource != .confidence:
            if input.valueSource != nil, input.valueSource != .score {
                report.error("must be score or confidence for a projection", atPath: path + ["value_source"])
            }
            if !scores.contains(input.name) { report.unknown(input.name, among: scores, atPath: path + ["name"]) }
        case .signal(let type):
            if input.valueSource == .score, type != .projection {
                report.error("must be binary, confidence or raw for a signal", atPath: path + ["value_source"])
            }
            signals.check(type, input.name, at: path + ["name"], &report)
        }
    }

    // MARK: Entrypoints

    private func checkEntrypoints(_ report: inout ValidationReport) {
        reportRepeats(config.recipes.map(\.name), at: ["recipes"], key: "name", &report)
        let recipes = [RecipeConfig.defaultName] + config.recipes.map(\.name)
        for (index, recipe) in config.recipes.enumerated() where recipe.name == RecipeConfig.defaultName {
            report.error("`default` means `routing`; choose another name", at: "recipes", .index(index), "name")
        }
        var taken = Set(models + adapters.values.flatMap { $0 } + config.global.router.automaticNames)
        for (index, entrypoint) in config.entrypoints.enumerated() {
            if !recipes.contains(entrypoint.recipe) {
                report.unknown(entrypoint.recipe, among: recipes, at: "entrypoints", .index(index), "recipe")
            }
            for (position, name) in entrypoint.modelNames.enumerated() where !taken.insert(name).inserted {
                report.error(
                    "\"\(name)\" is a model, or asks for a choice already",
                    at: "entrypoints",
                    .index(index),
                    "model_names",
                    .index(position)
                )
            }
        }
    }

    // MARK: Names

    private func reportRepeats(
        _ names: [String],
        at path: Path,
        key: ConfigPath.Step,
        _ report: inout ValidationReport
    ) {
        var seen: Set<String> = []
        for (index, name) in names.enumerated() where !seen.insert(name).inserted && !name.isEmpty {
            report.error("\"\(name)\" is declared twice", atPath: path + [.index(index), key])
        }
    }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }
}

/// The signals that the rules of a profile may name.
struct KnownSignals {
    /// Upstream's levels of a complexity signal.
    static let levels = ["easy", "medium", "hard"]

    private let names: [SignalType: Set<String>]

    init(_ profile: ProfileConfig) {
        var names: [SignalType: Set<String>] = [:]
        for type in SignalType.allCases {
            names[type] = Set(profile.signals.names(of: type))
        }
        names[.projection] = Set(profile.projections.mappings.flatMap { $0.outputs.map(\.name) })
        self.names = names
    }

    func has(_ type: SignalType, _ name: String) -> Bool {
        let known = names[type] ?? []
        switch type {
        case .complexity:
            // `needs_reasoning:hard`
            guard let colon = name.lastIndex(of: ":") else { return false }
            return known.contains(String(name[..<colon])) && Self.levels.contains(String(name[colon...].dropFirst()))
        case .domain:
            // A file without domains declares those that its rules name.
            return known.isEmpty || known.contains(name)
        default:
            return known.contains(name)
        }
    }

    /// The one kind that all members of the partition are of; nil where there is none. Embeddings first: any name may be
    /// a domain's in a file without domains.
    func kind(of partition: PartitionConfig) -> SignalType? {
        [SignalType.embedding, .domain].first { kind in partition.members.allSatisfy { has(kind, $0) } }
    }

    func check(_ type: SignalType, _ name: String, at path: [ConfigPath.Step], _ report: inout ValidationReport) {
        guard !has(type, name) else { return }
        var known = (names[type] ?? []).sorted()
        if type == .complexity { known = known.flatMap { rule in Self.levels.map { "\(rule):\($0)" } } }
        report.unknown(name, among: known, atPath: path)
    }
}
