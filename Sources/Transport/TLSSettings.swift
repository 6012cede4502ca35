package import NIOSSL

/// What a TLS server or client needs; built once, at start or reload.
package struct TLSSettings: Sendable {
    package let context: NIOSSLContext

    /// What is spoken inside TLS, by its ALPN name (RFC 7301).
    package enum ApplicationProtocol: String, Sendable {
        case http1 = "http/1.1"
        case http2 = "h2"
    }

    /// The settings for the next connection: a server asks at each one, so that certificates can be replaced while it
    /// runs.
    package typealias Source = @Sendable () -> TLSSettings

    /// A server's certificate chain and key, both PEM files. TLS 1.2 or later.
    ///
    /// - Parameter protocols: what is offered by ALPN.
    /// - Throws: `TLSError` naming the file that could not be read or used.
    package static func server(
        certificateFile: String,
        keyFile: String,
        protocols: [ApplicationProtocol]
    ) throws(TLSError) -> TLSSettings {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificateFile)
        } catch {
            throw TLSError(file: certificateFile, reason: "is not a readable PEM certificate chain: \(error)")
        }
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(file: keyFile, format: .pem)
        } catch {
            throw TLSError(file: keyFile, reason: "is not a readable PEM private key: \(error)")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = protocols.map(\.rawValue)
        return try TLSSettings(configuration, file: certificateFile)
    }

    /// A client that verifies servers against `authorityFile` (PEM), or against the system's authorities when nil.
    package static func client(
        authorityFile: String? = nil,
        protocols: [ApplicationProtocol]
    ) throws(TLSError) -> TLSSettings {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = protocols.map(\.rawValue)
        if let authorityFile {
            configuration.trustRoots = .file(authorityFile)
        }
        return try TLSSettings(configuration, file: authorityFile ?? "the system's certificate authorities")
    }

    private init(_ configuration: TLSConfiguration, file: String) throws(TLSError) {
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSError(file: file, reason: "cannot be used for TLS: \(error)")
        }
    }
}

/// A certificate or key file that cannot be used.
package struct TLSError: Error, CustomStringConvertible {
    package let file: String
    package let reason: String
    package var description: String { "\(file) \(reason)" }
}
