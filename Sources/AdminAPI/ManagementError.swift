import NIOCore
import OpenAIWire

/// An error in the shape of upstream's management API: `{"code", "message", "timestamp"}`, under `error` of the body.
struct ManagementError: Sendable {
    let code: String
    let message: String

    func json(at timestamp: String) -> JSONFragment {
        [
            "code": JSONFragment(code), "message": JSONFragment(message), "timestamp": JSONFragment(timestamp),
        ]
    }
}

extension RouterError {
    private var managementCode: String {
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
        let error = ManagementError(code: managementCode, message: message)
        response.body = .whole(JSONFragment.object([("error", error.json(at: timestamp))]).bytes)
        return response
    }
}
