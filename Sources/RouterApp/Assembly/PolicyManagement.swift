import AdminAPI
import ConfigKit
import Crypto
import Gateway
import HTTPTransport
import LanguageDetection
import NIOCore
import NIOPosix
import OpenAIWire
import SemanticRouter
import Telemetry

extension ManagedProcess {
    /// This process, without what depends on its kind.
    init(service: String, lifecycle: Lifecycle, metricsPage: MetricsPage) {
        self.init(
            service: service,
            version: Version.text,
            timestamp: { "\(UTCTime.now())" },
            readiness: { lifecycle.readiness }
        )
        self.metricsPage = metricsPage.response(accept:)
        residentBytes = { ProcessFigures.residentBytes() }
    }

    /// Adds what a policy makes possible.
    ///
    /// - Parameters:
    ///   - state: of the file that the policy comes from.
    ///   - reading: how the file is read.
    ///   - objections: what speaks against a policy besides its own mistakes.
    ///   - isServed: whether a worker serves a model, as things are when an evaluation begins.
    mutating func add(
        _ policy: Live<SemanticRouter>,
        state: Live<ConfigurationState>,
        reading: DecodingOptions,
        objections: @escaping @Sendable (SemanticConfig) -> [Diagnostic] = { _ in [] },
        isServed: @escaping @Sendable () -> (String) -> Bool
    ) {
        evaluate = { body, query throws(RouterError) in
            try policy.current.evaluate(body: body, query: query, isServed: isServed())
        }
        configuration = { state.current }
        loadedModels = { policy.current.loadedModels }
        judge = { body in
            // Reading YAML waits for a thread of its own, which must not hold up an event loop or a task's thread.
            let verdict = try? await NIOThreadPool.singleton.runIfActive {
                ConfigurationVerdict(of: body, reading: reading, objections: objections)
            }
            return verdict ?? .ending
        }
    }
}

extension SemanticRouter {
    /// The language detector is the only model so far that runs in the process.
    fileprivate var loadedModels: [LoadedModel] {
        let isUsed = profiles.contains { $0.table.ids.contains { $0.type == .language } }
        let languages = ["languages": "\(LanguageDetector.languages.count)"]
        return [
            LoadedModel(name: "sextant-language", type: "language_detection", isLoaded: isUsed, metadata: languages)
        ]
    }
}

extension ConfigurationState {
    /// A file that was read and is in force.
    init(active file: WatchedFile) {
        self.init(sourceHash: file.sha256, activeHash: file.sha256)
    }

    /// A file that was read and refused.
    func refusing(_ file: WatchedFile) -> ConfigurationState {
        ConfigurationState(sourceHash: file.sha256, activeHash: activeHash)
    }
}

extension WatchedFile {
    fileprivate var sha256: String {
        SHA256.hash(data: bytes).map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0\(digits)" : digits
        }.joined()
    }
}

extension ConfigurationVerdict {
    /// When there is no thread to judge on.
    fileprivate static let ending = ConfigurationVerdict(
        problems: [Problem(severity: .error, line: 0, column: 0, key: "", message: "the process is ending")],
        isReadable: true,
        normalized: nil
    )

    /// Judges a policy as a reload would, but for the environment and files that it names: they are not looked at.
    fileprivate init(
        of body: ByteBuffer,
        reading: DecodingOptions,
        objections: (SemanticConfig) -> [Diagnostic]
    ) {
        let options = reading.unprivileged
        let document = ConfigDocument.parse(
            Array(body.readableBytesView),
            name: "policy",
            environment: options.environment
        )
        let result = SemanticConfig.decode(document, options: options)
        let diagnostics = result.diagnostics + (result.value.map(objections) ?? [])
        self.init(
            problems: diagnostics.map(Problem.init),
            isReadable: document.root != nil,
            normalized: diagnostics.hasErrors ? nil : result.value?.configNode.flowText
        )
    }
}

extension ConfigurationVerdict.Problem {
    fileprivate init(_ diagnostic: Diagnostic) {
        self.init(
            severity: diagnostic.severity == .error ? .error : .warning,
            line: diagnostic.position.line,
            column: diagnostic.position.column,
            key: diagnostic.path.description,
            message: diagnostic.message
        )
    }
}
