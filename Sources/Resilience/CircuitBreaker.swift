/// Stops asking something that keeps failing, and asks it again with one request at a time until it works.
///
/// - *Closed*: everything is admitted; `failureThreshold` failures in a row open the breaker.
/// - *Open*: nothing is admitted until the open time is over. It doubles each time a probe fails, up to `longestOpen`.
/// - *Half-open*: one request, the probe, is admitted. Its success closes the breaker, its failure opens it again.
///
/// Whoever was admitted reports exactly once: `succeeded`, `failed`, or `abandoned` when there was no outcome to speak of
/// (the client went away). Requests admitted before the breaker opened may report later: an answer closes the
/// breaker whatever its state, because it is as fresh as the report is; a failure while it is open tells nothing new. A probe that never
/// reports is given up after `longestOpen`, so that a lost report cannot shut a worker out for good.
///
/// A value without a clock: the owner passes the time, and guards the value if threads share it.
package struct CircuitBreaker: Sendable {
    package struct Settings: Hashable, Sendable {
        /// Failures in a row that open a closed breaker; at least 1.
        package var failureThreshold: Int
        /// How long the breaker stays open the first time.
        package var firstOpen: Duration
        /// The longest that it stays open between two probes.
        package var longestOpen: Duration

        /// 5 failures and 300 s are the defaults of Envoy's outlier detection; the first time out is 1 s instead of its
        /// 30 s, because what comes back first is a single probe and not the whole traffic.
        package init(
            failureThreshold: Int = 5,
            firstOpen: Duration = .seconds(1),
            longestOpen: Duration = .seconds(300)
        ) {
            precondition(failureThreshold >= 1, "a breaker needs at least one failure to open")
            precondition(firstOpen >= .zero && firstOpen <= longestOpen, "firstOpen must lie in 0…longestOpen")
            self.failureThreshold = failureThreshold
            self.firstOpen = firstOpen
            self.longestOpen = longestOpen
        }
    }

    package enum State: String, CaseIterable, Sendable {
        case closed
        case open
        case halfOpen = "half_open"
    }

    private enum Phase {
        case closed(failuresInARow: Int)
        /// `reopenings` counts the failed probes since the breaker was last closed; it sets the open time.
        case open(until: MonotonicTime, reopenings: Int)
        /// `probe` is when the probe that is out was admitted; nil when the next caller becomes the probe.
        case halfOpen(probe: MonotonicTime?, reopenings: Int)
    }

    package let settings: Settings
    private var phase = Phase.closed(failuresInARow: 0)

    package init(_ settings: Settings = Settings()) {
        self.settings = settings
    }

    /// True if a request may be sent now; in the half-open state the caller has then become the probe.
    package mutating func allow(at now: MonotonicTime) -> Bool {
        switch phase {
        case .closed:
            return true
        case .open(let until, let reopenings):
            guard now >= until else { return false }
            phase = .halfOpen(probe: now, reopenings: reopenings)
            return true
        case .halfOpen(let probe, let reopenings):
            if let probe, now < probe + settings.longestOpen { return false }
            phase = .halfOpen(probe: now, reopenings: reopenings)
            return true
        }
    }

    /// What `allow` would answer, without becoming the probe: for filters that look at candidates they may not use.
    package func wouldAllow(at now: MonotonicTime) -> Bool {
        var copy = self
        return copy.allow(at: now)
    }

    /// An admitted request was answered well.
    package mutating func succeeded() {
        phase = .closed(failuresInARow: 0)
    }

    /// An admitted request failed in a way that says the other side is unwell.
    package mutating func failed(at now: MonotonicTime) {
        switch phase {
        case .closed(let failures):
            if failures + 1 < settings.failureThreshold {
                phase = .closed(failuresInARow: failures + 1)
            } else {
                open(reopenings: 0, at: now)
            }
        case .halfOpen(_, let reopenings):
            open(reopenings: reopenings + 1, at: now)
        case .open:
            break
        }
    }

    /// An admitted request ended without telling anything about the other side.
    package mutating func abandoned() {
        if case .halfOpen(_, let reopenings) = phase {
            phase = .halfOpen(probe: nil, reopenings: reopenings)
        }
    }

    /// The state as shown in metrics. An open breaker whose time is over is half-open: the next caller is the probe.
    package func state(at now: MonotonicTime) -> State {
        switch phase {
        case .closed: .closed
        case .open(let until, _): now >= until ? .halfOpen : .open
        case .halfOpen: .halfOpen
        }
    }

    private mutating func open(reopenings: Int, at now: MonotonicTime) {
        let openTime = Backoff(base: settings.firstOpen, cap: settings.longestOpen).ceiling(attempt: reopenings)
        phase = .open(until: now + openTime, reopenings: reopenings)
    }
}
