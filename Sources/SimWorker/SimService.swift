import HTTPTransport
import NIOCore
import NIOHTTP1

/// Puts a `SimEngine` behind an HTTP server.
struct SimService: HTTPService {
    let engine: SimEngine

    func receive(_ head: HTTPRequestHead, on exchange: HTTPExchange) -> BodyPlan {
        .collect(maxBytes: engine.config.maxBodyBytes) { body in
            SimExchange(engine, exchange, head).run(body)
        }
    }

    func refuse(_ refusal: HTTPRefusal, on exchange: HTTPExchange) {
        let error =
            switch refusal {
            case .malformed(let rule): SimError.badRequest("Not HTTP/1.1: \(rule)")
            case .headTooLarge: SimError(431, "BadRequestError", "The headers are too large.")
            case .bodyTooLarge(let most): SimError(413, "BadRequestError", "The body is larger than \(most) bytes.")
            case .timeout: SimError(408, "BadRequestError", "The request did not arrive in time.")
            case .tooManyBufferedBytes, .tooManyConnections:
                SimError(503, "ServiceUnavailableError", "The simulated worker has too much to do.")
            }
        let response = error.response
        exchange.respond(
            status: response.status,
            headers: ["content-type": "application/json", "x-sim-worker": engine.name],
            body: response.body
        )
    }
}
