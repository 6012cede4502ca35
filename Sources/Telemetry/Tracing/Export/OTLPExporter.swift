package import Instruments
package import Logging
package import NIOCore
package import Resilience
import Synchronization

/// Sends traces to an OpenTelemetry collector, in batches, off the request's path.
///
/// A collector that is slow, refuses or is gone costs a request nothing: what waits is bounded, and what does not fit
/// is dropped and counted.
package final class OTLPExporter: TraceSink {
    /// How failed attempts are repeated.
    package struct Retries: Hashable, Sendable {
        /// 1 s to 30 s.
        package var backoff = Backoff(base: .seconds(1), cap: .seconds(30))
        /// Attempts beyond the first: with waits as long as they get, a minute's worth.
        package var most = 6
        /// The longest wait that a collector may ask for: 5 min.
        package var longestWait = Duration.seconds(300)

        package init() {}
    }

    private let queue: TraceQueue
    private let settings: TracingSettings
    private let retries: Retries
    private let carrier: any TraceCarrier
    private let encoder: TraceEncoder
    private let metrics: TracingMetrics
    private let logger: Logger
    private let sleep: @Sendable (Duration) async -> Void
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// - Parameters:
    ///   - version: of this program.
    ///   - sleep: returns after the time, or when the task is cancelled.
    package init(
        _ settings: TracingSettings,
        carrier: any TraceCarrier,
        version: String,
        registry: MetricRegistry,
        logger: Logger,
        retries: Retries = Retries(),
        sleep: @escaping @Sendable (Duration) async -> Void = { try? await Task.sleep(for: $0) }
    ) {
        self.settings = settings
        self.carrier = carrier
        self.retries = retries
        self.logger = logger
        self.sleep = sleep
        queue = TraceQueue(limits: settings.limits)
        encoder = TraceEncoder(resource: settings.resource, version: version)
        metrics = TracingMetrics(registry: registry)
        metrics.observe(queue)
    }

    /// An exporter that runs, over the transport that the settings ask for.
    ///
    /// - Throws: what is wrong with the authority file.
    package static func start(
        _ settings: TracingSettings,
        version: String,
        registry: MetricRegistry,
        logger: Logger,
        group: any EventLoopGroup
    ) async throws -> OTLPExporter {
        let userAgent = "sextant/\(version)"
        let carrier: any TraceCarrier =
            switch settings.transport {
            case .grpc: try GRPCTraceCarrier(settings, userAgent: userAgent, group: group)
            case .http: try await HTTPTraceCarrier(settings, userAgent: userAgent, group: group)
            }
        let exporter = OTLPExporter(
            settings,
            carrier: carrier,
            version: version,
            registry: registry,
            logger: logger
        )
        exporter.start()
        return exporter
    }

    /// Begins to export; `shutdown` ends it.
    package func start() {
        task.withLock { task in
            if task == nil { task = Task { await self.run() } }
        }
    }

    /// Takes no more traces, sends what waits, and gives up at the deadline. What the collector does not take at once
    /// is not tried again.
    package func shutdown(within deadline: Duration) async {
        queue.close()
        if let running = task.withLock({ $0 }) {
            await withTaskGroup { group in
                group.addTask { await running.value }
                group.addTask { [sleep] in
                    await sleep(deadline)
                    // Also when the export has ended first: the end of a task that has ended is no loss.
                    running.cancel()
                }
                await group.next()
                group.cancelAll()
            }
        }
        await closeCarrier()
    }

    /// A collector that does not say goodbye is not waited for: a group of tasks would be, whatever ends first.
    private func closeCarrier() async {
        await withCheckedContinuation { continuation in
            let first = FirstEnd(continuation)
            Task { [carrier] in
                await carrier.close()
                first.happened()
            }
            Task { [sleep] in
                await sleep(Self.goodbye)
                first.happened()
            }
        }
    }

    /// Resumes once.
    private final class FirstEnd: Sendable {
        private let waiter: Mutex<CheckedContinuation<Void, Never>?>

        init(_ waiter: CheckedContinuation<Void, Never>) { self.waiter = Mutex(waiter) }

        func happened() { waiter.withLock { $0.take() }?.resume() }
    }

    /// 200 ms, for the end of connections.
    private static let goodbye = Duration.milliseconds(200)

    package func record(_ trace: Trace.Finished) {
        switch queue.add(trace) {
        case nil: break
        case .full: metrics.drop(trace.spans.count, .queueFull)
        case .tooLarge: metrics.drop(trace.spans.count, .tooLarge)
        case .closed: metrics.drop(trace.spans.count, .shutdown)
        }
    }

    // MARK: Exporting

    private func run() async {
        var random = SystemRandomNumberGenerator()
        var log = ExportLog(logger: logger, endpoint: settings.endpointText)
        while true {
            await wait(settings.limits.batchDelay, whenFull: true)
            let isLast = queue.isClosed
            repeat {
                var traces = queue.takeIncoming()
                while !traces.isEmpty {
                    let batch = queue.cutBatch(from: &traces)
                    await export(batch, &log, using: &random)
                    queue.release(batch)
                }
                // What came meanwhile goes too while it is as much as a batch; the rest waits for its time.
            } while queue.spans >= settings.limits.batchSpans && !isLast
            log.noteDrops(metrics.dropped[.queueFull]?.value ?? 0)
            if isLast { return }
        }
    }

    private func export(
        _ batch: TraceQueue.Batch,
        _ log: inout ExportLog,
        using random: inout some RandomNumberGenerator
    ) async {
        let request = encoder.request(batch.traces)
        var attempt = 0
        while !Task.isCancelled {
            let clock = ContinuousClock()
            let start = clock.now
            let outcome = await carrier.send(request, within: settings.timeout)
            metrics.attempted(outcome, clock.now - start)
            switch outcome {
            case .accepted(let rejected, let message):
                let rejected = min(rejected, batch.spans)
                metrics.exported.increment(by: batch.spans - rejected)
                metrics.drop(rejected, .rejected)
                log.accepted(rejected: rejected, message: message)
                return
            case .refused(let reason):
                metrics.drop(batch.spans, .rejected)
                log.failed(reason)
                return
            case .tooLarge(let reason):
                metrics.drop(batch.spans, .tooLarge)
                log.failed(reason)
                return
            case .failed(let reason, let retryAfter):
                log.failed(reason)
                if attempt == retries.most || queue.isClosed {
                    metrics.drop(batch.spans, queue.isClosed ? .shutdown : .failed)
                    return
                }
                let backoff = retries.backoff.delay(attempt: attempt, using: &random)
                await wait(max(backoff, min(retryAfter ?? .zero, retries.longestWait)), whenFull: false)
                attempt += 1
            }
        }
        metrics.drop(batch.spans, .shutdown)
    }

    /// Returns after the time, or earlier when the process ends, or with `whenFull` when there is a batch.
    private func wait(_ time: Duration, whenFull: Bool) async {
        await withTaskGroup { group in
            group.addTask { [queue] in await queue.wait(whenFull: whenFull) }
            group.addTask { [sleep] in await sleep(time) }
            await group.next()
            group.cancelAll()
        }
    }
}

