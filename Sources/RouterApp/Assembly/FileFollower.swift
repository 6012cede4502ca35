import ConfigKit
import Instruments
import Logging

/// Follows one configuration file: hands on each change, counts and logs what came of it. A file with a mistake changes
/// nothing: the values in force stay, and the mistakes are logged.
struct FileFollower: Sendable {
    let path: String
    /// What the file held at start.
    let atStart: WatchedFile?
    private let reloads: CounterFamily
    private let logger: Logger

    static let definitions = [reloadCount]

    static let reloadCount = MetricDefinition.counter(
        "sextant_config_reloads",
        "Configuration files read again after a change, by outcome: applied, rejected.",
        labels: ["file", "outcome"]
    )

    /// Reads the file.
    init(_ path: String, registry: MetricRegistry, logger: Logger) {
        self.path = path
        self.logger = logger
        reloads = registry.counters(Self.reloadCount)
        atStart = SystemFiles().contents(of: path).map { WatchedFile(path: path, bytes: $0) }
    }

    /// The settings that the file held at start, or why it could not be read.
    func settings<Settings: Configurable>(
        _ type: Settings.Type,
        options: DecodingOptions = DecodingOptions()
    ) -> ConfigResult<Settings> {
        atStart.map { Settings.decode($0.document(), options: options) } ?? Settings.load(path, options: options)
    }

    /// Watches the file until the task is cancelled.
    ///
    /// - Parameter apply: puts what the file now says in force, and returns what is wrong with it; with an error among
    ///   that, it has changed nothing.
    func run(apply: @Sendable (WatchedFile) async -> [Diagnostic]) async {
        await ConfigWatcher(paths: [path], inForce: atStart.map { [$0] }).run { event in
            switch event {
            case .changed(let files):
                guard let file = files.first else { return }
                let diagnostics = await apply(file)
                reloads.with(path, diagnostics.hasErrors ? "rejected" : "applied").increment()
                diagnostics.log(to: logger)
                if diagnostics.hasErrors {
                    logger.error("file rejected, the former settings stay in force", metadata: ["file": "\(path)"])
                } else {
                    logger.notice("file applied", metadata: ["file": "\(path)"])
                }
            case .missing:
                logger.warning("file is missing, its last settings stay in force", metadata: ["file": "\(path)"])
            }
        }
    }
}

extension [Diagnostic] {
    func log(to logger: Logger) {
        for diagnostic in self {
            logger.log(level: diagnostic.severity == .error ? .error : .warning, "\(diagnostic)")
        }
    }
}
