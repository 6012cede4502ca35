package import HTTPTransport
import Instruments
package import Logging
package import NIOCore
package import OpenAIWire
import Resilience
package import Transport

/// Chooses a worker for each request and proxies the request to it. Immutable: one value per configuration.
package struct InferenceRouter: Sendable {
    package let settings: DispatchSettings
    package let pool: WorkerPool
    package let metrics: InferenceMetrics
    let planner: Planner
    let clients: LoopLocal<UpstreamClient>
    let logger: Logger

    package init(
        settings: DispatchSettings,
        policy: Policy,
        pool: WorkerPool,
        clients: LoopLocal<UpstreamClient>,
        metrics: InferenceMetrics,
        logger: Logger
    ) {
        self.settings = settings
        self.pool = pool
        self.metrics = metrics
        self.clients = clients
        self.logger = logger
        planner = Planner(policy: policy)
    }

    /// Proxies `request` and answers through `exchange`, on the exchange's event loop and without leaving it.
    ///
    /// - Throws: a `RouterError` when no worker can be asked; nothing has been sent to the client then. Failures after
    ///   that are answered by the call itself.
    package func handle(_ request: ProxyRequest, on exchange: HTTPExchange) throws(RouterError) {
        let now = NIODeadline.now()
        let snapshot = request.pool ?? pool.snapshot
        let order: [Worker]
        if let id = request.pinnedEndpoint {
            guard let worker = snapshot.worker(withID: id) else {
                throw .invalidRequest("Engine with Id \(id.prefix(64)) not found.", parameter: "id")
            }
            order = [worker]
        } else {
            let routing = request.trace?.begin(InferenceSpans.routing)
            var watch = Stopwatch()
            defer {
                routing?.end()
                metrics.stages.record(.pick, watch.lap())
            }
            do {
                order = try planner.plan(model: request.model, in: snapshot, at: MonotonicTime(now))
                // A name that nobody serves is the client's own text.
                request.trace?.set(InferenceSpans.model, .text(request.model))
                routing?.set(InferenceSpans.candidates, .number(order.count))
                routing?.set(InferenceSpans.routingLogic, .text(planner.policy.name))
            } catch {
                metrics.countUnknownModel()
                routing?.fail(error.code.rawValue)
                throw error
            }
        }
        guard exchange.isOpen else {
            request.trace?.fail(Outcome.cancelled.rawValue)
            request.trace?.finish()
            return
        }
        ProxyCall(request: request, order: order, router: self, exchange: exchange).start(at: now)
    }

    /// The name under which workers serve `model`: an alias stands for another name, and `auto` for the default model
    /// when nobody before us has chosen one.
    package func resolve(_ model: String) -> String {
        if let target = settings.aliases[model] { return target }
        guard settings.automaticNames.contains(model) else { return model }
        let snapshot = pool.snapshot
        guard snapshot.candidates(for: model) == nil else { return model }
        if let chosen = settings.defaultModel { return settings.aliases[chosen] ?? chosen }
        return snapshot.models.count == 1 ? snapshot.models[0] : model
    }

    /// The models of all workers, and the aliases.
    package func modelCards() -> [ModelList.Entry] {
        let models = pool.snapshot.models
        let aliases = settings.aliases.keys.sorted().filter { !models.contains($0) }
        return (models + aliases).map { ModelList.Entry(id: $0, created: settings.started, ownedBy: "vllm") }
    }

    /// Upstream's `/engines`: a JSON array of the workers.
    package func enginesPage() -> ByteBuffer {
        JSONFragment.array(
            pool.snapshot.workers.map { worker in
                .object([
                    ("engine_id", JSONFragment(worker.endpoint.id)),
                    ("serving_models", .array(worker.endpoint.models.map { JSONFragment($0) })),
                    ("created", JSONFragment(settings.started)),
                ])
            }
        ).bytes
    }
}

/// How requests are sent to workers.
package struct DispatchSettings: Sendable {
    /// How often a request is sent again when the worker that had it ends the connection without an answer. 1: what breaks
    /// a worker may be the request itself.
    package var maxFailoverAttempts = 1
    package var deadlines = UpstreamDeadlines()
    /// Other names of models: alias to name.
    package var aliases: [String: String] = [:]
    /// What answers `auto` when no semantic router has chosen. With nil, the only model, if there is only one.
    package var defaultModel: String?
    /// Names that ask for a choice: the ones that vLLM Semantic Router's clients use.
    package var automaticNames: Set<String> = [ModelName.automatic, "MoM", "vllm-sr/auto"]
    /// Seconds since 1970 when the process started: the `created` of model cards.
    package var started = 0

    package init() {}
}

extension MonotonicTime {
    /// Both clocks are CLOCK_MONOTONIC in nanoseconds.
    init(_ deadline: NIODeadline) {
        self.init(nanoseconds: deadline.uptimeNanoseconds)
    }
}
