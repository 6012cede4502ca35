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

    /// Replaces the set of endpoints. A worker whose address is unchanged keeps its state.
    package func apply(_ endpoints: Set<Endpoint>) {
        current.withLock { snapshot in
            var former: [String: Worker] = [:]
            for worker in snapshot.workers { former[worker.endpoint.url] = worker }
            let workers = endpoints.map { endpoint in
                guard let worker = former.removeValue(forKey: endpoint.url) else {
                    return Worker(endpoint: endpoint, breaker: breaker, metrics: metrics.worker(endpoint))
                }
                if worker.endpoint == endpoint { return worker }
                let changed = metrics.worker(endpoint, formerly: worker.metrics, serving: worker.endpoint.models)
                return Worker(worker, as: endpoint, metrics: changed)
            }
            for gone in former.values { metrics.remove(gone.endpoint) }
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
        var shared: [Share: Candidates] = [:]
        var candidatesByModel: [String: Candidates] = [:]
        for (model, workers) in byModel {
            let weights = workers.map { $0.endpoint.weights[model] ?? 1 }
            let share = Share(urls: workers.map(\.endpoint.url), weights: weights)
            let candidates = shared[share] ?? Candidates(workers: workers, weights: weights)
            shared[share] = candidates
            candidatesByModel[model] = candidates
        }
        self.candidatesByModel = candidatesByModel
    }

    /// What models must have in common to be one rotation.
    private struct Share: Hashable {
        let urls: [String]
        let weights: [Double]
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
    /// Places in `workers` in the order of their turns; nil where all have the same weight.
    let schedule: [Int]?
    /// How often this set has been asked for.
    let turn = Atomic<Int>(0)

    /// - Parameter weights: one for each worker, above 0.
    package init(workers: [Worker], weights: [Double]) {
        self.workers = workers
        schedule = Set(weights).count > 1 ? Self.schedule(weights) : nil
    }

    /// Shares are kept to a percent, and 10,000 turns take 80 KB.
    private static let turns = 100...10_000

    /// Turns spread evenly, by the smooth weighted round robin of nginx's `ngx_http_upstream_round_robin`: everybody
    /// gains their weight, the one who has gained most gets the turn and pays the sum.
    private static func schedule(_ weights: [Double]) -> [Int] {
        let sum = weights.reduce(0, +)
        let lightest = weights.min() ?? 1
        let wanted = (sum / lightest).rounded(.up)
        let turns = wanted < Double(turns.upperBound) ? max(turns.lowerBound, Int(wanted)) : turns.upperBound
        var gains = weights.map { _ in 0.0 }
        let schedule = (0..<turns).map { _ in
            var best = 0
            for index in weights.indices {
                gains[index] += weights[index]
                if gains[index] > gains[best] { best = index }
            }
            gains[best] -= sum
            return best
        }
        // Whoever is too light for a turn has one all the same.
        let served = Set(schedule)
        return schedule + weights.indices.filter { !served.contains($0) }
    }
}
