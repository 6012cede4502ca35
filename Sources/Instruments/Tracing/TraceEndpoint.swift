/// Where traces are sent: a collector's address.
package struct TraceEndpoint: Hashable, Sendable {
    package let isTLS: Bool
    /// A name or an IP address, IPv6 without brackets.
    package let host: String
    /// Nil for the protocol's own: 4317 for gRPC, 4318 for HTTP.
    package let port: Int?
    /// For HTTP; nil for OpenTelemetry's `/v1/traces`.
    package let path: String?
    /// What the scheme says; nil where it leaves that open.
    package let transport: TracingLayer.Transport?

    package init(
        host: String,
        port: Int? = nil,
        isTLS: Bool = false,
        path: String? = nil,
        transport: TracingLayer.Transport? = nil
    ) {
        self.host = host
        self.port = port
        self.isTLS = isTLS
        self.path = path
        self.transport = transport
    }

    /// The schemes, and whether they mean TLS. Those of gRPC are what vLLM's documentation has.
    private static let schemes = ["http://": false, "https://": true, "grpc://": false, "grpcs://": true]

    /// Reads `host`, `host:port`, `http[s]://host[:port][/path]`, or `grpc[s]://host[:port]`; nil for anything else.
    ///
    /// - Parameter isTLS: what holds where no scheme says it.
    package init?(_ text: String, isTLS: Bool) {
        guard !text.contains(where: { "?#@".contains($0) || $0.isWhitespace }) else { return nil }
        var rest = text[...]
        let scheme = Self.schemes.first { text.hasPrefix($0.key) }
        if let scheme { rest = rest.dropFirst(scheme.key.count) }
        self.isTLS = scheme?.value ?? isTLS
        let isGRPC = text.hasPrefix("grpc") && scheme != nil
        transport = isGRPC ? .grpc : nil
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        guard scheme != nil || slash == rest.endIndex else { return nil }
        let path = rest[slash...]
        // gRPC's paths are its methods'.
        guard !isGRPC || path.count <= 1 else { return nil }
        self.path = path.count > 1 ? String(path) : nil
        let authority = rest[..<slash]
        let host: Substring
        let after: Substring
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<end]
            after = authority[authority.index(after: end)...]
        } else {
            let colon = authority.firstIndex(of: ":") ?? authority.endIndex
            host = authority[..<colon]
            after = authority[colon...]
        }
        guard !host.isEmpty else { return nil }
        self.host = String(host)
        if after.isEmpty {
            // What has a scheme of HTTP is a URL, and has its port.
            port = isGRPC ? nil : scheme.map { $0.value ? 443 : 80 }
        } else {
            guard after.first == ":", let number = Int(after.dropFirst()), (1...65_535).contains(number) else {
                return nil
            }
            port = number
        }
    }
}
