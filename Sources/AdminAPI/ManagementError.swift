import NIOCore
import NIOHTTP1
import OpenAIWire

/// An error in the shape of upstream's management API: `{"code", "message", "timestamp"}`, under `error` of the body.
struct ManagementError: Error {
    let code: String
    let message: String
    let status: HTTPResponseStatus
    /// Whether the same request may succeed a second later.
    let isRetryable: Bool

    init(_ code: String, _ status: HTTPResponseStatus, _ message: String, retryable: Bool = false) {
        self.code = code
        self.message = message
        self.status = status
        isRetryable = retryable
    }

    /// What is wrong with a member of the body.
    static func invalidInput(_ message: String) -> ManagementError {
        ManagementError("INVALID_INPUT", .badRequest, message)
    }

    func json(at timestamp: String) -> JSONFragment {
        [
            "code": JSONFragment(code), "message": JSONFragment(message), "timestamp": JSONFragment(timestamp),
        ]
    }

    func response(at timestamp: String) -> LocalResponse {
        var response = LocalResponse.json(body(at: timestamp), status: status)
        if isRetryable { response.add([("retry-after", "1")]) }
        return response
    }

    fileprivate func body(at timestamp: String) -> ByteBuffer {
        JSONFragment.object([("error", json(at: timestamp))]).bytes
    }
}

extension ManagementError {
    init(_ error: RouterError) {
        self.init(
            error.managementCode,
            ErrorResponder.status(of: error.code),
            error.message,
            retryable: error.isRetryable
        )
    }
}

extension RouterError {
    fileprivate var managementCode: String {
        switch code {
        case .invalidRequest, .invalidJSON, .missingModel: "INVALID_INPUT"
        case .invalidAPIKey: "UNAUTHORIZED"
        case .routeNotFound: "NOT_FOUND"
        default: code.rawValue.uppercased()
        }
    }

    /// With the status and the headers that `ErrorResponder` gives.
    func managementResponse(at timestamp: String) -> LocalResponse {
        var response = ErrorResponder.respond(to: self)
        response.body = .whole(ManagementError(self).body(at: timestamp))
        return response
    }
}
