package import ConfigKit
import Instruments
import NIOCore
import Telemetry

/// The flags that concern metrics, for every command that serves requests.
package struct MetricFlags: Sendable, Hashable {
    package var isRecording = true

    package init() {}

    /// The flags, for the schema of options that hold a value of this type at `keyPath`.
    @SchemaBuilder<Root>
    package static func fields<Root: Configurable>(
        at keyPath: any WritableKeyPath<Root, MetricFlags> & Sendable
    ) -> [AnyField<Root>] {
        Field<Root, Bool>(
            "record-metrics",
            "Whether what happens is counted. Without, /metrics shows little more than what is at the moment.",
            get: { $0[keyPath: keyPath].isRecording },
            set: { $0[keyPath: keyPath].isRecording = $1 }
        )
    }

    /// A registry with the figures of process, machine and event loops.
    func registry(for group: any EventLoopGroup) -> MetricRegistry {
        let registry = MetricRegistry(isRecording: isRecording)
        ProcessMetrics.register(in: registry)
        HostMetrics.register(in: registry)
        EventLoopMonitor(registry: registry).watch(group)
        return registry
    }
}
