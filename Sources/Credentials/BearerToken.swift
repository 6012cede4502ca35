package import NIOHTTP1

/// `Authorization: Bearer TOKEN` (RFC 6750 section 2.1).
package enum BearerToken {
    /// The token that a request shows; nil where it shows none.
    package static func shown(in headers: HTTPHeaders) -> Substring? {
        guard let authorization = headers.first(name: "authorization") else { return nil }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return parts[1].drop { $0 == " " }
    }
}
