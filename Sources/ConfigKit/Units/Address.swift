/// A host and a port: `0.0.0.0:8080`, `vllm:8000`, `[::1]:50051`.
package struct HostPort: Hashable, Sendable {
    /// A name, or an IP address without brackets.
    package let host: String
    package let port: Port

    package init(host: String, port: Port) {
        self.host = host
        self.port = port
    }
}

extension HostPort: CustomStringConvertible {
    package var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port.number)" }
}

extension HostPort: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind {
        ConfigType.ScalarKind("host:port", expected: "a host and a port such as vllm:8000 or [::1]:8000")
    }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> HostPort {
        guard text.contains(":") else { throw ScalarMistake("the port is missing") }
        let (host, port) = try Authority.split(text[...])
        guard let port else { throw ScalarMistake("the port is missing") }
        return HostPort(host: host, port: port)
    }

    package var configText: String { description }
}

/// The address of an HTTP service: `http://vllm:8000`, `https://api.example.com/v1`, `http://[::1]:8000`.
///
/// Names without a dot are fine: containers and Kubernetes services have such names.
package struct ServiceURL: Hashable, Sendable {
    package enum Scheme: String, Sendable {
        case http
        case https
    }

    package let scheme: Scheme
    /// A name, or an IP address without brackets.
    package let host: String
    /// As written, or the scheme's default.
    package let port: Port
    /// Empty, or `/` and more without a slash at the end.
    package let path: String
}

extension ServiceURL: CustomStringConvertible {
    /// The URL, with the port only where it is not the scheme's default.
    package var description: String {
        let host = self.host.contains(":") ? "[\(self.host)]" : self.host
        return "\(scheme.rawValue)://\(host)" + (port == Self.defaultPort(of: scheme) ? "" : ":\(port.number)") + path
    }

    fileprivate static func defaultPort(of scheme: Scheme) -> Port {
        scheme == .https ? 443 : 80
    }
}

extension ServiceURL: ScalarConfigValue {
    package static var kind: ConfigType.ScalarKind {
        ConfigType.ScalarKind("URL", expected: "a URL such as http://vllm:8000")
    }

    package static func parse(_ text: String, traits: FieldTraits) throws(ScalarMistake) -> ServiceURL {
        guard let separator = text.firstRange(of: "://") else {
            throw ScalarMistake("it starts with neither http:// nor https://")
        }
        guard let scheme = Scheme(rawValue: text[..<separator.lowerBound].lowercased()) else {
            throw ScalarMistake("only http and https are known")
        }
        let rest = text[separator.upperBound...]
        guard !rest.contains(where: { $0 == "?" || $0 == "#" }) else {
            throw ScalarMistake("it may not have a query or a fragment")
        }
        let authority = rest.prefix { $0 != "/" }
        guard !authority.contains("@") else {
            throw ScalarMistake("it may not hold a user or a password")
        }
        let (host, port) = try Authority.split(authority)
        var path = String(rest.dropFirst(authority.count))
        while path.hasSuffix("/") { path.removeLast() }
        guard path.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw ScalarMistake("its path holds a character that must be percent-encoded")
        }
        return ServiceURL(scheme: scheme, host: host, port: port ?? defaultPort(of: scheme), path: path)
    }

    package var configText: String { description }
}

/// The `host[:port]` of an address.
private enum Authority {
    static func split(_ text: Substring) throws(ScalarMistake) -> (host: String, port: Port?) {
        var host = text
        var rest: Substring = ""
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { throw ScalarMistake("\"[\" is not closed") }
            host = text[text.index(after: text.startIndex)..<close]
            rest = text[text.index(after: close)...]
            guard let address = IPAddress(host), host.contains(":") else {
                throw ScalarMistake("only an IPv6 address stands in brackets")
            }
            return (address.description, try port(in: rest))
        }
        if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            rest = text[colon...]
        }
        guard !host.contains(":") else { throw ScalarMistake("an IPv6 address stands in brackets, as in [::1]:8000") }
        guard !host.isEmpty else { throw ScalarMistake("the host is missing") }
        guard isHostName(host) else { throw ScalarMistake("\"\(host)\" is not a host name") }
        return (host.lowercased(), try port(in: rest))
    }

    private static func port(in text: Substring) throws(ScalarMistake) -> Port? {
        guard !text.isEmpty else { return nil }
        guard text.hasPrefix(":"), let port = Port(digits: text.dropFirst()), port.number > 0 else {
            throw ScalarMistake("the port must be from 1 to 65535")
        }
        return port
    }

    /// Letters, digits, `-`, `_` (Docker's names have it) and dots between non-empty labels of at most 63; what looks
    /// like an IPv4 address must be one.
    private static func isHostName(_ host: Substring) -> Bool {
        guard host.utf8.count <= 253 else { return false }
        let labels = (host.hasSuffix(".") ? host.dropLast() : host).split(
            separator: ".",
            omittingEmptySubsequences: false
        )
        let areLabels = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.utf8.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                        true
                    default: false
                    }
                }
        }
        guard areLabels, let last = labels.last else { return false }
        let isNumeric = last.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return !isNumeric || IPAddress(host) != nil
    }
}
