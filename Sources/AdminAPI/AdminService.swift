package import HTTPTransport
package import NIOCore
package import NIOHTTP1
package import OpenAIWire

/// The management API of a process, for its own machine: health, readiness, metrics, and what a policy would decide.
package struct AdminService: HTTPService {
    private let version: String
    private let isDraining: @Sendable () -> Bool
    private let metricsPage: @Sendable () -> LocalResponse
    private let evaluate: Evaluate?

    /// Answers the body of `POST /api/v1/eval`; takes the body and the query.
    package typealias Evaluate = @Sendable (ByteBuffer, String) -> LocalResponse

    /// 1 MiB: a prompt that somebody tries out.
    private static let maxBodyBytes = 1 << 20

    /// - Parameters:
    ///   - isDraining: whether the process is on its way out: `/ready` says so, `/health` does not mind.
    ///   - metricsPage: what `/metrics` answers.
    ///   - evaluate: nil where no policy decides.
    package init(
        version: String,
        isDraining: @escaping @Sendable () -> Bool,
        metricsPage: @escaping @Sendable () -> LocalResponse,
        evaluate: Evaluate? = nil
    ) {
        self.evaluate = evaluate
        self.version = version
        self.isDraining = isDraining
        self.metricsPage = metricsPage
    }

    package func receive(_ head: HTTPRequestHead, on exchange: HTTPExchange) -> BodyPlan {
        let path = head.uri.prefix { $0 != "?" }
        guard path == "/api/v1/eval", let evaluate else {
            exchange.send(response(to: head))
            return .answered
        }
        guard head.method == .POST else {
            let error = RouterError(.methodNotAllowed, origin: .client, "This path takes POST.")
            exchange.send(ErrorResponder.respond(to: error))
            return .answered
        }
        let query = String(head.uri.dropFirst(path.count + 1))
        return .collect(maxBytes: Self.maxBodyBytes) { body in exchange.send(evaluate(body, query)) }
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
            let error = RouterError(
                .routeNotFound,
                origin: .client,
                "There is /health, /ready, /metrics and, with a policy, /api/v1/eval here."
            )
            return ErrorResponder.respond(to: error)
        }
    }
}
