package import NIOHTTP1
package import OpenAIWire

/// What a path means.
package enum Route: Sendable, Equatable {
    /// A request that carries text and names its model in a JSON body.
    case text(TextEndpoint)
    /// A request that names its model in a JSON body and carries nothing that the semantic router reads.
    case json
    /// A form with a `model` field.
    case form
    /// About one worker, named by `?id=`.
    case worker(changesState: Bool)
    /// Answered here.
    case local(LocalRoute)

    package enum LocalRoute: Sendable, Equatable {
        case models
        case model(id: String)
        case engines
        case health
        case version
        case metrics
    }
}

/// The paths of vLLM's server and the routers' own.
///
/// The list is vLLM's `vllm/entrypoints` as of 0.32 plus production-stack's router. Not among them: `/v1/realtime`, a
/// WebSocket; and `/v1/responses/{id}`, which only the worker that made the response can answer.
package enum Routes {
    private struct Entry: Sendable {
        let method: HTTPMethod
        let route: Route
    }

    private static let entries: [String: Entry] = {
        var entries: [String: Entry] = [:]
        for path in TextEndpoint.allCases.map(\.rawValue) + ["/rerank", "/v2/rerank", "/score"] {
            guard let endpoint = TextEndpoint(path: path) else { continue }
            entries[path] = Entry(method: .POST, route: .text(endpoint))
        }
        for path in [
            "/v1/audio/speech", "/v1/images/generations", "/inference/v1/generate", "/invocations",
            "/v1/chat/completions/render", "/v1/completions/render", "/v1/messages/count_tokens",
        ] {
            entries[path] = Entry(method: .POST, route: .json)
        }
        for path in ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits"] {
            entries[path] = Entry(method: .POST, route: .form)
        }
        for path in ["/is_sleeping", "/load", "/server_info", "/tokenizer_info"] {
            entries[path] = Entry(method: .GET, route: .worker(changesState: false))
        }
        for path in [
            "/sleep", "/wake_up", "/reset_prefix_cache", "/reset_mm_cache", "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
        ] {
            entries[path] = Entry(method: .POST, route: .worker(changesState: true))
        }
        entries["/v1/models"] = Entry(method: .GET, route: .local(.models))
        entries["/engines"] = Entry(method: .GET, route: .local(.engines))
        entries["/version"] = Entry(method: .GET, route: .local(.version))
        entries["/health"] = Entry(method: .GET, route: .local(.health))
        entries["/ping"] = Entry(method: .GET, route: .local(.health))
        entries["/metrics"] = Entry(method: .GET, route: .local(.metrics))
        return entries
    }()

    static let notFound = RouterError(
        .routeNotFound,
        origin: .client,
        "There is no such path here. See /v1/models to begin."
    )

    /// What `method` on `path` (without query) asks for.
    ///
    /// - Throws: `routeNotFound` (404), or `methodNotAllowed` (405) for a known path.
    package static func route(_ method: HTTPMethod, _ path: String) throws(RouterError) -> Route {
        let entry: Entry
        if let known = entries[path] {
            entry = known
        } else if path.hasPrefix("/v1/models/"), path.utf8.count > "/v1/models/".utf8.count {
            // Model names may hold slashes (`meta-llama/Llama-3.1-8B`): the rest of the path is the name.
            let name = String(path.dropFirst("/v1/models/".count))
            entry = Entry(method: .GET, route: .local(.model(id: PercentEncoding.decode(name))))
        } else {
            throw notFound
        }
        guard method == entry.method || (method == .HEAD && entry.method == .GET) else {
            throw RouterError(
                .methodNotAllowed,
                origin: .client,
                "This path takes \(entry.method.rawValue), not \(method.rawValue)."
            )
        }
        return entry.route
    }
}

/// A request target cut into its parts.
struct RequestTarget {
    let path: String
    let query: Substring?

    init(_ uri: String) {
        guard let mark = uri.utf8.firstIndex(of: UInt8(ascii: "?")) else {
            path = uri
            query = nil
            return
        }
        path = String(uri[..<mark])
        query = uri[uri.index(after: mark)...]
    }

    /// The value of the first query parameter of that name.
    func parameter(_ name: String) -> String? {
        guard let query else { return nil }
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == name else { continue }
            return PercentEncoding.decode(String(parts[1]))
        }
        return nil
    }

    /// The target without one parameter.
    func removing(_ name: String) -> String {
        guard let query else { return path }
        let rest = query.split(separator: "&").filter { !$0.hasPrefix("\(name)=") && $0 != name }
        return rest.isEmpty ? path : "\(path)?\(rest.joined(separator: "&"))"
    }
}
