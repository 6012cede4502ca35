package import NIOSSL

/// What a TLS server or client needs; built once, at start or reload.
package struct TLSSettings: Sendable {
    package let context: NIOSSLContext

    /// A server's certificate chain and key, both PEM files. TLS 1.2 or later.
    ///
    /// - Throws: `TLSError` naming the file that could not be read or used.
    package static func server(certificateFile: String, keyFile: String) throws(TLSError) -> TLSSettings {
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
        configuration.applicationProtocols = ["http/1.1"]
        return try TLSSettings(configuration, file: certificateFile)
    }

    /// A client that verifies workers against `authorityFile` (PEM), or against the system's authorities when nil.
    package static func client(authorityFile: String? = nil) throws(TLSError) -> TLSSettings {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
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
