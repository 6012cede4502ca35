package import NIOCore

/// When the tokens of one answer are due.
///
/// The first comes after `prefillOverhead + uncached tokens · prefillTimePerToken`, each further one
/// `interTokenLatency` after the one before. All of it is stretched by the load at the moment: linearly from 1 for a
/// lone request to `timeFactorUnderLoad` for a full batch, as in llm-d-inference-sim.
package struct TokenClock: Sendable {
    package struct Settings: Sendable, Hashable {
        package var prefillOverhead: TimeAmount
        package var prefillTimePerToken: TimeAmount
        package var interTokenLatency: TimeAmount
        package var timeFactorUnderLoad: Double
        package var maxRunning: Int

        package init(_ config: SimConfig) {
            prefillOverhead = TimeAmount(config.prefillOverhead)
            prefillTimePerToken = TimeAmount(config.prefillTimePerToken)
            interTokenLatency = TimeAmount(config.interTokenLatency)
            timeFactorUnderLoad = config.timeFactorUnderLoad
            maxRunning = config.maxRunning
        }
    }

    private let settings: Settings
    /// How much slower this request runs than its worker: 1, or what a fault says.
    private let slowness: Double
    /// When the next token is due.
    package private(set) var due: NIODeadline

    /// - Parameter running: How many requests run, this one included.
    package init(
        _ settings: Settings,
        uncachedTokens: Int,
        slowness: Double = 1,
        running: Int,
        admittedAt start: NIODeadline
    ) {
        self.settings = settings
        self.slowness = slowness
        let nanoseconds =
            settings.prefillOverhead.nanoseconds + Int64(uncachedTokens) * settings.prefillTimePerToken.nanoseconds
        due = start
        due = start + stretched(nanoseconds, running: running)
    }

    /// The token that was due has been sent. The next one counts from when it was due, not from when it was sent, so
    /// that late timers do not add up.
    package mutating func tokenSent(running: Int) {
        due = due + stretched(settings.interTokenLatency.nanoseconds, running: running)
    }

    /// The factor of `running` requests.
    package static func loadFactor(running: Int, _ settings: Settings) -> Double {
        guard settings.maxRunning > 1 else { return 1 }
        let load = Double(min(running, settings.maxRunning) - 1) / Double(settings.maxRunning - 1)
        return 1 + (settings.timeFactorUnderLoad - 1) * max(0, load)
    }

    private func stretched(_ nanoseconds: Int64, running: Int) -> TimeAmount {
        let factor = slowness * Self.loadFactor(running: running, settings)
        return .nanoseconds(factor == 1 ? nanoseconds : Int64((Double(nanoseconds) * factor).rounded()))
    }
}
