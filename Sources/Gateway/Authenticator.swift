package import Credentials
package import NIOCore
package import NIOHTTP1
package import OpenAIWire

/// Says who sends a request. The only place that makes an `Identity`.
package struct Authenticator: Sendable {
    /// An API key as it is kept: its SHA-256, never the key.
    package typealias StoredKey = Credential<Identity>

    private let keys: CredentialStore<Identity>?
    private let isTrustedHop: @Sendable (SocketAddress) -> Bool

    /// - Parameters:
    ///   - keys: the keys that are accepted; nil when no key is asked for.
    ///   - isTrustedHop: whether a peer's `x-authz-*` headers are believed.
    package init(keys: [StoredKey]?, isTrustedHop: @escaping @Sendable (SocketAddress) -> Bool) {
        self.keys = keys.map(CredentialStore.init)
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
        guard let identity = keys.owner(of: shown) else {
            throw RouterError(.invalidAPIKey, origin: .client, "The API key is not known here.")
        }
        return identity
    }

    /// `Authorization: Bearer`, as OpenAI's clients send it, or `x-api-key`, as Anthropic's do.
    private static func shownKey(_ headers: HTTPHeaders) -> Substring? {
        if let token = BearerToken.shown(in: headers) { return token }
        return headers.first(name: "x-api-key").map { $0[...] }
    }
}