/// Says in the log what has changed, not what has happened again.
private struct ExportLog {
    let logger: Logger
    let endpoint: String
    private var state = State.unknown
    private var drops = 0.0
    private var isDropping = false

    private enum State: Equatable {
        case unknown
        case well
        case rejecting
        case failing
    }

    init(logger: Logger, endpoint: String) {
        self.logger = logger
        self.endpoint = endpoint
    }

    private mutating func enter(_ new: State) -> Bool {
        defer { state = new }
        return state != new
    }

    mutating func accepted(rejected: Int, message: String) {
        let former = state
        if rejected > 0 {
            guard enter(.rejecting) else { return }
            logger.warning(
                "the trace collector rejects spans",
                metadata: ["endpoint": "\(endpoint)", "rejected": "\(rejected)", "reason": "\(message)"]
            )
        } else if enter(.well), former != .unknown {
            logger.notice("traces are exported again", metadata: ["endpoint": "\(endpoint)"])
        }
    }

    mutating func failed(_ reason: String) {
        guard enter(.failing) else { return }
        logger.warning(
            "traces cannot be exported",
            metadata: ["endpoint": "\(endpoint)", "reason": "\(reason)"]
        )
    }

    /// - Parameter total: spans that there was no room for, so far.
    mutating func noteDrops(_ total: Double) {
        let isDropping = total > drops
        if isDropping, !self.isDropping {
            logger.warning(
                "spans are dropped: they come faster than the trace collector takes them",
                metadata: ["endpoint": "\(endpoint)", "spans": "\(Int(total - drops))"]
            )
        }
        drops = total
        self.isDropping = isDropping
    }
}
