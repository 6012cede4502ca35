package import Resilience
import Synchronization

/// The workers of this router: takes whole sets from discovery, gives out immutable snapshots.
package final class WorkerPool: Sendable {
    private let current: Mutex<PoolSnapshot>
    private let breaker: CircuitBreaker.Settings
    private let metrics: InferenceMetrics

    package init(breaker: CircuitBreaker.Settings, metrics: InferenceMetrics) {
        self.breaker = breaker
        self.metrics = metrics
        current = Mutex(PoolSnapshot(workers: [], known: []))
    }

    package var snapshot: PoolSnapshot { current.withLock { $0 } }

    /// Replaces the set of endpoints. A worker whose endpoint is unchanged keeps its state.
    package func apply(_ endpoints: Set<Endpoint>) {
        current.withLock { snapshot in
            var kept: [Endpoint: Worker] = [:]
            for worker in snapshot.workers { kept[worker.endpoint] = worker }
            let workers = endpoints.map { endpoint in
                kept.removeValue(forKey: endpoint)
                    ?? Worker(endpoint: endpoint, breaker: breaker, metrics: metrics.worker(endpoint))
            }
            for gone in kept.values where !endpoints.contains(where: { $0.url == gone.endpoint.url }) {
                metrics.remove(gone.endpoint)
            }
            snapshot = PoolSnapshot(workers: workers, known: snapshot.knownModels)
        }
    }
}

/// The pool at one moment. A request keeps the one that it started with.
package struct PoolSnapshot: Sendable {
    /// All workers, by URL.
    package let workers: [Worker]
    /// Names that some worker serves, in the order of `workers`, each once.
    package let models: [String]
    /// Names that are or were served: a missing one of these is unavailable for now rather than unknown.
    let knownModels: Set<String>
    private let candidatesByModel: [String: Candidates]

    init(workers: [Worker], known: Set<String>) {
        self.workers = workers.sorted { $0.endpoint.url < $1.endpoint.url }
        var byModel: [String: [Worker]] = [:]
        var models: [String] = []
        for worker in self.workers {
            for model in worker.endpoint.models {
                if byModel[model] == nil { models.append(model) }
                byModel[model, default: []].append(worker)
            }
        }
        self.models = models
        knownModels = known.union(models)
        // Models served by the same set of workers share their rotation, as upstream's round robin counts per set.
        var shared: [[String]: Candidates] = [:]
        candidatesByModel = byModel.mapValues { workers in
            let urls = workers.map(\.endpoint.url)
            if let candidates = shared[urls] { return candidates }
            let candidates = Candidates(workers: workers)
            shared[urls] = candidates
            return candidates
        }
    }

    /// The workers that serve `model`; nil if none does.
    package func candidates(for model: String) -> Candidates? { candidatesByModel[model] }

    /// The worker with that endpoint id.
    package func worker(withID id: String) -> Worker? { workers.first { $0.endpoint.id == id } }
}

/// The workers that can serve a request, with what policies keep per set.
package final class Candidates: Sendable {
    /// By URL.
    package let workers: [Worker]
    /// How often this set has been asked for.
    let turn = Atomic<Int>(0)

    package init(workers: [Worker]) {
        self.workers = workers
    }
}
