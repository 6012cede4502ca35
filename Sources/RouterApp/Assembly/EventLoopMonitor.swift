package import Instruments
package import NIOCore

/// Shows how late event loops are: every second, how long after its time a task runs on each.
///
/// What holds a loop up shows here, and in the latency of every connection of that loop.
package struct EventLoopMonitor: Sendable {
    package static let definitions = [delay]

    static let delay = MetricDefinition.histogram(
        "sextant_event_loop_delay_seconds",
        "How long after its time a task ran on an event loop, looked at once a second.",
        labels: ["loop"],
        buckets: [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
    )

    private let delays: HistogramFamily
    private let interval: TimeAmount

    package init(registry: MetricRegistry, interval: TimeAmount = .seconds(1)) {
        delays = registry.histograms(Self.delay)
        self.interval = interval
    }

    /// Watches all loops of a group until they end.
    package func watch(_ group: any EventLoopGroup) {
        for (index, loop) in group.makeIterator().enumerated() {
            schedule(on: loop, recording: delays.with("\(index)"))
        }
    }

    private func schedule(on loop: any EventLoop, recording delay: Histogram) {
        let due = NIODeadline.now() + interval
        // A loop that ends drops what is scheduled.
        loop.scheduleTask(deadline: due) {
            delay.record(.nanoseconds((NIODeadline.now() - due).nanoseconds))
            schedule(on: loop, recording: delay)
        }
    }
}
