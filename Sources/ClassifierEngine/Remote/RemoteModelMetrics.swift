package import Instruments
import Resilience
import Synchronization

/// What is asked of models that workers serve, by model.
package final class RemoteModelMetrics: Sendable {
    package static let definitions = [requests, seconds, breakerState]

    static let requests = MetricDefinition.counter(
        "sextant_remote_model_requests",
        "Calls of a model that a worker serves, by outcome: " + RemoteFailure.outcomes.joined(separator: ", ") + ".",
        labels: ["model", "outcome"]
    )
    static let seconds = MetricDefinition.histogram(
        "sextant_remote_model_seconds",
        "Seconds that a request to a model's worker took, whatever came of it.",
        labels: ["model"],
        buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
    )
    static let breakerState = MetricDefinition.gauge(
        "sextant_remote_model_breaker_state",
        "1 for the state that the breaker of a model's worker is in: closed, open, half_open; 0 for the others.",
        labels: ["model", "state"]
    )

    /// The recorders of one model, kept with it.
    struct OfModel: Sendable {
        let seconds: Histogram
        private let name: String
        private let requests: CounterFamily

        fileprivate init(_ name: String, _ seconds: Histogram, _ requests: CounterFamily) {
            self.name = name
            self.seconds = seconds
            self.requests = requests
        }

        func countAnswer() {
            requests.with(name, "answered").increment()
        }

        func count(_ failure: RemoteFailure) {
            requests.with(name, failure.outcome).increment()
        }
    }

    /// A model whose breaker is shown for as long as the model is.
    private struct Observed {
        weak var model: RemoteModel?
    }

    private let counters: CounterFamily
    private let histograms: HistogramFamily
    private let observed = Mutex<[String: Observed]>([:])

    package init(registry: MetricRegistry) {
        counters = registry.counters(Self.requests)
        histograms = registry.histograms(Self.seconds)
        registry.collect(Self.breakerState) { [weak self] in self?.breakerStates() ?? [] }
    }

    /// - Parameter name: from the configuration, never from a request.
    func model(_ name: String) -> OfModel {
        OfModel(name, histograms.with(name), counters)
    }

    /// Shows the model's breaker; of models of one name that of the last.
    func observe(_ model: RemoteModel) {
        observed.withLock { $0[model.settings.name] = Observed(model: model) }
    }

    private func breakerStates() -> [MetricRegistry.Sample] {
        let models = observed.withLock { observed in
            observed = observed.filter { $0.value.model != nil }
            return observed.compactMap { $0.value.model }
        }
        return models.flatMap { model in
            let current = model.breakerState
            return CircuitBreaker.State.allCases.map { state in
                MetricRegistry.Sample(labels: [model.settings.name, state.rawValue], value: state == current ? 1 : 0)
            }
        }
    }
}
