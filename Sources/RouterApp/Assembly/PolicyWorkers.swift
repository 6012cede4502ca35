import ConfigKit
import HTTPTransport
import InferenceRouter
import SemanticRouter

extension SemanticConfig {
    /// The workers that the policy names: every backend of every model, with the model's adapters.
    var endpoints: Set<Endpoint> {
        var models: [Origin: [String]] = [:]
        var weights: [Origin: [String: Double]] = [:]
        for model in providers.models {
            let adapters = routing.modelCards.first { $0.name == model.name }?.loras.map(\.name) ?? []
            for backend in model.backends {
                guard let url = backend.url else { continue }
                let origin = Origin(host: url.host, port: Int(url.port.number), isTLS: url.scheme == .https)
                for name in [model.servedName] + adapters where !models[origin, default: []].contains(name) {
                    models[origin, default: []].append(name)
                    weights[origin, default: [:]][name] = backend.effectiveWeight
                }
            }
        }
        return Set(models.map { Endpoint(origin: $0.key, models: $0.value, weights: weights[$0.key] ?? [:]) })
    }
}
