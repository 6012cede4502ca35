package import Credentials
package import NIOHTTP1
package import OpenAIWire

/// What an endpoint asks for, in upstream's words.
package enum Permission: String, CaseIterable, Sendable {
    case readHealth = "health.read"
    case readReadiness = "ready.read"
    case readDocumentation = "docs.read"
    case readMetrics = "metrics.read"
    case invokeClassification = "classify.invoke"
    case readConfiguration = "config.read"
    case writeConfiguration = "config.write"

    /// Probes come without a token, and learn nothing that a closed port would not tell.
    package var isAskedOfNobody: Bool { self == .readHealth || self == .readReadiness }
}

/// What the owner of a token may do, in upstream's words.
package enum Role: String, CaseIterable, Sendable {
    case viewer
    case `operator`
    case admin

    package func grants(_ permission: Permission) -> Bool {
        switch self {
        case .viewer: permission != .writeConfiguration
        case .operator, .admin: true
        }
    }
}

/// Who may use the management API.
package enum ManagementAccess: Sendable {
    /// Whoever reaches the port.
    case everyone
    /// Programs on this machine, which are all that reach the port; not the web pages that its browsers show.
    case thisMachine
    /// Whoever shows a token whose role grants what is asked for.
    case tokens(CredentialStore<Role>)

    /// - Parameter permission: nil for what does not exist: any token will do.
    /// - Throws: `.invalidAPIKey` (401) without a token that is known, `.forbidden` (403) where it does not suffice or a
    ///   web page asks.
    package func check(_ head: HTTPRequestHead, for permission: Permission?) throws(RouterError) {
        if permission?.isAskedOfNobody == true { return }
        switch self {
        case .everyone:
            return
        case .thisMachine:
            try BrowserGuard.check(head.headers)
        case .tokens(let tokens):
            guard let shown = BearerToken.shown(in: head.headers) else {
                throw RouterError(
                    .invalidAPIKey,
                    origin: .client,
                    "A token is required: send it as 'Authorization: Bearer TOKEN'."
                )
            }
            guard let role = tokens.owner(of: shown) else {
                throw RouterError(.invalidAPIKey, origin: .client, "The token is not known here.")
            }
            guard let permission, !role.grants(permission) else { return }
            throw RouterError(
                .forbidden,
                origin: .client,
                "The role '\(role.rawValue)' does not grant '\(permission.rawValue)'."
            )
        }
    }
}

/// Tells web pages from programs, where no token does.
///
/// A page of any site can have its visitor's browser send requests to 127.0.0.1. Where it does so under a name of its own
/// that it has pointed there (DNS rebinding), it can read the answers, and `Host` has that name. Where it does so openly,
/// the browser tells in `Origin`.
enum BrowserGuard {
    static func check(_ headers: HTTPHeaders) throws(RouterError) {
        // Programs may leave the field out (HTTP/1.0); browsers never do.
        if let host = headers.first(name: "host"), !Loopback.isAuthority(host) {
            throw refusal("Ask for localhost, not for '\(host.prefix(64))'; another name needs tokens.")
        }
        for origin in headers["origin"] where !isLocal(origin: origin) {
            throw refusal("Pages of other sites may not ask here.")
        }
    }

    private static func isLocal(origin: String) -> Bool {
        let parts = origin.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        return parts.count == 3 && parts[1].isEmpty && Loopback.isAuthority(parts[2])
    }

    private static func refusal(_ message: String) -> RouterError {
        RouterError(.forbidden, origin: .client, message)
    }
}

/// Names of this machine that no other machine reaches.
package enum Loopback {
    /// Whether an address to listen on is one: `localhost`, `127.…`, `::1`.
    package static func isHost(_ host: some StringProtocol) -> Bool {
        if host.lowercased() == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { isDecimal($0) && UInt8($0) != nil }
    }

    /// Whether `host[:port]` names this machine.
    static func isAuthority(_ authority: some StringProtocol) -> Bool {
        let host: String
        let rest: String
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            rest = String(authority[authority.index(after: end)...])
            guard host.contains(":") else { return false }
        } else {
            host = String(authority.prefix { $0 != ":" })
            rest = String(authority.dropFirst(host.count))
        }
        guard rest.isEmpty || (rest.hasPrefix(":") && isDecimal(rest.dropFirst())) else { return false }
        return isHost(host)
    }

    private static func isDecimal(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}
