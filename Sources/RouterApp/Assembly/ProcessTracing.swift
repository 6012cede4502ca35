package import ConfigKit
package import Instruments
package import Logging
package import NIOCore
import Telemetry

/// What a process needs to trace its requests: who begins traces, and who sends them.
package struct ProcessTracing: Sendable {
    package let tracer: RequestTracer
    private let exporter: OTLPExporter

    /// Starts to export, if flags, environment or policy ask for it; nil where nothing is traced.
    ///
    /// - Parameters:
    ///   - policy: what the policy says, if there is one.
    ///   - service: the name by which the traces call this process, unless somebody says another.
    /// - Throws: what is wrong with the file of the collector's authority.
    package static func start(
        flags: TracingLayer = TracingLayer(),
        policy: TracingLayer? = nil,
        service: String,
        environment: ProcessEnvironment = .process,
        registry: MetricRegistry,
        logger: Logger,
        group: any EventLoopGroup
    ) async throws -> ProcessTracing? {
        let variables = TracingVariables(environment)
        for warning in variables.warnings { logger.warning("\(warning)") }
        let settings = TracingSettings.resolved(
            flags: flags,
            environment: variables,
            policy: policy,
            process: .current(service: service, version: Version.text)
        )
        guard let settings else { return nil }
        let exporter = try await OTLPExporter.start(
            settings,
            version: Version.text,
            registry: registry,
            logger: logger,
            group: group
        )
        logger.notice(
            "requests are traced",
            metadata: ["endpoint": "\(settings.endpointText)", "sampler": "\(settings.samplingText)"]
        )
        var random = SystemRandomNumberGenerator()
        let tracer = RequestTracer(sampler: settings.sampler(), sink: exporter, using: &random)
        return ProcessTracing(tracer: tracer, exporter: exporter)
    }

    /// 5 s: what the collector has not taken by then is dropped, and the process ends.
    private static let flushTimeout = Duration.seconds(5)

    /// Sends what waits.
    package func shutdown() async {
        await exporter.shutdown(within: Self.flushTimeout)
    }
}
