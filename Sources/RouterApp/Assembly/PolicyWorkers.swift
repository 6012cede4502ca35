import ConfigKit
import HTTPTransport
import InferenceRouter
import SemanticRouter

extension Set<Endpoint> {
    /// These endpoints and `former` ones; of one address, the models of both.
    func keeping(_ former: [Endpoint]) -> Set<Endpoint> {
        var byURL = Dictionary(map { ($0.url, $0) }) { first, _ in first }
        for endpoint in former {
            guard let current = byURL[endpoint.url] else {
                byURL[endpoint.url] = endpoint
                continue
            }
            let more = endpoint.models.filter { !current.models.contains($0) }
            guard !more.isEmpty else { continue }
            byURL[endpoint.url] = Endpoint(
                origin: current.origin,
                models: current.models + more,
                weights: endpoint.weights.merging(current.weights) { _, current in current }
            )
        }
        return Set(byURL.values)
    }
}

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
