/// Why a request could not be answered as asked: the one error type that crosses module boundaries on the request path.
///
/// An error knows its code, whose fault it is and whether trying elsewhere may help. Of the request it carries
/// at most a shortened model name: `message` is written by us and goes to the client.
package struct RouterError: Error, Hashable, Sendable {
    /// Whose fault the error is.
    package enum Origin: String, Sendable {
        /// The request is wrong; sending it again unchanged will fail again.
        case client
        /// A worker refused, broke off or could not be reached.
        case upstream
        /// We broke.
        case `internal`
    }

    package let code: Code
    package let origin: Origin
    /// True when the same request may succeed on another worker, or later.
    package let isRetryable: Bool
    /// One sentence that says what is wrong and what to do.
    package let message: String
    /// The request parameter at fault (`messages[2].content`), if one is.
    package let parameter: String?

    package init(
        _ code: Code,
        origin: Origin,
        _ message: String,
        parameter: String? = nil,
        retryable: Bool = false
    ) {
        self.code = code
        self.origin = origin
        self.message = message
        self.parameter = parameter
        isRetryable = retryable
    }

    /// A body whose `content-encoding` is one that we cannot read.
    package static let compressedBody = RouterError(
        .unsupportedMediaType,
        origin: .client,
        "Compressed request bodies are not accepted: send the body without a content-encoding."
    )

    /// A mistake in the request's body or headers, answered with 400.
    package static func invalidRequest(_ message: String, parameter: String? = nil) -> RouterError {
        RouterError(.invalidRequest, origin: .client, message, parameter: parameter)
    }
}

extension RouterError {
    /// The machine-readable kind of an error: the `code` of the OpenAI error object.
    package enum Code: String, CaseIterable, Sendable {
        case invalidRequest = "invalid_request"
        case invalidJSON = "invalid_json"
        case missingModel = "missing_model"
        case modelNotFound = "model_not_found"
        case invalidAPIKey = "invalid_api_key"
        case forbidden = "forbidden"
        case routeNotFound = "route_not_found"
        case methodNotAllowed = "method_not_allowed"
        case bodyTooLarge = "body_too_large"
        case headTooLarge = "head_too_large"
        case requestTimeout = "request_timeout"
        case unsupportedMediaType = "unsupported_media_type"
        case overloaded = "overloaded"
        case noWorker = "no_worker"
        case workerUnavailable = "worker_unavailable"
        case workerTimeout = "worker_timeout"
        case internalError = "internal_error"
    }
}
