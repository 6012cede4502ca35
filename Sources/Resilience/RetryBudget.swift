/// Bounds retries to a share of the requests, so that retrying cannot multiply an overload.
///
/// A token bucket after Finagle's (https://twitter.github.io/finagle/guide/Clients.html#retries): every request pays in
/// `ratio` tokens, every second pays in `minimumPerSecond`, a retry takes one. The bucket holds at most `capacity` tokens
/// and starts full, so that over any span of time retries ≤ capacity + ratio · requests + minimumPerSecond · seconds.
///
/// A value without a clock: the owner passes the time, and guards the value if threads share it.
package struct RetryBudget: Sendable {
    package struct Settings: Hashable, Sendable {
        /// Retries per request, 0…1.
        package var ratio: Double
        /// Retries per second that are always affordable, so that a service with few requests can retry at all.
        package var minimumPerSecond: Double
        /// The most retries in one burst.
        package var capacity: Double

        /// 20 % of the requests plus 10 retries a second are Finagle's defaults; 100 is ten seconds of the latter, the
        /// span over which Finagle's deposits live.
        package init(ratio: Double = 0.2, minimumPerSecond: Double = 10, capacity: Double = 100) {
            precondition((0...1).contains(ratio), "a retry ratio must lie in 0…1")
            precondition((0...1_000_000).contains(minimumPerSecond), "retries per second must lie in 0…1,000,000")
            precondition((0...1_000_000_000).contains(capacity), "a retry capacity must lie in 0…1,000,000,000")
            self.ratio = ratio
            self.minimumPerSecond = minimumPerSecond
            self.capacity = capacity
        }
    }

    /// Balances are whole billionths of a token: sums are exact, and one nanosecond of one token a second is one unit.
    private static let unitsPerToken: Int64 = 1_000_000_000

    package let settings: Settings
    private let capacity: Int64
    private let perRequest: Int64
    private var balance: Int64
    private var refilledAt: MonotonicTime

    package init(_ settings: Settings = Settings(), at now: MonotonicTime) {
        self.settings = settings
        capacity = Int64(settings.capacity * Double(Self.unitsPerToken))
        perRequest = Int64(settings.ratio * Double(Self.unitsPerToken))
        balance = capacity
        refilledAt = now
    }

    /// A first attempt was sent.
    package mutating func requestSent() {
        balance = min(capacity, balance + perRequest)
    }

    /// Takes one token; false if the retry cannot be afforded.
    package mutating func allowRetry(at now: MonotonicTime) -> Bool {
        refill(at: now)
        guard balance >= Self.unitsPerToken else { return false }
        balance -= Self.unitsPerToken
        return true
    }

    /// Whole retries that could be afforded now.
    package func available(at now: MonotonicTime) -> Int {
        var copy = self
        copy.refill(at: now)
        return Int(copy.balance / Self.unitsPerToken)
    }

    private mutating func refill(at now: MonotonicTime) {
        guard now > refilledAt else { return }
        // A fraction of a unit is lost at each refill: less than a billionth of a token.
        let earned = Double(now.nanoseconds - refilledAt.nanoseconds) * settings.minimumPerSecond
        balance = earned >= Double(capacity) ? capacity : min(capacity, balance + Int64(earned))
        refilledAt = now
    }
}
