package import NIOHTTP1

/// Which header fields belong to one connection and must not be passed on.
package enum HopByHop {
    /// The connection-specific fields of RFC 9110 section 7.6.1, the framing that each hop makes anew, and `expect`,
    /// which this hop has answered.
    private static let names: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length", "upgrade", "te",
        "trailer", "expect", "proxy-authenticate", "proxy-authorization",
    ]

    /// Whether a field is one hop's own. Takes the lower-cased name.
    package static func includes(_ name: String) -> Bool { names.contains(name) }

    /// Copies of `headers` that may travel on: without the hop's own fields, those that `Connection` names, and those
    /// for which `isDropped` says so (it is given the lower-cased name).
    ///
    /// Order, spelling and repetition of the others are kept.
    package static func forwardable(_ headers: HTTPHeaders, droppingAlso isDropped: (String) -> Bool) -> HTTPHeaders {
        let named = headers[canonicalForm: "connection"].map { $0.lowercased() }
        var kept: [(String, String)] = []
        kept.reserveCapacity(headers.count + 4)
        for (name, value) in headers {
            let lowercased = name.lowercased()
            if names.contains(lowercased) || named.contains(where: { $0 == lowercased }) || isDropped(lowercased) {
                continue
            }
            kept.append((name, value))
        }
        return HTTPHeaders(kept)
    }
}
