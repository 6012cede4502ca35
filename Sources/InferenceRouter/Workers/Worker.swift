package import Resilience
import Synchronization

/// An endpoint with its live state. Shared by all event loops: the state is an atomic and a breaker behind a lock that
/// is taken only while there are failures to remember.
package final class Worker: Sendable {
    package let endpoint: Endpoint
    let metrics: WorkerMetrics
    private let state: State

    /// What is remembered of an address, whatever it serves.
    private final class State: Sendable {
        let running = Atomic<Int>(0)
        let breaker: Mutex<CircuitBreaker>
        /// True while the breaker has something to remember: a healthy worker's requests never take the lock.
        let isSuspect = Atomic<Bool>(false)

        init(_ settings: CircuitBreaker.Settings) { breaker = Mutex(CircuitBreaker(settings)) }
    }

    init(endpoint: Endpoint, breaker settings: CircuitBreaker.Settings, metrics: WorkerMetrics) {
        self.endpoint = endpoint
        self.metrics = metrics
        state = State(settings)
    }

    /// The same worker, serving something else.
    ///
    /// - Parameter metrics: of what it serves now.
    init(_ former: Worker, as endpoint: Endpoint, metrics: WorkerMetrics) {
        self.endpoint = endpoint
        self.metrics = metrics
        state = former.state
    }

    /// Requests that this router has under way there.
    package var inFlight: Int { state.running.load(ordering: .relaxed) }

    /// Whether passive health lets requests through: false while the breaker is open.
    package func isHealthy(at now: MonotonicTime) -> Bool {
        guard state.isSuspect.load(ordering: .relaxed) else { return true }
        return state.breaker.withLock { $0.wouldAllow(at: now) }
    }

    /// Takes a request's place, and a half-open breaker's one probe: true if the request has become it.
    func begin(at now: MonotonicTime) -> Bool {
        state.running.add(1, ordering: .relaxed)
        guard state.isSuspect.load(ordering: .relaxed) else { return false }
        return state.breaker.withLock { $0.allow(at: now) && $0.state(at: now) == .halfOpen }
    }

    func end() {
        state.running.subtract(1, ordering: .relaxed)
    }

    /// An answer's head has come: the worker is there.
    package func answered() {
        guard state.isSuspect.load(ordering: .relaxed) else { return }
        state.breaker.withLock { breaker in
            breaker.succeeded()
            state.isSuspect.store(false, ordering: .relaxed)
        }
    }

    /// The worker could not be reached or broke off before an answer.
    package func failedToAnswer(at now: MonotonicTime) {
        state.breaker.withLock { breaker in
            state.isSuspect.store(true, ordering: .relaxed)
            breaker.failed(at: now)
        }
    }

    /// The probe ended without telling anything about the worker (the client went away).
    func abandonedProbe() {
        state.breaker.withLock { $0.abandoned() }
    }
}

/// A request's place at a worker: taken when the request is sent, given back when the lease ends, exactly once.
struct Lease: ~Copyable {
    private let worker: Worker
    /// Whether this request is the one by which a worker is tried again.
    private var isProbe: Bool

    init(_ worker: Worker, at now: MonotonicTime) {
        self.worker = worker
        isProbe = worker.begin(at: now)
    }

    /// The worker's state has been told: the probe has done its part.
    mutating func reported() { isProbe = false }

    deinit {
        if isProbe { worker.abandonedProbe() }
        worker.end()
    }
}
