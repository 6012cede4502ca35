import Synchronization

/// What models did within the last minutes and hours, under upstream's names.
///
/// Recording adds to totals without a lock, as every recorder does. Now and then (`tick`) the totals are remembered; a
/// scrape subtracts those of a window's beginning from those of now. A window begins at a remembered moment and so may
/// be up to 10 seconds longer than it is called, that of one hour a minute, that of 24 hours a quarter of an hour.
package final class WindowedModelMetrics: Sendable {
    package static let definitions = [
        latency, requests, tokens, utilization, errorRate, p50, p95, p99,
    ]

    static let latency = gauge("llm_model_latency_windowed_seconds", "Mean seconds to a model's whole answer.")
    static let requests = gauge("llm_model_requests_windowed_total", "Requests that a model answered or failed.")
    static let tokens = gauge(
        "llm_model_tokens_windowed_total",
        "Tokens of prompts and completions.",
        labels: ["model", "token_type", "time_window"]
    )
    static let utilization = gauge(
        "llm_model_utilization_percentage",
        "Share of the time in which a model had a request, as if they came one after another; 100 at most."
    )
    static let errorRate = gauge("llm_model_error_rate_windowed", "Share of the requests that failed, 0 to 1.")
    static let p50 = gauge("llm_model_latency_p50_windowed_seconds", "Half of the answers took at most so long.")
    static let p95 = gauge("llm_model_latency_p95_windowed_seconds", "95 % of the answers took at most so long.")
    static let p99 = gauge("llm_model_latency_p99_windowed_seconds", "99 % of the answers took at most so long.")

    private static func gauge(
        _ name: String,
        _ help: String,
        labels: [String] = ["model", "time_window"]
    ) -> MetricDefinition {
        .gauge(name, help.dropLast() + ", within the window.", labels: labels)
    }

    /// Upstream's windows.
    package static let windows: [(label: String, duration: Duration)] = [
        ("1m", .seconds(60)), ("5m", .seconds(300)), ("15m", .seconds(900)), ("1h", .seconds(3_600)),
        ("24h", .seconds(86_400)),
    ]

    /// How often `tick` wants to be called: every 10 s, upstream's default.
    package static let tickInterval = Duration.seconds(10)

    /// 100, upstream's default: a busy model takes up to 200 KB.
    package static let mostModels = 100

    /// The totals of one model.
    package final class Model: Sendable {
        let name: String
        fileprivate let cells = AtomicCells(width: Model.firstBucket + LatencyBuckets.count, stripes: 8)
        fileprivate let history: Mutex<TotalsHistory<Totals>>

        fileprivate static let errors = 0
        fileprivate static let promptTokens = 1
        fileprivate static let completionTokens = 2
        fileprivate static let latencySum = 3
        fileprivate static let firstBucket = 4

        fileprivate init(_ name: String, at now: UInt64) {
            self.name = name
            history = Mutex(TotalsHistory(Totals(), at: now))
        }

        /// Counts a request that is over.
        ///
        /// - Complexity: a few relaxed atomic additions.
        func record(seconds: Double, isError: Bool) {
            cells.add(1 as UInt64, at: Self.firstBucket + LatencyBuckets.index(seconds))
            cells.add(seconds, at: Self.latencySum)
            if isError { cells.add(1 as UInt64, at: Self.errors) }
        }

        func recordTokens(prompt: Int, completion: Int) {
            cells.add(UInt64(max(0, prompt)), at: Self.promptTokens)
            cells.add(UInt64(max(0, completion)), at: Self.completionTokens)
        }

        fileprivate var totals: Totals {
            var totals = Totals()
            totals.errors = cells.sum(at: Self.errors)
            totals.promptTokens = cells.sum(at: Self.promptTokens)
            totals.completionTokens = cells.sum(at: Self.completionTokens)
            totals.latencySum = cells.doubleSum(at: Self.latencySum)
            for index in totals.buckets.indices {
                // Differences are right across the overflow, and a window holds no four billion requests.
                totals.buckets[index] = UInt32(truncatingIfNeeded: cells.sum(at: Self.firstBucket + index))
            }
            return totals
        }
    }

    fileprivate struct Totals: Equatable, Sendable {
        var errors: UInt64 = 0
        var promptTokens: UInt64 = 0
        var completionTokens: UInt64 = 0
        var latencySum = 0.0
        var buckets = [UInt32](repeating: 0, count: LatencyBuckets.count)

        /// What has come since `former`.
        func since(_ former: Totals) -> Totals {
            var result = Totals()
            result.errors = errors &- former.errors
            result.promptTokens = promptTokens &- former.promptTokens
            result.completionTokens = completionTokens &- former.completionTokens
            result.latencySum = latencySum - former.latencySum
            result.buckets = zip(buckets, former.buckets).map { $0 &- $1 }
            return result
        }
    }

    private let models = Mutex<[String: Model]>([:])
    private let now: @Sendable () -> UInt64
    private let figures = Mutex<[Figures]>([])

    /// What a scrape shows of one model's window.
    private struct Figures: Sendable {
        let model: String
        let window: String
        let requests: Int
        let errors: Double
        let seconds: Double
        let promptTokens: Double
        let completionTokens: Double
        let busyPercent: Double
        /// Of `quantiles`; nil without requests.
        let p50: Double?
        let p95: Double?
        let p99: Double?
    }

    /// - Parameter now: nanoseconds of a monotonic clock.
    package init(registry: MetricRegistry, now: @escaping @Sendable () -> UInt64 = { TraceClock.monotonic }) {
        self.now = now
        registry.onScrape { [self] in
            let evaluated = evaluate()
            figures.withLock { $0 = evaluated }
            tick()
        }
        expose(Self.requests, in: registry) { Double($0.requests) }
        // No requests, no latency: the series is then absent, as upstream's is.
        expose(Self.latency, in: registry) { $0.requests > 0 ? $0.seconds / Double($0.requests) : nil }
        expose(Self.p50, in: registry) { $0.p50 }
        expose(Self.p95, in: registry) { $0.p95 }
        expose(Self.p99, in: registry) { $0.p99 }
        expose(Self.errorRate, in: registry) { $0.requests > 0 ? $0.errors / Double($0.requests) : 0 }
        expose(Self.utilization, in: registry) { $0.busyPercent }
        registry.collect(Self.tokens) { [self] in
            figures.withLock { $0 }.flatMap { figures in
                [("prompt", figures.promptTokens), ("completion", figures.completionTokens)].map {
                    MetricRegistry.Sample(labels: [figures.model, $0.0, figures.window], value: $0.1)
                }
            }
        }
    }

    private func expose(
        _ definition: MetricDefinition,
        in registry: MetricRegistry,
        _ value: @escaping @Sendable (Figures) -> Double?
    ) {
        registry.collect(definition) { [self] in
            figures.withLock { $0 }.compactMap { figures in
                value(figures).map { MetricRegistry.Sample(labels: [figures.model, figures.window], value: $0) }
            }
        }
    }

    /// A model's totals, to be kept; nil when there are as many models as there may be.
    func model(_ name: String) -> Model? {
        models.withLock { models in
            if let known = models[name] { return known }
            guard models.count < Self.mostModels else { return nil }
            let model = Model(name, at: now())
            models[name] = model
            return model
        }
    }

    /// Remembers the totals as they are. Call it every `tickInterval`; more often does no harm. A scrape does so too.
    package func tick() {
        let now = now()
        for model in models.withLock({ Array($0.values) }) {
            let totals = model.totals
            model.history.withLock { $0.note(totals, at: now) }
        }
    }

    private func evaluate() -> [Figures] {
        let now = now()
        return models.withLock { Array($0.values) }.flatMap { model in
            let totals = model.totals
            return Self.windows.map { window in
                let length = UInt64(window.duration / .nanoseconds(1))
                let start = model.history.withLock { $0.moment(notAfter: now > length ? now - length : 0) }
                let counted = totals.since(start.totals)
                let elapsed = Double(now &- start.time) / 1e9
                return Figures(
                    model: model.name,
                    window: window.label,
                    requests: counted.buckets.reduce(0) { $0 + Int($1) },
                    errors: Double(counted.errors),
                    seconds: counted.latencySum,
                    promptTokens: Double(counted.promptTokens),
                    completionTokens: Double(counted.completionTokens),
                    busyPercent: elapsed > 0 ? min(100, counted.latencySum / elapsed * 100) : 0,
                    p50: LatencyBuckets.quantile(0.5, of: counted.buckets),
                    p95: LatencyBuckets.quantile(0.95, of: counted.buckets),
                    p99: LatencyBuckets.quantile(0.99, of: counted.buckets)
                )
            }
        }
    }
}
