import ConfigKit
import Instruments

/// The models that a policy may choose, by the names that decisions use.
package struct ModelTable: Sendable {
    package struct Model: Sendable {
        package let name: String
        /// The name that workers serve it by.
        package let servedName: String
        let family: ReasoningFamily?
        let transport: ReasoningTransport
        /// `host:port` of its heaviest backend; nil where the policy names none.
        package let destination: String?
        /// Nil where the policy names none.
        let price: TokenPrice?
    }

    private let models: [String: Model]

    /// - Parameter config: validated.
    init(_ config: SemanticConfig) {
        let families = config.providers.defaults.reasoningFamilies
        var models: [String: Model] = [:]
        for model in config.providers.models {
            let primary = model.primaryBackend
            models[model.name] = Model(
                name: model.name,
                servedName: model.servedName,
                family: model.reasoningFamily.flatMap { families[$0] },
                transport: primary.map(ReasoningTransport.of) ?? .chatTemplate,
                destination: primary?.url.map { "\($0.host):\($0.port.number)" },
                price: TokenPrice(model.pricing)
            )
        }
        // Workers serve an adapter by its own name; whatever else it is, it is its base model.
        for card in config.routing.modelCards {
            guard let base = models[card.name] else { continue }
            for adapter in card.loras where models[adapter.name] == nil {
                models[adapter.name] = Model(
                    name: adapter.name,
                    servedName: adapter.name,
                    family: base.family,
                    transport: base.transport,
                    destination: base.destination,
                    price: base.price
                )
            }
        }
        self.models = models
    }

    /// What tokens cost, by model.
    var prices: [String: TokenPrice] { models.compactMapValues(\.price) }

    /// The model or adapter of that name.
    package subscript(name: String) -> Model? { models[name] }
}

extension TokenPrice {
    /// Nil for what costs nothing.
    fileprivate init?(_ pricing: Pricing) {
        guard pricing != Pricing() else { return nil }
        self.init(
            currency: pricing.currency,
            prompt: pricing.promptPerMillion,
            cachedPrompt: pricing.cachedInputPerMillion > 0 ? pricing.cachedInputPerMillion : nil,
            completion: pricing.completionPerMillion
        )
    }
}

extension ProviderModel {
    /// The backend of the highest weight, the first of several.
    fileprivate var primaryBackend: BackendReference? {
        var best: BackendReference?
        for backend in backends where backend.effectiveWeight > best?.effectiveWeight ?? -1 { best = backend }
        return best
    }
}

extension BackendReference {
    /// Upstream counts an unset or zero weight as 1.
    package var effectiveWeight: Double { weight > 0 ? weight : 1 }
}
