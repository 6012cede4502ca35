import Crypto
package import NIOCore
package import NIOHTTP1
package import OpenAIWire

/// Says who sends a request. The only place that makes an `Identity`.
package struct Authenticator: Sendable {
    /// An API key as it is kept: its SHA-256, never the key.
    package struct StoredKey: Sendable {
        package let name: String
        let digest: [UInt8]
        package let identity: Identity

        /// - Parameter sha256: the key's SHA-256 as 64 hexadecimal digits; nil is returned for anything else.
        package init?(name: String, sha256: String, identity: Identity) {
            guard let digest = Self.bytes(fromHex: sha256), digest.count == SHA256.byteCount else { return nil }
            self.name = name
            self.digest = digest
            self.identity = identity
        }

        private static func bytes(fromHex text: String) -> [UInt8]? {
            let values = text.utf8.compactMap(\.hexDigitValue)
            guard values.count == text.utf8.count, values.count.isMultiple(of: 2) else { return nil }
            return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
        }
    }

    private let keys: [StoredKey]?
    private let isTrustedHop: @Sendable (SocketAddress) -> Bool

    /// - Parameters:
    ///   - keys: the keys that are accepted; nil when no key is asked for.
    ///   - isTrustedHop: whether a peer's `x-authz-*` headers are believed.
    package init(keys: [StoredKey]?, isTrustedHop: @escaping @Sendable (SocketAddress) -> Bool) {
        self.keys = keys
        self.isTrustedHop = isTrustedHop
    }

    /// The sender's identity: a trusted hop's `x-authz-*` headers if there are any, else the API key's owner.
    ///
    /// - Throws: `invalidAPIKey` (401) when a key is asked for and none that we know is shown, or when a trusted hop names
    ///   several users: it has then passed a client's claim on.
    /// - Complexity: O(keys): every key is compared, each in constant time, so that timing tells nothing.
    package func identify(_ headers: HTTPHeaders, from peer: SocketAddress?) throws(RouterError) -> Identity {
        if let peer, isTrustedHop(peer), let identity = try Identity.claimed(by: { headers[$0] }) {
            return identity
        }
        guard let keys else { return .anonymous }
        guard let shown = Self.shownKey(headers) else {
            throw RouterError(
                .invalidAPIKey,
                origin: .client,
                "An API key is required: send it as 'Authorization: Bearer KEY'."
            )
        }
        let digest = Array(SHA256.hash(data: Array(shown.utf8)))
        var found: StoredKey?
        for key in keys where Self.areEqualInConstantTime(key.digest, digest) {
            found = key
        }
        guard let found else {
            throw RouterError(.invalidAPIKey, origin: .client, "The API key is not known here.")
        }
        return found.identity
    }

    /// `Authorization: Bearer`, as OpenAI's clients send it, or `x-api-key`, as Anthropic's do.
    private static func shownKey(_ headers: HTTPHeaders) -> Substring? {
        if let authorization = headers.first(name: "authorization") {
            let parts = authorization.split(separator: " ", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == "bearer" { return parts[1].drop { $0 == " " } }
        }
        return headers.first(name: "x-api-key").map { $0[...] }
    }

    private static func areEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}
