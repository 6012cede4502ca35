package import HTTPTransport
import NIOCore
package import NIOHTTP1
package import OpenAIWire

/// The management API of a process, for its own machine: health, readiness and metrics.
package struct AdminService: HTTPService {
    private let version: String
    private let isDraining: @Sendable () -> Bool
    private let metricsPage: @Sendable () -> LocalResponse

    /// - Parameters:
    ///   - isDraining: whether the process is on its way out: `/ready` says so, `/health` does not mind.
    ///   - metricsPage: what `/metrics` answers.
    package init(
        version: String,
        isDraining: @escaping @Sendable () -> Bool,
        metricsPage: @escaping @Sendable () -> LocalResponse
    ) {
        self.version = version
        self.isDraining = isDraining
        self.metricsPage = metricsPage
    }

    package func receive(_ head: HTTPRequestHead, on exchange: HTTPExchange) -> BodyPlan {
        exchange.send(response(to: head))
        return .answered
    }

    package func refuse(_ refusal: HTTPRefusal, on exchange: HTTPExchange) {
        exchange.send(ErrorResponder.respond(to: refusal.error))
    }

    private func response(to head: HTTPRequestHead) -> LocalResponse {
        guard head.method == .GET || head.method == .HEAD else {
            let error = RouterError(.methodNotAllowed, origin: .client, "Everything here takes GET.")
            return ErrorResponder.respond(to: error)
        }
        switch head.uri.prefix(while: { $0 != "?" }) {
        case "/health":
            return .json(ByteBuffer(string: "{\"status\":\"healthy\",\"version\":\"\(version)\"}"))
        case "/ready":
            return isDraining()
                ? .json(ByteBuffer(string: "{\"status\":\"draining\"}"), status: .serviceUnavailable)
                : .json(ByteBuffer(string: "{\"status\":\"ready\"}"))
        case "/metrics":
            return metricsPage()
        default:
            let error = RouterError(.routeNotFound, origin: .client, "There is /health, /ready and /metrics here.")
            return ErrorResponder.respond(to: error)
        }
    }
}
