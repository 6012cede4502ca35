package import HTTPTransport
import NIOCore
package import NIOHTTP1
import OpenAIWire

/// The management API of a process: finds the route, asks who may take it, answers.
package struct ManagementService: HTTPService {
    private let table: RouteTable
    private let process: ManagedProcess
    private let access: @Sendable () -> ManagementAccess

    /// - Parameters:
    ///   - routes: what may be asked for; of these only what the process has is there.
    ///   - access: who may ask, as it is now: a reload may change it.
    package init(
        _ process: ManagedProcess,
        routes: [ManagementRoute] = ManagementRoute.catalogue,
        access: @escaping @Sendable () -> ManagementAccess
    ) {
        self.process = process
        self.access = access
        table = RouteTable(routes, of: process)
    }

    // MARK: HTTPService

    package func receive(_ head: HTTPRequestHead, on exchange: HTTPExchange) -> BodyPlan {
        let path = head.uri.prefix { $0 != "?" }
        let query = String(head.uri.dropFirst(path.count + 1))
        let entries = table.entries(for: String(path))
        let entry = entries.first { $0.route.answers(head.method) }
        do throws(RouterError) {
            // Before saying whether there is such a path: who may not ask learns nothing.
            try access().check(head, for: entry?.route.permission)
            guard let entry else { throw missing(among: entries) }
            let accept = head.headers.combined("accept")
            guard entry.route.maxBodyBytes > 0 else {
                answer(ManagementRequest(query: query, accept: accept), by: entry.handler, on: exchange)
                return .answered
            }
            return .collect(maxBytes: entry.route.maxBodyBytes) { body in
                let request = ManagementRequest(query: query, body: body, accept: accept)
                answer(request, by: entry.handler, on: exchange)
            }
        } catch {
            let methods = error.code == .methodNotAllowed ? entries.map(\.route.method.rawValue) : []
            exchange.send(
                respond(to: error),
                adding: methods.isEmpty ? [] : [("allow", methods.joined(separator: ", "))]
            )
            return .answered
        }
    }

    package func refuse(_ refusal: HTTPRefusal, on exchange: HTTPExchange) {
        exchange.send(respond(to: refusal.error))
    }

    // MARK: Answers

    private func answer(_ request: ManagementRequest, by handler: ManagementHandler, on exchange: HTTPExchange) {
        switch handler {
        case .immediate(let handle):
            exchange.send(handle(request))
        case .waiting(let handle):
            exchange.eventLoop.makeFutureWithTask { await handle(request) }
                .assumeIsolated()
                .whenSuccess { exchange.send($0) }
        }
    }

    private func missing(among entries: [RouteTable.Entry]) -> RouterError {
        guard let known = entries.first else {
            return RouterError(
                .routeNotFound,
                origin: .client,
                "There is no such path here. GET /api/v1 lists what there is."
            )
        }
        return RouterError(.methodNotAllowed, origin: .client, "This path takes \(known.route.method.rawValue).")
    }

    private func respond(to error: RouterError) -> LocalResponse {
        error.managementResponse(at: process.timestamp())
    }
}

/// The routes of one process by path.
struct RouteTable: Sendable {
    struct Entry: Sendable {
        let route: ManagementRoute
        let handler: ManagementHandler
    }

    private let entriesByPath: [String: [Entry]]

    init(_ routes: [ManagementRoute], of process: ManagedProcess) {
        let entries = routes.compactMap { route in
            route.handler(process).map { Entry(route: route, handler: $0) }
        }
        entriesByPath = Dictionary(grouping: entries) { $0.route.path }
    }

    func entries(for path: String) -> [Entry] { entriesByPath[path] ?? [] }
}
