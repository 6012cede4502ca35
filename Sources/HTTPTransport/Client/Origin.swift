import NIOCore

/// Where a server is: scheme, host and port.
package struct Origin: Hashable, Sendable, CustomStringConvertible {
    package let isTLS: Bool
    /// A name or an IP address, IPv6 without brackets.
    package let host: String
    package let port: Int

    package init(host: String, port: Int, isTLS: Bool = false) {
        self.host = host
        self.port = port
        self.isTLS = isTLS
    }

    /// `http://host[:port]` or `https://host[:port]`, with an optional closing slash and nothing after it.
    /// Docker-style names (`http://vllm:8000`) and IPv6 literals (`http://[::1]:8000`) are good hosts.
    package init?(url: String) {
        let rest: Substring
        if url.hasPrefix("http://") {
            isTLS = false
            rest = url.dropFirst(7)
        } else if url.hasPrefix("https://") {
            isTLS = true
            rest = url.dropFirst(8)
        } else {
            return nil
        }
        let authority = rest.hasSuffix("/") ? rest.dropLast() : rest
        guard !authority.contains(where: { "/?#@ ".contains($0) }) else { return nil }
        let name: Substring
        let portText: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            name = authority[authority.index(after: authority.startIndex)..<end]
            let after = authority[authority.index(after: end)...]
            guard after.isEmpty || after.first == ":" else { return nil }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            name = parts[0]
            portText = parts.count == 2 ? parts[1] : nil
        }
        guard !name.isEmpty else { return nil }
        host = String(name)
        if let portText {
            guard let number = Int(portText), (1...65535).contains(number) else { return nil }
            port = number
        } else {
            port = isTLS ? 443 : 80
        }
    }

    /// The `Host` header's value: the port only where it is not the scheme's own (RFC 9110 section 7.2).
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
    }

    package var description: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "\(isTLS ? "https" : "http")://\(name):\(port)"
    }

    /// The address when the host is an IP literal: no resolver is asked then.
    var literalAddress: SocketAddress? {
        try? SocketAddress(ipAddress: host, port: port)
    }
}
