package import NIOCore
package import NIOHTTP1
package import OpenAIWire

/// Why a simulated worker refuses a request, in the shape that vLLM's OpenAI server uses.
package struct SimError: Error, Hashable, Sendable {
    package let status: Int
    package let type: String
    package let message: String
    /// The parameter at fault, if one is.
    package let parameter: String?

    package init(_ status: Int, _ type: String, _ message: String, parameter: String? = nil) {
        self.status = status
        self.type = type
        self.message = message
        self.parameter = parameter
    }

    package static func badRequest(_ message: String, _ parameter: String? = nil) -> SimError {
        SimError(400, "BadRequestError", message, parameter: parameter)
    }

    package static func modelNotFound(_ model: String) -> SimError {
        SimError(404, "NotFoundError", "The model `\(model)` does not exist.", parameter: "model")
    }

    /// `{"error": {"message", "type", "param", "code"}}`, the code being the status.
    package var response: SimResponse {
        var body = ByteBuffer()
        body.writeString("{\"error\":{\"message\":")
        body.writeJSONString(message)
        body.writeString(",\"type\":")
        body.writeJSONString(type)
        body.writeString(",\"param\":")
        if let parameter { body.writeJSONString(parameter) } else { body.writeString("null") }
        body.writeString(",\"code\":\(status)}}")
        return SimResponse(status: HTTPResponseStatus(statusCode: status), body: body)
    }
}

/// A whole answer of a simulated worker.
package struct SimResponse: Sendable, Equatable {
    package var status: HTTPResponseStatus
    package var contentType: String?
    package var body: ByteBuffer

    package init(status: HTTPResponseStatus = .ok, contentType: String? = "application/json", body: ByteBuffer) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    package static func json(_ fragment: JSONFragment, status: HTTPResponseStatus = .ok) -> SimResponse {
        SimResponse(status: status, body: fragment.bytes)
    }

    package static func text(_ text: String, contentType: String = "text/plain; charset=utf-8") -> SimResponse {
        SimResponse(contentType: contentType, body: ByteBuffer(string: text))
    }

    /// 200 without a body, as vLLM answers probes.
    package static let empty = SimResponse(contentType: nil, body: ByteBuffer())
}
