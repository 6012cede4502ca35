import ConfigKit
import Instruments
import Logging
import Transport

/// A server's certificate and key, which may be replaced on disk while it runs: new connections get the new ones.
struct ServerCertificate: Sendable {
    private let certificateFile: String
    private let keyFile: String
    private let protocols: [TLSSettings.ApplicationProtocol]
    private let inForce: Live<TLSSettings>
    private let atStart: [WatchedFile]?
    private let reloads: CounterFamily
    private let logger: Logger

    /// - Throws: `TLSError` naming the file that cannot be used.
    init(
        certificateFile: String,
        keyFile: String,
        protocols: [TLSSettings.ApplicationProtocol],
        registry: MetricRegistry,
        logger: Logger
    ) throws(TLSError) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.protocols = protocols
        self.logger = logger
        reloads = registry.counters(FileFollower.reloadCount)
        // Read before they are used: a change in between is found at the first look.
        let files = [certificateFile, keyFile].compactMap { path in
            SystemFiles().contents(of: path).map { WatchedFile(path: path, bytes: $0) }
        }
        atStart = files.count == 2 ? files : nil
        inForce = Live(
            try .server(certificateFile: certificateFile, keyFile: keyFile, protocols: protocols)
        )
    }

    /// What servers ask at each connection.
    var source: TLSSettings.Source { { [inForce] in inForce.current } }

    /// Watches the files until the task is cancelled. A certificate and a key that do not go together change nothing.
    func run() async {
        await ConfigWatcher(paths: [certificateFile, keyFile], inForce: atStart).run { event in
            switch event {
            case .changed:
                do throws(TLSError) {
                    inForce.swap(
                        try .server(certificateFile: certificateFile, keyFile: keyFile, protocols: protocols)
                    )
                    reloads.with(certificateFile, "applied").increment()
                    logger.notice("certificate applied", metadata: ["file": "\(certificateFile)"])
                } catch {
                    reloads.with(certificateFile, "rejected").increment()
                    logger.error("certificate rejected, the former one stays in force: \(error)")
                }
            case .missing(let paths):
                logger.warning("files are missing, the certificate stays in force", metadata: ["files": "\(paths)"])
            }
        }
    }
}
