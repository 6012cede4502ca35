package import OpenAIWire
package import Resilience

/// Turns a request and the pool's snapshot into an order of workers. Pure: no I/O, no clock.
package struct Planner: Sendable {
    package let policy: Policy

    package init(policy: Policy) {
        self.policy = policy
    }

    /// The workers to try for `model`, best first.
    ///
    /// When the filters leave nobody, every candidate is tried after all: a worker that may have recovered serves
    /// better than an error (Envoy's "panic" mode does the same).
    /// - Throws: `modelNotFound` (404) for a name that nobody serves or has served; `noWorker` (503) for one that was
    ///   served before.
    package func plan(
        model: String,
        in snapshot: PoolSnapshot,
        at now: MonotonicTime
    ) throws(RouterError) -> [Worker] {
        guard let candidates = snapshot.candidates(for: model) else {
            guard snapshot.knownModels.contains(model) else {
                throw RouterError(
                    .modelNotFound,
                    origin: .client,
                    "Model '\(model.prefix(128))' not found. Available models can be listed at /v1/models.",
                    parameter: "model"
                )
            }
            throw RouterError(
                .noWorker,
                origin: .upstream,
                "Model '\(model.prefix(128))' is temporarily unavailable. Please try again later.",
                parameter: "model",
                retryable: true
            )
        }
        let kept = candidates.workers.filter { worker in policy.filters.allSatisfy { $0.keep(worker, at: now) } }
        var order = policy.picker.rank(kept.isEmpty ? candidates.workers : kept, of: candidates)
        if !kept.isEmpty, kept.count < candidates.workers.count {
            // What was filtered out still stands behind the others.
            order += candidates.workers.filter { worker in !kept.contains { $0 === worker } }
        }
        return order
    }
}
