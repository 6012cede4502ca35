import AdminAPI
import ConfigKit
import Credentials
import HTTPTransport
import Instruments
import Logging
import NIOCore
import OpenAIWire

/// The management API of a process: who may use it is settled when this is made, before anything listens.
struct ManagementAPI: Sendable {
    /// Where it listens, and the flags that say so.
    struct Address: Sendable {
        let host: String
        let port: Int
        let hostFlag: String
        let portFlag: String
    }

    private let process: ManagedProcess
    private let address: Address
    private let access: Live<ManagementAccess>
    /// Nil where no tokens are asked for.
    private let tokens: FileFollower?

    /// - Throws: `ConfigError` when the address is reached by others and nothing says that they may use the API, or with
    ///   the mistakes in the tokens file.
    init(
        _ process: ManagedProcess,
        _ options: ManagementOptions,
        at address: Address,
        registry: MetricRegistry,
        logger: Logger
    ) throws(ConfigError) {
        self.process = process
        self.address = address
        if let objection = options.objection(to: address.host, flag: address.hostFlag) {
            throw ConfigError([Diagnostic(.error, objection, at: .unset)])
        }
        let isLocal = Loopback.isHost(address.host)
        guard let path = options.tokensFile else {
            tokens = nil
            access = Live(isLocal ? .thisMachine : .everyone)
            if !isLocal {
                logger.warning("whoever reaches the management API may use it", metadata: ["host": "\(address.host)"])
            }
            return
        }
        let follower = FileFollower(path, registry: registry, logger: logger)
        let result = follower.settings(APITokensFile.self)
        let file = try result.get()
        result.warnings.log(to: logger)
        tokens = follower
        access = Live(.tokens(file.store))
        if !isLocal {
            logger.warning("tokens of the management API travel unencrypted", metadata: ["host": "\(address.host)"])
        }
    }

    /// - Throws: `ListenError`.
    func start(group: any EventLoopGroup) async throws -> HTTPServer {
        let access = access
        return try await Self.listen(
            ManagementService(process) { access.current },
            host: address.host,
            port: address.port,
            flag: address.portFlag,
            group: group
        )
    }

    /// Follows the tokens file until the task is cancelled.
    func run() async {
        await tokens?.run { file in
            let result = APITokensFile.decode(file.document())
            if let file = result.value { access.swap(.tokens(file.store)) }
            return result.diagnostics
        }
    }

    /// A port that serves `/metrics` to whoever reaches it, and nothing else.
    ///
    /// - Throws: `ListenError`.
    static func startMetrics(
        of process: ManagedProcess,
        host: String,
        port: Int,
        flag: String,
        group: any EventLoopGroup
    ) async throws -> HTTPServer {
        let service = ManagementService(process, routes: [ManagementRoute.metrics]) { .everyone }
        return try await listen(service, host: host, port: port, flag: flag, group: group)
    }

    private static func listen(
        _ service: ManagementService,
        host: String,
        port: Int,
        flag: String,
        group: any EventLoopGroup
    ) async throws -> HTTPServer {
        var settings = HTTPServerSettings()
        // Sixteen of the largest bodies at once.
        settings.maxBufferedBodyBytes = 16 << 20
        settings.maxConnections = 1_024
        do {
            return try await HTTPServer.start(
                host: host,
                port: port,
                settings: settings,
                group: group,
                service: service
            )
        } catch {
            throw ListenError(host: host, port: port, flag: flag, reason: "\(error)")
        }
    }
}

/// An address that cannot be listened on.
struct ListenError: Error, CustomStringConvertible {
    let host: String
    let port: Int
    /// The flag that says so.
    let flag: String
    let reason: String

    var description: String { "cannot listen on \(host), port \(port) (\(flag)): \(reason)" }
}
