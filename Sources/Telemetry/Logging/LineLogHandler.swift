package import Logging

/// A `LogHandler` that formats each record on the calling thread and hands the line to a `LogOutput`.
///
/// Nothing is registered globally: whoever assembles the process makes loggers with `logger(label:…)` and passes them on.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: LogFormat
    private let output: LogOutput
    private let now: @Sendable () -> UTCTime

    package init(
        label: String,
        level: Logger.Level,
        format: LogFormat,
        output: LogOutput,
        now: @escaping @Sendable () -> UTCTime = { UTCTime.now() }
    ) {
        self.label = label
        logLevel = level
        self.format = format
        self.output = output
        self.now = now
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() {
            merged.merge(provided) { _, new in new }
        }
        if let own = event.metadata {
            merged.merge(own) { _, new in new }
        }
        if let error = event.error {
            merged["error"] = "\(error)"
        }
        output.append(
            format.line(
                time: now().nanoseconds,
                level: event.level,
                logger: label,
                message: event.message.description,
                metadata: merged
            )
        )
    }
}

extension LogOutput {
    /// A logger that writes here.
    package func logger(label: String, level: Logger.Level, format: LogFormat) -> Logger {
        Logger(label: label) { label in
            LineLogHandler(label: label, level: level, format: format, output: self)
        }
    }
}
