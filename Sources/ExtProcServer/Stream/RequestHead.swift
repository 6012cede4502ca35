import OpenAIWire

/// What is known of a request from its headers.
package struct RequestHead: Sendable {
    package let method: String
    /// With the query.
    package let path: String
    /// The request's id, which Envoy makes where a client sends none.
    package let id: String?
    /// The trace that a collector gets, if it does.
    package var traceID: String?
    package let wantsDebugHeaders: Bool
    package let fields: HeaderFields
    let contentLength: Int?
    let isCompressed: Bool
    /// Whether the client said that trailers follow.
    let announcesTrailers: Bool

    package init(_ fields: HeaderFields) {
        self.fields = fields
        method = fields.first(":method") ?? ""
        path = fields.first(":path") ?? ""
        id = fields.first("x-request-id")
        wantsDebugHeaders = RoutingHeaders.asksForDebug(fields.first("x-vsr-debug"))
        contentLength = fields.first("content-length").flatMap { Int($0) }
        isCompressed = fields.first("content-encoding").map { $0.lowercased() != "identity" } ?? false
        announcesTrailers = fields.first("trailer") != nil
    }

    /// The text-carrying endpoint that the request goes to, if it does.
    var textEndpoint: TextEndpoint? { method == "POST" ? TextEndpoint(path: path) : nil }

    /// The name in `GET /v1/models/NAME`, or in a `HEAD` of it; empty for the whole list, nil for another request.
    var modelsPath: String? {
        guard method == "GET" || method == "HEAD" else { return nil }
        let path = path.prefix { $0 != "?" }
        guard path.hasPrefix(Self.models) else { return nil }
        let rest = path.dropFirst(Self.models.count)
        if rest.isEmpty { return "" }
        return rest.first == "/" && rest.count > 1 ? PercentEncoding.decode(String(rest.dropFirst())) : nil
    }

    private static let models = "/v1/models"

    /// Headers that only routers set and that go no further than here, as a client sent them.
    ///
    /// - Parameter withIdentity: whether `x-authz-*` are among them; else a hop that is trusted tells the routers behind us
    ///   by those who asks.
    func reservedNames(withIdentity: Bool) -> [String] {
        var names: [String] = []
        for name in fields.names(beginning: "x-") where RoutingHeaders.isReserved(name) && !names.contains(name) {
            if withIdentity || !name.hasPrefix("x-authz-") { names.append(name) }
        }
        return names
    }
}
