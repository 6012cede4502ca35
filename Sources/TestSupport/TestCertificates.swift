import Foundation

/// Certificates that protect nothing, made by `Certificates/make-certificates`.
package enum TestCertificates {
    /// The authority that signed `server`.
    package static let authority = file("authority.pem")
    package static let server = file("server.pem")
    package static let serverKey = file("server.key")
    /// For the same name, but signed by itself: an authority of its own.
    package static let replacement = file("replacement.pem")
    package static let replacementKey = file("replacement.key")

    private static func file(_ name: String) -> String {
        Bundle.module.bundleURL.appendingPathComponent("Certificates/\(name)").path
    }
}
