import NIOHTTP1
package import OpenAIWire

extension HTTPExchange {
    /// Answers with a local response and further header fields.
    package func send(_ response: LocalResponse, adding fields: [(name: String, value: String)] = []) {
        var headers = response.headers
        for (name, value) in fields { headers.replaceOrAdd(name: name, value: value) }
        switch response.body {
        case .whole(let body):
            respond(status: response.status, headers: headers, body: body)
        case .events(let events):
            start(status: response.status, headers: headers, length: nil)
            for event in events { write(event) }
            finish()
        }
    }
}

extension HTTPRefusal {
    /// The refusal as an error that clients understand.
    package var error: RouterError {
        switch self {
        case .malformed(let rule):
            RouterError(.invalidRequest, origin: .client, "The request is not acceptable HTTP: \(rule).")
        case .headTooLarge:
            RouterError(.headTooLarge, origin: .client, "The request's headers are too large.")
        case .bodyTooLarge(let maxBytes):
            RouterError(.bodyTooLarge, origin: .client, "The request's body is larger than \(maxBytes) bytes.")
        case .timeout:
            RouterError(.requestTimeout, origin: .client, "The request was not complete in time.")
        case .tooManyBufferedBytes, .tooManyConnections:
            RouterError(
                .overloaded,
                origin: .internal,
                "The server is too busy. Please try again later.",
                retryable: true
            )
        }
    }
}
