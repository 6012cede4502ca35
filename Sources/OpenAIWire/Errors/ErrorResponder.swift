package import NIOCore
package import NIOHTTP1

/// The only place that turns a `RouterError` into a status and a body.
///
/// The body is the OpenAI error object, `{"error": {"message", "type", "param", "code"}}`
/// (https://platform.openai.com/docs/guides/error-codes), which every OpenAI client library reads.
package enum ErrorResponder {
    /// The whole local response for `error`.
    package static func respond(to error: RouterError) -> LocalResponse {
        var headers: HTTPHeaders = ["content-type": "application/json"]
        if error.code == .invalidAPIKey {
            headers.add(name: "www-authenticate", value: "Bearer")
        }
        if error.isRetryable, status(of: error.code) == .serviceUnavailable {
            headers.add(name: "retry-after", value: "1")
        }
        return LocalResponse(status: status(of: error.code), headers: headers, body: .whole(body(for: error)))
    }

    /// The HTTP status of an error code.
    package static func status(of code: RouterError.Code) -> HTTPResponseStatus {
        switch code {
        case .invalidRequest, .invalidJSON, .missingModel: .badRequest
        case .invalidAPIKey: .unauthorized
        case .forbidden: .forbidden
        case .modelNotFound, .routeNotFound: .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .requestTimeout: .requestTimeout
        case .bodyTooLarge: .payloadTooLarge
        case .unsupportedMediaType: .unsupportedMediaType
        case .headTooLarge: .requestHeaderFieldsTooLarge
        case .overloaded, .noWorker: .serviceUnavailable
        case .workerUnavailable: .badGateway
        case .workerTimeout: .gatewayTimeout
        case .internalError: .internalServerError
        }
    }

    /// The OpenAI error object as bytes.
    package static func body(for error: RouterError) -> ByteBuffer {
        var body = ByteBuffer()
        body.writeString("{\"error\":{\"message\":")
        body.writeJSONString(error.message)
        body.writeString(",\"type\":")
        body.writeJSONString(type(of: error))
        body.writeString(",\"param\":")
        if let parameter = error.parameter {
            body.writeJSONString(parameter)
        } else {
            body.writeString("null")
        }
        body.writeString(",\"code\":")
        body.writeJSONString(error.code.rawValue)
        body.writeString("}}")
        return body
    }

    /// The OpenAI `type` of an error, as OpenAI's own service spells it.
    private static func type(of error: RouterError) -> String {
        switch error.code {
        case .invalidAPIKey: "authentication_error"
        case .forbidden: "permission_error"
        case .modelNotFound, .routeNotFound: "not_found_error"
        case .overloaded, .noWorker: "service_unavailable_error"
        default: error.origin == .client ? "invalid_request_error" : "api_error"
        }
    }
}
